//! Ground-truth masks: which pixels of an image are defective.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use ::image::DynamicImage;
use ::image::metadata::Orientation;

use super::{Content, ImageError, ImageProblem, InputSize, OriginalSize, Window, annotation, decode};
use crate::outside;
use crate::weights::sha256_hex;

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
    /// Reads a mask of any format and depth: a pixel is defective if a channel other than alpha is above 0; if only alpha
    /// varies, where alpha is; of a JPEG, whose edges are not exact, where it is above half of the highest value. A LabelMe,
    /// COCO or Label Studio file is drawn; the latter two need `image` to know which is meant. A folder holds several masks of
    /// one image, which are united.
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
        let RawMask { mask, .. } = raw_mask(path, image)?;
        if let Some((image, expected)) = image {
            mask.check_size(image, expected).map_err(|error| error.of_file(path))?;
        }
        Ok(mask.resized(size))
    }

    /// The size of a mask as it comes, or of the image that an annotation was drawn on.
    ///
    /// # Errors
    ///
    /// An [`ImageError`] naming the file, if it is no sound image.
    pub fn original_size(path: &Path) -> Result<OriginalSize, ImageError> {
        Ok(raw_mask(path, None)?.mask.original())
    }

    fn original(&self) -> OriginalSize {
        OriginalSize { height: self.height, width: self.width }
    }

    /// Refuses a mask of another size than its image.
    pub(crate) fn check_size(&self, image: &Path, expected: OriginalSize) -> Result<(), ImageError> {
        let found = self.original();
        if found == expected {
            return Ok(());
        }
        let quarter = found.height == expected.width && found.width == expected.height;
        let turned = quarter
            && decode::orientation_of(image)
                .is_some_and(|orientation| orientation != Orientation::NoTransforms);
        Err(ImageProblem::MaskSize { image: image.to_owned(), expected, found, turned }.into())
    }

    /// The mask as its image is turned.
    pub(crate) fn turned(&self, orientation: Orientation) -> Mask {
        let (w, h) = (self.width as u32, self.height as u32);
        let pixels =
            ::image::GrayImage::from_raw(w, h, self.defective.clone()).expect("height x width pixels");
        let mut pixels = DynamicImage::ImageLuma8(pixels);
        pixels.apply_orientation(orientation);
        let (height, width) = (pixels.height() as usize, pixels.width() as usize);
        Mask { height, width, defective: pixels.into_luma8().into_raw() }
    }

    /// The share of pixels that are defective.
    pub(crate) fn covered(&self) -> f64 {
        self.defective.iter().filter(|pixel| **pixel > 0).count() as f64 / self.defective.len().max(1) as f64
    }

    /// The share of the outermost pixels that are defective.
    pub(crate) fn covered_border(&self) -> f64 {
        let (h, w) = (self.height, self.width);
        let outermost = |i: &usize| i / w == 0 || i / w == h - 1 || i.is_multiple_of(w) || i % w == w - 1;
        let border: Vec<usize> = (0..h * w).filter(outermost).collect();
        let covered = border.iter().filter(|i| self.defective[**i] > 0).count();
        covered as f64 / border.len().max(1) as f64
    }

    /// Brings decoded pixels of any colour type to `size`.
    ///
    /// # Panics
    ///
    /// If `decoded` has no pixel while `size` has some; no decoder gives such an image.
    pub fn from_decoded(decoded: &DynamicImage, size: InputSize) -> Mask {
        let OriginalSize { height, width } = OriginalSize::of(decoded);
        let defective = levels(decoded).iter().map(|&level| u8::from(level > 0)).collect();
        Mask { height, width, defective }.resized(size)
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

/// A mask as it comes.
#[derive(Clone, Debug)]
pub(crate) struct RawMask {
    /// At its own size.
    pub(crate) mask: Mask,
    /// The share of pixels between black and the brightest value.
    pub(crate) between: f64,
    /// Whether it is a picture that other programs may have drawn on an image that was not turned upright.
    pub(crate) is_picture: bool,
}

/// Reads a mask at its own size. The size of the image is for labels that do not say it.
pub(crate) fn raw_mask(path: &Path, image: Option<(&Path, OriginalSize)>) -> Result<RawMask, ImageError> {
    if path.is_dir() {
        return united(path);
    }
    let of_file = |error: ImageError| error.of_file(path);
    if is_labels(path).map_err(|error| of_file(ImageProblem::Unreadable(error).into()))? {
        let (image, size) = (image.map(|(image, _)| image), image.map(|(_, size)| size));
        let mask = annotation::labels(path)?.drawn(image, size).map_err(|problem| of_file(problem.into()))?;
        return Ok(RawMask { mask, between: 0.0, is_picture: false });
    }
    let bytes = decode::read(path)?;
    let decoded = decode::decode_admitted(&bytes).map_err(of_file)?;
    let OriginalSize { height, width } = OriginalSize::of(&decoded.pixels);
    let levels = levels(&decoded.pixels);
    let highest = levels.iter().copied().max().unwrap_or(0);
    let between = levels.iter().filter(|level| **level > 0 && **level < highest).count() as f64;
    let threshold = if decoded.lossy { highest / 2 } else { 0 };
    let defective = levels.iter().map(|&level| u8::from(level > threshold)).collect();
    let between = between / levels.len().max(1) as f64;
    Ok(RawMask { mask: Mask { height, width, defective }, between, is_picture: true })
}

/// Whether a file holds labels: text that is JSON by its first letter or by its name.
fn is_labels(path: &Path) -> std::io::Result<bool> {
    if Content::of_file(path)? != Content::Text {
        return Ok(false);
    }
    let mut start = Vec::new();
    outside::open(path)?.0.take(64).read_to_end(&mut start)?;
    let begins = outside::without_mark(&start).trim_ascii_start().first().copied();
    let named = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
    Ok(named || matches!(begins, Some(b'{' | b'[')))
}

/// The masks in a folder, united: MVTec LOCO has a folder for each image.
fn united(folder: &Path) -> Result<RawMask, ImageError> {
    let wrong = |found: String| ImageError::from(ImageProblem::MaskFolder { found }).of_file(folder);
    let mut all: Option<RawMask> = None;
    for file in masks_in(folder)? {
        let one = raw_mask(&file, None)?;
        let Some(so_far) = &mut all else {
            all = Some(one);
            continue;
        };
        if so_far.mask.original() != one.mask.original() {
            return Err(wrong(format!("masks of {} and {}", so_far.mask.original(), one.mask.original())));
        }
        so_far.mask.defective.iter_mut().zip(&one.mask.defective).for_each(|(a, b)| *a |= b);
        so_far.between = so_far.between.max(one.between);
    }
    all.ok_or_else(|| wrong("none".to_owned()))
}

/// The pictures in a folder of masks, by name.
fn masks_in(folder: &Path) -> Result<Vec<PathBuf>, ImageError> {
    let unreadable = |error| ImageError::from(ImageProblem::Unreadable(error)).of_file(folder);
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && path.is_file() && matches!(Content::of_file(&path), Ok(Content::Picture)) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The hash of a mask's file, or of all files in a folder of masks: what says whether it was changed. 64 hexadecimal digits.
///
/// # Errors
///
/// An [`ImageError`] naming the file, if it cannot be read.
pub fn mask_hash(path: &Path) -> Result<String, ImageError> {
    if !path.is_dir() {
        return Ok(sha256_hex(&decode::read(path)?));
    }
    let hashes: Vec<String> = masks_in(path)?
        .iter()
        .map(|file| Ok(sha256_hex(&decode::read(file)?)))
        .collect::<Result<_, ImageError>>()?;
    Ok(sha256_hex(hashes.concat().as_bytes()))
}

/// `floor((i + 1/2) from / to)`: the source pixel under the centre of target pixel `i`, as Pillow's NEAREST takes it.
fn nearest(i: usize, from: usize, to: usize) -> usize {
    (2 * i + 1) * from / (2 * to)
}

/// Per pixel the highest channel except alpha, `[h, w]`; alpha itself if nothing else varies, as of a mask that was painted on
/// a transparent layer.
fn levels(decoded: &DynamicImage) -> Vec<u16> {
    fn highest<'a, const N: usize>(samples: &'a [u8], colours: usize) -> impl Iterator<Item = u16> + 'a {
        samples
            .as_chunks::<N>()
            .0
            .iter()
            .map(move |p| p[..colours].iter().copied().max().map_or(0, u16::from))
    }
    fn highest16<'a, const N: usize>(samples: &'a [u16], colours: usize) -> impl Iterator<Item = u16> + 'a {
        samples.as_chunks::<N>().0.iter().map(move |p| p[..colours].iter().copied().max().unwrap_or(0))
    }
    /// Colour if it varies, else alpha if that does.
    fn painted(colour: Vec<u16>, alpha: impl Iterator<Item = u16>) -> Vec<u16> {
        let varies = |levels: &[u16]| levels.windows(2).any(|pair| pair[0] != pair[1]);
        if varies(&colour) {
            return colour;
        }
        let alpha: Vec<u16> = alpha.collect();
        if varies(&alpha) { alpha } else { colour }
    }
    use DynamicImage::*;
    match decoded {
        ImageLuma8(pixels) => highest::<1>(pixels, 1).collect(),
        ImageRgb8(pixels) => highest::<3>(pixels, 3).collect(),
        ImageLuma16(pixels) => highest16::<1>(pixels, 1).collect(),
        ImageRgb16(pixels) => highest16::<3>(pixels, 3).collect(),
        ImageLumaA8(pixels) => {
            let alpha = pixels.pixels().map(|p| u16::from(p.0[1]));
            painted(highest::<2>(pixels, 1).collect(), alpha)
        }
        ImageRgba8(pixels) => {
            let alpha = pixels.pixels().map(|p| u16::from(p.0[3]));
            painted(highest::<4>(pixels, 3).collect(), alpha)
        }
        ImageLumaA16(pixels) => painted(highest16::<2>(pixels, 1).collect(), pixels.pixels().map(|p| p.0[1])),
        ImageRgba16(pixels) => painted(highest16::<4>(pixels, 3).collect(), pixels.pixels().map(|p| p.0[3])),
        // Floating-point samples: any value above 0 counts.
        floats => {
            let level =
                |value: f32| if value > 0.0 { (value * 65535.0).clamp(1.0, 65535.0) as u16 } else { 0 };
            let highest = |p: &::image::Rgb<f32>| p.0.iter().copied().fold(0.0, f32::max);
            floats.to_rgb32f().pixels().map(|p| level(highest(p))).collect()
        }
    }
}
