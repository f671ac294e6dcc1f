//! Choices of `bgad.toml` beside the data, put in where nothing was typed.
//!
//! They become words of the command line, so that they are read, checked and combined as if they had been typed. What was typed
//! wins: over the same choice, over its opposite, and over what it cannot be combined with.

use std::ffi::OsString;
use std::path::PathBuf;

use bgad::model::Origin;
use bgad::options::{Setting, Settings, SettingsError};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command, FromArgMatches as _};

use super::{Args, Rejected, command};
use crate::failure::say;
use crate::shell::printable;

/// What was typed together with what the file says.
pub(super) struct Completed {
    words: Vec<OsString>,
    /// The file, and what was taken from it.
    settings: Settings,
    taken: Vec<String>,
}

/// The command line with the choices of the file; `None` if there is no file, or nothing in it for this command.
pub(super) fn complete(typed: &[OsString], matches: &ArgMatches) -> Result<Option<Completed>, SettingsError> {
    let Some((name, typed_args)) = matches.subcommand() else { return Ok(None) };
    if matches.get_flag("no_settings") {
        return Ok(None);
    }
    let section = match name {
        "train" | "augment" | "foreground" => "train",
        "calibrate" | "evaluate" | "inspect" | "learn" | "doctor" => name,
        _ => return Ok(None),
    };
    let Some(settings) = data(typed_args).map_or(Ok(None), |data| Settings::beside(&data))? else {
        return Ok(None);
    };
    let mut program = command(false);
    program.build();
    let Some(defined) = program.find_subcommand(name) else { return Ok(None) };
    let mut added = Vec::new();
    let mut taken = Vec::new();
    for (key, setting) in settings.of(section) {
        // Commands that show what a training would do have some of its choices.
        let Some(arg) = defined.get_arguments().find(|arg| arg.get_id() == key) else { continue };
        if let Some(word) =
            (!is_settled(arg, defined, typed_args)).then(|| word(arg, defined, setting)).flatten()
        {
            added.push(word);
            taken.push(format!("{key} = {setting}"));
        }
    }
    if added.is_empty() {
        return Ok(None);
    }
    // Right after the command, where neither `--` nor a list of files is before them.
    let at = typed.iter().skip(1).position(|word| word == name).map_or(typed.len(), |at| at + 2);
    let words = typed[..at].iter().cloned().chain(added).chain(typed[at..].iter().cloned()).collect();
    Ok(Some(Completed { words, settings, taken }))
}

impl Completed {
    /// Read as if all of it had been typed.
    pub(super) fn parsed(self) -> Result<Args, Rejected> {
        let file = printable(&self.settings.file.to_string_lossy()).to_string();
        // What was typed has been accepted already, so a mistake is one of the file.
        let wrong = |error: clap::Error| {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default();
            Rejected::Settings(format!("{file}: {}", first.trim_start_matches("error: ")).into())
        };
        let matches = command(false).try_get_matches_from(self.words).map_err(wrong)?;
        let args = Args::from_arg_matches(&matches).map_err(wrong)?;
        say(format_args!("note: choices from {file}: {}", printable(&self.taken.join(", "))));
        Ok(args)
    }
}

/// The data folder of the command: as typed, or as its model says.
fn data(typed: &ArgMatches) -> Option<PathBuf> {
    let path = |id: &str| typed.try_get_one::<PathBuf>(id).ok().flatten();
    path("data").cloned().or_else(|| path("model").and_then(|model| Origin::of_file(model)?.data))
}

/// Whether what was typed leaves no room for a choice of the file.
fn is_settled(arg: &Arg, defined: &Command, typed: &ArgMatches) -> bool {
    let is_typed =
        |other: &Arg| typed.value_source(other.get_id().as_str()) == Some(ValueSource::CommandLine);
    let excludes =
        |a: &Arg, b: &Arg| defined.get_arg_conflicts_with(a).iter().any(|c| c.get_id() == b.get_id());
    let opposite = opposite(arg, defined);
    is_typed(arg)
        || opposite.is_some_and(is_typed)
        || defined
            .get_arguments()
            .any(|other| is_typed(other) && (excludes(arg, other) || excludes(other, arg)))
}

/// `--no-focal` of `--focal`.
fn opposite<'a>(arg: &Arg, defined: &'a Command) -> Option<&'a Arg> {
    let name = format!("no_{}", arg.get_id());
    defined.get_arguments().find(|other| other.get_id() == name.as_str())
}

/// What would be typed; `None` if the setting is what holds anyway.
fn word(arg: &Arg, defined: &Command, setting: &Setting) -> Option<OsString> {
    let name = arg.get_long()?;
    match setting {
        Setting::Flag(true) => Some(format!("--{name}").into()),
        Setting::Flag(false) => {
            opposite(arg, defined).and_then(Arg::get_long).map(|name| format!("--{name}").into())
        }
        // What holds where nothing is said.
        Setting::Value(value) if value == "auto" && matches!(name, "input" | "bit-depth") => None,
        Setting::Value(value) => {
            // The library joins words by underscores.
            let value = if name == "stepping" { value.replace('_', "-") } else { value.clone() };
            Some(format!("--{name}={value}").into())
        }
    }
}
