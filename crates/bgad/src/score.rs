//! What an image is worth: likelihoods and other evidence become one map and one number.
//!
//! A [`Scorer`] holds everything that a verdict is made of: a flow a level, and the parts of the score, each with its scale. Training fits it
//! (`Combination::fit`), a model file keeps it, the detector runs it (`PreparedScorer`). An image is first read (`Reading`: what the
//! networks say of it), then combined (`Combination::score`): nothing else makes a score.
//!
//! How parts are combined is a [`Rule`]: by `surprise` in models of today, by `sum` in model files of format 1.

mod area;
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
use crate::image::{InputSize, Window};
use crate::pyramid::{FeatureMap, Pyramid};

pub use area::{ScoringArea, area_of};
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

/// From a [`Reading`] to a [`Score`]: constants and scales, no network.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Combination {
    pub rule: Rule,
    /// Size of the map.
    pub size: InputSize,
    /// Rows and columns of each level.
    pub grids: Vec<(usize, usize)>,
    /// `K`: pixels of the map, the highest ones, that a score is made of.
    pub pixels: usize,
    /// `M` of each level, nats per channel.
    pub constants: ScoreConstants,
    /// `M` of the companion.
    pub companion_max: Option<f32>,
    /// The parts and what each is worth; the peak is the first.
    pub parts: Vec<(PartKind, Scale)>,
    /// What the linear head is worth in the map.
    pub head_weight: f32,
    /// What the sum of all is worth.
    pub total: Scale,
}

/// What the networks say of an image.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Reading {
    /// Log-likelihood per channel of every position, level by level.
    pub levels: Vec<Vec<f32>>,
    /// The same of the companion.
    pub companion: Option<Vec<f32>>,
    /// Distance of each region, of each part of regions.
    pub regional: Vec<Vec<f32>>,
    /// Grid and values of each linear head.
    pub heads: Vec<((usize, usize), Vec<f32>)>,
}

/// What is looked at of an image.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    /// The part of the input that shows the image.
    pub window: Window,
    /// The pixels that are scored; `None` for all.
    pub area: Option<&'a Foreground>,
    /// The pixels of the image that are scored; `None` for all of the input.
    pub seen: Option<&'a Foreground>,
}

impl View<'_> {
    /// What is looked at of a map; what is not scored counts as `calm`.
    fn limited(&self, mut map: AnomalyMap, calm: f32) -> AnomalyMap {
        if let Some(area) = self.area {
            map.limit_to(area, calm);
        }
        map.cropped(self.window)
    }
}

/// One map and one number that agree.
#[derive(Clone, Debug)]
pub struct Score {
    /// Nats. Of models of today the rarity of the image: about e^−score of good images score higher.
    pub nats: f32,
    /// What each part adds to it at most, nats before the last scale.
    pub parts: Vec<(PartKind, f32)>,
    /// Anomaly per pixel, in the unit of the score.
    pub map: AnomalyMap,
    /// Whether the score is the highest value of the map. Otherwise no place stands out: what is odd is the image as a whole.
    pub is_of_a_place: bool,
}

impl Combination {
    /// Map and score of an image.
    pub(crate) fn score(&self, reading: &Reading, view: &View<'_>) -> Score {
        match self.rule {
            Rule::Sum => sum::score(self, reading, view),
            Rule::Surprise => surprise::score(self, reading, view),
        }
    }

    /// The map of a tile, to be blended with others.
    pub(crate) fn tile_map(&self, levels: &[Vec<f32>]) -> AnomalyMap {
        let mut map = self.map(levels);
        if let Some(peak) = self.scale(PartKind::Peak).filter(|_| self.rule == Rule::Surprise) {
            map.nats.iter_mut().for_each(|m| *m = peak.nats_of(*m));
        }
        map
    }

    /// Map and score of an image from the map that its tiles make.
    pub(crate) fn score_of_tiles(&self, map: AnomalyMap) -> Score {
        let places = map.peak(self.pixels);
        match self.rule {
            Rule::Sum => Score { nats: places, parts: Vec::new(), map, is_of_a_place: true },
            Rule::Surprise => surprise::Raw { map, places, image: 0.0 }.scored(self.total, Vec::new()),
        }
    }

    /// The score of an image of these likelihoods in which nothing else is odder than in the middle good image.
    pub(crate) fn score_of_places(&self, levels: &[Vec<f32>]) -> f32 {
        let reading = Reading { levels: levels.to_vec(), ..Reading::default() };
        let InputSize { height, width, .. } = self.size;
        let view = View { window: Window { top: 0, left: 0, height, width }, area: None, seen: None };
        match self.rule {
            Rule::Sum => self.score(&reading, &view).nats,
            Rule::Surprise => {
                let parts = self.parts.iter().filter(|(kind, _)| *kind == PartKind::Peak).copied().collect();
                Combination { parts, ..self.clone() }.score(&reading, &view).nats
            }
        }
    }

    /// What counts as calm where a map is not looked at.
    pub(crate) fn calm(&self, map: &AnomalyMap) -> f32 {
        match self.rule {
            Rule::Sum => 0.0,
            Rule::Surprise => map.nats.iter().copied().fold(f32::INFINITY, f32::min),
        }
    }

    /// `−ln(S / L)`: the map of all levels.
    pub(crate) fn map(&self, levels: &[Vec<f32>]) -> AnomalyMap {
        self.map_with(levels, &self.constants)
    }

    /// The same with other constants.
    pub(crate) fn map_with(&self, levels: &[Vec<f32>], constants: &ScoreConstants) -> AnomalyMap {
        let levels = levels.iter().zip(&self.grids);
        let levels: Vec<_> = levels.map(|(l, &(h, w))| LevelLogp { logp_per_channel: l, h, w }).collect();
        anomaly_map(&levels, constants, self.size.height, self.size.width)
    }

    /// What a part is worth, if the score has it.
    pub(crate) fn scale(&self, kind: PartKind) -> Option<Scale> {
        self.parts.iter().find(|(part, _)| *part == kind).map(|(_, scale)| *scale)
    }

    fn coarsest_grid(&self) -> (usize, usize) {
        *self.grids.last().expect("one level at least")
    }

    fn coarsest_max(&self) -> f32 {
        *self.constants.max_logp_per_level().last().expect("one level at least")
    }

    /// Sets all scales from good images that were not learned from; `distances` are those of training images, each held out, of each part of
    /// regions. A part in which good images do not differ tells nothing and is left out, of the readings too; which parts of regions are left is
    /// returned.
    pub(crate) fn fit(&mut self, reference: &mut [(Reading, View<'_>)], distances: &[Vec<f32>]) -> Vec<bool> {
        let mut kept = Vec::new();
        let mut parts = Vec::new();
        for &(kind, _) in &self.parts {
            let of = |(reading, view): &(Reading, View<'_>)| surprise::value(self, kind, reading, view);
            let mut values: Vec<f32> = reference.iter().filter_map(of).collect();
            let is_regional = kind.regions().is_some();
            if is_regional {
                values.extend(distances.get(kept.len()).into_iter().flatten());
            }
            let scale = match (kind, Scale::of_good(&values)) {
                (PartKind::Peak, scale) => Some(scale.unwrap_or(Scale::IDENTITY)),
                (_, scale) => scale,
            };
            if is_regional {
                kept.push(scale.is_some());
            }
            parts.extend(scale.map(|scale| (kind, scale)));
        }
        self.parts = parts;
        for (reading, _) in reference.iter_mut() {
            let mut kept = kept.iter();
            reading.regional.retain(|_| *kept.next().unwrap_or(&false));
        }
        let total = |(reading, view): &(Reading, View<'_>)| {
            let (raw, _) = surprise::raw(self, reading, view);
            raw.places + raw.image
        };
        let totals: Vec<f32> = reference.iter().map(total).collect();
        self.set_total(&totals);
        kept
    }

    /// Sets all scales of a score of tiles from the peaks of the maps of good images; their scores.
    pub(crate) fn fit_tiles(&mut self, peaks: &[f32]) -> Vec<f32> {
        let scale = Scale::of_good(peaks).unwrap_or(Scale::IDENTITY);
        self.parts = vec![(PartKind::Peak, scale)];
        let totals: Vec<f32> = peaks.iter().map(|peak| scale.nats_of(*peak)).collect();
        self.set_total(&totals);
        totals.into_iter().map(|total| self.total.nats_of(total)).collect()
    }

    /// Sets the last scale from what good images that were not learned from come to.
    fn set_total(&mut self, values: &[f32]) {
        let scale = Scale::of_good(values).unwrap_or(Scale::IDENTITY);
        // Half of the good images lie above the median: ln 2 nats of rarity.
        self.total = Scale { usual: scale.usual - std::f32::consts::LN_2 / scale.gain, ..scale };
    }
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

    /// `K`: pixels of the map, the highest ones, that a score is made of.
    pub fn pixels(&self) -> usize {
        self.combination.pixels
    }

    /// `M` of each level.
    pub fn constants(&self) -> &ScoreConstants {
        &self.combination.constants
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
