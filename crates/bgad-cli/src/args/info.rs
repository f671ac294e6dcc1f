//! What `bgad info`, `bgad completions` and `bgad man` are told.

use std::path::PathBuf;

use clap_complete::Shell;

/// Say what a model is: what it was trained from, its options, thresholds and what they promise
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  bgad info part.bgad
  bgad info part.bgad --json | jq .thresholds")]
pub(crate) struct InfoArgs {
    /// Model file written by `bgad train`.
    #[arg(value_name = "MODEL")]
    pub(crate) model: PathBuf,

    /// Write everything as JSON, with the hashes of all images.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Print a completion script for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  bgad completions bash > ~/.local/share/bash-completion/completions/bgad
  bgad completions zsh > ~/.zfunc/_bgad
  bgad completions fish > ~/.config/fish/completions/bgad.fish")]
pub(crate) struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum)]
    pub(crate) shell: Shell,
}

/// Print the manual page, or write one for each command
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  bgad man | man -l -
  bgad man --out /usr/local/share/man/man1")]
pub(crate) struct ManArgs {
    /// Folder to write bgad.1, bgad-train.1 and so on to.
    #[arg(short, long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}
