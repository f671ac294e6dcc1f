//! Features of all images of a run: in memory up to a limit, past it in a file that has no name.
//!
//! The file has no name once it is open, so nothing stays behind however training ends. Values come back as they
//! went in, bit for bit: where they lie does not change the model.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// Features of one image at one level, `[h, w, C]`.
#[derive(Debug)]
pub(super) enum Features {
    /// The values.
    Memory(Vec<f32>),
    /// Where they are in the file.
    Disk { file: Arc<Mutex<File>>, offset: u64, len: usize },
}

impl Features {
    /// The values; `buffer` holds them if they come from the file.
    pub(super) fn read<'a>(&'a self, buffer: &'a mut Vec<f32>) -> io::Result<&'a [f32]> {
        match self {
            Features::Memory(values) => Ok(values),
            Features::Disk { file, offset, len } => {
                let mut bytes = vec![0; len * size_of::<f32>()];
                {
                    let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                    file.seek(SeekFrom::Start(*offset))?;
                    file.read_exact(&mut bytes)?;
                }
                buffer.clear();
                let (values, _) = bytes.as_chunks();
                buffer.extend(values.iter().map(|&value| f32::from_le_bytes(value)));
                Ok(buffer)
            }
        }
    }

    /// Puts as many other values in their place.
    pub(super) fn replace(&mut self, new: Vec<f32>) -> io::Result<()> {
        match self {
            Features::Memory(values) => {
                *values = new;
                Ok(())
            }
            Features::Disk { file, offset, len } => {
                debug_assert_eq!(new.len(), *len, "features keep their shape");
                write_at(file, *offset, &new)
            }
        }
    }
}

fn write_at(file: &Mutex<File>, offset: u64, values: &[f32]) -> io::Result<()> {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
    file.seek(SeekFrom::Start(offset))?;
    file.write_all(&bytes)
}

/// Decides where features go.
#[derive(Debug)]
pub(super) struct Store {
    /// Bytes that may still go to memory.
    left: u64,
    folder: PathBuf,
    /// The file, once there is one, and its length.
    spilled: Option<(Arc<Mutex<File>>, u64)>,
}

impl Store {
    /// Keeps `limit` bytes in memory and the rest in a file in `folder`.
    pub(super) fn new(limit: u64, folder: PathBuf) -> Store {
        Store { left: limit, folder, spilled: None }
    }

    /// Moves features to the file once memory is used up.
    pub(super) fn keep(&mut self, features: &mut Features) -> io::Result<()> {
        let Features::Memory(values) = features else { return Ok(()) };
        let bytes = (values.len() * size_of::<f32>()) as u64;
        if let (None, Some(left)) = (&self.spilled, self.left.checked_sub(bytes)) {
            self.left = left;
            return Ok(());
        }
        let (file, offset) = match self.spilled.take() {
            Some(spilled) => spilled,
            None => (self.create()?, 0),
        };
        write_at(&file, offset, values)?;
        self.spilled = Some((Arc::clone(&file), offset + bytes));
        *features = Features::Disk { file, offset, len: values.len() };
        Ok(())
    }

    fn create(&self) -> io::Result<Arc<Mutex<File>>> {
        // Created without a name, or exclusively under one that cannot be guessed and is removed at once.
        let file = tempfile::tempfile_in(&self.folder)?;
        Ok(Arc::new(Mutex::new(file)))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn in_memory(features: &Features) -> bool {
        matches!(features, Features::Memory(_))
    }

    #[test]
    fn what_does_not_fit_comes_back_from_the_file_bit_for_bit() {
        let folder = std::env::temp_dir().join(format!("bgad-store-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let mut store = Store::new(2 * 3 * 4, folder.clone());
        let value = |i: u32, j: u32| f32::from_bits(0x3f80_0001 + 977 * i + j);
        let mut all: Vec<Features> =
            (0..5).map(|i| Features::Memory((0..3).map(|j| value(i, j)).collect())).collect();
        all.iter_mut().for_each(|features| store.keep(features).unwrap());
        let here: Vec<bool> = all.iter().map(in_memory).collect();
        assert_eq!(here, [true, true, false, false, false]);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0, "the file has no name");

        let mut buffer = Vec::new();
        for (i, features) in all.iter_mut().enumerate() {
            let want: Vec<f32> = (0..3).map(|j| value(i as u32, j)).collect();
            assert_eq!(features.read(&mut buffer).unwrap(), want);
            features.replace(vec![i as f32; 3]).unwrap();
        }
        for (i, features) in all.iter().enumerate() {
            assert_eq!(features.read(&mut buffer).unwrap(), [i as f32; 3]);
        }
        fs::remove_dir(&folder).unwrap();
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error() {
        let mut store = Store::new(0, PathBuf::from("/no/such/folder"));
        assert!(store.keep(&mut Features::Memory(vec![1.0])).is_err());
    }
}
