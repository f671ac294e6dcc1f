//! Good images that look bad: what features of the others say of one that was left out.
//!
//! ```text
//! d(y, x) = ‖L⁻¹ (f(y, x) − μ)‖² / C       μ, Σ = L Lᵀ of the features of the good images that are not in its fold
//! oddness = max over positions of ln d, as robust deviations among all good images
//! ```
//!
//! This is the Gaussian from which a level's flow starts ([`crate::flow::Whitening`]), so it says of an image what the
//! model would before its first step; fitting it takes a second where training takes minutes. Stride 8, five folds.

use std::convert::Infallible;
use std::sync::Mutex;

use rayon::prelude::*;

use super::spread::Spread;
use super::{Findings, Patient, Severity};
use crate::backbone::{Backbone, Workspace};
use crate::flow::{PreparedWhitening, Whitening};
use crate::image::{InputImage, InputSize};

/// The stride that is looked at, or the next coarser one there is: small defects are still seen.
const STRIDE: usize = 8;
const FOLDS: usize = 5;
/// Robust deviations from which on a good image looks bad.
const FAR: f64 = 7.0;
/// So many good images that look bad, and more than one in twenty, are a kind of their own.
const GROUP: usize = 4;

/// Looks at images with the eyes of the model.
pub(super) struct Looks<'a> {
    backbone: &'a Backbone,
    input: InputSize,
    /// Among the levels that the network gives.
    level: usize,
    workspaces: Mutex<Vec<Workspace>>,
}

/// How odd every position of the defective images is, measured on good ones.
pub(super) struct Oddness {
    /// Rows and columns of a map.
    pub(super) grid: (usize, usize),
    /// Of each image examined, in order: robust deviations of `ln d`; `None` of images without features.
    pub(super) maps: Vec<Option<Vec<f32>>>,
}

impl<'a> Looks<'a> {
    pub(super) fn new(backbone: &'a Backbone, input: InputSize) -> Looks<'a> {
        let shapes = backbone.shapes();
        let level = shapes.iter().position(|shape| shape.stride >= STRIDE).unwrap_or(shapes.len() - 1);
        Looks { backbone, input, level, workspaces: Mutex::default() }
    }

    /// Features of an image, `[h, w, C]`.
    pub(super) fn features(&self, image: &InputImage) -> Vec<f32> {
        let (mean, std) = self.backbone.mean_std();
        let free = self.workspaces.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).pop();
        let mut workspace = free.unwrap_or_else(|| self.backbone.workspace());
        let rgb = image.normalized(mean, std);
        let pyramid = self.backbone.features(&rgb, image.height, image.width, &mut workspace);
        let map = std::mem::take(&mut pyramid.levels[self.level].hwc);
        self.workspaces.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(workspace);
        map
    }

    /// Finds good images that look bad; says how odd the others' positions are. `None` of too few good images.
    pub(super) fn examine(&self, patients: &[Patient<'_>], findings: &mut Findings) -> Option<Oddness> {
        let channels = self.backbone.channels()[self.level];
        let good: Vec<(usize, &[f32])> = patients
            .iter()
            .enumerate()
            .filter(|(_, patient)| patient.is_good())
            .filter_map(|(i, patient)| Some((i, patient.looks.as_deref()?)))
            .collect();
        let mut maps: Vec<Option<Vec<f32>>> = vec![None; patients.len()];
        for fold in 0..FOLDS {
            let rest: Vec<&[f32]> =
                good.iter().enumerate().filter(|(rank, _)| rank % FOLDS != fold).map(|(_, g)| g.1).collect();
            if rest.is_empty() {
                return None;
            }
            let whitening = self.fit(&rest, channels);
            let held_out: Vec<&(usize, &[f32])> = good.iter().skip(fold).step_by(FOLDS).collect();
            let found: Vec<Vec<f32>> =
                held_out.par_iter().map(|(_, f)| distances(&whitening, f, channels)).collect();
            held_out.iter().zip(found).for_each(|((i, _), map)| maps[*i] = Some(map));
        }
        let all: Vec<&[f32]> = good.iter().map(|g| g.1).collect();
        let whitening = self.fit(&all, channels);
        for (map, patient) in maps.iter_mut().zip(patients).filter(|(_, patient)| !patient.is_good()) {
            *map = patient.looks.as_deref().map(|features| distances(&whitening, features, channels));
        }

        let scores: Vec<(usize, f64)> =
            good.iter().map(|(i, _)| (*i, highest(maps[*i].as_deref()))).collect();
        let spread = Spread::of(scores.iter().map(|s| s.1), 0.05)?;
        let odd: Vec<(usize, f64)> =
            scores.iter().map(|s| (s.0, spread.z(s.1))).filter(|(_, z)| *z > FAR).collect();
        // Many that look alike are a kind of good parts, not mistakes.
        let group = odd.len() >= GROUP && odd.len() * 20 > good.len();
        for (i, z) in odd {
            let problem = format!(
                "a good image that looks bad: its oddest place lies {z:.1} robust deviations from what the other good \
                 images show"
            );
            let (severity, fix) = match group {
                true => (
                    Severity::Note,
                    "look at some: nothing need be done if such parts are usual (edges, another batch)",
                ),
                false => (
                    Severity::Warning,
                    "look at it: if it has a defect move it to the defective ones, if it was taken badly delete it",
                ),
            };
            findings.add((severity, "looks-bad"), &patients[i].name, problem, fix, z);
        }
        let positions = good.iter().flat_map(|(i, _)| maps[*i].iter().flatten().map(|d| f64::from(*d)));
        let of_positions = Spread::of(positions, 0.05)?;
        for value in maps.iter_mut().flatten().flatten() {
            *value = of_positions.z(f64::from(*value)) as f32;
        }
        let grid = self.backbone.grid((self.input.height, self.input.width))[self.level];
        Some(Oddness { grid, maps })
    }

    fn fit(&self, images: &[&[f32]], channels: usize) -> PreparedWhitening {
        let isa = self.backbone.isa();
        let fitted = Whitening::fit::<Infallible>(images.len(), channels, isa, |i, show| {
            show(images[i]);
            Ok(())
        });
        let Ok(whitening) = fitted;
        whitening.prepare(isa)
    }
}

/// `ln d` of every position.
fn distances(whitening: &PreparedWhitening, features: &[f32], channels: usize) -> Vec<f32> {
    let mut white = vec![0.0; features.len()];
    whitening.apply(features, &mut white);
    let mean_square = |x: &[f32]| x.iter().map(|x| x * x).sum::<f32>() / channels as f32;
    white.chunks(channels).map(|x| mean_square(x).max(1e-6).ln()).collect()
}

fn highest(map: Option<&[f32]>) -> f64 {
    f64::from(map.into_iter().flatten().copied().fold(f32::NEG_INFINITY, f32::max))
}
