//! Bytes become a model, or an error.

use serde::Deserialize;

use super::file::{CHECKPOINT_KEY, FileHeader, KEY, PartHeader, ScoreHeader};
use super::{FORMAT_VERSION, Header, LevelHeader, Model, ModelError};
use crate::backbone::efficientnet::STRIDES;
use crate::flow::{Flow, FlowShape, Whitening};
use crate::score::{
    Combination, Framing, LevelModel, LinearHead, PartKind, RegionalGaussians, Rule, Scale, Scorer,
};
use crate::weights::Weights;

/// What stands in the JSON of a file of format 1 where later formats have a list of parts.
#[derive(Deserialize)]
struct FirstFormat {
    #[serde(default)]
    companion_max: Option<f32>,
    #[serde(default)]
    cells: Option<Scale>,
    #[serde(default)]
    whole: Option<Scale>,
    training: FirstTraining,
}

#[derive(Deserialize)]
struct FirstTraining {
    /// Only in a checkpoint.
    #[serde(default)]
    checkpoint: Option<String>,
}

impl FirstFormat {
    fn score(self, header: &Header) -> ScoreHeader {
        let coarsest = header.options.score_parts.coarsest.then_some((PartKind::Coarsest, Scale::IDENTITY));
        let regional = [(PartKind::Cells, self.cells), (PartKind::Whole, self.whole)];
        let regional = regional.into_iter().filter_map(|(kind, scale)| Some((kind, scale?)));
        let parts = [(PartKind::Peak, Scale::IDENTITY)].into_iter().chain(coarsest).chain(regional);
        ScoreHeader {
            rule: Rule::Sum,
            companion_max: self.companion_max,
            baselines: Vec::new(),
            parts: parts.map(|(part, scale)| PartHeader { part, scale }).collect(),
            head_weight: 0.0,
            total: Scale::IDENTITY,
        }
    }
}

impl Model {
    pub(crate) fn from_weights(weights: &Weights) -> Result<Model, ModelError> {
        let (header, score) = headers(weights)?;
        let tensors = Reader { weights, blocks: header.options.blocks };
        let mut levels = Vec::with_capacity(header.levels.len());
        for (i, level) in header.levels.iter().enumerate() {
            let whitening = format!("level{i}.whitening");
            let whitening =
                header.options.whiten.then(|| tensors.gaussian(&whitening, level.channels)).transpose()?;
            let flow = tensors.flow(&format!("level{i}"), level.channels)?;
            levels.push(LevelModel { flow, whitening, grid: (level.height, level.width) });
        }
        let coarsest = header.levels.last().expect("checked");
        let companion =
            score.companion_max.map(|_| tensors.flow("companion", coarsest.channels)).transpose()?;
        let mut regional = Vec::new();
        let mut heads = Vec::new();
        for PartHeader { part, .. } in &score.parts {
            if let Some(regions) = part.regions() {
                regional.push(tensors.regional(*part, regions, coarsest)?);
            }
            if *part == PartKind::Head {
                heads = tensors.heads(&header.levels)?;
            }
        }
        let backbone_weights = match weights.shape("backbone.weights") {
            Some(_) => Some(weights.tensor_u8("backbone.weights").map_err(ModelError::Weights)?),
            None => None,
        };
        let combination = Combination {
            rule: score.rule,
            size: header.options.input,
            grids: levels.iter().map(|level| level.grid).collect(),
            pixels: header.options.score_pixels,
            constants: header.constants.clone(),
            companion_max: score.companion_max,
            baselines: score.baselines,
            parts: score.parts.iter().map(|part| (part.part, part.scale)).collect(),
            head_weight: score.head_weight,
            total: score.total,
        };
        let framing = match header.options.tile_overlap {
            Some(overlap) => Framing::Tiles { size: header.options.input, overlap },
            None => Framing::Whole(header.options.input),
        };
        let scorer = Scorer { framing, levels, companion, regional, heads, combination };
        Ok(Model { header, scorer, backbone_weights })
    }
}

/// The checked JSON of a file, of any format that is read.
fn headers(weights: &Weights) -> Result<(Header, ScoreHeader), ModelError> {
    let Some(text) = weights.metadata(KEY) else {
        let checkpoint = weights.metadata(CHECKPOINT_KEY).is_some();
        return Err(if checkpoint { ModelError::Checkpoint } else { ModelError::NotAModel });
    };
    // The version is looked at first: another version's header need not have our fields.
    #[derive(Deserialize)]
    struct Version {
        format_version: u32,
    }
    let version: Version = serde_json::from_str(text).map_err(ModelError::Header)?;
    let (header, score) = match version.format_version {
        1 => {
            let first: FirstFormat = serde_json::from_str(text).map_err(ModelError::Header)?;
            if first.training.checkpoint.is_some() {
                return Err(ModelError::Checkpoint);
            }
            let header: Header = serde_json::from_str(text).map_err(ModelError::Header)?;
            let score = first.score(&header);
            (header, score)
        }
        FORMAT_VERSION => {
            let FileHeader { header, score } = serde_json::from_str(text).map_err(ModelError::Header)?;
            (header, score)
        }
        found => return Err(ModelError::Version { found }),
    };
    let header = with_strides(header);
    header.check()?;
    score.check(&header)?;
    Ok((header, score))
}

/// Files of before strides were recorded have the levels of an EfficientNet.
fn with_strides(mut header: Header) -> Header {
    for (level, of_network) in header.levels.iter_mut().zip(header.options.levels.chosen()) {
        if level.stride == 0 {
            level.stride = STRIDES[of_network];
        }
    }
    header
}

impl ScoreHeader {
    fn check(&self, header: &Header) -> Result<(), ModelError> {
        let tiles = header.options.tile_overlap.is_some();
        let wrong = |what: &str| Err(ModelError::Inconsistent { what: what.to_owned() });
        if self.companion_max.is_some_and(|max| !max.is_finite()) {
            return wrong("the score constant of a companion is finite");
        }
        let levels = header.levels.len() + usize::from(self.companion_max.is_some());
        if !self.baselines.is_empty() && self.baselines.len() != levels {
            return wrong("a score has a baseline for each level, or none");
        }
        if !self.baselines.iter().all(|baseline| baseline.is_sound()) {
            return wrong("the baseline of a level is finite");
        }
        let scales = self.parts.iter().map(|part| part.scale).chain([self.total]);
        if !scales
            .into_iter()
            .all(|scale| scale.usual.is_finite() && scale.gain.is_finite() && scale.gain >= 0.0)
        {
            return wrong("what a part of the score is worth is finite");
        }
        if !(0.0..=10.0).contains(&self.head_weight) {
            return wrong("a linear head is worth 0 to 10 in the map");
        }
        let kinds: Vec<PartKind> = self.parts.iter().map(|part| part.part).collect();
        let distinct: std::collections::HashSet<_> = kinds.iter().collect();
        if kinds.first() != Some(&PartKind::Peak) || distinct.len() != kinds.len() {
            return wrong("a score has the peak of its map first, and no part twice");
        }
        if tiles && (kinds.len() > 1 || !self.baselines.is_empty()) {
            return wrong("a score of tiles is made of their map alone");
        }
        Ok(())
    }
}

/// Tensors of a file, each of the shape that is expected and all of it numbers.
struct Reader<'a> {
    weights: &'a Weights,
    blocks: usize,
}

impl Reader<'_> {
    fn finite(&self, tensor: String, shape: &[usize]) -> Result<Vec<f32>, ModelError> {
        read_finite(self.weights, tensor, shape)
    }

    fn flow(&self, name: &str, channels: usize) -> Result<Flow, ModelError> {
        read_flow(self.weights, name, FlowShape { channels, blocks: self.blocks })
    }

    fn gaussian(&self, name: &str, c: usize) -> Result<Whitening, ModelError> {
        let mean = self.finite(format!("{name}.mean"), &[c])?;
        Ok(Whitening { mean, matrix: self.finite(format!("{name}.matrix"), &[c, c])? })
    }

    fn regional(
        &self,
        part: PartKind,
        regions: crate::score::Regions,
        coarsest: &LevelHeader,
    ) -> Result<RegionalGaussians, ModelError> {
        let (rows, columns) = regions.grid((coarsest.height, coarsest.width));
        let (n, c) = (rows * columns, regions.dimensions(coarsest.channels));
        if part == PartKind::Whole {
            return Ok(RegionalGaussians { regions, gaussians: vec![self.gaussian(part.name(), c)?] });
        }
        let mean = self.finite(format!("{}.mean", part.name()), &[n, c])?;
        let matrix = self.finite(format!("{}.matrix", part.name()), &[n, c, c])?;
        let gaussians = mean.chunks(c).zip(matrix.chunks(c * c));
        let gaussians = gaussians.map(|(m, w)| Whitening { mean: m.to_vec(), matrix: w.to_vec() }).collect();
        Ok(RegionalGaussians { regions, gaussians })
    }

    fn heads(&self, levels: &[LevelHeader]) -> Result<Vec<LinearHead>, ModelError> {
        let there = |i: &usize| self.weights.shape(&format!("head{i}.weights")).is_some();
        let heads: Vec<LinearHead> = (0..levels.len())
            .filter(there)
            .map(|level| {
                let weights = self.finite(format!("head{level}.weights"), &[levels[level].channels])?;
                let bias = self.finite(format!("head{level}.bias"), &[1])?[0];
                Ok(LinearHead { level, weights, bias })
            })
            .collect::<Result<_, ModelError>>()?;
        if heads.is_empty() {
            return Err(ModelError::Inconsistent {
                what: "a score with a linear head has its weights".to_owned(),
            });
        }
        Ok(heads)
    }
}

/// The flow called `name`.
pub(crate) fn read_flow(weights: &Weights, name: &str, shape: FlowShape) -> Result<Flow, ModelError> {
    let FlowShape { channels, blocks } = shape;
    let read = |what: &str, shape: &[usize]| read_finite(weights, format!("{name}.{what}"), shape);
    Ok(Flow {
        shape,
        parameters: read("parameters", &[blocks, shape.block_len()])?,
        rotations: read("rotations", &[blocks, channels, channels])?,
    })
}

/// A tensor of this shape, all of it numbers.
pub(crate) fn read_finite(
    weights: &Weights,
    tensor: String,
    shape: &[usize],
) -> Result<Vec<f32>, ModelError> {
    let values = weights.tensor_f32(&tensor, shape).map_err(ModelError::Weights)?;
    match values.iter().all(|v| v.is_finite()) {
        true => Ok(values),
        false => Err(ModelError::NotFinite { tensor }),
    }
}
