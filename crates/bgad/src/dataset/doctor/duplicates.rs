//! The same picture twice: by its bytes, or by its fine structure after it was saved again.
//!
//! ```text
//! p(a, b) = product of two fingerprints      q(a) = tenth largest p(a, ·)
//! the same:  p > 0.985  and  1 − p < (1 − q) / 20
//! ```
//!
//! Pictures of parts that lie alike are alike too: a copy is far closer than such neighbours are.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::file::Facts;
use super::{Findings, Part, Patient, Severity};

/// Product of two fingerprints from which on two files may hold the same picture.
const SAME: f32 = 0.985;
/// How much closer than a neighbour a copy is.
const CLOSER: f32 = 0.05;
/// The rank of that neighbour: a picture may have a few copies.
const NEIGHBOUR: usize = 9;

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
    let nearest: Vec<Option<(usize, f32)>> =
        distinct.par_iter().map(|&i| twin(i, &distinct, &facts)).collect();
    for (&i, twin) in distinct.iter().zip(nearest) {
        // The later of two is reported, against the picture that it is most like.
        if let Some((j, product)) = twin.filter(|(j, _)| *j < i) {
            report(read[j], read[i], "nearly the same picture as", f64::from(product), findings);
        }
    }
}

/// The picture that holds the same as picture `i`, and their product.
fn twin<'a>(i: usize, among: &[usize], facts: &impl Fn(usize) -> &'a Facts) -> Option<(usize, f32)> {
    let product = |j: usize| -> f32 {
        facts(i).fingerprint.0.iter().zip(&facts(j).fingerprint.0).map(|(a, b)| a * b).sum()
    };
    let mut products: Vec<(usize, f32)> =
        among.iter().filter(|&&j| j != i).map(|&j| (j, product(j))).collect();
    products.sort_by(|a, b| b.1.total_cmp(&a.1));
    products.first()?;
    // Of two pictures in all, neither has a neighbour to be closer than.
    let neighbour = products.get(NEIGHBOUR).or(products[1..].last()).map_or(0.0, |neighbour| neighbour.1);
    let alike = |p: f32| p > SAME && 1.0 - p < CLOSER * (1.0 - neighbour);
    // The first of all copies, so that of three the second and third are reported.
    products.into_iter().filter(|(_, p)| alike(*p)).min_by_key(|(j, _)| *j)
}

/// The same file twice makes figures wrong; pictures that are nearly the same may be two parts, and are left to the reader.
fn report(first: &Patient<'_>, second: &Patient<'_>, how: &str, strength: f64, findings: &mut Findings) {
    let same_file = strength > 1.0;
    let grave = |severity: Severity| if same_file { severity } else { Severity::Note };
    let (severity, check, fix) = if first.is_good() != second.is_good() {
        let severity = if same_file { Severity::Error } else { Severity::Warning };
        (severity, "good-and-defective", "decide which it is, and delete the other")
    } else if first.part != second.part {
        let fix = "delete one if they are one part: a test on what was trained on measures nothing";
        (grave(Severity::Error), "leak", fix)
    } else {
        let fix = "delete one if they are one part: it counts twice, and a split may put one on either side";
        (grave(Severity::Warning), "duplicate", fix)
    };
    let part = match first.part {
        Part::Train => "",
        Part::Test => ", a test image",
    };
    let problem = format!("{how} {}{part}", first.name);
    findings.add((severity, check), &second.name, problem, fix, strength);
}
