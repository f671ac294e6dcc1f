//! The same picture twice: by its bytes, or by its fine structure after it was saved again.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::{Findings, Part, Patient, Severity};

/// Product of two fingerprints from which on two files hold the same picture.
const SAME: f32 = 0.97;

pub(super) fn examine(patients: &[Patient<'_>], findings: &mut Findings) {
    let read: Vec<&Patient<'_>> = patients.iter().filter(|patient| patient.facts.is_some()).collect();
    let facts = |i: usize| read[i].facts.as_ref().expect("those that were read");
    let mut by_hash: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for i in 0..read.len() {
        by_hash.entry(&facts(i).sha256).or_default().push(i);
    }
    for copies in by_hash.values().filter(|copies| copies.len() > 1) {
        copies[1..].iter().for_each(|&i| report(read[copies[0]], read[i], "the same file as", 2.0, findings));
    }
    // Only the first of files with the same bytes is compared further.
    let mut distinct: Vec<usize> = by_hash.values().map(|copies| copies[0]).collect();
    distinct.sort_unstable();
    let near: Vec<Vec<(usize, f32)>> = distinct
        .par_iter()
        .enumerate()
        .map(|(rank, &i)| {
            let like = |&j: &usize| {
                let (a, b) = (&facts(i).fingerprint.0, &facts(j).fingerprint.0);
                let product = a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
                (product > SAME).then_some((j, product))
            };
            distinct[..rank].iter().filter_map(like).collect()
        })
        .collect();
    for (&i, twins) in distinct.iter().zip(near) {
        // One finding a file: against the picture that it is most like.
        if let Some(&(j, product)) = twins.iter().max_by(|a, b| a.1.total_cmp(&b.1)) {
            report(read[j], read[i], "nearly the same picture as", f64::from(product), findings);
        }
    }
}

fn report(first: &Patient<'_>, second: &Patient<'_>, how: &str, strength: f64, findings: &mut Findings) {
    let (severity, check, fix) = if first.is_good() != second.is_good() {
        (Severity::Error, "good-and-defective", "decide which it is, and delete the other")
    } else if first.part != second.part {
        (Severity::Error, "leak", "delete one: a test on what was trained on measures nothing")
    } else {
        (
            Severity::Warning,
            "duplicate",
            "delete one: it counts twice, and a split may put one on either side",
        )
    };
    let part = match first.part {
        Part::Train => "",
        Part::Test => ", a test image",
    };
    let problem = format!("{how} {}{part}", first.name);
    findings.add((severity, check), &second.name, problem, fix, strength);
}
