//! A model as bytes.

use std::collections::HashMap;

use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde::{Deserialize, Serialize};

use super::{FORMAT_VERSION, Header, Model};
use crate::flow::{Flow, FlowShape, Whitening};
use crate::score::{Baseline, PartKind, Rule, Scale};

/// Key of the JSON text in the file's metadata.
pub(crate) const KEY: &str = "bgad";
/// The same of a checkpoint.
pub(crate) const CHECKPOINT_KEY: &str = "bgad_checkpoint";

/// The JSON of a file of format 2.
#[derive(Serialize, Deserialize)]
pub(super) struct FileHeader {
    #[serde(flatten)]
    pub header: Header,
    pub score: ScoreHeader,
}

/// What a score is made of, but for its tensors. A field that this version does not know would change the score unseen.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScoreHeader {
    pub rule: Rule,
    /// `M` of the companion; `None` if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub companion_max: Option<f32>,
    /// A level each and the companion last; empty if likelihoods are taken as they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub baselines: Vec<Baseline>,
    pub parts: Vec<PartHeader>,
    /// What the linear head is worth in the map.
    #[serde(default)]
    pub head_weight: f32,
    /// What the sum of the parts is worth.
    pub total: Scale,
}

/// A part of the score and what it is worth.
#[derive(Serialize, Deserialize)]
pub(super) struct PartHeader {
    pub part: PartKind,
    #[serde(flatten)]
    pub scale: Scale,
}

/// Tensors on their way to a file.
#[derive(Default)]
pub(crate) struct Tensors(Vec<(String, Vec<usize>, Vec<u8>, Dtype)>);

impl Tensors {
    pub(crate) fn put(&mut self, name: String, shape: Vec<usize>, values: &[f32]) {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.0.push((name, shape, bytes, Dtype::F32));
    }

    pub(crate) fn put_flow(&mut self, name: &str, flow: &Flow) {
        let FlowShape { channels, blocks } = flow.shape;
        self.put(format!("{name}.parameters"), vec![blocks, flow.shape.block_len()], &flow.parameters);
        self.put(format!("{name}.rotations"), vec![blocks, channels, channels], &flow.rotations);
    }

    fn put_gaussians(&mut self, name: &str, gaussians: &[Whitening], as_one: bool) {
        let (n, c) = (gaussians.len(), gaussians.first().map_or(0, |gaussian| gaussian.mean.len()));
        let all =
            |of: fn(&Whitening) -> &Vec<f32>| gaussians.iter().flat_map(of).copied().collect::<Vec<f32>>();
        let shape = |rest: &[usize]| if as_one { rest.to_vec() } else { [&[n], rest].concat() };
        self.put(format!("{name}.mean"), shape(&[c]), &all(|gaussian| &gaussian.mean));
        self.put(format!("{name}.matrix"), shape(&[c, c]), &all(|gaussian| &gaussian.matrix));
    }

    /// The bytes of a file with this JSON text under `key`.
    pub(crate) fn to_bytes(&self, key: &str, json: String) -> Vec<u8> {
        let views = self.0.iter().map(|(name, shape, bytes, dtype)| {
            let view = TensorView::new(*dtype, shape.clone(), bytes);
            (name.as_str(), view.expect("bytes made for this shape"))
        });
        safetensors::serialize(views, Some(HashMap::from([(key.to_owned(), json)])))
            .expect("tensors with distinct names")
    }
}

impl Model {
    /// The bytes of a model file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let scorer = &self.scorer;
        let mut tensors = Tensors::default();
        for (i, level) in scorer.levels.iter().enumerate() {
            tensors.put_flow(&format!("level{i}"), &level.flow);
            if let Some(whitening) = &level.whitening {
                tensors.put_gaussians(&format!("level{i}.whitening"), std::slice::from_ref(whitening), true);
            }
        }
        if let Some(flow) = &scorer.companion {
            tensors.put_flow("companion", flow);
        }
        for (kind, regional) in scorer.regional_parts() {
            let as_one = kind == PartKind::Whole;
            tensors.put_gaussians(kind.name(), &regional.gaussians, as_one);
        }
        for head in &scorer.heads {
            tensors.put(format!("head{}.weights", head.level), vec![head.weights.len()], &head.weights);
            tensors.put(format!("head{}.bias", head.level), vec![1], &[head.bias]);
        }
        if let Some(bytes) = &self.backbone_weights {
            tensors.0.push(("backbone.weights".into(), vec![bytes.len()], bytes.clone(), Dtype::U8));
        }
        let combination = &scorer.combination;
        let parts = combination.parts.iter().map(|&(part, scale)| PartHeader { part, scale });
        let json = FileHeader {
            header: Header { format_version: FORMAT_VERSION, ..self.header.clone() },
            score: ScoreHeader {
                rule: combination.rule,
                companion_max: combination.companion_max,
                baselines: combination.baselines.clone(),
                parts: parts.collect(),
                head_weight: combination.head_weight,
                total: combination.total,
            },
        };
        tensors.to_bytes(KEY, serde_json::to_string(&json).expect("a header of numbers and texts"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_would_change_the_score_unseen_is_refused_by_name() {
        let header = |more: &str| {
            let json = format!(
                r#"{{"rule": "surprise", "parts": [{{"part": "peak", "usual": 1, "gain": 2}}], "total": {{"usual": 0, "gain": 1}}{more}}}"#
            );
            serde_json::from_str::<ScoreHeader>(&json).map(|score| score.parts.len())
        };
        assert_eq!(header("").expect("a score"), 1);
        let refused =
            header(r#", "backgrounds": [{"usual": 1, "reach": 0.1}]"#).expect_err("unknown").to_string();
        assert!(refused.contains("unknown field `backgrounds`"), "{refused}");
    }
}
