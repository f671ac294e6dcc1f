//! What is wrong with a data folder, before anybody trains on it.
//!
//! ```text
//! each file     read, decoded, turned upright: size, depth, brightness, sharpness, hash, fingerprint     `file`
//! each mask     read: its image's size, two values, something in it, where the image is odd              `masks`
//! pairs         the same bytes; the same picture after it was saved again                                `duplicates`
//! the set       odd ones out by median and spread; how few images promise what                           `outliers`
//! good images   what features of the others say of one that was left out                                 `looks`
//! ```
//!
//! Every finding names its file and what to do. The rules are careful: a set without faults should come out without
//! findings (measured in docs/doctor.md).

mod duplicates;
mod file;
mod looks;
mod masks;
mod outliers;
mod spread;

use std::fmt;
use std::path::Path;

use rayon::prelude::*;
use serde::Serialize;

use super::{Dataset, DatasetCounts, DatasetError, Kind, Layout, Sample, folder};
use crate::backbone::Backbone;
use crate::image::InputSize;
use crate::printable::natural;
use file::Facts;
use looks::Looks;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The file cannot be used, or figures would be wrong.
    Error,
    /// Most likely not what was meant.
    Warning,
    /// Good to know; nothing need be done.
    Note,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        })
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Diagnosis {
    /// How bad it is.
    pub severity: Severity,
    /// Which check found it, a fixed word.
    pub check: &'static str,
    /// The file below the data folder, with `/`; empty for the folder as a whole.
    pub file: String,
    /// What was found, lower-case, without a full stop.
    pub problem: String,
    /// What to do about it.
    pub fix: &'static str,
    /// How clear it is, to rank findings of one check; larger is clearer.
    #[serde(skip)]
    pub strength: f64,
}

/// What was found in a data folder, the gravest first.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Checkup {
    /// Images of each kind, and files that are not used.
    pub counts: DatasetCounts,
    /// Good images.
    pub good: usize,
    /// Defective images.
    pub defective: usize,
    /// The findings by severity, check and name.
    pub findings: Vec<Diagnosis>,
}

impl Checkup {
    /// How many findings are of this severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }

    /// What to do next.
    pub fn next(&self) -> Next {
        match (self.count(Severity::Error), self.good) {
            (0, 2..) => Next::Train,
            _ => Next::Repair,
        }
    }
}

/// What to do after a checkup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing stands in the way of training.
    Train,
    /// Repair what is an error, and examine the folder again.
    Repair,
}

/// How far a checkup has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Images read.
    pub done: usize,
    /// Of how many.
    pub total: usize,
}

/// How a checkup is done.
#[derive(Debug)]
pub struct DoctorOptions<'a> {
    /// Size at which images are compared and, with a backbone, looked at.
    pub input: InputSize,
    /// The network that looks for good images that look bad and for masks beside their defect; `None` leaves these two
    /// checks out, which is faster.
    pub backbone: Option<&'a Backbone>,
}

/// Where an image belongs, as far as leaks between them matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// Trained on, or to be split.
    Train,
    Test,
}

/// An image under examination.
struct Patient<'a> {
    sample: &'a Sample,
    part: Part,
    /// Path below the root.
    name: String,
    /// `None` if it cannot be read.
    facts: Option<Facts>,
    looks: Option<Vec<f32>>,
}

impl Patient<'_> {
    fn is_good(&self) -> bool {
        self.sample.kind == Kind::Good
    }
}

/// Collects findings.
#[derive(Debug, Default)]
struct Findings(Vec<Diagnosis>);

impl Findings {
    fn add(
        &mut self,
        (severity, check): (Severity, &'static str),
        file: &str,
        problem: String,
        fix: &'static str,
        strength: f64,
    ) {
        let file = file.to_owned();
        self.0.push(Diagnosis { severity, check, file, problem, fix, strength });
    }
}

/// Images whose features are kept at most: at 256x256 about 400 MB.
const LOOKED_AT: usize = 2000;

/// Images read between two reports.
const SHARE: usize = 32;

/// Examines the folder `root`, laid out as for training.
///
/// # Errors
///
/// As [`Dataset::open`]: if there is nothing to examine. What is wrong with a file is a finding.
pub fn examine(
    root: &Path,
    options: &DoctorOptions<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Checkup, DatasetError> {
    let dataset = Dataset::open(root)?;
    let name = |path: &Path| folder::portable(path, &dataset.root);
    let mut findings = Findings::default();
    layout(&dataset, &name, &mut findings);

    let looks = options.backbone.map(|backbone| Looks::new(backbone, options.input));
    // In the plain layout a split divides good images later: the same picture twice may then be on both sides.
    let lists = [
        (&dataset.train_good, Part::Train),
        (&dataset.train_bad, Part::Train),
        (&dataset.test_good, Part::Test),
        (&dataset.test_bad, if dataset.layout == Layout::Mvtec { Part::Test } else { Part::Train }),
    ];
    let all: Vec<(&Sample, Part)> =
        lists.into_iter().flat_map(|(list, part)| list.iter().map(move |sample| (sample, part))).collect();
    let every = all.len().div_ceil(LOOKED_AT).max(1);
    if every > 1 && looks.is_some() {
        let problem =
            format!("good images that look bad and masks beside their defect: one in {every} was looked at");
        findings.add(
            (Severity::Note, "looks-bad"),
            "",
            problem,
            "examine smaller folders to look at all",
            0.0,
        );
    }
    let mut patients = Vec::with_capacity(all.len());
    for share in all.chunks(SHARE) {
        let first = patients.len();
        let examined: Vec<_> = share
            .par_iter()
            .enumerate()
            .map(|(i, &(sample, part))| {
                let looks = looks.as_ref().filter(|_| (first + i).is_multiple_of(every));
                let read = Facts::of(&sample.path, options.input);
                let read = read.map(|(facts, image)| (facts, looks.map(|looks| looks.features(&image))));
                (sample, part, read)
            })
            .collect();
        for (sample, part, read) in examined {
            let name = name(&sample.path);
            let (facts, looks) = match read {
                Ok((facts, looks)) => (Some(facts), looks),
                Err(error) => {
                    let fix = "replace the file by a sound one, or delete it";
                    findings.add((Severity::Error, "unreadable"), &name, error.problem.to_string(), fix, 1.0);
                    (None, None)
                }
            };
            patients.push(Patient { sample, part, name, facts, looks });
        }
        progress(Progress { done: patients.len(), total: all.len() });
    }

    outliers::examine(&patients, &mut findings);
    duplicates::examine(&patients, &mut findings);
    let oddness = looks.as_ref().and_then(|looks| looks.examine(&patients, &mut findings));
    let examination = masks::Examination { input: options.input, oddness: oddness.as_ref() };
    examination.all(&patients, &name, &mut findings);
    numbers(&dataset, &mut findings);

    let mut findings = findings.0;
    findings.sort_by(|a, b| {
        let fixed = |finding: &Diagnosis| (finding.severity, finding.check, finding.fix);
        fixed(a).cmp(&fixed(b)).then_with(|| natural(&a.file, &b.file))
    });
    let good = dataset.train_good.len() + dataset.test_good.len();
    let defective = dataset.test_bad.len() + dataset.train_bad.len();
    Ok(Checkup { counts: dataset.counts(), good, defective, findings })
}

/// What the survey found: names that do not pair or are not understood.
fn layout(dataset: &Dataset, name: &impl Fn(&Path) -> String, findings: &mut Findings) {
    for finding in &dataset.findings {
        let mut defective = dataset.train_bad.iter().chain(&dataset.test_bad);
        let without_mask = defective.any(|sample| sample.mask.is_none() && sample.path == finding.path);
        let (check, fix) = if without_mask {
            ("mask-missing", "draw a mask and put it into ground_truth/ or masks/ under the image's name")
        } else {
            ("layout", "move, rename, convert or delete it")
        };
        findings.add((Severity::Warning, check), &name(&finding.path), finding.problem.clone(), fix, 1.0);
    }
}

/// Good images that a promise of this false-alarm rate needs at the least, at 95 % confidence: `(1 − rate)^n ≤ 0.05`.
fn needed(rate: f64) -> usize {
    (0.05f64.ln() / (1.0 - rate).ln()).ceil() as usize
}

/// How many images, in words.
fn images(count: usize, what: &str) -> String {
    format!("{count} {what}image{}", if count == 1 { "" } else { "s" })
}

/// Too few images for what one will want to know.
fn numbers(dataset: &Dataset, findings: &mut Findings) {
    let good = dataset.train_good.len() + dataset.test_good.len();
    let held_out = match dataset.layout {
        Layout::Mvtec => dataset.test_good.len(),
        // A split holds out a fifth.
        Layout::Plain => good / 5,
    };
    // The mildest promise that cannot be made.
    if let Some(rate) = [0.05, 0.02, 0.01, 0.005].into_iter().find(|&rate| held_out < needed(rate)) {
        let problem = format!(
            "{} not trained on cannot prove a false-alarm rate of {} % at 95 % confidence, even if \
             none raises an alarm: that takes {}",
            images(held_out, "good "),
            100.0 * rate,
            needed(rate)
        );
        findings.add(
            (Severity::Note, "too-few"),
            "",
            problem,
            "add good images if you need the promise",
            rate,
        );
    }
    if dataset.train_good.len() < 20 {
        let problem = format!(
            "{} to train on: what varies among good parts is not in so few",
            images(dataset.train_good.len(), "good ")
        );
        findings.add((Severity::Warning, "too-few"), "", problem, "add good images, 50 or more", 1.0);
    }
    if dataset.test_bad.is_empty() && dataset.train_bad.is_empty() {
        let problem = "no defective image: how many defects are found cannot be measured".to_owned();
        findings.add((Severity::Note, "too-few"), "", problem, "add some defective images, with masks", 0.0);
    }
    for defect in dataset.defect_types() {
        let all = dataset.train_bad.iter().chain(&dataset.test_bad);
        let of = all.filter(|s| s.kind.defect() == Some(&defect)).count();
        if of < 3 {
            let problem =
                format!("{} of type {defect}: too few to measure how well it is found", images(of, ""));
            findings.add((Severity::Note, "too-few"), "", problem, "add images of this type", 0.0);
        }
    }
}
