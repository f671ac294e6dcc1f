//! The whole graph: from the resized image to score, verdict and map.
//!
//! The equations are those of `bgad::score` (`surprise`): one map and one number that agree. An input with a value outside 0 to 1 is no
//! image: its score is not a number and its verdict NG.

use bgad::backbone::layers::Layers;
use bgad::score::{HEAD_FLOOR, PartKind, STANDS_OUT, STEEPNESS, Scale, Scorer};
use bgad::verdict::Thresholds;
use bgad::{Model, model::ModelError};

use super::score::OnGrid;
pub(crate) use super::score::View;
use super::{Builder, Value};
use crate::messages::Graph;

/// What the graph computes, before it is named and scaled for a profile.
pub(crate) struct Outputs {
    /// Nats, `[N]`.
    pub score: Value,
    /// What each part adds, nats, `[N]` each.
    pub parts: Vec<(PartKind, Value)>,
    /// Nats, `[N, 1, rows, columns]` of the window.
    pub map: Value,
    /// Whether the score is not OK, `[N]`.
    pub flagged: Value,
    /// Whether it is NG, `[N]`.
    pub stopped: Value,
    /// Whether a place stands out, `[N]`.
    pub is_of_a_place: Value,
}

/// Name of the input.
pub(crate) const INPUT: &str = "input";

/// The graph of a model; `finish` names what leaves it.
pub(crate) fn of_model(
    model: &Model,
    view: &View,
    finish: impl FnOnce(&mut Builder, Outputs),
) -> Result<Graph, ModelError> {
    let layers = model.layers()?;
    let mut builder = Builder::default();
    let input = builder.input(INPUT, &[3, view.size.height, view.size.width]);
    let read = builder.read(model, &layers, &input, view);
    let outputs = builder.scored(model, &input, read, view);
    finish(&mut builder, outputs);
    Ok(builder.finish())
}

/// What the networks say of an image.
struct Read {
    /// Features of each level as the backbone gives them.
    features: Vec<OnGrid>,
    /// `l − M` of each level.
    levels: Vec<OnGrid>,
    /// `l − M` of the companion.
    companion: Option<Value>,
}

impl Builder {
    fn read(&mut self, model: &Model, layers: &Layers, input: &Value, view: &View) -> Read {
        let scorer = model.scorer();
        let levels = model.header.options.levels;
        let maps = self.backbone(layers, levels, input, (view.size.height, view.size.width));
        let grids = scorer.levels().iter().map(|level| level.grid);
        let features: Vec<OnGrid> =
            maps.into_iter().zip(grids).map(|(value, grid)| OnGrid { value, grid }).collect();
        let baselines = scorer.baselines();
        let mut shifted = Vec::new();
        let mut companion = None;
        let maxima = scorer.constants().max_logp_per_level();
        let last = features.len() - 1;
        for (i, (level, max)) in scorer.levels().iter().zip(maxima).enumerate() {
            self.scope(format!("level{i}"));
            let white = self.whitened(level.whitening.as_ref(), &features[i].value);
            let l = self.likelihood(&level.flow, &white, level.grid);
            let l = self.levelled(OnGrid { value: l, grid: level.grid }, baselines.get(i), view);
            shifted.push(OnGrid { value: self.op_number("Sub", &l.value, *max), ..l });
            if let Some((flow, max)) = scorer.companion().filter(|_| i == last) {
                self.scope("companion");
                let l = self.likelihood(flow, &white, level.grid);
                let l = self.levelled(OnGrid { value: l, grid: level.grid }, baselines.get(i + 1), view);
                companion = Some(self.op_number("Sub", &l.value, max));
            }
        }
        Read { features, levels: shifted, companion }
    }

    fn scored(&mut self, model: &Model, input: &Value, read: Read, view: &View) -> Outputs {
        let scorer = model.scorer();
        self.scope("map");
        let mut map = self.map(&read.levels, view.size);
        let mut image: Option<Value> = None;
        let mut parts = Vec::new();
        for &(kind, scale) in scorer.parts() {
            self.scope(kind.name());
            let added = match kind {
                PartKind::Peak => {
                    map = self.nats_of(&map, scale);
                    continue;
                }
                PartKind::Head => {
                    let h = self.head(scorer.heads(), &read.features, view.size);
                    let of_place = self.nats_of(&h, scale);
                    let of_place = self.op_number("Mul", &of_place, scorer.head_weight());
                    map = self.op("Add", &[&map, &of_place]);
                    let h = self.limited_to_seen(&h, view);
                    let peak = self.peak(&h, view, scorer.pixels());
                    let nats = self.nats_of(&peak, scale);
                    self.above(&nats, HEAD_FLOOR)
                }
                _ => {
                    let Some(value) = self.part(kind, scorer, &read, view) else { continue };
                    let nats = self.nats_of(&value, scale);
                    self.above(&nats, 0.0)
                }
            };
            image = Some(match &image {
                None => added.clone(),
                Some(sum) => self.op("Add", &[sum, &added]),
            });
            parts.push((kind, added));
        }
        self.scope("score");
        let map = self.limited(&map, view, |builder| builder.reduce("ReduceMin", &map, &[1, 2, 3], true));
        let places = self.peak(&map, view, scorer.pixels());
        let image = image.unwrap_or_else(|| self.op_number("Mul", &places, 0.0));
        let valid = self.valid(input);
        let raw = Raw { map, places, image };
        self.agreed(raw, parts, &valid, scorer.total(), model.header.thresholds)
    }

    /// The value of a part of the image as a whole, `[N]`; `None` where nothing of it is looked at.
    fn part(&mut self, kind: PartKind, scorer: &Scorer, read: &Read, view: &View) -> Option<Value> {
        let features = read.features.last().expect("one level at least");
        if kind == PartKind::Coarsest {
            let own = read.levels.last().expect("one level at least");
            let l = match &read.companion {
                None => own.value.clone(),
                Some(l) => self.op("Min", &[&own.value, l]),
            };
            let a = OnGrid { value: self.op("Neg", &[&l]), grid: own.grid };
            return self.coarsest(&a, view, scorer.pixels());
        }
        let (_, gaussians) = scorer.regional_parts().find(|(part, _)| *part == kind)?;
        Some(self.regional(gaussians, features, view))
    }

    fn nats_of(&mut self, value: &Value, scale: Scale) -> Value {
        let above = self.op_number("Sub", value, scale.usual);
        self.op_number("Mul", &above, scale.gain)
    }

    /// What a value is above a floor.
    fn above(&mut self, value: &Value, floor: f32) -> Value {
        let above = self.op_number("Sub", value, floor);
        self.op("Relu", &[&above])
    }

    /// Whether every value of the input is from 0 to 1, `[N]`.
    fn valid(&mut self, input: &Value) -> Value {
        let low = self.op_number("GreaterOrEqual", input, 0.0);
        let high = self.op_number("LessOrEqual", input, 1.0);
        let both = self.op("And", &[&low, &high]);
        let one = self.op_with("Cast", &[&both], &[super::Fixed::Int("to", 1)]);
        let all = self.reduce("ReduceMin", &one, &[1, 2, 3], false);
        self.op_number("Greater", &all, 0.5)
    }

    /// `t` of it all, and what the thresholds say.
    fn agreed(
        &mut self,
        raw: Raw,
        parts: Vec<(PartKind, Value)>,
        valid: &Value,
        total: Scale,
        thresholds: Thresholds,
    ) -> Outputs {
        let Raw { map, places, image } = raw;
        let axes = self.whole_numbers(&[1, 2, 3]);
        let sum = self.op("Add", &[&places, &image]);
        let nats = self.nats_of(&sum, total);
        let broken = self.number(f32::NAN);
        let score = self.op("Where", &[valid, &nats, &broken]);

        let stands_out = self.op_number("Greater", &places, STANDS_OUT);
        let places_4d = self.op("Unsqueeze", &[&places, &axes]);
        let image_4d = self.op("Unsqueeze", &[&image, &axes]);
        let place = self.op("Min", &[&map, &places_4d]);
        // Where nothing stands out the share is 0: there the divisor only has to be a number above 0.
        let divisor = self.op_number("Max", &places_4d, STANDS_OUT);
        let share = self.op("Div", &[&place, &divisor]);
        let (low, high) = (self.number(0.0), self.number(1.0));
        let mut share = self.op("Clip", &[&share, &low, &high]);
        for _ in 0..STEEPNESS.ilog2() {
            share = self.op("Mul", &[&share, &share]);
        }
        let counts = self.op("Unsqueeze", &[&stands_out, &axes]);
        let evidence = self.op("Where", &[&counts, &image_4d, &low]);
        let evidence = self.op("Mul", &[&share, &evidence]);
        let shown = self.op("Add", &[&place, &evidence]);
        let map = self.nats_of(&shown, total);

        let not_above = |builder: &mut Builder, threshold: f32| {
            let up_to = builder.op_number("LessOrEqual", &score, threshold);
            builder.op("Not", &[&up_to])
        };
        // A score that is not a number is not up to any threshold: NG.
        let flagged = not_above(self, thresholds.ok);
        let stopped = not_above(self, thresholds.ng);
        let is_of_a_place = self.op("And", &[&stands_out, valid]);
        Outputs { score, parts, map, flagged, stopped, is_of_a_place }
    }
}

/// `m`, `S` and `E`.
struct Raw {
    map: Value,
    places: Value,
    image: Value,
}

const _: () = assert!(STEEPNESS == 16, "the power is formed by squaring four times");
