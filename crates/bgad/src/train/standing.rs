//! What the flows as they are say of the images they are trained on.

use std::path::Path;

use bgad_kernels::Isa;
use rayon::prelude::*;

use super::cache::{self, Encoded, Marks};
use super::images::Images;
use super::trainer::Trainer;
use super::{Run, TrainError};
use crate::anomaly_map::{AnomalyMap, MaxLogp, ScoreConstants};
use crate::boundary::Boundary;
use crate::detector::{Reading, ScoringLevel};
use crate::foreground::Foreground;
use crate::image::Mask;
use crate::tiles::Source;

/// Share of the pixels of an image of unknown defects that are taken for defective at most.
const WEAK_SHARE: f64 = 0.002;

/// Least `ν` that is believed: `l` passes 0 where features vary little, and a gap of nothing would follow.
const LEAST_NORMALIZER: f32 = 0.1;

/// What the flows say of all normal images.
pub(super) struct Standing {
    /// Of each level, in units of `l / ν`.
    pub boundaries: Vec<Boundary>,
    pub constants: ScoreConstants,
    /// The highest pixel of their maps.
    highest: f32,
    /// `M` of the companion, if there is one.
    pub companion_max: Option<f32>,
    /// What the places of each image say.
    pub places: Vec<f32>,
}

impl Trainer<'_> {
    /// The flows as they are, to score with: the cached features are white already.
    pub(super) fn scoring(&self, isa: Isa) -> Vec<ScoringLevel> {
        let levels = self.levels.iter().zip(&self.grids);
        let anywhere = self.options.tile_overlap.is_some();
        levels.map(|(level, &grid)| ScoringLevel::new(&level.flow, None, grid, anywhere, isa)).collect()
    }

    /// The companion as it is, if there is one.
    pub(super) fn scoring_companion(&self, isa: Isa) -> Option<ScoringLevel> {
        let (companion, &grid) = self.companion.as_ref().zip(self.grids.last())?;
        Some(ScoringLevel::new(&companion.flow, None, grid, self.options.tile_overlap.is_some(), isa))
    }

    /// Where the normal images stand under the flows as they are, and a companion of the last.
    pub(super) fn standing(
        &self,
        scoring: &[ScoringLevel],
        companion: Option<&ScoringLevel>,
        images: &Images,
    ) -> Result<Standing, TrainError> {
        let options = self.options;
        let likelihoods = likelihoods(scoring, &images.normal)?;
        let mut max = MaxLogp::new(scoring.len());
        let mut boundaries = Vec::new();
        for level in 0..scoring.len() {
            let mut hat = of_level(images, &likelihoods, level);
            max.observe(level, &hat);
            hat.iter_mut().for_each(|l| *l /= self.levels[level].normalizer);
            boundaries.push(Boundary::find(&mut hat, options.beta, options.tau).expect("normal positions"));
        }
        let constants = max.constants().map_err(TrainError::Constants)?;
        let companion = companion.map(|companion| by_companion(companion, images)).transpose()?;
        let reading = Reading { options, levels: scoring, constants: &constants };
        let (mut places, highest): (Vec<f32>, Vec<f32>) = likelihoods
            .par_iter()
            .enumerate()
            .map(|(i, l)| {
                let seen = match options.foreground_score {
                    true => Some(&self.foregrounds.each[i]),
                    false => images.normal_areas[i].as_ref(),
                };
                let limited = |mut map: AnomalyMap| {
                    if let Some(seen) = seen {
                        map.limit_to(seen);
                    }
                    map
                };
                let of_companion = companion.as_ref().map(|(all, max)| (&all[i][..], *max));
                let (map, places) = reading.map_and_places(l, of_companion, seen, limited);
                (places, map.peak(1))
            })
            .unzip();
        if options.tile_overlap.is_some() {
            places = of_files(&images.normal_sources, &places);
        }
        let highest = highest.into_iter().fold(f32::NEG_INFINITY, f32::max);
        let companion_max = companion.map(|(_, max)| max);
        Ok(Standing { boundaries, constants, companion_max, places, highest })
    }

    /// Brings the median `|l|` of the normal positions of each level to 1, under the flows as they are.
    pub(super) fn estimate_normalizers(&mut self, images: &Images, run: &Run<'_>) -> Result<(), TrainError> {
        let likelihoods = likelihoods(&self.scoring(run.isa), &images.normal)?;
        for (level, trainer) in self.levels.iter_mut().enumerate() {
            let mut sizes = of_level(images, &likelihoods, level);
            sizes.iter_mut().for_each(|l| *l = l.abs());
            let middle = sizes.len() / 2;
            let (_, median, _) = sizes.select_nth_unstable_by(middle, f32::total_cmp);
            trainer.normalizer = median.max(LEAST_NORMALIZER);
        }
        Ok(())
    }

    /// Where the flows as they are see the defects of images that are known to be defective and no more: the highest pixels of the map, as
    /// far as they are above every pixel of the normal images. All other positions of these images are not looked at.
    pub(super) fn find_candidates(&self, images: &Images, run: &Run<'_>) -> Result<Vec<Marks>, TrainError> {
        if images.weak.is_empty() {
            return Ok(Vec::new());
        }
        let scoring = self.scoring(run.isa);
        let Standing { constants, highest, .. } = self.standing(&scoring, None, images)?;
        let reading = Reading { options: self.options, levels: &scoring, constants: &constants };
        let size = self.options.input;
        let most = (WEAK_SHARE * size.pixels() as f64).ceil() as usize;
        let of_image = |(l, image): (&Vec<Vec<f32>>, &Encoded)| {
            let map = reading.map(l);
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
        Ok(likelihoods(&scoring, &images.weak)?.par_iter().zip(&images.weak).map(of_image).collect())
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

/// What a companion of the coarsest level says of the normal images: log-likelihood per channel of every position, and the maximum.
fn by_companion(companion: &ScoringLevel, images: &Images) -> Result<(Vec<Vec<f32>>, f32), TrainError> {
    let of_image = |buffer: &mut Vec<f32>, image: &Encoded| {
        let coarsest = image.features.last().expect("one level at least");
        Ok(companion.logp(coarsest.read(buffer)?))
    };
    let all: std::io::Result<Vec<_>> = images.normal.par_iter().map_init(Vec::new, of_image).collect();
    let all = all.map_err(TrainError::Cache)?;
    let mut max = MaxLogp::new(1);
    for (image, l) in images.normal.iter().zip(&all) {
        max.observe(0, &inside(image, image.features.len() - 1, l));
    }
    let max = max.constants().map_err(TrainError::Constants)?.max_logp_per_level()[0];
    Ok((all, max))
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

/// The score of each file: the largest of its tiles.
fn of_files(sources: &[Source], scores: &[f32]) -> Vec<f32> {
    let mut files: Vec<(&Path, f32)> = Vec::new();
    for (source, &score) in sources.iter().zip(scores) {
        match files.last_mut() {
            Some((path, highest)) if *path == source.path => *highest = highest.max(score),
            _ => files.push((&source.path, score)),
        }
    }
    files.into_iter().map(|(_, score)| score).collect()
}
