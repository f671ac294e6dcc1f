//! What `bgad studio` takes.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::parse::threads;

/// Label, train, judge and learn in a browser, offline.
///
/// FOLDER is a project: good/, bad/ or bad/TYPE/, masks/, unlabelled/, models/ and runs/. It may be empty or new. All of
/// it are plain files, which every command reads. An address that other machines reach needs a token, which is printed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  bgad studio parts/
  bgad studio parts/ --http 127.0.0.1:9000 --no-open")]
pub(crate) struct StudioArgs {
    /// Folder of the project.
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,

    /// Address to listen on.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8010")]
    pub(crate) http: SocketAddr,

    /// Do not open a browser.
    #[arg(long)]
    pub(crate) no_open: bool,

    /// Threads to use [default: one per core].
    #[arg(long, value_name = "N", value_parser = threads)]
    pub(crate) threads: Option<usize>,
}
