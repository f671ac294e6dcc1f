//! `bgad info`: what a model file is.

use std::fs::{self, Metadata};
use std::io::Write as _;
use std::path::Path;

use bgad::calibrate::Calibration;
use bgad::dataset::Role;
use bgad::durable;
use bgad::model::{Header, Model, NormalAppearance, Origin, TestVector};
use bgad::options::TrainOptions;
use bgad::record::{Recipe, rfc3339};
use bgad::verdict::Thresholds;
use serde::Serialize;
use serde_json::Value;

use crate::args::InfoArgs;
use crate::calibrate;
use crate::exit::Outcome;
use crate::failure::{Failure, count as counted};
use crate::out;
use crate::shell::printable;

/// Everything that is said of a model.
#[derive(Serialize)]
struct Info<'a> {
    file: String,
    bytes: u64,
    sha256: &'a str,
    format: u32,
    /// When it was trained, RFC 3339, as the model says; `null` if it does not.
    trained_at: Option<&'a str>,
    /// Date of the file, which a copy may change.
    file_dated: Option<String>,
    bgad_version: &'a str,
    backbone: BackboneInfo<'a>,
    trained_on: TrainedOn<'a>,
    thresholds: Thresholds,
    /// `null`: the default rule, which promises no rate.
    calibration: Option<&'a Calibration>,
    score: ScoreInfo,
    /// How good images look at the input size; `null` in files of before it was recorded.
    appearance: Option<NormalAppearance>,
    /// Synthetic images that tell whether another machine computes the same.
    test_vectors: &'a [TestVector],
    options: &'a TrainOptions,
    /// Whether the model carries which image was used for what.
    carries_split: bool,
    previous: Option<Previous>,
}

#[derive(Serialize)]
struct BackboneInfo<'a> {
    name: &'a str,
    sha256: &'a str,
}

#[derive(Serialize)]
struct TrainedOn<'a> {
    good_images: usize,
    defective_images: usize,
    /// Good images that were kept from the flows: the scales of the score rest on them.
    kept_images: usize,
    passes: usize,
    images_sha256: &'a [String],
}

#[derive(Serialize)]
struct ScoreInfo {
    parts: String,
    /// Of good images, nats.
    median_of_good: Option<f32>,
    highest_of_good: Option<f32>,
}

/// The model that this one replaced.
#[derive(Serialize)]
struct Previous {
    file: String,
    bytes: u64,
    trained_at: Option<String>,
    file_dated: Option<String>,
}

pub(crate) fn run(args: &InfoArgs) -> Result<Outcome, Failure> {
    let (model, bytes) = Model::open_with_bytes(&args.model)?;
    let name = args.model.file_name().unwrap_or(args.model.as_os_str()).to_string_lossy();
    let recipe = Recipe::of(name, &bytes, &model.header);
    let info = Info::of(&args.model, bytes.len() as u64, &model, &recipe);
    let text = match args.json {
        true => serde_json::to_string_pretty(&info)? + "\n",
        false => info.in_words(&model.header),
    };
    out::text().write_all(text.as_bytes())?;
    Ok(Outcome::Fine)
}

impl<'a> Info<'a> {
    fn of(path: &Path, bytes: u64, model: &'a Model, recipe: &'a Recipe) -> Info<'a> {
        let header = &model.header;
        let training = &header.training;
        let scores = &recipe.normal_scores;
        Info {
            file: path.display().to_string(),
            bytes,
            sha256: &recipe.model.sha256,
            format: recipe.model.format,
            trained_at: training.trained_at.as_deref(),
            file_dated: dated(path),
            bgad_version: &training.bgad_version,
            backbone: BackboneInfo { name: &header.backbone, sha256: &header.backbone_sha256 },
            trained_on: TrainedOn {
                good_images: training.normal_images,
                defective_images: training.anomalous_images,
                kept_images: training.kept_images,
                passes: training.passes,
                images_sha256: &training.trained_on,
            },
            thresholds: header.thresholds,
            calibration: header.calibration.as_ref(),
            score: ScoreInfo {
                parts: header.options.score_parts.to_string(),
                // They are stored sorted.
                median_of_good: scores.get(scores.len() / 2).copied(),
                highest_of_good: scores.last().copied(),
            },
            appearance: training.appearance,
            test_vectors: &header.test_vectors,
            options: &header.options,
            carries_split: training.split.is_some(),
            previous: previous(path),
        }
    }

    fn in_words(&self, header: &Header) -> String {
        let mut lines = Vec::new();
        let mut say = |what: &str, value: String| lines.push(format!("{what:<11} {value}"));
        let megabytes = self.bytes as f64 / 1e6;
        say("model", format!("{} ({megabytes:.1} MB, format {})", printable(&self.file), self.format));
        say("sha256", self.sha256.to_owned());
        let time = when(self.trained_at, self.file_dated.as_deref());
        say("trained", format!("{time}, with bgad {}", printable(self.bgad_version)));
        let TrainedOn { good_images, defective_images, kept_images, passes, images_sha256 } =
            &self.trained_on;
        say(
            "learned",
            format!(
                "from {} and {} in {}; {} remembered by content",
                counted(*good_images, "good image"),
                counted(*defective_images, "known defect"),
                match passes {
                    1 => "1 pass".to_owned(),
                    n => format!("{n} passes"),
                },
                counted(images_sha256.len(), "file")
            ),
        );
        if *kept_images > 0 {
            say("scales", format!("from {} kept from the flows", counted(*kept_images, "good image")));
        }
        say("network", format!("{}, input {}", printable(self.backbone.name), self.options.input));
        let range = match (self.score.median_of_good, self.score.highest_of_good) {
            (Some(median), Some(highest)) => {
                format!("; good images score {median:.2} in the middle, {highest:.2} at most")
            }
            _ => String::new(),
        };
        say("score", format!("{}{range}", self.score.parts));
        if let Some(NormalAppearance { brightness, sharpness }) = self.appearance {
            say(
                "pictures",
                format!(
                    "good images: brightness {:.3} in the middle, mostly {:.3} to {:.3}; sharpness {:.2}, mostly {:.2} to {:.2}",
                    brightness[2], brightness[0], brightness[4], sharpness[2], sharpness[0], sharpness[4]
                ),
            );
        }
        if !self.test_vectors.is_empty() {
            let count = counted(self.test_vectors.len(), "synthetic image");
            say("self-test", format!("{count} with the scores of the machine that trained the model"));
        }
        match &header.calibration {
            Some(calibration) => {
                lines.extend(calibrate::in_words(calibration));
                lines.push(format!(
                    "{:<11} with {}, remembered by content",
                    "calibrated",
                    counted(calibration.images_sha256.len(), "image")
                ));
            }
            None => {
                let Thresholds { ok, ng } = self.thresholds;
                lines
                    .push(format!("{:<11} OK up to {ok:.3}, NG above {ng:.3}, REVIEW between", "thresholds"));
                lines.push(format!(
                    "{:<11} none: the thresholds are the default; bgad calibrate makes a promise",
                    "promise"
                ));
            }
        }
        let split = match &header.training.split {
            Some(split) => {
                let roles = [
                    (Role::Train, "good to train"),
                    (Role::KnownDefect, "known defects"),
                    (Role::HeldOut, "good held out"),
                    (Role::TestGood, "good to test"),
                    (Role::TestBad, "defective to test"),
                ];
                let count = |role| split.images.iter().filter(|image| image.role == role).count();
                let counts = roles.map(|(role, words)| (count(role), words));
                let there = counts.iter().filter(|(count, _)| *count > 0);
                there.map(|(count, words)| format!("{count} {words}")).collect::<Vec<_>>().join(", ")
            }
            None => "not carried by the model".to_owned(),
        };
        lines.push(format!("{:<11} {split}", "split"));
        if let Some(previous) = &self.previous {
            let time = when(previous.trained_at.as_deref(), previous.file_dated.as_deref());
            lines.push(format!(
                "{:<11} {}, trained {}; bgad restore exchanges the two",
                "previous",
                printable(&previous.file),
                time
            ));
        }
        lines.push(String::new());
        lines.push("options".to_owned());
        lines.extend(options(self.options));
        lines.join("\n") + "\n"
    }
}

/// Every option of the training, as on the command line.
fn options(options: &TrainOptions) -> Vec<String> {
    let Ok(Value::Object(options)) = serde_json::to_value(options) else { return Vec::new() };
    let line = |(name, value): (&String, &Value)| {
        let value = match value {
            Value::String(text) => text.clone(),
            Value::Null => "none".to_owned(),
            // As it was typed: a JSON value keeps more digits than the option has.
            Value::Number(number) if number.is_f64() => {
                number.as_f64().map_or_else(String::new, |value| (value as f32).to_string())
            }
            other => other.to_string(),
        };
        format!("  {:<18} {}", name.replace('_', "-"), printable(&value))
    };
    options.iter().map(line).collect()
}

/// The generation before, if it was kept beside the model.
fn previous(path: &Path) -> Option<Previous> {
    let previous = durable::previous(path);
    let metadata = fs::metadata(&previous).ok().filter(Metadata::is_file)?;
    let trained_at = Origin::of_file(&previous).and_then(|origin| origin.trained_at);
    let file_dated = dated(&previous);
    Some(Previous { file: previous.display().to_string(), bytes: metadata.len(), trained_at, file_dated })
}

/// The date of a file, RFC 3339.
fn dated(path: &Path) -> Option<String> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok().map(rfc3339)
}

/// When a model was trained, as far as is known: a model says so itself only if a time was given, or two trainings would not make the same file.
fn when(trained_at: Option<&str>, file_dated: Option<&str>) -> String {
    match (trained_at, file_dated) {
        (Some(time), _) => printable(time).to_string(),
        (None, Some(date)) => format!("by {date} (the date of the file)"),
        (None, None) => "at a time that the file does not say".to_owned(),
    }
}
