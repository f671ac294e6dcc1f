//! Reading and writing masks: compare, then swap, whole or not at all.
//!
//! A mask is named by the SHA-256 of its file; `none` where there is no file. Whoever writes says what was read; if that
//! is no longer so, nothing is written.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use bgad::dataset::content_hash;
use bgad::{durable, outside};

use super::bitmask::{Bitmask, Tiles};
use super::engine::{self, Failure};

/// What is said of a mask that is not there.
pub(super) const NONE: &str = "none";

/// The mask last written or read, so that a stroke does not decode a large file.
#[derive(Default)]
pub(super) struct Masks {
    last: Mutex<Option<(String, Bitmask)>>,
}

/// Which mask, and of which picture.
pub(super) struct Place<'a> {
    /// The file that is there now, whatever its format.
    pub current: Option<&'a Path>,
    /// The file to write, a PNG.
    pub target: &'a Path,
    /// The picture, for annotations that name it.
    pub image: Option<&'a Path>,
    pub width: usize,
    pub height: usize,
}

/// Why a mask was not written.
pub(super) enum Refused {
    /// The mask is another one by now: its name.
    Changed(String),
    Failed(Failure),
}

impl<E: Into<Failure>> From<E> for Refused {
    fn from(error: E) -> Refused {
        Refused::Failed(error.into())
    }
}

impl Masks {
    /// The mask and its name.
    pub(super) fn read(&self, place: &Place<'_>) -> Result<(Bitmask, String), Failure> {
        let Some(bytes) = place.bytes()? else {
            return Ok((Bitmask::empty(place.width, place.height), NONE.to_owned()));
        };
        let name = content_hash(&bytes);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, mask)) = &*last
            && *known == name
            && (mask.width, mask.height) == (place.width, place.height)
        {
            return Ok((mask.clone(), name));
        }
        let path = place.current.unwrap_or(place.target);
        let mask = engine::read_mask(path, place.image, place.width, place.height)?;
        *last = Some((name.clone(), mask.clone()));
        Ok((mask, name))
    }

    /// Puts tiles into the mask that is named `expected`; all others stay. An empty mask is no file. Returns the new name.
    pub(super) fn write(&self, place: &Place<'_>, expected: &str, tiles: &Tiles) -> Result<String, Refused> {
        let (mut mask, name) = self.read(place)?;
        if name != expected {
            return Err(Refused::Changed(name));
        }
        if (tiles.width, tiles.height) != (mask.width, mask.height) {
            let (w, h) = (tiles.width, tiles.height);
            return Err(Refused::Failed(
                format!("the mask sent is {w}x{h}, the picture is {}x{}", mask.width, mask.height).into(),
            ));
        }
        mask.apply(tiles);
        // An annotation of the user's is never touched; an empty mask beside it says that it no longer holds.
        let is_own = place.current.is_none_or(|current| current == place.target);
        if mask.is_empty() && is_own {
            remove(place.target)?;
            return Ok(NONE.to_owned());
        }
        let bytes = mask.to_png()?;
        if let Some(folder) = place.target.parent() {
            fs::create_dir_all(folder)?;
        }
        durable::replace(place.target, &bytes)?;
        let name = content_hash(&bytes);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((name.clone(), mask));
        Ok(name)
    }
}

impl Place<'_> {
    fn bytes(&self) -> io::Result<Option<Vec<u8>>> {
        match outside::read(self.current.unwrap_or(self.target), outside::MAX_IMAGE) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            read => read.map(Some),
        }
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tiles(pixels: &[usize]) -> Tiles {
        let mut mask = Bitmask::empty(70, 3);
        pixels.iter().for_each(|&at| mask.pixels[at] = 255);
        Tiles::of(&mask)
    }

    #[test]
    fn a_mask_is_written_only_over_what_was_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let target = folder.path().join("masks/dent/a_mask.png");
        let place = Place { current: None, target: &target, image: None, width: 70, height: 3 };
        let masks = Masks::default();
        let Ok(first) = masks.write(&place, NONE, &tiles(&[0, 69])) else { panic!("not written") };
        let on_disk = image::open(&target).expect("a PNG").into_luma8();
        assert_eq!(
            (on_disk.get_pixel(0, 0).0, on_disk.get_pixel(69, 0).0, on_disk.get_pixel(1, 0).0),
            ([255], [255], [0])
        );

        // Another tab, with what was there before.
        let Err(Refused::Changed(now)) = masks.write(&place, NONE, &tiles(&[5])) else { panic!("written") };
        assert_eq!(now, first);
        // Another program.
        let other = Bitmask { width: 70, height: 3, pixels: vec![255; 210] };
        fs::write(&target, other.to_png().expect("a PNG")).expect("written");
        assert!(matches!(masks.write(&place, &first, &tiles(&[5])), Err(Refused::Changed(_))));
        let (read, name) = masks.read(&place).expect("read");
        assert_eq!(read, other);

        // Both tiles emptied: no file is left.
        let mut nothing = tiles(&[0, 69]);
        nothing = Tiles::decode(&{
            let mut bytes = nothing.encode();
            for tile in bytes[16..].chunks_exact_mut(516) {
                tile[4..].fill(0);
            }
            bytes
        })
        .expect("sound");
        let Ok(name) = masks.write(&place, &name, &nothing) else { panic!("not written") };
        assert_eq!(name, NONE);
        assert!(!target.exists());
    }
}
