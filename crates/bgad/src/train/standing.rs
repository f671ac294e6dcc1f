//! What the flows as they are say of the images they are trained on.

use bgad_kernels::Isa;
use rayon::prelude::*;

use super::cache::{self, Encoded, Marks};
use super::flow_trainer::FlowTrainer;
use super::images::Images;
use super::{Run, TrainError};
use crate::boundary::Boundary;
use crate::foreground::Foreground;
use crate::image::Mask;
use crate::score::{AnomalyMap, LevelLogp, MaxLogp, ScoreConstants, ScoringLevel, anomaly_map};

/// Share of the pixels of an image of unknown defects that are taken for defective at most.
const WEAK_SHARE: f64 = 0.002;

/// What the flows say of all normal images.
pub(super) struct Standing {
    /// Of each level, in units of `l / ν`.
    pub boundaries: Vec<Boundary>,
    pub constants: ScoreConstants,
    /// `M` of the companion, if there is one.
    pub companion_max: Option<f32>,
    /// Likelihoods: image, level, position.
    likelihoods: Vec<Vec<Vec<f32>>>,
}

impl FlowTrainer<'_> {
    /// The flows as they are, to score with: the cached features are white already.
    fn scoring(&self, isa: Isa) -> Vec<ScoringLevel> {
        let levels = self.levels.iter().zip(&self.grids);
        let anywhere = self.options.tile_overlap.is_some();
        levels.map(|(level, &grid)| ScoringLevel::new(&level.flow, None, grid, anywhere, isa)).collect()
    }

    /// The companion as it is, if there is one.
    fn scoring_companion(&self, isa: Isa) -> Option<ScoringLevel> {
        let (companion, &grid) = self.companion.as_ref().zip(self.grids.last())?;
        Some(ScoringLevel::new(&companion.flow, None, grid, self.options.tile_overlap.is_some(), isa))
    }

    /// Where the normal images stand under the flows as they are.
    pub(super) fn standing(&self, images: &Images, isa: Isa) -> Result<Standing, TrainError> {
        let options = self.options;
        let scoring = self.scoring(isa);
        let likelihoods = likelihoods(&scoring, &images.normal)?;
        let mut max = MaxLogp::new(scoring.len());
        let mut boundaries = Vec::new();
        for level in 0..scoring.len() {
            let mut hat = of_level(images, &likelihoods, level);
            max.observe(level, &hat);
            hat.iter_mut().for_each(|l| *l /= options.normalizer);
            boundaries.push(Boundary::find(&mut hat, options.beta, options.tau).expect("normal positions"));
        }
        let constants = max.constants().map_err(TrainError::Constants)?;
        let companion = self.scoring_companion(isa);
        let companion_max = companion.map(|companion| max_of_companion(&companion, images)).transpose()?;
        Ok(Standing { boundaries, constants, companion_max, likelihoods })
    }

    /// Where the flows as they are see the defects of images that are known to be defective and no more: the highest pixels of the map, as
    /// far as they are above every pixel of the normal images. All other positions of these images are not looked at.
    pub(super) fn find_candidates(&self, images: &Images, run: &Run<'_>) -> Result<Vec<Marks>, TrainError> {
        if images.weak.is_empty() {
            return Ok(Vec::new());
        }
        let Standing { constants, likelihoods: of_normal, .. } = self.standing(images, run.isa())?;
        let size = self.options.input;
        let map = |likelihoods: &[Vec<f32>]| {
            let levels = likelihoods.iter().zip(&self.grids);
            let levels: Vec<_> = levels.map(|(l, &(h, w))| LevelLogp { logp_per_channel: l, h, w }).collect();
            anomaly_map(&levels, &constants, size.height, size.width)
        };
        let highest = |(i, l): (usize, &Vec<Vec<f32>>)| {
            let mut map: AnomalyMap = map(l);
            let seen = match self.options.foreground_score {
                true => Some(&self.foregrounds.each[i]),
                false => images.normal_areas[i].as_ref(),
            };
            if let Some(seen) = seen {
                map.limit_to(seen, 0.0);
            }
            map.peak(1)
        };
        let highest = of_normal.par_iter().enumerate().map(highest).reduce(|| f32::NEG_INFINITY, f32::max);
        let most = (WEAK_SHARE * size.pixels() as f64).ceil() as usize;
        let of_image = |(l, image): (&Vec<Vec<f32>>, &Encoded)| {
            let map = map(l);
            let mut sorted = map.nats.clone();
            sorted.sort_by(|a, b| b.total_cmp(a));
            let least = highest.max(sorted[most.min(sorted.len() - 1)]);
            let defective = map.nats.iter().map(|&nats| u8::from(nats > least)).collect();
            let mask = Mask { height: map.h, width: map.w, defective };
            let seen = Foreground::from_mask(mask.clone());
            let marks = self.grids.iter().zip(0..).map(|(&grid, level)| {
                let mut marks = cache::marks_on_grid(Some(&mask), Some(&seen), grid);
                let outside = |(i, mark): (usize, &mut u8)| {
                    if !image.is_inside(level, i) {
                        *mark = cache::OUTSIDE;
                    }
                };
                marks.iter_mut().enumerate().for_each(outside);
                marks
            });
            marks.collect()
        };
        let weak = likelihoods(&self.scoring(run.isa()), &images.weak)?;
        Ok(weak.par_iter().zip(&images.weak).map(of_image).collect())
    }
}

/// Log-likelihood per channel of every position: image, level, position.
fn likelihoods(scoring: &[ScoringLevel], images: &[Encoded]) -> Result<Vec<Vec<Vec<f32>>>, TrainError> {
    let of_image = |buffer: &mut Vec<f32>, image: &Encoded| {
        let levels = scoring.iter().zip(&image.features);
        levels.map(|(level, features)| Ok(level.logp(features.read(buffer)?))).collect()
    };
    let all: std::io::Result<_> = images.par_iter().map_init(Vec::new, of_image).collect();
    all.map_err(TrainError::Cache)
}

/// The maximum of what a companion of the coarsest level says of the normal images.
fn max_of_companion(companion: &ScoringLevel, images: &Images) -> Result<f32, TrainError> {
    let of_image = |buffer: &mut Vec<f32>, image: &Encoded| {
        let coarsest = image.features.last().expect("one level at least");
        Ok(inside(image, image.features.len() - 1, &companion.logp(coarsest.read(buffer)?)))
    };
    let all: std::io::Result<Vec<_>> = images.normal.par_iter().map_init(Vec::new, of_image).collect();
    let mut max = MaxLogp::new(1);
    all.map_err(TrainError::Cache)?.iter().for_each(|l| max.observe(0, l));
    Ok(max.constants().map_err(TrainError::Constants)?.max_logp_per_level()[0])
}

/// Log-likelihoods of all positions of one level that are looked at.
fn of_level(images: &Images, likelihoods: &[Vec<Vec<f32>>], level: usize) -> Vec<f32> {
    let images = images.normal.iter().zip(likelihoods);
    images.flat_map(|(image, l)| inside(image, level, &l[level])).collect()
}

/// Those of an image.
fn inside(image: &Encoded, level: usize, l: &[f32]) -> Vec<f32> {
    let positions = l.iter().enumerate();
    positions.filter(|(i, _)| image.is_inside(level, *i)).map(|(_, l)| *l).collect()
}
