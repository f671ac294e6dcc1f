//! `bgad.toml` beside the data: choices that should not be typed twice.
//!
//! ```toml
//! [train]
//! input = "384x768"
//! hold_out = 0.2
//! roi = "roi.png"            # relative to this file
//!
//! [calibrate]
//! max_false_alarms = 0.01
//! ```
//!
//! The sections are the commands, the keys are the names of the library: those of [`Recipe`], of
//! [`Choice`](crate::dataset::Choice), of [`Material`](crate::train::Material) and of the options of the other commands. A key
//! that nobody reads would be a choice that is silently not made, so each is refused by name, with the nearest that there is.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

#[cfg(doc)]
use super::Recipe;
use crate::{outside, printable};

/// The name of the file.
pub const SETTINGS_FILE: &str = "bgad.toml";

/// What is allowed as the value of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// `true` or `false`.
    Flag,
    /// A number, a text, or a list of them, in the words of the command line.
    Words,
    /// A path, relative to the file.
    File,
    /// A path, or one of the words that stand in its place.
    FileOr(&'static [&'static str]),
}

use Form::{File, FileOr, Flag, Words};

/// Every section and every key.
const SECTIONS: [(&str, &[(&str, Form)]); 6] = [
    (
        "train",
        &[
            // Recipe.
            ("preset", Words),
            ("input", Words),
            ("bit_depth", Words),
            ("keep_aspect", Flag),
            ("tiles", Flag),
            ("levels", Words),
            ("schedule", Words),
            ("backbone", Words),
            ("backbone_weights", File),
            ("learning_rate", Words),
            ("beta", Words),
            ("tau", Words),
            ("normalizer", Words),
            ("lambda", Words),
            ("focal", Flag),
            ("whiten", Flag),
            ("blocks", Words),
            ("stepping", Words),
            ("step_positions", Words),
            ("batch_images", Words),
            ("score_pixels", Words),
            ("score_parts", Words),
            ("cutpaste", Flag),
            ("repeats", Words),
            ("pseudo", Words),
            ("pseudo_share", Words),
            ("blend", Words),
            ("balance", Flag),
            ("foreground_score", Flag),
            // Choice.
            ("anomalies", Words),
            ("setting", Words),
            ("weak", Flag),
            ("seed", Words),
            ("limit_normal", Words),
            ("hold_out", Words),
            ("split", File),
            // Material.
            ("foreground", FileOr(&["estimate", "everything"])),
            ("textures", File),
            ("roi", File),
            ("ignore", File),
        ],
    ),
    (
        "calibrate",
        &[
            ("good", File),
            ("bad", File),
            ("max_false_alarms", Words),
            ("min_recall", Words),
            ("cost_escape", Words),
            ("cost_overkill", Words),
            ("defect_rate", Words),
            ("confidence", Words),
        ],
    ),
    ("evaluate", &[("scoring", Words)]),
    ("inspect", &[("part_id", Words), ("pixel_size", Words), ("min_area", Words)]),
    ("learn", &[("schedule", Words), ("learning_rate", Words), ("quick", Flag)]),
    ("doctor", &[("input", Words), ("quick", Flag)]),
];

/// What a key says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setting {
    /// On or off.
    Flag(bool),
    /// A value in the words of the command line; lists are joined by commas, paths are resolved.
    Value(String),
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Setting::Flag(on) => on.fmt(f),
            Setting::Value(text) => f.write_str(text),
        }
    }
}

/// The choices of a `bgad.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The file.
    pub file: PathBuf,
    /// Section, key and value.
    found: Vec<(&'static str, &'static str, Setting)>,
}

impl Settings {
    /// Reads the file beside the data, if there is one: in the data folder, or in the folder of a list.
    ///
    /// # Errors
    ///
    /// A [`SettingsError`] if it cannot be read or has anything in it that nobody would read.
    pub fn beside(data: &Path) -> Result<Option<Settings>, SettingsError> {
        let folder = match data.is_file() {
            true => data.parent().unwrap_or(Path::new("")),
            false => data,
        };
        let file = folder.join(SETTINGS_FILE);
        match outside::read_text(&file) {
            Ok(text) => Settings::parse(&text, &file).map(Some),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Ok(None)
            }
            Err(error) => Err(SettingsError::Read { file, error }),
        }
    }

    /// The choices in `text`; `file` is its name, and paths are relative to its folder.
    ///
    /// # Errors
    ///
    /// As [`Settings::beside`].
    pub fn parse(text: &str, file: &Path) -> Result<Settings, SettingsError> {
        let file_name = || file.to_owned();
        let table: toml::Table = toml::from_str(text).map_err(|error| SettingsError::Syntax {
            file: file_name(),
            found: error.to_string().trim_end().replace('\n', "\n  "),
        })?;
        let mut found = Vec::new();
        for (name, value) in &table {
            let known = SECTIONS.iter().find(|(section, _)| section == name);
            let Some(&(section, keys)) = known else {
                return Err(SettingsError::Section {
                    file: file_name(),
                    found: name.clone(),
                    known: meant(name, SECTIONS.iter().map(|(section, _)| *section)),
                });
            };
            let toml::Value::Table(entries) = value else {
                return Err(SettingsError::Section {
                    file: file_name(),
                    found: format!("{name} = {value}"),
                    known: format!("a section [{section}] with keys below it"),
                });
            };
            for (key, value) in entries {
                let known = keys.iter().find(|(known, _)| known == key);
                let Some(&(key, form)) = known else {
                    return Err(SettingsError::Key {
                        file: file_name(),
                        section,
                        found: key.clone(),
                        known: meant(key, keys.iter().map(|(key, _)| *key)),
                    });
                };
                let folder = file.parent().unwrap_or(Path::new(""));
                let setting = setting(form, value, folder).map_err(|expected| SettingsError::Value {
                    file: file_name(),
                    section,
                    key,
                    expected,
                    found: value.to_string(),
                })?;
                found.push((section, key, setting));
            }
        }
        Ok(Settings { file: file_name(), found })
    }

    /// The keys and values for a command.
    pub fn of(&self, command: &str) -> impl Iterator<Item = (&'static str, &Setting)> {
        self.found
            .iter()
            .filter(move |(section, ..)| *section == command)
            .map(|(_, key, setting)| (*key, setting))
    }
}

/// The value of a key, or what was expected.
fn setting(form: Form, value: &toml::Value, folder: &Path) -> Result<Setting, &'static str> {
    let path = |text: &String| Setting::Value(folder.join(text).to_string_lossy().into_owned());
    match (form, value) {
        (Flag, toml::Value::Boolean(on)) => Ok(Setting::Flag(*on)),
        (Flag, _) => Err("true or false"),
        (FileOr(words), toml::Value::String(text)) if words.contains(&&**text) => {
            Ok(Setting::Value(text.clone()))
        }
        (File | FileOr(_), toml::Value::String(text)) => Ok(path(text)),
        (File | FileOr(_), _) => Err("a path in quotes"),
        (Words, toml::Value::Array(values)) => {
            let words: Option<Vec<String>> = values.iter().map(word).collect();
            words.map(|words| Setting::Value(words.join(","))).ok_or("a list of numbers or texts")
        }
        (Words, value) => word(value).map(Setting::Value).ok_or("a number, a text in quotes or a list"),
    }
}

fn word(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Float(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The nearest word that there is, if one is near, or all of them.
fn meant<'a>(found: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    // People type names as the command line has them too.
    let found = found.replace('-', "_").to_lowercase();
    let nearest = known
        .clone()
        .max_by(|a, b| strsim::jaro_winkler(&found, a).total_cmp(&strsim::jaro_winkler(&found, b)));
    match nearest.filter(|nearest| strsim::jaro_winkler(&found, nearest) > 0.8) {
        Some(nearest) => format!("{nearest}, perhaps"),
        None => format!("one of {}", known.collect::<Vec<_>>().join(", ")),
    }
}

/// What is wrong with a `bgad.toml`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The file is there and cannot be read.
    #[error("{}: cannot be read: {error}", printable::path(.file))]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// It is no TOML.
    #[error("{}: expected TOML, found: {found}", printable::path(.file))]
    Syntax {
        /// The file.
        file: PathBuf,
        /// What the parser says, with line and column.
        found: String,
    },
    /// A section of no command.
    #[error("{}: expected {known}, found {}", printable::path(.file), printable::text(.found))]
    Section {
        /// The file.
        file: PathBuf,
        /// What is there.
        found: String,
        /// What was meant, perhaps.
        known: String,
    },
    /// A key that nobody reads.
    #[error("{}: [{section}] {}: unknown; expected {known}", printable::path(.file), printable::text(.found))]
    Key {
        /// The file.
        file: PathBuf,
        /// The command.
        section: &'static str,
        /// What is there.
        found: String,
        /// What was meant, perhaps.
        known: String,
    },
    /// A value of another kind than the key takes.
    #[error("{}: [{section}] {key}: expected {expected}, found {}", printable::path(.file), printable::text(.found))]
    Value {
        /// The file.
        file: PathBuf,
        /// The command.
        section: &'static str,
        /// The key.
        key: &'static str,
        /// What is expected.
        expected: &'static str,
        /// What is there.
        found: String,
    },
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::Recipe;
    use super::*;
    use crate::dataset::Choice;

    fn parse(text: &str) -> Result<Settings, String> {
        Settings::parse(text, Path::new("data/bgad.toml")).map_err(|error| error.to_string())
    }

    #[test]
    fn values_come_in_the_words_of_the_command_line() {
        let text = "[train]\ninput = 64\nhold_out = 0.2\nlevels = [1, 2]\ntiles = true\nroi = \"r.png\"\n\
                    foreground = \"everything\"\n[inspect]\npart_id = 'SN(\\d+)'\n";
        let settings = parse(text).expect("settings");
        let value = |text: &str| Setting::Value(text.to_owned());
        let train: Vec<_> = settings.of("train").map(|(key, value)| (key, value.clone())).collect();
        let roi = Path::new("data").join("r.png").to_string_lossy().into_owned();
        for wanted in [
            ("input", value("64")),
            ("hold_out", value("0.2")),
            ("levels", value("1,2")),
            ("tiles", Setting::Flag(true)),
            ("roi", Setting::Value(roi)),
            ("foreground", value("everything")),
        ] {
            assert!(train.contains(&wanted), "{wanted:?} in {train:?}");
        }
        assert_eq!(
            (train.len(), settings.of("calibrate").count(), settings.of("inspect").count()),
            (6, 0, 1)
        );
    }

    #[test]
    fn whatever_nobody_reads_is_refused_by_name() {
        for (text, words) in [
            ("[train]\nblokcs = 4", &["[train] blokcs", "blocks, perhaps"][..]),
            ("[train]\nhold-out = 0.2", &["hold-out", "hold_out, perhaps"]),
            ("[train]\nxyzzy = 4", &["[train] xyzzy", "one of preset, input"]),
            ("[trian]\nblocks = 4", &["trian", "train, perhaps"]),
            ("train = 4", &["train = 4", "a section [train]"]),
            ("[train]\ntiles = 1", &["[train] tiles", "true or false", "found 1"]),
            ("[train]\nroi = 1", &["[train] roi", "a path in quotes"]),
            ("[train]\nlevels = [[1]]", &["[train] levels", "a list"]),
            ("[train]\ninput = ", &["expected TOML", "line 2"]),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.starts_with(&format!("{}: ", Path::new("data/bgad.toml").display())), "{error}");
            words.iter().for_each(|word| assert!(error.contains(word), "no `{word}` in {error}"));
        }
    }

    #[test]
    fn no_folder_no_choices() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(Settings::beside(folder.path()).expect("none"), None);
        assert_eq!(Settings::beside(&folder.path().join("missing")).expect("none"), None);
        std::fs::create_dir(folder.path().join(SETTINGS_FILE)).expect("a folder");
        assert!(matches!(Settings::beside(folder.path()), Err(SettingsError::Read { .. })));
        // A list lies beside it.
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in [("list.csv", "image_path,label"), (SETTINGS_FILE, "[doctor]\nquick = true")] {
            std::fs::write(folder.path().join(name), text).expect("a file");
        }
        let settings = Settings::beside(&folder.path().join("list.csv")).expect("settings").expect("a file");
        assert_eq!(settings.of("doctor").collect::<Vec<_>>(), [("quick", &Setting::Flag(true))]);
    }

    #[test]
    fn every_choice_of_the_library_has_its_key() {
        let names = |value: serde_json::Value| match value {
            serde_json::Value::Object(fields) => fields.into_iter().map(|(name, _)| name).collect::<Vec<_>>(),
            other => panic!("{other} is no object"),
        };
        let recipe = names(serde_json::to_value(Recipe::default()).expect("JSON"));
        let choice = names(serde_json::to_value(Choice::default()).expect("JSON"));
        let keys: BTreeSet<&str> = SECTIONS[0].1.iter().map(|(key, _)| *key).collect();
        for name in recipe.iter().chain(&choice) {
            // What is shown as it is, is said by --strategies; nobody turns it off for good.
            assert!(keys.contains(&**name) || name == "repeat", "{name} cannot be chosen");
        }
    }
}
