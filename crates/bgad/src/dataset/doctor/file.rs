//! What one image file says of itself.

use std::path::Path;

use ::image::metadata::Orientation;
use ::image::{ColorType, DynamicImage};

use crate::image::{Appearance, BitDepth, Decoded, ImageError, InputImage, InputSize, OriginalSize};
use crate::image::{brightest, decode_admitted, read};
use crate::weights::sha256_hex;

/// Side of a [`Fingerprint`], pixels.
const SIDE: usize = 48;
/// Side of the blocks whose mean a fingerprint is without, pixels.
const BLOCK: usize = 6;

/// What is known of an image once it was read.
pub(super) struct Facts {
    pub(super) sha256: String,
    pub(super) size: OriginalSize,
    /// Bits of a channel.
    pub(super) depth: u16,
    /// Of 16 bits, the fewest that hold its samples.
    pub(super) used: Option<BitDepth>,
    /// Whether channels differ; a grey picture saved as colour is grey.
    pub(super) colour: bool,
    pub(super) alpha: bool,
    pub(super) orientation: Orientation,
    /// How it was taken.
    pub(super) appearance: Appearance,
    pub(super) fingerprint: Fingerprint,
}

impl Facts {
    /// Reads a file; the image comes with it, brought to `size`.
    pub(super) fn of(path: &Path, size: InputSize) -> Result<(Facts, InputImage), ImageError> {
        let bytes = read(path)?;
        let Decoded { pixels: decoded, orientation, .. } =
            &decode_admitted(&bytes).map_err(|e| e.of_file(path))?;
        let orientation = *orientation;
        let image = InputImage::from_decoded(decoded, size).map_err(|e| e.of_file(path))?;
        let small =
            InputImage::from_decoded(decoded, InputSize::square(SIDE)).map_err(|e| e.of_file(path))?;
        let original = OriginalSize { height: decoded.height() as usize, width: decoded.width() as usize };
        let facts = Facts {
            sha256: sha256_hex(&bytes),
            size: original,
            depth: decoded.color().bits_per_pixel() / u16::from(decoded.color().channel_count()),
            colour: is_colour(&image, decoded),
            used: brightest(decoded).map(BitDepth::holding),
            alpha: decoded.color().has_alpha(),
            orientation,
            appearance: Appearance::of(&image, size.window(original)),
            fingerprint: Fingerprint::of(&grey(&small)),
        };
        Ok((facts, image))
    }
}

/// Mean of the channels.
fn grey(image: &InputImage) -> Vec<f32> {
    image.rgb_hwc.as_chunks::<3>().0.iter().map(|rgb| rgb.iter().sum::<f32>() / 3.0).collect()
}

fn is_colour(image: &InputImage, decoded: &DynamicImage) -> bool {
    let grey = matches!(decoded.color(), ColorType::L8 | ColorType::L16 | ColorType::La8 | ColorType::La16);
    // JPEG rounds colours: a cast of less than two steps in 255 is none.
    !grey
        && image.rgb_hwc.as_chunks::<3>().0.iter().any(|[r, g, b]| {
            let (low, high) = (r.min(*g).min(*b), r.max(*g).max(*b));
            high - low > 2.5 / 255.0
        })
}

/// The fine structure of a picture, of length 1: brightness, contrast and shading, which pictures of one kind of part
/// have in common, are taken out. Two pictures of different parts have a product near 0, a picture and its copy in
/// another format or brightness near 1.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fingerprint(pub(super) Vec<f32>);

impl Fingerprint {
    fn of(grey: &[f32]) -> Fingerprint {
        let mut fine = grey.to_vec();
        for top in (0..SIDE).step_by(BLOCK) {
            for left in (0..SIDE).step_by(BLOCK) {
                let block =
                    || (top..top + BLOCK).flat_map(move |y| (left..left + BLOCK).map(move |x| y * SIDE + x));
                let mean = block().map(|i| grey[i]).sum::<f32>() / (BLOCK * BLOCK) as f32;
                block().for_each(|i| fine[i] -= mean);
            }
        }
        let length = fine.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt() as f32;
        // A flat picture has no structure to tell it by, and is like no other.
        let scale = if length > 1e-2 { 1.0 / length } else { 0.0 };
        fine.iter_mut().for_each(|v| *v *= scale);
        Fingerprint(fine)
    }
}
