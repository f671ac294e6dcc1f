//! Masks: readable, of their image's size, of two values, with something in them, and where the defect is.
//!
//! ```text
//! fit(s) = mean oddness within the mask moved by s − mean oddness beside it      s: cells of the grid
//! moved:   fit(0) far below the best fit, which is clear and lies two cells or more away
//! ```

use std::path::Path;

use ::image::DynamicImage;
use rayon::prelude::*;

use super::looks::Oddness;
use super::{Findings, Patient, Severity};
use crate::image::{OriginalSize, decode_mask};

/// Share of an image from which on a mask is taken for the wrong way round.
const INVERTED: f64 = 0.9;
/// Share of pixels that may lie between black and white: a soft edge.
const SOFT: f64 = 0.002;
/// Robust deviations between inside and outside that a fit needs to be clear.
const CLEAR: f64 = 4.0;
/// Part of the best fit below which a mask is not where it should be.
const POOR: f64 = 0.2;
/// Farthest move tried, as a share of a side.
const REACH: usize = 4;

const CHECK_FIX: &str = "draw the mask again on its image";

pub(super) fn examine(
    patients: &[Patient<'_>],
    name: &(impl Fn(&Path) -> String + Sync),
    oddness: Option<&Oddness>,
    findings: &mut Findings,
) {
    let found: Vec<Findings> = patients
        .par_iter()
        .enumerate()
        .map(|(i, patient)| {
            let mut findings = Findings::default();
            if let Some(mask) = &patient.sample.mask {
                let map = oddness.and_then(|o| Some((o.grid, o.maps[i].as_deref()?)));
                one(mask, &name(mask), patient, map, &mut findings);
            }
            findings
        })
        .collect();
    findings.0.extend(found.into_iter().flat_map(|found| found.0));
}

type Map<'a> = ((usize, usize), &'a [f32]);

fn one(path: &Path, name: &str, patient: &Patient<'_>, map: Option<Map<'_>>, findings: &mut Findings) {
    let decoded = match decode_mask(path, Some(&patient.sample.path)) {
        Ok(decoded) => decoded,
        Err(error) => {
            let kind = (Severity::Error, "mask-unreadable");
            findings.add(kind, name, error.problem.to_string(), CHECK_FIX, 1.0);
            return;
        }
    };
    let size = OriginalSize { height: decoded.height() as usize, width: decoded.width() as usize };
    if let Some(facts) = patient.facts.as_ref().filter(|facts| facts.size != size) {
        let problem =
            format!("of {size} pixels (height x width), its image {} of {}", patient.name, facts.size);
        let fix = "draw it on its image, or save it in its image's size";
        findings.add((Severity::Error, "mask-size"), name, problem, fix, 1.0);
        return;
    }
    let values = levels(&decoded);
    let high = values.iter().copied().fold(0.0, f32::max);
    let covered = values.iter().filter(|&&v| v > 0.0).count() as f64 / values.len().max(1) as f64;
    if covered == 0.0 {
        let problem = format!("empty, though {} is defective", patient.name);
        let fix = "draw the defect, or move the image to the good ones";
        findings.add((Severity::Error, "mask-empty"), name, problem, fix, 1.0);
        return;
    }
    let between = values.iter().filter(|&&v| v > 0.0 && v < high).count() as f64 / values.len() as f64;
    if between > SOFT {
        let problem = format!(
            "{:.1} % of its pixels lie between black and white; all above 0 count as defect",
            100.0 * between
        );
        let fix = "save it with two values, as PNG: JPEG makes greys";
        findings.add((Severity::Warning, "mask-not-binary"), name, problem, fix, between);
    }
    if covered > INVERTED {
        let problem = format!("covers {:.0} % of its image", 100.0 * covered);
        let fix = "turn it round if black and white are exchanged: the defect is white";
        findings.add((Severity::Warning, "mask-covers-all"), name, problem, fix, covered);
        return;
    }
    let moved = map.and_then(|(grid, oddness)| best_move(&on_grid(&values, size, grid), oddness, grid));
    if let Some((down, across, fit)) = moved {
        let ((h, w), _) = map.expect("a map");
        let pixels = |cells: i64, side: usize, n: usize| cells * side as i64 / n as i64;
        let problem = format!(
            "beside the defect: {} looks odd about {} pixels below and {} right of it, and not where the mask is",
            patient.name,
            pixels(down, size.height, h),
            pixels(across, size.width, w)
        );
        findings.add((Severity::Warning, "mask-shifted"), name, problem, CHECK_FIX, fit);
    }
}

/// The largest channel but alpha, 0 to 1.
fn levels(decoded: &DynamicImage) -> Vec<f32> {
    decoded.to_rgb32f().pixels().map(|pixel| pixel.0.iter().copied().fold(0.0, f32::max)).collect()
}

/// Share of each cell that the mask covers.
fn on_grid(values: &[f32], size: OriginalSize, (h, w): (usize, usize)) -> Vec<f32> {
    let (mut covered, mut count) = (vec![0.0; h * w], vec![0.0; h * w]);
    for y in 0..size.height {
        for x in 0..size.width {
            let cell = y * h / size.height * w + x * w / size.width;
            covered[cell] += f32::from(u8::from(values[y * size.width + x] > 0.0));
            count[cell] += 1.0;
        }
    }
    covered
        .iter()
        .zip(&count)
        .map(|(covered, count)| if *count > 0.0 { covered / count } else { 0.0 })
        .collect()
}

/// Where the mask would fit, `(down, across, fit)` in cells, if it clearly does not where it is.
fn best_move(mask: &[f32], oddness: &[f32], (h, w): (usize, usize)) -> Option<(i64, i64, f64)> {
    let area: f64 = mask.iter().map(|v| f64::from(*v)).sum();
    let total: f64 = oddness.iter().map(|v| f64::from(*v)).sum();
    let fit = |down: i64, across: i64| -> Option<f64> {
        let (mut inside, mut weight) = (0.0, 0.0);
        for (cell, &share) in mask.iter().enumerate().filter(|(_, share)| **share > 0.0) {
            let (y, x) = ((cell / w) as i64 + down, (cell % w) as i64 + across);
            if (0..h as i64).contains(&y) && (0..w as i64).contains(&x) {
                inside += f64::from(share) * f64::from(oddness[y as usize * w + x as usize]);
                weight += f64::from(share);
            }
        }
        // A mask that is moved out of the picture says nothing.
        let rest = (h * w) as f64 - weight;
        (weight > 0.9 * area && rest > 0.0).then(|| inside / weight - (total - inside) / rest)
    };
    let here = fit(0, 0)?;
    let (reach_down, reach_across) = ((h / REACH) as i64, (w / REACH) as i64);
    let moves = (-reach_down..=reach_down).flat_map(|d| (-reach_across..=reach_across).map(move |a| (d, a)));
    let (down, across, best) =
        moves.filter_map(|(d, a)| Some((d, a, fit(d, a)?))).max_by(|a, b| a.2.total_cmp(&b.2))?;
    let far = down.abs().max(across.abs()) >= 2;
    (far && best > CLEAR && here < POOR * best).then_some((down, across, best))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn square(side: usize, top: usize, left: usize, value: f32) -> Vec<f32> {
        let inside =
            |i: usize| (top..top + 3).contains(&(i / side)) && (left..left + 3).contains(&(i % side));
        (0..side * side).map(|i| if inside(i) { value } else { 0.0 }).collect()
    }

    #[test]
    fn a_mask_is_moved_only_if_it_clearly_is_elsewhere() {
        let odd = square(16, 6, 6, 8.0);
        let at = |top, left| best_move(&square(16, top, left, 1.0), &odd, (16, 16));
        assert_eq!(at(6, 6), None);
        assert_eq!(at(7, 6), None, "a cell is within what a grid can tell");
        let (down, across, fit) = at(3, 8).expect("moved");
        assert_eq!((down, across), (3, -2));
        assert!((7.9..8.1).contains(&fit));
        // Nothing odd anywhere, or too little: no finding.
        assert_eq!(best_move(&square(16, 3, 8, 1.0), &square(16, 6, 6, 2.0), (16, 16)), None);
        assert_eq!(best_move(&[0.0; 256], &odd, (16, 16)), None);
    }
}
