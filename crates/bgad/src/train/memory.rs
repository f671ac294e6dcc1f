//! Images from memory, as files beside the model.
//!
//! Training reads its images again at every pass, learning reads them again years later, and a model names them by path and content. So what
//! comes from memory is written, without loss, under the name of its content: the same images give the same files, and a training
//! that was interrupted finds them again.

use std::fs;
use std::path::PathBuf;

use ::image::codecs::png::PngEncoder;

use super::{Output, OutputError};
use crate::dataset::content_hash;
use crate::durable;
use crate::frame::Frame;
use crate::image::extension;

impl Output {
    /// Keeps the bytes of an image file in [`Output::images`] and gives its path.
    ///
    /// # Errors
    ///
    /// [`OutputError::Image`] if it cannot be written.
    pub fn keep_image(&self, bytes: &[u8]) -> Result<PathBuf, OutputError> {
        let path = self.images.join(format!("{}.{}", content_hash(bytes), extension(bytes)));
        let failed = |source| OutputError::Image { path: path.clone(), source };
        // A file is whole or not there, so one of this name has this content.
        if !path.is_file() {
            fs::create_dir_all(&self.images).map_err(failed)?;
            durable::replace(&path, bytes).map_err(failed)?;
        }
        Ok(path)
    }

    /// As [`Output::keep_image`], for pixels: a PNG file, which gives the same bits back.
    ///
    /// # Errors
    ///
    /// [`OutputError::Image`] if it cannot be written; [`OutputError::Frame`] of floating-point samples, which PNG does not hold.
    pub fn keep_frame(&self, frame: &Frame) -> Result<PathBuf, OutputError> {
        let mut bytes = Vec::new();
        let written = frame.pixels().write_with_encoder(PngEncoder::new(&mut bytes));
        written.map_err(|source| OutputError::Frame { source: Box::new(source) })?;
        self.keep_image(&bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Layout;

    #[test]
    fn pixels_come_back_as_they_were_under_the_name_of_their_content() {
        let folder = tempfile::tempdir().expect("a folder");
        let output =
            Output::beside(&folder.path().join("m.bgad"), false).expect("a file that can be written");
        let samples: Vec<u16> = (0..6 * 5 * 3).map(|i| i * 700).collect();
        let deep = Frame::from_u16(&samples, Layout::packed(6, 5, 3)).expect("a frame");
        let grey = Frame::from_u8(&[7; 30], Layout::packed(6, 5, 1)).expect("a frame");
        for frame in [&deep, &grey] {
            let path = output.keep_frame(frame).expect("a file");
            assert_eq!(Frame::open(&path).expect("an image"), *frame);
            assert_eq!(path.extension().and_then(|end| end.to_str()), Some("png"));
            let hash = content_hash(&fs::read(&path).expect("a file"));
            assert_eq!(path.file_stem().and_then(|stem| stem.to_str()), Some(hash.as_str()));
            assert_eq!(output.keep_frame(frame).expect("a file"), path, "the same image is the same file");
        }
        assert_eq!(fs::read_dir(folder.path().join("m.images")).expect("a folder").count(), 2);
        fs::write(folder.path().join("n.images"), "no folder").expect("a file");
        let refused = Output { images: folder.path().join("n.images"), ..output }.keep_frame(&grey);
        assert!(matches!(refused, Err(OutputError::Image { .. })), "{refused:?}");
    }
}
