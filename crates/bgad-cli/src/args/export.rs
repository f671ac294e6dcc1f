//! What `bgad export` and `bgad verify-export` are told.

use std::path::PathBuf;

use bgad::image::OriginalSize;
use bgad_onnx::Profile;

/// Write a model as an ONNX file that proves itself
///
/// The graph takes the resized image (float32, N x 3 x H x W, RGB, 0 to 1) to score, verdict and map, thresholds inside. The
/// file carries test images as seeds and what this engine finds in them; `bgad verify-export` and
/// tools/verify_export.py check that a runtime finds the same. See docs/export.md.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  bgad export part.bgad -o part.onnx
  bgad export part.bgad -o part.onnx --profile anomalib
  bgad export part.bgad -o part.onnx --image-size 480x640    images that keep their proportions")]
pub(crate) struct ExportArgs {
    /// Model file written by `bgad train`.
    #[arg(value_name = "MODEL")]
    pub(crate) model: PathBuf,

    /// ONNX file to write.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,

    /// Names and units of the outputs: native (score, verdict, map, whole_image, parts; nats) or anomalib (pred_score,
    /// pred_label, anomaly_map, pred_mask; 0 to 1).
    #[arg(long, value_name = "PROFILE", default_value = "native", value_parser = ["native", "anomalib"])]
    profile: String,

    /// Size of the images before they are resized (height x width), of a model under which they keep their proportions.
    #[arg(long, value_name = "HxW", value_parser = size)]
    image_size: Option<OriginalSize>,
}

impl ExportArgs {
    /// What the file is to be.
    pub(crate) fn options(&self) -> bgad_onnx::Options {
        // The parser lets nothing else through than the names it lists.
        let profile = if self.profile == "anomalib" { Profile::Anomalib } else { Profile::Native };
        bgad_onnx::Options { profile, image_size: self.image_size }
    }
}

/// `480x640`: height and width in pixels.
fn size(text: &str) -> Result<OriginalSize, String> {
    let side = |text: &str| text.trim().parse().ok().filter(|side| (1..=16_384).contains(side));
    let sides = text.split_once(['x', 'X']).and_then(|(height, width)| Some((side(height)?, side(width)?)));
    let (height, width) = sides.ok_or("expected height and width in pixels, as in 480x640".to_owned())?;
    Ok(OriginalSize { height, width })
}

/// Check that an exported ONNX file finds what the model finds
///
/// Draws the test images of the file's certificate, runs the graph on them and compares. With --model also checks that the
/// file was exported from that model, and that this engine still finds the same. Exit code 1 if anything differs.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  bgad verify-export part.onnx
  bgad verify-export part.onnx --model part.bgad")]
pub(crate) struct VerifyExportArgs {
    /// ONNX file written by `bgad export`.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// The model that it was exported from.
    #[arg(long, value_name = "MODEL")]
    pub(crate) model: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_two_numbers() {
        assert_eq!(size("480x640"), Ok(OriginalSize { height: 480, width: 640 }));
        assert_eq!(size("6000X8000"), Ok(OriginalSize { height: 6000, width: 8000 }));
        for text in ["", "480", "480x", "0x640", "480x640x3", "-1x2", "480x20000"] {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
