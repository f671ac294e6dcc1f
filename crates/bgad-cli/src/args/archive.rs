//! What `bgad inspect` is told about an archive.

use std::path::PathBuf;

use bgad::archive::Shard;

/// Images by the million, from a list.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Archives")]
pub(crate) struct ArchiveArgs {
    /// Inspect the images of this list: a CSV file with a column `path`; relative paths start at its folder.
    ///
    /// One row is written for each image, also for one that cannot be read. Paths in Parquet: see docs/scale.md.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["inputs", "from_stdin", "out", "format", "pixel_size", "min_area", "part_id", "ok", "ng"], requires = "output")]
    pub(crate) manifest: Option<PathBuf>,

    /// Take only the i-th of n parts of the list, so that n runs share the work.
    #[arg(long, value_name = "i/n", default_value_t = Shard::ALL, requires = "manifest")]
    pub(crate) shard: Shard,

    /// Go on with OUTPUT after an interruption: each image has one row in the end.
    #[arg(long, requires = "manifest")]
    pub(crate) resume: bool,

    /// File to write the rows to, .csv or .jsonl.
    #[arg(short, long, value_name = "FILE", requires = "manifest")]
    pub(crate) output: Option<PathBuf>,
}
