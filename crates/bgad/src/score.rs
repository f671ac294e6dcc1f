//! What an image is worth: likelihoods and other evidence become one map and one number.
//!
//! A [`Scorer`] holds everything that a verdict is made of: a flow a level, and the parts of the score, each with its scale. Training fits it
//! (`Combination::fit`), a model file keeps it, the detector runs it (`PreparedScorer`). An image is first read (`Reading`: what the
//! networks say of it), then combined (`Combination::score`): nothing else makes a score.
//!
//! How parts are combined is a [`Rule`]: by `surprise` in models of today, by `sum` in model files of format 1.

mod area;
mod baseline;
mod combination;
mod head;
mod level;
mod map;
mod peak;
mod regional;
mod scale;
mod sum;
mod surprise;

use bgad_kernels::Isa;
use serde::{Deserialize, Serialize};

use crate::flow::{Flow, Whitening};
use crate::foreground::Foreground;
use crate::image::InputSize;
use crate::pyramid::{FeatureMap, Pyramid};

pub use area::{ScoringArea, area_of};
pub use baseline::Baseline;
pub use combination::Score;
pub(crate) use combination::{Combination, Reading, View};
pub use head::LinearHead;
pub(crate) use head::deviation;
pub(crate) use level::ScoringLevel;
pub use map::{
    AnomalyMap, Between, LevelLogp, MaxLogp, ScoreConstants, ScoreConstantsError, aligned, anomaly_map,
    authors_form,
};
pub use peak::positions;
pub(crate) use regional::{Means, oddest};
pub use regional::{RegionalGaussians, Regions};
pub use scale::Scale;
pub(crate) use scale::quantile;
pub use surprise::{HEAD_FLOOR, STANDS_OUT, STEEPNESS};

/// What the score of an image is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartKind {
    /// The highest places of the map of all levels.
    Peak,
    /// The coarsest level by itself: its flow, or its companion.
    Coarsest,
    /// The image cell by cell.
    Cells,
    /// The image as a whole.
    Whole,
    /// The direction of the known defects.
    Head,
}

impl PartKind {
    /// All there are.
    pub const ALL: [PartKind; 5] =
        [PartKind::Peak, PartKind::Coarsest, PartKind::Cells, PartKind::Whole, PartKind::Head];

    /// The regions it looks at, if it is a part of regions.
    pub(crate) fn regions(self) -> Option<Regions> {
        match self {
            PartKind::Cells => Some(Regions::Cells),
            PartKind::Whole => Some(Regions::Whole),
            _ => None,
        }
    }

    /// Its name in records and tables.
    pub const fn name(self) -> &'static str {
        match self {
            PartKind::Peak => "peak",
            PartKind::Coarsest => "coarsest",
            PartKind::Cells => "cells",
            PartKind::Whole => "whole",
            PartKind::Head => "head",
        }
    }
}

/// How parts become one score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// The rule of model files of format 1.
    Sum,
    /// Surprises, added up where they belong.
    Surprise,
}

/// Where an image is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// As a whole, brought to the input size.
    Whole(InputSize),
    /// In overlapping tiles of its own pixels.
    Tiles {
        /// Size of a tile.
        size: InputSize,
        /// Pixels that neighbours have in common at least.
        overlap: usize,
    },
}

impl Framing {
    /// Size that the network sees.
    pub fn size(self) -> InputSize {
        match self {
            Framing::Whole(size) | Framing::Tiles { size, .. } => size,
        }
    }
}

/// One level: a flow over its features.
#[derive(Clone, Debug, PartialEq)]
pub struct LevelModel {
    /// The trained flow.
    pub flow: Flow,
    /// What happens to features before it.
    pub whitening: Option<Whitening>,
    /// Rows and columns of the feature map.
    pub grid: (usize, usize),
}

/// Everything that a score is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct Scorer {
    /// Where an image is looked at.
    pub(crate) framing: Framing,
    /// The flows, finest level first.
    pub(crate) levels: Vec<LevelModel>,
    /// A second flow of the coarsest level, shown normal images alone.
    pub(crate) companion: Option<Flow>,
    /// The Gaussians of the parts of regions, in the order of the parts.
    pub(crate) regional: Vec<RegionalGaussians>,
    /// The linear head, a level each.
    pub(crate) heads: Vec<LinearHead>,
    /// How all of that becomes a score.
    pub(crate) combination: Combination,
}

/// A [`Scorer`], packed. Shared between threads as it is.
#[derive(Debug)]
pub(crate) struct PreparedScorer {
    levels: Vec<ScoringLevel>,
    companion: Option<ScoringLevel>,
    regional: Vec<regional::PreparedRegional>,
    heads: Vec<LinearHead>,
    pub combination: Combination,
}

/// What it is made of, to be read: an export writes the same score in another form.
impl Scorer {
    /// Where an image is looked at.
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// The flows, finest level first.
    pub fn levels(&self) -> &[LevelModel] {
        &self.levels
    }

    /// The companion of the coarsest level with its `M`, nats per channel.
    pub fn companion(&self) -> Option<(&Flow, f32)> {
        self.companion.as_ref().zip(self.combination.companion_max)
    }

    /// The linear head, a level each; empty without one.
    pub fn heads(&self) -> &[LinearHead] {
        &self.heads
    }

    /// How parts become one score.
    pub fn rule(&self) -> Rule {
        self.combination.rule
    }

    /// The parts and what each is worth; the peak is the first.
    pub fn parts(&self) -> &[(PartKind, Scale)] {
        &self.combination.parts
    }

    /// `P`: pixels of the map, the highest ones, that a score is made of.
    pub fn pixels(&self) -> usize {
        self.combination.pixels
    }

    /// `M` of each level.
    pub fn constants(&self) -> &ScoreConstants {
        &self.combination.constants
    }

    /// What the likelihoods of an image are measured from, a level each and the companion last; empty if it is not.
    pub fn baselines(&self) -> &[Baseline] {
        &self.combination.baselines
    }

    /// `ω`: what the linear head is worth in the map.
    pub fn head_weight(&self) -> f32 {
        self.combination.head_weight
    }

    /// `t`: what the sum of all is worth.
    pub fn total(&self) -> Scale {
        self.combination.total
    }

    /// The parts of regions with their Gaussians.
    pub fn regional_parts(&self) -> impl Iterator<Item = (PartKind, &RegionalGaussians)> {
        let kinds =
            self.combination.parts.iter().map(|(kind, _)| *kind).filter(|kind| kind.regions().is_some());
        kinds.zip(&self.regional)
    }

    /// The form that runs.
    pub(crate) fn prepare(&self, isa: Isa) -> PreparedScorer {
        let anywhere = matches!(self.framing, Framing::Tiles { .. });
        let scoring = |flow: &Flow, level: &LevelModel| {
            ScoringLevel::new(flow, level.whitening.as_ref(), level.grid, anywhere, isa)
        };
        let coarsest = self.levels.last().expect("one level at least");
        PreparedScorer {
            levels: self.levels.iter().map(|level| scoring(&level.flow, level)).collect(),
            companion: self.companion.as_ref().map(|flow| scoring(flow, coarsest)),
            regional: self.regional.iter().map(|regional| regional.prepare(isa)).collect(),
            heads: self.heads.clone(),
            combination: self.combination.clone(),
        }
    }
}

impl PreparedScorer {
    /// What the networks say of an image, `seen` being what is looked at of it.
    pub(crate) fn read(&self, pyramid: &Pyramid, seen: Option<&Foreground>) -> Reading {
        let coarsest = pyramid.levels.last().expect("one level at least");
        let head = |head: &LinearHead| {
            let map: &FeatureMap = &pyramid.levels[head.level];
            ((map.height, map.width), head.apply(map))
        };
        Reading {
            levels: self.likelihoods(pyramid),
            companion: self.companion.as_ref().map(|companion| companion.logp(&coarsest.hwc)),
            regional: self.regional.iter().map(|regional| regional.distances(coarsest, seen)).collect(),
            heads: self.heads.iter().map(head).collect(),
        }
    }

    /// Log-likelihood per channel of every position, level by level.
    pub(crate) fn likelihoods(&self, pyramid: &Pyramid) -> Vec<Vec<f32>> {
        self.levels.iter().zip(&pyramid.levels).map(|(level, features)| level.logp(&features.hwc)).collect()
    }
}
