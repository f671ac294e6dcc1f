//! From what the networks say of an image to its score: constants and scales, no network.

use std::borrow::Cow;

use super::baseline::{Baseline, middle};
use super::map::{AnomalyMap, LevelLogp, ScoreConstants, anomaly_map};
use super::scale::Scale;
use super::{PartKind, Rule, sum, surprise};
use crate::foreground::Foreground;
use crate::image::{InputSize, Window};

/// From a [`Reading`] to a [`Score`]: constants and scales, no network.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Combination {
    pub rule: Rule,
    /// Size of the map.
    pub size: InputSize,
    /// Rows and columns of each level.
    pub grids: Vec<(usize, usize)>,
    /// `P`: pixels of the map, the highest ones, that a score is made of.
    pub pixels: usize,
    /// `M` of each level, nats per channel.
    pub constants: ScoreConstants,
    /// `M` of the companion.
    pub companion_max: Option<f32>,
    /// What the likelihoods of an image are measured from, a level each and the companion last; empty if it is not.
    pub baselines: Vec<Baseline>,
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

impl Reading {
    /// What each flow says, the companion last.
    fn likelihoods(&self) -> impl Iterator<Item = &[f32]> {
        self.levels.iter().map(Vec::as_slice).chain(self.companion.as_deref())
    }

    fn likelihoods_mut(&mut self) -> impl Iterator<Item = &mut [f32]> {
        self.levels.iter_mut().map(Vec::as_mut_slice).chain(self.companion.as_deref_mut())
    }
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
    /// Which positions of a grid are looked at; `None` for all.
    pub(super) fn on_grid(&self, grid: (usize, usize)) -> Option<Vec<bool>> {
        self.seen.map(|seen| seen.on_grid(grid))
    }

    /// What is looked at of a map; what is not scored counts as `calm`.
    pub(super) fn limited(&self, mut map: AnomalyMap, calm: f32) -> AnomalyMap {
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
            Rule::Surprise => surprise::score(self, &self.levelled(reading, view), view),
        }
    }

    /// A reading whose likelihoods are measured from the image's own baseline.
    fn levelled<'a>(&self, reading: &'a Reading, view: &View<'_>) -> Cow<'a, Reading> {
        if self.baselines.is_empty() {
            return Cow::Borrowed(reading);
        }
        let mut levelled = reading.clone();
        for (i, (l, baseline)) in levelled.likelihoods_mut().zip(&self.baselines).enumerate() {
            baseline.level(l, view.on_grid(self.grid_of(i)).as_deref());
        }
        Cow::Owned(levelled)
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

    /// The grid of a flow: those of the levels, then the companion's.
    fn grid_of(&self, flow: usize) -> (usize, usize) {
        self.grids.get(flow).copied().unwrap_or_else(|| self.coarsest_grid())
    }

    pub(super) fn coarsest_grid(&self) -> (usize, usize) {
        *self.grids.last().expect("one level at least")
    }

    pub(super) fn coarsest_max(&self) -> f32 {
        *self.constants.max_logp_per_level().last().expect("one level at least")
    }

    /// Sets the baselines and all scales from good images that were not learned from; `distances` are those of training images, each held out, of
    /// each part of regions. A part in which good images do not differ tells nothing and is left out, of the readings too; which parts of regions
    /// are left is returned.
    pub(crate) fn fit(&mut self, reference: &mut [(Reading, View<'_>)], distances: &[Vec<f32>]) -> Vec<bool> {
        self.baselines = self.baselines_of(reference);
        let levelled =
            reference.iter().map(|(reading, view)| (self.levelled(reading, view).into_owned(), *view));
        let mut levelled: Vec<_> = levelled.collect();
        let mut kept = Vec::new();
        let mut parts = Vec::new();
        for &(kind, _) in &self.parts {
            let of = |(reading, view): &(Reading, View<'_>)| surprise::value(self, kind, reading, view);
            let mut values: Vec<f32> = levelled.iter().filter_map(of).collect();
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
        for (reading, _) in reference.iter_mut().chain(&mut levelled) {
            let mut kept = kept.iter();
            reading.regional.retain(|_| *kept.next().unwrap_or(&false));
        }
        let total = |(reading, view): &(Reading, View<'_>)| {
            let (raw, _) = surprise::raw(self, reading, view);
            raw.places + raw.image
        };
        let totals: Vec<f32> = levelled.iter().map(total).collect();
        self.set_total(&totals);
        kept
    }

    /// The baseline of each level, and of the companion; none if one of them cannot be told.
    fn baselines_of(&self, reference: &[(Reading, View<'_>)]) -> Vec<Baseline> {
        let of = |i: usize| {
            let middle_of = |(reading, view): &(Reading, View<'_>)| {
                middle(reading.likelihoods().nth(i)?, view.on_grid(self.grid_of(i)).as_deref())
            };
            Baseline::of_good(reference.iter().filter_map(middle_of).collect())
        };
        let flows = self.grids.len() + usize::from(self.companion_max.is_some());
        (0..flows).map(of).collect::<Option<_>>().unwrap_or_default()
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

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: InputSize = InputSize { height: 4, width: 4, keep_aspect: false };
    const VIEW: View<'_> =
        View { window: Window { top: 0, left: 0, height: 4, width: 4 }, area: None, seen: None };

    fn combination() -> Combination {
        Combination {
            rule: Rule::Surprise,
            size: SIZE,
            grids: vec![(4, 4), (2, 2)],
            pixels: 4,
            constants: ScoreConstants::new(vec![1.0, 2.0]).expect("finite"),
            companion_max: Some(1.5),
            baselines: Vec::new(),
            parts: vec![(PartKind::Peak, Scale::IDENTITY), (PartKind::Coarsest, Scale::IDENTITY)],
            head_weight: 0.0,
            total: Scale::IDENTITY,
        }
    }

    /// The `i`-th good image, and what moves all of it.
    fn reading(i: usize, shift: f32) -> Reading {
        let at = |p: usize| shift - ((7 * i + 5 * p) % 11) as f32 / 10.0;
        Reading {
            levels: vec![(0..16).map(at).collect(), (0..4).map(at).collect()],
            companion: Some((1..5).map(at).collect()),
            ..Reading::default()
        }
    }

    #[test]
    fn what_moves_a_whole_image_moves_its_score_only_beyond_good_images() {
        let mut combination = combination();
        let mut good: Vec<_> = (0..20).map(|i| (reading(i, 0.3 * (i % 7) as f32), VIEW)).collect();
        combination.fit(&mut good, &[]);
        let reach = combination.baselines.iter().map(|baseline| baseline.reach);
        let reach = reach.fold(f32::INFINITY, f32::min);
        assert!(combination.baselines.len() == 3 && reach > 0.1, "{:?}", combination.baselines);
        let nats = |shift: f32| combination.score(&reading(3, shift), &VIEW).nats;
        let (usual, darker) = (nats(0.9), nats(0.9 - reach / 3.0));
        assert!((usual - darker).abs() < 1e-4, "{usual} {darker}");
        let defective = nats(-3.0);
        assert!(defective > usual + 1.0, "a defect over the whole image: {defective} {usual}");
    }
}
