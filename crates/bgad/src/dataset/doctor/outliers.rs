//! Images that differ from all others in how they were taken or saved.
//!
//! What a whole group of images has is how some parts look, such as the edges of a cloth; one image alone was taken badly.

use std::collections::BTreeMap;
use std::fmt::Display;

use ::image::metadata::Orientation;

use super::file::Facts;
use super::spread::Spread;
use super::{Findings, Patient, Severity};

/// Share of the images from which on a property is the rule and the others are exceptions.
const RULE: f64 = 0.8;
/// Robust deviations from which on an image is an outlier.
pub(super) const FAR: f64 = 6.0;
/// So many images that are odd in the same way are a kind of their own.
const GROUP: usize = 4;
pub(super) fn examine(patients: &[Patient<'_>], findings: &mut Findings) {
    let read: Vec<(&Patient<'_>, &Facts)> =
        patients.iter().filter_map(|patient| Some((patient, patient.facts.as_ref()?))).collect();
    let size = |f: &Facts| format!("{} pixels (height x width)", f.size);
    let fix = "take or crop it as the others: images are brought to one size, and proportions change with it";
    rule(&read, "size", size, (Severity::Warning, fix), findings);
    used_bits(&read, findings);
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
        let fix = match check {
            "size" => {
                "train with --input HEIGHTxWIDTH and --keep-aspect, or with --tiles if a pixel is as large in all of them"
            }
            _ => fix,
        };
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

/// Cameras that use only the low bits of 16: their images are nearly black to whatever takes 65535 for white.
fn used_bits(read: &[(&Patient<'_>, &Facts)], findings: &mut Findings) {
    let Some(most) = read.iter().filter_map(|(_, facts)| facts.used).max() else { return };
    // Less than an eighth of the range.
    if most.bits() > 13 {
        return;
    }
    let of = read.iter().filter(|(_, facts)| facts.used.is_some()).count();
    let problem = format!(
        "{of} images of 16 bit whose samples need only {most} bits (at most {} of 65535): they are seen as nearly black",
        most.white()
    );
    let fix = "train with --bit-depth auto, or save the images with their full range";
    findings.add((Severity::Warning, "bit-depth"), "", problem, fix, 1.0);
}

/// Too dark, too bright, flat, out of focus: good images against good images, since a defect may be any of these.
fn exposure(read: &[(&Patient<'_>, &Facts)], findings: &mut Findings) {
    let good: Vec<_> = read.iter().filter(|(patient, _)| patient.is_good()).collect();
    let spread =
        |value: fn(&Facts) -> f64, floor: f64| Spread::of(good.iter().map(|(_, facts)| value(facts)), floor);
    let (Some(brightness), Some(contrast), Some(sharpness)) = (
        spread(|f| f.appearance.brightness, 0.02),
        spread(|f| f.appearance.contrast.max(1e-4).ln(), 0.1),
        spread(|f| f.appearance.sharpness, 0.06),
    ) else {
        return;
    };
    let mut odd: BTreeMap<&str, Vec<(&Patient<'_>, String, f64)>> = BTreeMap::new();
    for (patient, facts) in good {
        let z = brightness.z(facts.appearance.brightness);
        let (how, problem, z) = if z.abs() > FAR {
            let how = if z < 0.0 { "darker" } else { "brighter" };
            let (mean, theirs) = (255.0 * facts.appearance.brightness, 255.0 * brightness.median);
            (
                how,
                format!("{how} than the other good images: mean {mean:.0} of 255, theirs {theirs:.0}"),
                z.abs(),
            )
        } else if contrast.z(facts.appearance.contrast.max(1e-4).ln()) < -FAR {
            let (own, theirs) = (255.0 * facts.appearance.contrast, 255.0 * contrast.median.exp());
            let problem =
                format!("flatter than the other good images: contrast {own:.1} of 255, theirs {theirs:.1}");
            ("flatter", problem, -contrast.z(facts.appearance.contrast.max(1e-4).ln()))
        } else if sharpness.z(facts.appearance.sharpness) < -FAR {
            let share = 100.0 * (facts.appearance.sharpness - sharpness.median).exp();
            let problem =
                format!("less sharp than the other good images: {share:.0} % of their fine structure");
            ("blurred", problem, -sharpness.z(facts.appearance.sharpness))
        } else {
            continue;
        };
        odd.entry(how).or_default().push((patient, problem, z));
    }
    for (how, images) in odd {
        let check = if how == "blurred" { "focus" } else { "exposure" };
        let (severity, fix) = match (images.len() >= GROUP, how) {
            (true, _) => (
                Severity::Note,
                "nothing, if such parts are usual (edges, another batch); else take them again",
            ),
            (false, "blurred") => (Severity::Warning, "take it again in focus, or delete it"),
            (false, _) => {
                (Severity::Warning, "take it again with the usual light and exposure, or delete it")
            }
        };
        for (patient, problem, z) in images {
            findings.add((severity, check), &patient.name, problem, fix, z);
        }
    }
}
