//! The pixels of a whole test set, one image at a time.
//!
//! ```text
//! push(map, mask)   normal pixel:    4 bytes
//!                   anomalous pixel: 8 bytes, with the area of its 8-connected region
//! rank()            sorts in place: no second copy
//! ```

use super::ranking::{NotANumber, Ranking, key, key_with_area, refuse_nan};
use super::regions;

/// Collects the pixels of all images, then [`rank`](PixelScores::rank)s them once for all pixel metrics.
///
/// The metrics do not depend on the order of the images, to the last bit.
#[derive(Clone, Debug, Default)]
pub struct PixelScores {
    normal: Vec<u32>,
    anomalous: Vec<u64>,
    regions: usize,
}

impl PixelScores {
    /// Starts without pixels.
    pub fn new() -> PixelScores {
        PixelScores::default()
    }

    /// Starts without pixels, with memory for `pixels` normal ones: avoids the slack of growing.
    pub fn with_capacity(pixels: usize) -> PixelScores {
        PixelScores { normal: Vec::with_capacity(pixels), ..PixelScores::default() }
    }

    /// Adds the anomaly map `[h, w]` of one image and its mask `[h, w]`: 0 normal, anything else anomalous.
    /// An image without a mask is normal everywhere.
    ///
    /// # Errors
    ///
    /// [`NotANumber`] if a score is NaN; nothing of the image is added then.
    ///
    /// # Panics
    ///
    /// If map or mask are not `h·w` long, or have 2³² pixels or more.
    pub fn push(&mut self, map: &[f32], mask: Option<&[u8]>, h: usize, w: usize) -> Result<(), NotANumber> {
        assert_eq!(map.len(), h * w, "a map of {h}x{w}");
        refuse_nan(map)?;
        let Some(mask) = mask else {
            self.normal.extend(map.iter().map(|&s| key(s)));
            return Ok(());
        };
        let found = regions::label(mask, h, w);
        self.regions += found.regions.len();
        for (&score, &label) in map.iter().zip(&found.labels) {
            match label {
                0 => self.normal.push(key(score)),
                _ => self.anomalous.push(key_with_area(score, found.regions[label as usize - 1].area as u32)),
            }
        }
        Ok(())
    }

    /// Sorts the pixels, in place.
    pub fn rank(self) -> Ranking {
        Ranking::sort(self.normal, self.anomalous, self.regions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::recorded_score::RecordedScore;
    use crate::metrics::{auroc, average_precision, f1_max};

    fn all(ranking: &Ranking) -> [Option<f64>; 5] {
        [
            ranking.auroc(),
            ranking.average_precision(),
            ranking.f1_max().map(|best| best.f1),
            ranking.aupro(0.3),
            ranking.aupro(0.05),
        ]
    }

    #[test]
    fn equals_the_authors_metrics_on_their_map() {
        let recorded = RecordedScore::read();
        let mut pixels = PixelScores::new();
        for i in 0..recorded.images {
            pixels.push(recorded.map(i), Some(recorded.mask(i)), recorded.h, recorded.w).unwrap();
        }
        let ranking = pixels.rank();
        // Same scores, same definition: only the order of f64 sums differs.
        for (name, got) in
            [("pixel_auroc", ranking.auroc().unwrap()), ("pixel_ap", ranking.average_precision().unwrap())]
        {
            let want = recorded.number(name);
            assert!((got - want).abs() < 1e-9, "{name}: {got}, authors {want}");
        }
        assert_eq!(ranking.f1_max().unwrap().threshold, recorded.number("f1_pixel_threshold") as f32);

        let (scores, labels) = (&recorded.image_scores, &recorded.image_labels());
        assert!((auroc(scores, labels).unwrap() - recorded.number("image_auroc")).abs() < 1e-12);
        assert!((average_precision(scores, labels).unwrap() - recorded.number("image_ap")).abs() < 1e-12);
        assert_eq!(f1_max(scores, labels).unwrap().threshold, recorded.number("f1_image_threshold") as f32);
    }

    /// The authors' curve: (FPR, PRO) at 1000 linear thresholds from the highest score down, as far as FPR
    /// <= 0.3, and the first point beyond.
    fn authors_curve(recorded: &RecordedScore) -> (Vec<[f64; 2]>, [f64; 2]) {
        let found: Vec<_> =
            (0..recorded.images).map(|i| regions::label(recorded.mask(i), recorded.h, recorded.w)).collect();
        let high = recorded.maps.iter().copied().fold(f32::MIN, f32::max);
        let delta = (high - recorded.maps.iter().copied().fold(f32::MAX, f32::min)) / 1000.0;
        let point = |threshold: f32| {
            let (mut false_positives, mut normals, mut overlaps) = (0u32, 0usize, vec![]);
            for (i, found) in found.iter().enumerate() {
                let mut above = vec![0u32; found.regions.len() + 1];
                for (&label, &score) in found.labels.iter().zip(recorded.map(i)) {
                    normals += usize::from(label == 0);
                    above[label as usize] += u32::from(score > threshold);
                }
                false_positives += above[0];
                overlaps.extend(
                    found.regions.iter().zip(&above[1..]).map(|(r, &a)| f64::from(a) / r.area as f64),
                );
            }
            [
                f64::from(false_positives) / normals as f64,
                overlaps.iter().sum::<f64>() / overlaps.len() as f64,
            ]
        };
        let mut within = vec![];
        for step in 0..1000 {
            let next = point(high - step as f32 * delta);
            if next[0] > 0.3 {
                return (within, next);
            }
            within.push(next);
        }
        panic!("the curve ends before FPR 0.3");
    }

    fn trapezia(curve: &[[f64; 2]]) -> f64 {
        curve.windows(2).map(|p| (p[1][0] - p[0][0]) * 0.5 * (p[0][1] + p[1][1])).sum()
    }

    /// The authors' PRO is a sampled neighbour of ours. Here only 14 of their 1000 thresholds lie within
    /// FPR 0.3, the last at 0.269, which they then stretch to be the limit: 0.606 where the whole curve
    /// gives 0.620.
    #[test]
    fn the_authors_sampled_pro_differs_by_its_sampling_alone() {
        let recorded = RecordedScore::read();
        let (within, beyond) = authors_curve(&recorded);
        let last = within[within.len() - 1];
        // Their procedure on our regions gives their number: same regions, same areas, same FPR.
        let stretched = trapezia(&within) / (last[0] - within[0][0]);
        let authors = recorded.number("pro_authors_1000_steps");
        // Thresholds were made in f32 there: one pixel may fall on the other side.
        assert!((stretched - authors).abs() < 1e-5, "{stretched}, authors {authors}");

        // Their points integrated to 0.3 instead: chords of a concave curve, a little low.
        let t = (0.3 - last[0]) / (beyond[0] - last[0]);
        let at_limit = [0.3, last[1] + t * (beyond[1] - last[1])];
        let sampled = (trapezia(&within) + trapezia(&[last, at_limit])) / 0.3;
        let mut pixels = PixelScores::new();
        for i in 0..recorded.images {
            pixels.push(recorded.map(i), Some(recorded.mask(i)), recorded.h, recorded.w).unwrap();
        }
        let exact = pixels.rank().aupro(0.3).unwrap();
        assert!((sampled..sampled + 0.005).contains(&exact), "{exact}, 14 points {sampled}");
    }

    #[test]
    fn the_order_of_images_does_not_matter_to_the_last_bit() {
        // Coarse scores for many ties, regions of many sizes.
        let image = |i: usize| -> (Vec<f32>, Vec<u8>) {
            let value = |j: usize| (i * 7919 + j * 104_729) % 1009;
            (
                (0..48).map(|j| (value(j) % 23) as f32).collect(),
                (0..48).map(|j| u8::from(value(j) % 3 == 0)).collect(),
            )
        };
        let rank = |order: &mut dyn Iterator<Item = usize>| {
            let mut pixels = PixelScores::new();
            for i in order {
                let (map, mask) = image(i);
                pixels.push(&map, (i % 4 != 0).then_some(&mask), 6, 8).unwrap();
            }
            pixels.rank()
        };
        let want = all(&rank(&mut (0..30)));
        assert!(want.iter().all(Option::is_some));
        assert_eq!(all(&rank(&mut (0..30).rev())), want);
        assert_eq!(all(&rank(&mut (0..30).map(|i| (i * 7 + 3) % 30))), want);
    }

    #[test]
    fn an_image_without_mask_is_normal_everywhere() {
        let (bad, good) = ([3.0, 1.0, 0.0, 2.0], [0.5, 2.5, 0.1, 0.2]);
        let mut without = PixelScores::new();
        without.push(&bad, Some(&[1, 0, 0, 1]), 2, 2).unwrap();
        let mut with = without.clone();
        without.push(&good, None, 2, 2).unwrap();
        with.push(&good, Some(&[0; 4]), 2, 2).unwrap();
        let (without, with) = (without.rank(), with.rank());
        assert_eq!(all(&without), all(&with));
        // The diagonal touches: one region.
        assert_eq!((with.normals(), with.anomalies(), with.regions()), (6, 2, 1));
    }

    #[test]
    fn nan_is_refused_and_leaves_nothing_behind() {
        let mut pixels = PixelScores::new();
        let refused = pixels.push(&[1.0, 2.0, f32::NAN, f32::NAN], Some(&[1, 0, 0, 0]), 2, 2);
        assert_eq!(refused, Err(NotANumber { index: 2 }));
        let ranking = pixels.rank();
        assert_eq!((ranking.normals(), ranking.anomalies(), ranking.regions()), (0, 0, 0));
        assert_eq!(all(&ranking), [None; 5]);
    }

    #[test]
    #[should_panic(expected = "a map of 2x3")]
    fn a_map_of_another_size_is_a_mistake() {
        let _ = PixelScores::new().push(&[0.0; 5], None, 2, 3);
    }
}
