//! Images that differ from all others in how they were taken or saved.
//!
//! ```text
//! z = (x − median) / max(1.4826 · median |x − median|, floor)
//! ```

use std::collections::BTreeMap;
use std::fmt::Display;

use ::image::metadata::Orientation;

use super::file::Facts;
use super::{Findings, Patient, Severity};

/// Share of the images from which on a property is the rule and the others are exceptions.
const RULE: f64 = 0.8;
/// Robust deviations from which on an image is an outlier.
pub(super) const FAR: f64 = 6.0;
/// Values that a spread is taken from at the least.
const ENOUGH: usize = 8;

/// The middle and spread of values, whatever a few of them are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) deviation: f64,
}

impl Spread {
    /// `None` of fewer than eight values; the deviation is `floor` at the least.
    pub(super) fn of(values: impl IntoIterator<Item = f64>, floor: f64) -> Option<Spread> {
        let mut values: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
        if values.len() < ENOUGH {
            return None;
        }
        let median = middle(&mut values);
        let mut distances: Vec<f64> = values.iter().map(|value| (value - median).abs()).collect();
        Some(Spread { median, deviation: (1.4826 * middle(&mut distances)).max(floor) })
    }

    pub(super) fn z(self, value: f64) -> f64 {
        (value - self.median) / self.deviation
    }
}

fn middle(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

pub(super) fn examine(patients: &[Patient<'_>], findings: &mut Findings) {
    let read: Vec<(&Patient<'_>, &Facts)> =
        patients.iter().filter_map(|patient| Some((patient, patient.facts.as_ref()?))).collect();
    let size = |f: &Facts| format!("{} pixels (height x width)", f.size);
    let fix = "take or crop it as the others: images are brought to one size, and proportions change with it";
    rule(&read, "size", size, (Severity::Warning, fix), findings);
    let fix = "save all images with the same depth";
    rule(
        &read,
        "depth",
        |f: &Facts| format!("{} bits a channel", f.depth),
        (Severity::Warning, fix),
        findings,
    );
    let colour = |f: &Facts| if f.colour { "colour" } else { "grey" }.to_owned();
    rule(&read, "colour", colour, (Severity::Warning, "save all images in grey or all in colour"), findings);
    let alpha = |f: &Facts| if f.alpha { "an alpha channel" } else { "no alpha channel" }.to_owned();
    rule(&read, "alpha", alpha, (Severity::Warning, "save it without: alpha is ignored"), findings);
    let turned = |f: &Facts| match f.orientation {
        Orientation::NoTransforms => "no EXIF rotation".to_owned(),
        other => format!("an EXIF rotation ({other:?})"),
    };
    let fix =
        "save it upright without the EXIF tag: other programs, and whoever draws masks, may not turn it";
    rule(&read, "exif-rotation", turned, (Severity::Warning, fix), findings);
    exposure(&read, findings);
}

/// If nearly all images agree, those that do not are findings; if they do not agree, that is one note.
fn rule<K: Ord + Display>(
    read: &[(&Patient<'_>, &Facts)],
    check: &'static str,
    of: impl Fn(&Facts) -> K,
    (severity, fix): (Severity, &'static str),
    findings: &mut Findings,
) {
    let mut groups: BTreeMap<K, Vec<&Patient<'_>>> = BTreeMap::new();
    read.iter().for_each(|(patient, facts)| groups.entry(of(facts)).or_default().push(patient));
    let Some(most) = groups.values().map(Vec::len).max().filter(|_| groups.len() > 1) else { return };
    if (most as f64) < RULE * read.len() as f64 {
        let mut by_count: Vec<(&K, usize)> =
            groups.iter().map(|(key, members)| (key, members.len())).collect();
        by_count.sort_by_key(|group| std::cmp::Reverse(group.1));
        let named: Vec<String> =
            by_count.iter().take(3).map(|(key, count)| format!("{count} with {key}")).collect();
        let more =
            if by_count.len() > 3 { format!(" and {} more", by_count.len() - 3) } else { String::new() };
        let problem = format!("images differ: {}{more}", named.join(", "));
        findings.add((Severity::Note, check), "", problem, fix, 0.0);
        return;
    }
    let (usual, _) = groups.iter().find(|(_, members)| members.len() == most).expect("the largest group");
    for (key, members) in groups.iter().filter(|(_, members)| members.len() < most) {
        for patient in members {
            let problem = format!("{key}, where {most} of {} have {usual}", read.len());
            findings.add((severity, check), &patient.name, problem, fix, most as f64 / members.len() as f64);
        }
    }
}

/// Too dark, too bright, flat, out of focus: good images against good images, since a defect may be any of these.
fn exposure(read: &[(&Patient<'_>, &Facts)], findings: &mut Findings) {
    let good: Vec<_> = read.iter().filter(|(patient, _)| patient.is_good()).collect();
    let spread =
        |value: fn(&Facts) -> f64, floor: f64| Spread::of(good.iter().map(|(_, facts)| value(facts)), floor);
    let (Some(brightness), Some(contrast), Some(sharpness)) = (
        spread(|f| f.brightness, 0.02),
        spread(|f| f.contrast.max(1e-4).ln(), 0.1),
        spread(|f| f.sharpness, 0.06),
    ) else {
        return;
    };
    for (patient, facts) in good {
        let z = brightness.z(facts.brightness);
        if z.abs() > FAR {
            let how = if z < 0.0 { "darker" } else { "brighter" };
            let problem = format!(
                "{how} than the other good images: mean {:.0} of 255, theirs {:.0}",
                255.0 * facts.brightness,
                255.0 * brightness.median
            );
            let fix = "take it again with the usual light and exposure, or delete it";
            findings.add((Severity::Warning, "exposure"), &patient.name, problem, fix, z.abs());
            continue;
        }
        let z = contrast.z(facts.contrast.max(1e-4).ln());
        if z < -FAR {
            let problem = format!(
                "flatter than the other good images: contrast {:.1} of 255, theirs {:.1}",
                255.0 * facts.contrast,
                255.0 * contrast.median.exp()
            );
            let fix = "take it again with the usual light and exposure, or delete it";
            findings.add((Severity::Warning, "exposure"), &patient.name, problem, fix, -z);
            continue;
        }
        let z = sharpness.z(facts.sharpness);
        if z < -FAR {
            let problem = format!(
                "less sharp than the other good images: {:.0} % of their fine structure",
                100.0 * (facts.sharpness - sharpness.median).exp()
            );
            findings.add(
                (Severity::Warning, "focus"),
                &patient.name,
                problem,
                "take it again in focus, or delete it",
                -z,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_does_not_follow_a_few_far_values() {
        let mut values: Vec<f64> = (0..20).map(|i| f64::from(i % 5)).collect();
        let before = Spread::of(values.clone(), 0.0).expect("enough");
        values.extend([1e9, f64::NAN]);
        let after = Spread::of(values, 0.0).expect("enough");
        assert!((before.median - after.median).abs() <= 1.0 && after.z(1e9) > 1e6);
        assert_eq!(Spread::of(vec![1.0; 7], 1.0), None);
        let flat = Spread::of(vec![1.0; 9], 0.5).expect("enough");
        assert_eq!((flat.z(1.0), flat.z(2.0)), (0.0, 2.0));
    }
}
