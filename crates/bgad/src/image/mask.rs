//! Ground-truth masks: which pixels of an image are defective.

use std::path::Path;

use ::image::DynamicImage;

use super::{ImageError, ImageProblem, InputSize, OriginalSize, Window, annotation, decode};

/// A defect mask at the input size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// `[height, width]`, row-major: 1 where defective, else 0.
    pub defective: Vec<u8>,
}

impl Mask {
    /// Reads a mask of any format and depth: a pixel is defective if a channel other than alpha is above 0. A file named
    /// `*.json` is a LabelMe or COCO annotation, whose shapes are drawn; COCO needs `image` to know which is meant.
    ///
    /// `image` names the image that the mask belongs to and its size on disk (see
    /// [`InputImage::load_with_original_size`](super::InputImage::load_with_original_size)); `None` skips the
    /// comparison.
    ///
    /// # Errors
    ///
    /// An [`ImageError`] naming the file, if it is no sound image, or if its size is not its image's: two sizes mean
    /// that one of the two belongs to something else, and resizing would hide it.
    pub fn load(
        path: &Path,
        size: InputSize,
        image: Option<(&Path, OriginalSize)>,
    ) -> Result<Mask, ImageError> {
        let decoded = decode_mask(path, image.map(|(image, _)| image))?;
        let found = OriginalSize::of(&decoded);
        if let Some((image, expected)) = image.filter(|(_, expected)| *expected != found) {
            let problem = ImageProblem::MaskSize { image: image.to_owned(), expected, found };
            return Err(ImageError::from(problem).of_file(path));
        }
        Ok(Mask::from_decoded(&decoded, size))
    }

    /// The size of a mask as it comes, or of the image that an annotation was drawn on.
    ///
    /// # Errors
    ///
    /// An [`ImageError`] naming the file, if it is no sound image.
    pub fn original_size(path: &Path) -> Result<OriginalSize, ImageError> {
        Ok(OriginalSize::of(&decode_mask(path, None)?))
    }

    /// Brings decoded pixels of any colour type to `size`.
    ///
    /// # Panics
    ///
    /// If `decoded` has no pixel while `size` has some; no decoder gives such an image.
    pub fn from_decoded(decoded: &DynamicImage, size: InputSize) -> Mask {
        let OriginalSize { height, width } = OriginalSize::of(decoded);
        Mask { height, width, defective: above_zero(decoded) }.resized(size)
    }

    /// A mask of an image without any defect.
    pub fn clean(size: InputSize) -> Mask {
        Mask { height: size.height, width: size.width, defective: vec![0; size.pixels()] }
    }

    /// Brings the mask to `size`, which decides where in it the mask lies.
    ///
    /// # Panics
    ///
    /// If the mask has no pixel while `size` has some.
    pub fn resized(&self, size: InputSize) -> Mask {
        let window = size.window(OriginalSize { height: self.height, width: self.width });
        let mut resized = vec![0; size.pixels()];
        for y in 0..window.height {
            let row = nearest(y, self.height, window.height) * self.width;
            let start = (window.top + y) * size.width + window.left;
            for (x, pixel) in resized[start..start + window.width].iter_mut().enumerate() {
                *pixel = self.defective[row + nearest(x, self.width, window.width)];
            }
        }
        Mask { height: size.height, width: size.width, defective: resized }
    }

    /// Part of the mask.
    ///
    /// # Panics
    ///
    /// If it does not lie within.
    pub fn cropped(&self, window: Window) -> Mask {
        let rows = (window.top..window.top + window.height).map(|y| y * self.width + window.left);
        let defective =
            rows.flat_map(|start| &self.defective[start..start + window.width]).copied().collect();
        Mask { height: window.height, width: window.width, defective }
    }

    /// Whether no pixel is defective, for instance because a small defect fell between the samples.
    pub fn is_clean(&self) -> bool {
        self.defective.iter().all(|&pixel| pixel == 0)
    }
}

/// The pixels of a mask at its own size; those of an annotation are drawn, for which COCO must know the `image`.
pub(crate) fn decode_mask(path: &Path, image: Option<&Path>) -> Result<DynamicImage, ImageError> {
    let bytes = decode::read(path)?;
    let decoded = match path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json")) {
        true => annotation::drawn(&bytes, image).map(DynamicImage::from).map_err(ImageError::from),
        false => decode::decode(&bytes),
    };
    decoded.map_err(|error| error.of_file(path))
}

/// Whether a mask has no defective pixel at its own size.
pub(crate) fn is_black(path: &Path) -> Result<bool, ImageError> {
    Ok(!above_zero(&decode_mask(path, None)?).contains(&1))
}

/// `floor((i + 1/2) from / to)`: the source pixel under the centre of target pixel `i`, as Pillow's NEAREST takes it.
fn nearest(i: usize, from: usize, to: usize) -> usize {
    (2 * i + 1) * from / (2 * to)
}

/// Per pixel 1 where any channel except alpha is above 0, `[h, w]`.
fn above_zero(decoded: &DynamicImage) -> Vec<u8> {
    fn any<T: PartialOrd + Default>(values: &[T]) -> u8 {
        u8::from(values.iter().any(|value| *value > T::default()))
    }
    use DynamicImage::*;
    match decoded {
        ImageLuma8(pixels) => pixels.pixels().map(|p| any(&p.0)).collect(),
        ImageLumaA8(pixels) => pixels.pixels().map(|p| any(&p.0[..1])).collect(),
        ImageRgb8(pixels) => pixels.pixels().map(|p| any(&p.0)).collect(),
        ImageRgba8(pixels) => pixels.pixels().map(|p| any(&p.0[..3])).collect(),
        ImageLuma16(pixels) => pixels.pixels().map(|p| any(&p.0)).collect(),
        ImageLumaA16(pixels) => pixels.pixels().map(|p| any(&p.0[..1])).collect(),
        ImageRgb16(pixels) => pixels.pixels().map(|p| any(&p.0)).collect(),
        ImageRgba16(pixels) => pixels.pixels().map(|p| any(&p.0[..3])).collect(),
        floats => floats.to_rgb32f().pixels().map(|p| any(&p.0)).collect(),
    }
}
