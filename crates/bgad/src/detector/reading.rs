//! From the likelihoods of an image to its map, and to what its places say.

use super::ScoringLevel;
use crate::anomaly_map::{AnomalyMap, LevelLogp, ScoreConstants, anomaly_map, max_or_nan};
use crate::foreground::Foreground;
use crate::image_score;
use crate::options::TrainOptions;

/// What likelihoods are read by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading<'a> {
    pub options: &'a TrainOptions,
    pub levels: &'a [ScoringLevel],
    pub constants: &'a ScoreConstants,
}

impl Reading<'_> {
    /// The map of an image.
    ///
    /// # Panics
    ///
    /// If the likelihoods are not of these levels.
    pub(crate) fn map(&self, likelihoods: &[Vec<f32>]) -> AnomalyMap {
        let levels: Vec<LevelLogp<'_>> = self
            .levels
            .iter()
            .zip(likelihoods)
            .map(|(level, l)| LevelLogp { logp_per_channel: l, h: level.height, w: level.width })
            .collect();
        let size = self.options.input;
        anomaly_map(&levels, self.constants, size.height, size.width)
    }

    /// The map of an image and what its places say: of the map, and of the positions of the coarsest level that `seen` touches; `None` for
    /// all. A companion, its likelihoods and its `M`, has its say in the places alone. `limited` is what is looked at of a map.
    pub(crate) fn map_and_places(
        &self,
        likelihoods: &[Vec<f32>],
        companion: Option<(&[f32], f32)>,
        seen: Option<&Foreground>,
        limited: impl Fn(AnomalyMap) -> AnomalyMap,
    ) -> (AnomalyMap, f32) {
        let map = limited(self.map(likelihoods));
        let places = match companion {
            None => self.places(&map, likelihoods, seen),
            Some((of_companion, max)) => {
                let odder = self.with_companion(likelihoods, of_companion, max);
                self.places(&limited(self.map(&odder)), &odder, seen)
            }
        };
        (map, places)
    }

    /// Likelihoods in which a position of the coarsest level is as odd as its own flow or a companion finds it, whichever is odder: a companion
    /// of likelihoods `of_companion` and `M` `max`.
    fn with_companion(&self, likelihoods: &[Vec<f32>], of_companion: &[f32], max: f32) -> Vec<Vec<f32>> {
        let mut odder = likelihoods.to_vec();
        let (coarsest, own_max) =
            odder.last_mut().zip(self.constants.max_logp_per_level().last()).expect("one level at least");
        for (l, of_companion) in coarsest.iter_mut().zip(of_companion) {
            *l = own_max - max_or_nan(own_max - *l, max - of_companion);
        }
        odder
    }

    fn places(&self, map: &AnomalyMap, likelihoods: &[Vec<f32>], seen: Option<&Foreground>) -> f32 {
        let pixels = self.options.score_pixels;
        if !self.options.score_parts.coarsest {
            return image_score::places(map, pixels, None);
        }
        let max = self.constants.max_logp_per_level().last();
        let (l, max) = likelihoods.last().zip(max).expect("one level at least");
        let coarsest = self.levels.last().expect("one level at least");
        let seen = seen.map(|seen| seen.on_grid((coarsest.height, coarsest.width)));
        let positions = l.iter().enumerate();
        let counting = positions.filter(|(position, _)| seen.as_ref().is_none_or(|seen| seen[*position]));
        let nats: Vec<f32> = counting.map(|(_, l)| max - l).collect();
        let positions = image_score::positions(pixels, self.options.input.pixels(), l.len());
        image_score::places(map, pixels, Some((&nats, positions)))
    }
}
