//! Which images of a data folder are used for what.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bgad::dataset::{Dataset, Finding, Setting, Split, SplitOptions, UnsoundMask};
use bgad::options::DEFAULT_ANOMALIES;

use crate::args::ChoiceArgs;
use crate::failure::{Failure, say};

/// So many findings of one kind about a data folder are listed by name.
const FINDINGS_SHOWN: usize = 5;

/// The images, with a word about what is not used.
pub(crate) fn split(data: &Path, args: &ChoiceArgs) -> Result<Split, Failure> {
    if let Some(path) = &args.split {
        let read = if args.weak { Split::read_weak } else { Split::read };
        return Ok(read(path, data)?);
    }
    let dataset = Dataset::open(data)?;
    name_findings(&dataset);
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

/// What is not used or does not pair: each kind of it, the first few by name.
fn name_findings(dataset: &Dataset) {
    let mut kinds: BTreeMap<&str, Vec<&Finding>> = BTreeMap::new();
    for finding in &dataset.findings {
        kinds.entry(&finding.problem).or_default().push(finding);
    }
    for (problem, findings) in kinds {
        findings.iter().take(FINDINGS_SHOWN).for_each(|finding| say(format_args!("note: {finding}")));
        if let more @ 1.. = findings.len().saturating_sub(FINDINGS_SHOWN) {
            say(format_args!("note: {more} more: {problem} (bgad doctor lists all)"));
        }
    }
}

/// Names the images that are no known defects for want of a position.
pub(crate) fn name_unsound(unsound: &[UnsoundMask], left: usize) {
    if unsound.is_empty() {
        return;
    }
    unsound.iter().for_each(|mask| say(format_args!("skipped: {mask}")));
    say(format_args!(
        "note: of {} known defects {left} have a mask that says where the defect is; only these are learned from",
        left + unsound.len()
    ));
}

/// The split that a model was trained with, from the file beside it, and its data folder; `data` is where that folder is now.
pub(crate) fn beside(model: &Path, data: Option<&Path>) -> Result<(Split, PathBuf), Failure> {
    let file = model.with_extension("split.json");
    let data = match data {
        Some(data) => data.to_owned(),
        None => Split::data_folder(&file)?.ok_or_else(|| {
            format!("{} does not say where its images are: give the folder with --data", file.display())
        })?,
    };
    Ok((Split::read_weak(&file, &data)?, data))
}

/// Ten, or what there is; never all, so that some are left to test on.
fn default_anomalies(dataset: &Dataset, setting: &Setting, weak: bool) -> usize {
    let defective = dataset.test_bad.len();
    let trainable = dataset.trainable_anomalies(setting, weak);
    let wanted = DEFAULT_ANOMALIES;
    if !dataset.train_bad.is_empty() {
        // The data themselves say which defects are for training: all of them.
        return trainable;
    }
    if defective == 0 {
        say("note: there are no defective images: training on good images alone");
        return 0;
    }
    let (anomalies, why) = if *setting == Setting::General && trainable.min(wanted) >= defective {
        (defective / 2, format!("of {defective} defective images half are left to test on"))
    } else {
        (
            trainable.min(wanted),
            format!(
                "of {defective} defective images {trainable} can be trained on: those with a mask (or any, with --weak), of setting {setting}"
            ),
        )
    };
    if anomalies < wanted {
        say(format_args!("note: training with {anomalies} known defects instead of {wanted}: {why}"));
    }
    anomalies
}
