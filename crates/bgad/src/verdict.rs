//! OK, REVIEW or NG.
//!
//! ```text
//! OK: score ≤ t_ok        REVIEW: t_ok < score ≤ t_ng          NG: t_ng < score
//! ```
//!
//! The score is a rarity ([`score`](crate::score)): about e^−score of good images score higher. By default OK ends where about one good
//! image in thirty would be looked at; between lots that share grows to about one in fifteen. NG begins far enough out that about one good image in two hundred is stopped: tails are heavier than exponential. Neither is a
//! promise of a false-alarm rate; `calibrate` makes those. See docs/decisions/thresholds.md.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::metrics::regions;
use crate::score::AnomalyMap;

/// What the model says of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Verdict {
    /// As normal as what was trained on.
    Ok,
    /// Between the thresholds: a person should look.
    Review,
    /// Defective.
    Ng,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Verdict::Ok => "OK",
            Verdict::Review => "REVIEW",
            Verdict::Ng => "NG",
        })
    }
}

/// Where OK ends and NG begins, in nats of the image score.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Thresholds {
    /// `t_ok`: scores up to it are OK.
    pub ok: f32,
    /// `t_ng`: scores above it are NG.
    pub ng: f32,
}

impl Thresholds {
    /// Those of a new model, in nats of rarity.
    pub const DEFAULT: Thresholds = Thresholds { ok: 3.4, ng: 8.0 };

    /// The verdict on an image with this score.
    pub fn verdict(self, score: f32) -> Verdict {
        if score <= self.ok {
            Verdict::Ok
        } else if score <= self.ng {
            Verdict::Review
        } else {
            // A score that is not a number ends here: what cannot be judged is not passed.
            Verdict::Ng
        }
    }
}

/// A connected part of the map above the OK threshold.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DefectRegion {
    /// Left edge, pixels of the original image.
    pub x: usize,
    /// Top edge, pixels of the original image.
    pub y: usize,
    /// Width, pixels of the original image.
    pub width: usize,
    /// Height, pixels of the original image.
    pub height: usize,
    /// Share of the image that it covers.
    pub area_share: f64,
    /// Area, pixels of the original image.
    pub area: f64,
    /// Column of its centre of mass, pixels of the original image from its left edge.
    pub centroid_x: f64,
    /// Row of its centre of mass, pixels of the original image from its top edge.
    pub centroid_y: f64,
    /// Largest value of the map within it, nats.
    pub peak: f32,
    /// Mean value of the map within it, nats.
    pub mean: f32,
}

impl DefectRegion {
    /// Its area where a pixel of the original image is a square of `pixel_size` mm, mm².
    pub fn area_mm2(&self, pixel_size: f64) -> f64 {
        self.area * pixel_size * pixel_size
    }
}

/// The regions of `map` above `threshold`, the one with the highest peak first, in pixels of an original image of
/// `(height, width)`.
pub fn defect_regions(map: &AnomalyMap, threshold: f32, original: (usize, usize)) -> Vec<DefectRegion> {
    let found = regions::label_above(&map.nats, threshold, map.h, map.w);
    let mut values = vec![(f32::NEG_INFINITY, 0.0); found.regions.len()];
    for (&label, &value) in found.labels.iter().zip(&map.nats) {
        if label > 0 {
            let (peak, sum) = &mut values[label as usize - 1];
            *peak = peak.max(value);
            *sum += f64::from(value);
        }
    }
    let scale = |from: usize, to: usize, map: usize, original: usize| {
        let first = from * original / map;
        (first, ((to + 1) * original).div_ceil(map) - first)
    };
    let mut regions: Vec<DefectRegion> = found
        .regions
        .iter()
        .zip(values)
        .map(|(region, (peak, sum))| {
            let (x, width) = scale(region.x_min, region.x_max, map.w, original.1);
            let (y, height) = scale(region.y_min, region.y_max, map.h, original.0);
            let area_share = region.area as f64 / (map.h * map.w) as f64;
            // A map's pixel i reaches from i to i + 1, so its centre is half a pixel on.
            let centre = |at: f64, map: usize, original: usize| (at + 0.5) * original as f64 / map as f64;
            DefectRegion {
                x,
                y,
                width,
                height,
                area_share,
                area: area_share * (original.0 * original.1) as f64,
                centroid_x: centre(region.centroid_yx[1], map.w, original.1),
                centroid_y: centre(region.centroid_yx[0], map.h, original.0),
                peak,
                mean: (sum / region.area as f64) as f32,
            }
        })
        .collect();
    regions.sort_by(|a, b| b.peak.total_cmp(&a.peak));
    regions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_divide_the_scores() {
        let t = Thresholds { ok: 3.0, ng: 4.0 };
        let cases = [
            (-1.0, Verdict::Ok),
            (3.0, Verdict::Ok),
            (3.1, Verdict::Review),
            (4.0, Verdict::Review),
            (4.1, Verdict::Ng),
            (f32::INFINITY, Verdict::Ng),
            (f32::NAN, Verdict::Ng),
        ];
        for (score, want) in cases {
            assert_eq!(t.verdict(score), want, "{score}");
        }
    }

    #[test]
    fn regions_are_in_pixels_of_the_original_image_highest_first() {
        let mut map = AnomalyMap { nats: vec![0.0; 16], h: 4, w: 4 };
        map.nats[0] = 2.0;
        map.nats[10] = 5.0;
        map.nats[11] = 3.0;
        let found = defect_regions(&map, 1.0, (40, 20));
        assert_eq!(found.len(), 2);
        let (first, second) = (&found[0], &found[1]);
        assert_eq!((first.x, first.y, first.width, first.height, first.peak), (10, 20, 10, 10, 5.0));
        assert_eq!((second.x, second.y, second.width, second.height, second.peak), (0, 0, 5, 10, 2.0));
        assert_eq!(first.area_share, 0.125);
        assert_eq!((first.area, first.centroid_x, first.centroid_y, first.mean), (100.0, 15.0, 25.0, 4.0));
        assert_eq!((second.centroid_x, second.centroid_y, second.mean), (2.5, 5.0, 2.0));
        assert_eq!(first.area_mm2(0.1), 100.0 * 0.1 * 0.1);
        assert!(defect_regions(&map, 9.0, (40, 20)).is_empty());
    }
}
