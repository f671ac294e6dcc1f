//! What the score of an image is made of.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::OptionError;
use crate::score::PartKind;
use crate::written::written_as_text;

/// What the score of an image is made of, besides its map: see [`score`](crate::score). Written `map`, with any of
/// `coarsest`, `companion`, `cells`, `whole` and `head` after it, as in `map,cells,whole`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ScoreParts {
    /// The coarsest level by itself.
    pub coarsest: bool,
    /// With the coarsest level: what a second flow there says that is shown normal images alone, once there are anomalies.
    pub companion: bool,
    /// The image cell by cell.
    pub cells: bool,
    /// The image as a whole.
    pub whole: bool,
    /// The direction of the known defects, where there are any with a mask.
    pub head: bool,
}

impl ScoreParts {
    /// The map alone, as in the paper.
    pub const MAP: ScoreParts =
        ScoreParts { coarsest: false, companion: false, cells: false, whole: false, head: false };
    /// All there is.
    pub const ALL: ScoreParts =
        ScoreParts { coarsest: true, companion: true, cells: true, whole: true, head: true };

    /// The parts that a score is made of, the peak of the map first.
    pub(crate) fn kinds(self) -> impl Iterator<Item = PartKind> {
        let optional = [
            (self.coarsest, PartKind::Coarsest),
            (self.cells, PartKind::Cells),
            (self.whole, PartKind::Whole),
            (self.head, PartKind::Head),
        ];
        let asked = optional.into_iter().filter(|(asked, _)| *asked).map(|(_, kind)| kind);
        std::iter::once(PartKind::Peak).chain(asked)
    }
}

impl FromStr for ScoreParts {
    type Err = OptionError;

    fn from_str(text: &str) -> Result<ScoreParts, OptionError> {
        let wrong = || OptionError {
            option: "score-parts",
            found: text.to_owned(),
            allowed: "map, with any of coarsest, companion (with coarsest), cells, whole and head after it, as in map,cells,whole",
        };
        let mut words = text.split(',').map(str::trim);
        if words.next() != Some("map") {
            return Err(wrong());
        }
        let mut parts = ScoreParts::MAP;
        for word in words {
            match word {
                "coarsest" => parts.coarsest = true,
                "companion" => parts.companion = true,
                "cells" => parts.cells = true,
                "whole" => parts.whole = true,
                "head" => parts.head = true,
                _ => return Err(wrong()),
            }
        }
        if parts.companion && !parts.coarsest {
            return Err(wrong());
        }
        Ok(parts)
    }
}

written_as_text!(ScoreParts);

impl fmt::Display for ScoreParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("map")?;
        f.write_str(if self.coarsest { ",coarsest" } else { "" })?;
        f.write_str(if self.companion { ",companion" } else { "" })?;
        f.write_str(if self.cells { ",cells" } else { "" })?;
        f.write_str(if self.whole { ",whole" } else { "" })?;
        f.write_str(if self.head { ",head" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{Preset, TrainOptions};

    #[test]
    fn score_parts_are_read_and_written() {
        for text in [
            "map",
            "map,coarsest",
            "map,whole",
            "map,cells",
            "map,coarsest,cells,whole,head",
            "map,coarsest,companion",
        ] {
            assert_eq!(text.parse::<ScoreParts>().expect(text).to_string(), text);
        }
        for text in ["", "whole", "map,", "map,part", "part,map,", "map,companion"] {
            assert_eq!(text.parse::<ScoreParts>().map_err(|e| e.option), Err("score-parts"), "{text}");
        }
        let refused = |change: fn(&mut TrainOptions)| {
            let mut options = TrainOptions::preset(Preset::Fast);
            change(&mut options);
            options.check().map(|_| ()).map_err(|e| e.option)
        };
        assert_eq!(refused(|o| o.tile_overlap = Some(8)), Err("score_parts"));
        assert_eq!(refused(|o| o.foreground_score = true), Err("score_parts"));
        assert_eq!(refused(|o| o.score_parts.coarsest = false), Err("score_parts"));
        assert_eq!(refused(|o| o.whiten = false), Err("score_parts"));
        let coarsest = ScoreParts { coarsest: true, ..ScoreParts::MAP };
        let options = TrainOptions {
            foreground_score: true,
            score_parts: coarsest,
            ..TrainOptions::preset(Preset::Fast)
        };
        assert!(options.check().is_ok());
    }
}
