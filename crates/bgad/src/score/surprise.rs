//! One map and one number that agree.
//!
//! ```text
//! s_k(x)   surprise of part k, nats                                                                    crate::score::scale
//! m(p)     = s_peak(map(p)) + ω s_head(h(p))                                                          at each pixel p
//! S        = mean of the P highest m(p)
//! E        = Σ over coarsest, cells, whole of max(0, s_k(v_k)) + max(0, s_head(peak of h) − ln 10)
//! score    = t(S + E)
//! m'(p)    = min(m(p), S)
//! shown(p) = t(m'(p) + E max(0, m'(p) / S)^16)                   if S > ln 5
//!          = t(m'(p))                                            else: no place stands out, what is odd is the image as a whole
//! t(x)     = ln 2 + (x − median) / e of S + E over good images that were not learned from
//! ```
//!
//! Likelihoods are measured from the image's own middle: `baseline`.
//!
//! The map of all levels and the linear head say where. The coarsest level, the cells and the whole image say whether: too coarsely for a
//! place, so what they find is put where the image's own map is highest, steeply enough that other places keep their order.
//! The highest value of the map is then the score: an image is flagged if and only if its map reaches the threshold somewhere, or it
//! is flagged as a whole. A part counts only as far as it is above the middle good image.
//!
//! `ω` is 0.5, or 0 where the scales rest on stand-ins: of few images the head says whether, but blurs where.
//!
//! `t` makes the score a rarity: a share of about e^−score of good images score higher. See docs/decisions/score.md.

use super::map::{AnomalyMap, max_or_nan, upsample};
use super::peak::{mean_of_highest, positions};
use super::regional::oddest;
use super::scale::Scale;
use super::{Combination, PartKind, Reading, Score, View};

/// How steeply the evidence of an image rises towards its highest places.
pub const STEEPNESS: i32 = 16;

/// Surprise of a place that stands out: one good image in ten has such a place.
pub const STANDS_OUT: f32 = 1.609_438; // ln 5

/// What the peak of the linear head must exceed: the 95 % point of good images.
pub const HEAD_FLOOR: f32 = std::f32::consts::LN_10;

pub(super) fn score(combination: &Combination, reading: &Reading, view: &View<'_>) -> Score {
    let (raw, parts) = raw(combination, reading, view);
    raw.scored(combination.total, parts)
}

/// `m`, `S` and `E`.
pub(super) struct Raw {
    pub map: AnomalyMap,
    pub places: f32,
    pub image: f32,
}

impl Raw {
    /// `t` of it all.
    pub(super) fn scored(self, total: Scale, parts: Vec<(PartKind, f32)>) -> Score {
        let Raw { mut map, places, image } = self;
        let is_of_a_place = places > STANDS_OUT || places.is_nan();
        for m in &mut map.nats {
            // NaN of NaN.
            let place = if *m > places { places } else { *m };
            let share = if is_of_a_place { (place / places).clamp(0.0, 1.0).powi(STEEPNESS) } else { 0.0 };
            *m = total.nats_of(place + image * share);
        }
        let nats = total.nats_of(places + image);
        Score { nats, parts, map, is_of_a_place }
    }
}

/// The value of each part in an image, before its scale: what scales are fitted to.
pub(super) fn value(
    combination: &Combination,
    kind: PartKind,
    reading: &Reading,
    view: &View<'_>,
) -> Option<f32> {
    let size = (combination.size.height, combination.size.width);
    let peak = |nats: Vec<f32>| {
        let map = AnomalyMap { nats, h: size.0, w: size.1 };
        view.limited(map, f32::NEG_INFINITY).peak(combination.pixels)
    };
    match kind {
        PartKind::Peak => Some(view.limited(combination.map(&reading.levels), 0.0).peak(combination.pixels)),
        PartKind::Coarsest => {
            let a = coarsest(combination, reading, view);
            let n = positions(combination.pixels, combination.size.pixels(), a.len());
            let seen: Vec<f32> = a.into_iter().flatten().collect();
            Some(mean_of_highest(&seen, n))
        }
        PartKind::Head => (!reading.heads.is_empty()).then(|| peak(head(combination, reading))),
        PartKind::Cells | PartKind::Whole => {
            let index = combination
                .parts
                .iter()
                .filter(|(k, _)| k.regions().is_some())
                .position(|(k, _)| *k == kind)?;
            Some(oddest(reading.regional.get(index)?))
        }
    }
}

/// `m`, `S`, `E`, and what each part adds to `E`.
pub(super) fn raw(
    combination: &Combination,
    reading: &Reading,
    view: &View<'_>,
) -> (Raw, Vec<(PartKind, f32)>) {
    let size = (combination.size.height, combination.size.width);
    let mut map = combination.map(&reading.levels);
    let mut parts = Vec::new();
    let mut image = 0.0;
    for &(kind, scale) in &combination.parts {
        let added = match kind {
            PartKind::Peak => {
                map.nats.iter_mut().for_each(|m| *m = scale.nats_of(*m));
                continue;
            }
            PartKind::Head => {
                let h = head(combination, reading);
                map.nats
                    .iter_mut()
                    .zip(&h)
                    .for_each(|(m, h)| *m += combination.head_weight * scale.nats_of(*h));
                let of_head = AnomalyMap { nats: h, h: size.0, w: size.1 };
                let of_head = view.limited(of_head, f32::NEG_INFINITY).peak(combination.pixels);
                let added = above(scale.nats_of(of_head), HEAD_FLOOR);
                image += added;
                added
            }
            _ => {
                let value = value(combination, kind, reading, view).unwrap_or(f32::NAN);
                let added = above(scale.nats_of(value), 0.0);
                image += added;
                added
            }
        };
        parts.push((kind, added));
    }
    let calm = combination.calm(&map);
    let map = view.limited(map, calm);
    let places = map.peak(combination.pixels);
    (Raw { map, places, image }, parts)
}

/// What a value is above a floor; NaN stays.
fn above(value: f32, floor: f32) -> f32 {
    max_or_nan(0.0, value - floor)
}

/// `a` of each position of the coarsest level, as odd as its flow or its companion finds it; `None` where it is not looked at.
fn coarsest(combination: &Combination, reading: &Reading, view: &View<'_>) -> Vec<Option<f32>> {
    let seen = view.on_grid(combination.coarsest_grid());
    let l = reading.levels.last().expect("one level at least");
    let own = combination.coarsest_max();
    let companion = reading.companion.as_ref().zip(combination.companion_max);
    let a = |(i, l): (usize, &f32)| {
        if seen.as_ref().is_some_and(|seen| !seen[i]) {
            return None;
        }
        Some(companion.as_ref().map_or(own - l, |(l_c, max)| max_or_nan(own - l, max - l_c[i])))
    };
    l.iter().enumerate().map(a).collect()
}

/// `h` at each pixel of the input.
fn head(combination: &Combination, reading: &Reading) -> Vec<f32> {
    let size = (combination.size.height, combination.size.width);
    let mut sum = vec![0f32; size.0 * size.1];
    for (grid, h) in &reading.heads {
        sum.iter_mut().zip(upsample(h, *grid, size)).for_each(|(sum, h)| *sum += h);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt as _, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    fn raw(nats: Vec<f32>, pixels: usize, image: f32) -> Raw {
        let map = AnomalyMap { w: nats.len(), nats, h: 1 };
        Raw { places: map.peak(pixels), map, image }
    }

    #[test]
    fn the_score_is_the_highest_value_of_the_map_or_no_place_stands_out() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let total = Scale { usual: 0.7, gain: 1.3 };
        let (mut of_places, mut of_images) = (0, 0);
        for _ in 0..2000 {
            let scale: f32 = rng.random_range(0.1..20.0);
            let nats: Vec<f32> = (0..50).map(|_| scale * rng.random_range(-3.0f32..1.0)).collect();
            let pixels = rng.random_range(1..60);
            let before = raw(nats.clone(), pixels, rng.random_range(0.0..30.0));
            let score = before.scored(total, Vec::new());
            let highest = score.map.nats.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            match score.is_of_a_place {
                true => assert_eq!(highest, score.nats),
                false => assert!(highest <= score.nats),
            }
            *(if score.is_of_a_place { &mut of_places } else { &mut of_images }) += 1;
            // Places keep their order.
            for (i, a) in nats.iter().enumerate() {
                for (j, b) in nats.iter().enumerate() {
                    assert!(a > b || score.map.nats[i] <= score.map.nats[j], "{a} and {b}");
                }
            }
        }
        assert!(of_places > 100 && of_images > 100, "{of_places} and {of_images}");
    }

    #[test]
    fn what_is_not_a_number_stays_so() {
        let broken = raw(vec![1.0, f32::NAN, 3.0], 2, 0.0).scored(Scale::IDENTITY, Vec::new());
        assert!(broken.nats.is_nan() && broken.map.nats.iter().any(|v| v.is_nan()));
        let broken = raw(vec![1.0, 2.0, 3.0], 2, f32::NAN).scored(Scale::IDENTITY, Vec::new());
        assert!(broken.nats.is_nan());
        assert!(above(f32::NAN, 1.0).is_nan() && above(2.0, 0.5) == 1.5 && above(0.2, 0.5) == 0.0);
    }
}
