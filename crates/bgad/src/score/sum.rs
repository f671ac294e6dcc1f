//! The score of model files of format 1, kept so that they judge as they did.
//!
//! ```text
//! places  = ½ (mean of the P highest values of the map + mean of the k highest a of the coarsest level)          nats
//! a       = M − l, or where there is a companion: max(M − l, M_c − l_c)                                           nats per channel
//! score   = places + Σ gain (d − usual)                            d: of the oddest cell, and of the whole image
//! ```
//!
//! With a companion the map of `places` has `M − a` in place of `l` at the coarsest level; the map that is shown has not. `k` is the number of
//! positions that P pixels make. What cells and the whole image add belongs to no pixel of the map, which is why later formats score
//! by [`surprise`](super::surprise).

use super::map::{AnomalyMap, max_or_nan};
use super::peak::{mean_of_highest, positions};
use super::regional::oddest;
use super::{Combination, PartKind, Reading, Score, View};

pub(super) fn score(combination: &Combination, reading: &Reading, view: &View<'_>) -> Score {
    let map = view.limited(combination.map(&reading.levels), 0.0);
    let places = match reading.companion.as_ref().zip(combination.companion_max) {
        None => places(combination, &map, &reading.levels, view),
        Some((l, max)) => {
            let odder = with_companion(combination, &reading.levels, l, max);
            places(combination, &view.limited(combination.map(&odder), 0.0), &odder, view)
        }
    };
    let mut parts = Vec::new();
    let mut score = places;
    if combination.scale(PartKind::Coarsest).is_some() {
        parts.push((PartKind::Coarsest, places - map.peak(combination.pixels)));
    }
    let regional = combination.parts.iter().filter(|(kind, _)| kind.regions().is_some());
    for ((kind, scale), distances) in regional.zip(&reading.regional) {
        let nats = scale.nats_of(oddest(distances));
        score += nats;
        parts.push((*kind, nats));
    }
    Score { nats: score, parts, map, is_of_a_place: true }
}

/// Likelihoods in which a position of the coarsest level is as odd as its own flow or a companion finds it, whichever is odder.
fn with_companion(
    combination: &Combination,
    levels: &[Vec<f32>],
    companion: &[f32],
    max: f32,
) -> Vec<Vec<f32>> {
    let mut odder = levels.to_vec();
    let own_max = combination.coarsest_max();
    let coarsest = odder.last_mut().expect("one level at least");
    for (l, of_companion) in coarsest.iter_mut().zip(companion) {
        *l = own_max - max_or_nan(own_max - *l, max - of_companion);
    }
    odder
}

fn places(combination: &Combination, map: &AnomalyMap, levels: &[Vec<f32>], view: &View<'_>) -> f32 {
    let of_map = map.peak(combination.pixels);
    if combination.scale(PartKind::Coarsest).is_none() {
        return of_map;
    }
    let (l, max) = (levels.last().expect("one level at least"), combination.coarsest_max());
    let seen = view.seen.map(|seen| seen.on_grid(combination.coarsest_grid()));
    let counting =
        l.iter().enumerate().filter(|(position, _)| seen.as_ref().is_none_or(|seen| seen[*position]));
    let nats: Vec<f32> = counting.map(|(_, l)| max - l).collect();
    let positions = positions(combination.pixels, combination.size.pixels(), l.len());
    (of_map + mean_of_highest(&nats, positions)) / 2.0
}
