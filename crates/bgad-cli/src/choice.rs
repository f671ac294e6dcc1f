//! Which images of a data folder are used for what.

use std::path::Path;

use bgad::dataset::{Dataset, KnownDefects, Setting, Split, SplitOptions, WhyFewer};
use bgad::model::Model;
use bgad::options::DEFAULT_ANOMALIES;
use bgad::weights::Weights;

use crate::args::ChoiceArgs;
use crate::failure::{Failure, say};

/// So many findings about a data folder are listed by name.
const FINDINGS_SHOWN: usize = 10;

/// The images, with a word about what is not used.
pub(crate) fn split(data: &Path, args: &ChoiceArgs) -> Result<Split, Failure> {
    if let Some(path) = &args.split {
        return read_split(path, data, args.weak);
    }
    let dataset = Dataset::open(data)?;
    for finding in dataset.findings.iter().take(FINDINGS_SHOWN) {
        say(format_args!("note: {finding}"));
    }
    if dataset.findings.len() > FINDINGS_SHOWN {
        say(format_args!("note: and {} more like these", dataset.findings.len() - FINDINGS_SHOWN));
    }
    let anomalies = args.anomalies.unwrap_or_else(|| default_anomalies(&dataset, &args.setting, args.weak));
    let setting = args.setting.clone();
    let mut split = Split::draw(
        &dataset,
        &SplitOptions {
            anomalies,
            setting,
            weak: args.weak,
            limit_normal: args.limit_normal,
            seed: args.seed,
        },
    )?;
    if let Some(share) = args.hold_out {
        split.hold_out(share, args.seed);
    }
    if split.test_bad.is_empty() && !split.anomalies.is_empty() {
        say("note: no defective image is left to test on");
    }
    Ok(split)
}

/// The split of a split file, or that a model carries.
pub(crate) fn read_split(file: &Path, data: &Path, weak: bool) -> Result<Split, Failure> {
    if is_model(file) {
        let model = Model::open(file)?;
        let Some(record) = &model.header.training.split else {
            return Err(format!("{}: the model does not carry its split", file.display()).into());
        };
        return Ok(record.split(Some(data))?);
    }
    let read = if weak { Split::read_weak } else { Split::read };
    Ok(read(file, data)?)
}

/// Whether the file is no JSON but a model.
fn is_model(file: &Path) -> bool {
    // A pipe can be read once only.
    file.is_file() && Weights::open(file).is_ok_and(|weights| weights.metadata("bgad").is_some())
}

/// What the library takes by default, with a word about why it is less than usual.
fn default_anomalies(dataset: &Dataset, setting: &Setting, weak: bool) -> usize {
    let KnownDefects { count, why } = dataset.default_known_defects(setting, weak);
    match why {
        None => {}
        Some(WhyFewer::None) => say("note: there are no defective images: training on good images alone"),
        Some(why) => {
            let weak = match why {
                WhyFewer::Trainable { .. } if !weak => "; --weak takes those without a mask too",
                _ => "",
            };
            say(format_args!(
                "note: training with {count} known defects instead of {DEFAULT_ANOMALIES}: {why}{weak}"
            ));
        }
    }
    count
}
