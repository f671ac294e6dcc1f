//! What `bgad inspect` is told.

use std::path::PathBuf;

use super::parse::{not_negative, positive, threads};

/// Judge images: score, verdict and where the defects are.
///
/// Folders are searched with all folders inside. The score is in nats: 0 is as normal as training images get. Exit
/// code 1 if an image is not OK, 2 if one could not be read; the others are judged all the same.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  bgad inspect part.bgad photo.png
  bgad inspect part.bgad new/ --out maps
  bgad inspect part.bgad new/ --format jsonl > results.jsonl
  bgad inspect part.bgad --manifest list.csv --shard 1/8 --resume -o 1.csv")]
pub(crate) struct InspectArgs {
    /// Model file written by `bgad train`.
    #[arg(value_name = "MODEL")]
    pub(crate) model: PathBuf,

    /// Images, or folders of images.
    #[arg(value_name = "IMAGE|FOLDER", required_unless_present = "manifest")]
    pub(crate) inputs: Vec<PathBuf>,

    /// Write a picture with the heat map for each image into this folder, as NAME.overlay.png.
    ///
    /// Colours are fixed by the model's thresholds: the same colour means the same number of nats in all pictures.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,

    /// Side of a pixel of the images as they come, in mm: regions are then measured in mm2 too.
    #[arg(long, value_name = "MM", value_parser = positive)]
    pub(crate) pixel_size: Option<f64>,

    /// Leave out regions of a smaller area, in mm2 with --pixel-size and in pixels without; verdicts stay as they are.
    #[arg(long, value_name = "AREA", default_value = "0", value_parser = not_negative)]
    pub(crate) min_area: f64,

    /// How results are written to stdout.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,

    /// Threads to use [default: one per core].
    #[arg(long, value_name = "N", value_parser = threads)]
    pub(crate) threads: Option<usize>,

    #[command(flatten)]
    pub(crate) archive: super::ArchiveArgs,
}

/// Form of the results of `bgad inspect`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// One JSON object a line, with all regions.
    Jsonl,
    /// Comma-separated, with the region of the highest peak.
    Csv,
}
