//! What `bgad inspect` is told.

use std::path::PathBuf;

use bgad::record::PartIdPattern;

use super::parse::{finite, not_negative, positive, threads};

/// Judge images: score, verdict and where the defects are
///
/// Folders are searched with all folders inside. The score is in nats: the higher, the rarer among good images. Exit
/// code 1 if an image is not OK, 2 if one could not be judged; the others are judged all the same.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  bgad inspect part.bgad photo.png
  bgad inspect part.bgad new/ --out pictures
  bgad inspect part.bgad new/ --out masks --style mask,map --map-format npy
  bgad inspect part.bgad new/ --format jsonl --part-id 'SN(\\d+)' > results.jsonl
  bgad inspect part.bgad new/ --ok 4.5 --ng 6
  camera | bgad inspect part.bgad -
  find new/ -name '*_top.png' | bgad inspect part.bgad --from-stdin
  bgad inspect part.bgad --manifest list.csv --shard 1/8 --resume -o 1.csv")]
pub(crate) struct InspectArgs {
    /// Model file written by `bgad train`.
    #[arg(value_name = "MODEL")]
    pub(crate) model: PathBuf,

    /// Images, or folders of images; `-` is an image on stdin.
    #[arg(value_name = "IMAGE|FOLDER", required_unless_present_any = ["from_stdin", "manifest"])]
    pub(crate) inputs: Vec<PathBuf>,

    /// Take paths of images and folders from stdin, one a line, after those that are named.
    #[arg(long)]
    pub(crate) from_stdin: bool,

    /// Threads to use [default: one per core].
    #[arg(long, value_name = "N", value_parser = threads)]
    pub(crate) threads: Option<usize>,

    #[command(flatten)]
    pub(crate) results: ResultArgs,

    #[command(flatten)]
    pub(crate) pictures: PictureArgs,

    #[command(flatten)]
    pub(crate) thresholds: ThresholdArgs,

    #[command(flatten)]
    pub(crate) archive: super::ArchiveArgs,
}

/// How results are written.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Results")]
pub(crate) struct ResultArgs {
    /// How results are written to stdout.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,

    /// Take the id of the part from the file name by this regular expression: its group `id`, its first group, or all of
    /// it.
    ///
    /// For instance 'SN(\d+)' makes SN0815_top.png the part 0815. A name that does not match has no part id; stderr
    /// says how many there were.
    #[arg(long, value_name = "PATTERN", value_parser = clap::value_parser!(PartIdPattern))]
    pub(crate) part_id: Option<PartIdPattern>,

    /// Side of a pixel of the images as they come, in mm: regions are then measured in mm and mm2 too.
    #[arg(long, value_name = "MM", value_parser = positive)]
    pub(crate) pixel_size: Option<f64>,

    /// Leave out regions of a smaller area, in mm2 with --pixel-size and in pixels without; verdicts stay as they are.
    #[arg(long, value_name = "AREA", default_value = "0", value_parser = not_negative)]
    pub(crate) min_area: f64,
}

/// Which files are written for each image.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Pictures")]
pub(crate) struct PictureArgs {
    /// Write a picture for each image into this folder, as NAME.overlay.png.
    ///
    /// Colours are fixed by the training and not moved by a calibration: the same colour means the same number of nats in
    /// all pictures of a model. What is flagged is outlined.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,

    /// What is written to --out; several are separated by commas.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "overlay", requires = "out")]
    pub(crate) style: Vec<StyleArg>,

    /// File format of --style map: both hold 32-bit floats in nats.
    #[arg(long, value_enum, default_value_t = MapFormat::Tiff, requires = "out")]
    pub(crate) map_format: MapFormat,
}

/// Thresholds for this run.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Other thresholds, for this run alone")]
pub(crate) struct ThresholdArgs {
    /// Scores up to this are OK, in nats [default: the model's]. What the model promises does not hold then.
    #[arg(long, value_name = "NATS", value_parser = finite, allow_negative_numbers = true)]
    pub(crate) ok: Option<f64>,

    /// Scores above this are NG, in nats [default: as far above OK as the model's].
    #[arg(long, value_name = "NATS", value_parser = finite, allow_negative_numbers = true)]
    pub(crate) ng: Option<f64>,

    // Many tools have one threshold; "similar: --threads" would be no help.
    #[arg(long, hide = true, value_parser = two_thresholds, allow_negative_numbers = true)]
    pub(crate) threshold: Option<f64>,
}

fn two_thresholds(_: &str) -> Result<f64, &'static str> {
    Err("there are two thresholds: --ok NATS and --ng NATS")
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

/// What `bgad inspect --out` writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum StyleArg {
    /// The image with what is flagged outlined, verdict and colour scale beneath: NAME.overlay.png.
    Overlay,
    /// The untouched image beside its overlay: NAME.side-by-side.png.
    SideBySide,
    /// The whole map in colour, also below the thresholds: NAME.heat.png.
    Heat,
    /// The values of the map: NAME.map.tiff or NAME.map.npy.
    Map,
    /// White where the map is above the OK threshold, black elsewhere: NAME.mask.png.
    Mask,
}

/// File format of maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum MapFormat {
    /// TIFF with one channel of 32-bit floats.
    Tiff,
    /// NumPy's format.
    Npy,
}
