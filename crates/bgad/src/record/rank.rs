//! A score in words that need no method: how many good images score less.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a score stands among those of the good images that a model remembers: images that its flows did not learn from, or
/// in a model of format 1 those that they did.
///
/// It says how unusual an image is, not how often a good part is stopped: that is what a calibration promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rank {
    /// Good images with a lower score.
    pub below: usize,
    /// Good images in all, at least 1.
    pub of: usize,
}

impl Rank {
    /// The rank of `score`; `None` if there is nothing to compare with. What is not a number ranks above everything.
    pub fn of(score: f32, normal_scores: &[f32]) -> Option<Rank> {
        let of = normal_scores.len();
        let below = normal_scores.iter().filter(|&&normal| score.is_nan() || normal < score).count();
        (of > 0).then_some(Rank { below, of })
    }
}

impl fmt::Display for Rank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rank { below, of } = *self;
        let images = if of == 1 { "image" } else { "images" };
        match below {
            0 => write!(f, "as low as the lowest of {of} good {images}"),
            _ if below >= of && of == 1 => f.write_str("higher than the good image"),
            _ if below >= of => write!(f, "higher than all {of} good {images}"),
            _ => {
                // Rounded down: "100 %" is only said of all of them, above.
                let per_mille = below * 1000 / of;
                let share = match of {
                    0..200 => format!("{}", per_mille / 10),
                    _ => format!("{}.{}", per_mille / 10, per_mille % 10),
                };
                write!(f, "higher than {share} % of {of} good {images}")
            }
        }
    }
}
