//! Masks: readable, of their image's size, of two values, with a position in them, and where the defect is.
//!
//! ```text
//! fit(s) = mean oddness within the mask moved by s − mean oddness beside it      s: cells of the grid
//! moved:   nothing odd within the mask, and a clear best fit two cells or more away
//! turned:  nothing odd within the mask, and a clear fit of the mask as it was before EXIF turned its image
//! ```

use std::path::Path;

use ::image::metadata::Orientation;
use rayon::prelude::*;

use super::looks::Oddness;
use super::{Findings, Patient, Severity};
use crate::dataset::mask_check::{MaskFault, fault};
use crate::image::{ImageProblem, InputSize, Mask, RawMask, raw_mask};

/// Share of pixels that may lie between black and white: a soft edge.
const SOFT: f64 = 0.002;
/// Robust deviations between inside and outside that a fit needs to be clear.
const CLEAR: f64 = 4.0;
/// Part of the best fit below which a mask is not where it should be.
const POOR: f64 = 0.2;
/// Robust deviations of the oddest cell of a mask from which on it lies on something odd, whatever is odder elsewhere.
const ODD: f32 = 4.0;
/// Farthest move tried, as a share of a side.
const REACH: usize = 4;
/// Side of a defect at the input size below which it is easily missed, pixels.
const SMALL: f64 = 3.0;

const CHECK_FIX: &str = "draw the mask again on its image";

/// What all masks are examined with.
pub(super) struct Examination<'a> {
    pub(super) input: InputSize,
    pub(super) oddness: Option<&'a Oddness>,
}

impl Examination<'_> {
    pub(super) fn all(
        &self,
        patients: &[Patient<'_>],
        name: &(impl Fn(&Path) -> String + Sync),
        findings: &mut Findings,
    ) {
        let found: Vec<(Findings, Option<f64>)> = patients
            .par_iter()
            .enumerate()
            .map(|(i, patient)| {
                let mut findings = Findings::default();
                let mask = patient.sample.mask.as_ref();
                let side = mask.and_then(|mask| {
                    let map = self.oddness.and_then(|o| Some((o.grid, o.maps[i].as_deref()?)));
                    self.one((mask, &name(mask)), patient, map, &mut findings)
                });
                (findings, side)
            })
            .collect();
        let sides: Vec<f64> = found.iter().filter_map(|found| found.1).collect();
        findings.0.extend(found.into_iter().flat_map(|found| found.0.0));
        self.small(&sides, findings);
    }

    /// One hint for all defects that are hardly seen at the input size.
    fn small(&self, sides: &[f64], findings: &mut Findings) {
        let small: Vec<f64> = sides.iter().copied().filter(|side| *side < SMALL).collect();
        let Some(least) = small.iter().copied().min_by(f64::total_cmp) else { return };
        let problem = format!(
            "{} of {} masked defects are smaller than {SMALL} pixels at {}, the smallest {least:.1}: they are easily missed",
            small.len(),
            sides.len(),
            self.input
        );
        let fix = "train with a larger --input, or with --tiles, which keeps the images at their own size";
        findings.add((Severity::Note, "small-defects"), "", problem, fix, 1.0);
    }

    /// Examines a mask; says how large its defect is at the input size, in pixels of a square of its area.
    fn one(
        &self,
        (path, name): (&Path, &str),
        patient: &Patient<'_>,
        map: Option<Map<'_>>,
        findings: &mut Findings,
    ) -> Option<f64> {
        let image = patient.facts.as_ref().map(|facts| (patient.sample.path.as_path(), facts.size));
        let raw = match raw_mask(path, image) {
            Ok(raw) => raw,
            Err(error) => {
                let kind = (Severity::Error, "mask-unreadable");
                findings.add(kind, name, error.problem.to_string(), CHECK_FIX, 1.0);
                return None;
            }
        };
        let facts = patient.facts.as_ref();
        if let Some((image, expected)) = image
            && let Err(error) = raw.mask.check_size(image, expected)
        {
            let (problem, fix) = match error.problem {
                ImageProblem::MaskSize { found, turned, .. } => (
                    format!("of {found} pixels (height x width), its image {} of {expected}", patient.name),
                    if turned { TURN_FIX } else { "draw it on its image, or save it in its image's size" },
                ),
                other => (other.to_string(), CHECK_FIX),
            };
            findings.add((Severity::Error, "mask-size"), name, problem, fix, 1.0);
            return None;
        }
        if raw.between > SOFT {
            let problem = format!("{:.1} % of its pixels lie between black and white", 100.0 * raw.between);
            let fix = "save it with two values, as PNG: JPEG makes greys";
            findings.add((Severity::Warning, "mask-not-binary"), name, problem, fix, raw.between);
        }
        if let Some(fault) = fault(&raw, Some(self.input)) {
            self.faulty(&fault, name, patient, findings);
            return None;
        }
        if let Some(map) = map {
            let orientation = facts.map_or(Orientation::NoTransforms, |facts| facts.orientation);
            placed(&raw, orientation, map, (name, &patient.name), findings);
        }
        let mask = &raw.mask;
        let scale = self.input.pixels() as f64 / (mask.height * mask.width) as f64;
        Some((mask.covered() * (mask.height * mask.width) as f64 * scale).sqrt())
    }

    fn faulty(&self, fault: &MaskFault, name: &str, patient: &Patient<'_>, findings: &mut Findings) {
        let (kind, problem, fix) = match fault {
            MaskFault::Empty => (
                (Severity::Error, "mask-empty"),
                format!("empty, though {} is defective", patient.name),
                "draw the defect, or move the image to the good ones",
            ),
            MaskFault::Vanishes { .. } => (
                (Severity::Warning, "mask-vanishes"),
                fault.to_string(),
                "train with a larger --input, or with --tiles: without its position it is no known defect",
            ),
            _ => (
                (Severity::Warning, "mask-covers-all"),
                fault.to_string(),
                "turn it round if black and white are exchanged: the defect is white",
            ),
        };
        findings.add(kind, name, problem, fix, 1.0);
    }
}

const TURN_FIX: &str = "the image has an EXIF rotation and the mask was drawn on it as it is stored: turn the mask as the image, or \
    save the image without the EXIF rotation";

type Map<'a> = ((usize, usize), &'a [f32]);

/// Whether the mask lies where the image looks odd.
fn placed(
    raw: &RawMask,
    orientation: Orientation,
    (grid, oddness): Map<'_>,
    (name, image): (&str, &str),
    findings: &mut Findings,
) {
    let here = on_grid(&raw.mask, grid);
    if orientation != Orientation::NoTransforms && raw.is_picture {
        let turned = on_grid(&raw.mask.turned(orientation), grid);
        if lies_on_nothing(&here, oddness)
            && fit(&turned, oddness, grid, (0, 0)).is_some_and(|fit| fit > CLEAR)
        {
            let problem = format!(
                "does not lie where {image} looks odd, but would if it were turned as EXIF turns the image"
            );
            findings.add((Severity::Warning, "mask-turned"), name, problem, TURN_FIX, 1.0);
            return;
        }
    }
    let Some((down, across, fit)) = best_move(&here, oddness, grid) else { return };
    let pixels = |cells: i64, side: usize, n: usize| cells.unsigned_abs() as usize * side / n;
    let (vertically, sideways) =
        (if down < 0 { "above" } else { "below" }, if across < 0 { "left" } else { "right" });
    let problem = format!(
        "beside the defect: {image} looks odd about {} pixels {vertically} and {} pixels {sideways} of it, and not where the mask is",
        pixels(down, raw.mask.height, grid.0),
        pixels(across, raw.mask.width, grid.1)
    );
    findings.add((Severity::Warning, "mask-shifted"), name, problem, CHECK_FIX, fit);
}

/// Share of each cell that the mask covers.
fn on_grid(mask: &Mask, (h, w): (usize, usize)) -> Vec<f32> {
    let (mut covered, mut count) = (vec![0.0; h * w], vec![0.0; h * w]);
    for y in 0..mask.height {
        for x in 0..mask.width {
            let cell = y * h / mask.height * w + x * w / mask.width;
            covered[cell] += f32::from(mask.defective[y * mask.width + x]);
            count[cell] += 1.0;
        }
    }
    covered
        .iter()
        .zip(&count)
        .map(|(covered, count)| if *count > 0.0 { covered / count } else { 0.0 })
        .collect()
}

/// Whether no cell of a mask is odd.
fn lies_on_nothing(mask: &[f32], oddness: &[f32]) -> bool {
    mask.iter().zip(oddness).filter(|(share, _)| **share > 0.0).all(|(_, oddness)| *oddness < ODD)
}

/// How much odder it is within the mask moved `(down, across)` than beside it; `None` if that moves it out of the picture.
fn fit(mask: &[f32], oddness: &[f32], (h, w): (usize, usize), (down, across): (i64, i64)) -> Option<f64> {
    let area: f64 = mask.iter().map(|v| f64::from(*v)).sum();
    let total: f64 = oddness.iter().map(|v| f64::from(*v)).sum();
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
}

/// Where the mask would fit, `(down, across, fit)` in cells, if it clearly does not where it is.
fn best_move(mask: &[f32], oddness: &[f32], grid: (usize, usize)) -> Option<(i64, i64, f64)> {
    let (h, w) = grid;
    if !lies_on_nothing(mask, oddness) {
        return None;
    }
    let here = fit(mask, oddness, grid, (0, 0))?;
    let (reach_down, reach_across) = ((h / REACH) as i64, (w / REACH) as i64);
    let moves = (-reach_down..=reach_down).flat_map(|d| (-reach_across..=reach_across).map(move |a| (d, a)));
    let (down, across, best) = moves
        .filter_map(|(d, a)| Some((d, a, fit(mask, oddness, grid, (d, a))?)))
        .max_by(|a, b| a.2.total_cmp(&b.2))?;
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
        // A mask on something odd is right, whatever is odder elsewhere.
        let mut two = odd.clone();
        (0..3).for_each(|i| two[3 * 16 + 8 + i] = 5.0);
        assert_eq!(best_move(&square(16, 3, 8, 1.0), &two, (16, 16)), None);
        let (down, across, fit) = best_move(&square(16, 3, 10, 1.0), &odd, (16, 16)).expect("moved");
        assert_eq!((down, across), (3, -4));
        assert!((7.9..8.1).contains(&fit));
        // Nothing odd anywhere, or too little: no finding.
        assert_eq!(best_move(&square(16, 3, 8, 1.0), &square(16, 6, 6, 2.0), (16, 16)), None);
        assert_eq!(best_move(&[0.0; 256], &odd, (16, 16)), None);
    }
}
