//! The state of a training run between two meta-epochs, as a file.
//!
//! A checkpoint is a model file with the moments of Adam (`adam.flowI.m`, `adam.flowI.v`: a level's each, the companion's last) and, in its own JSON text,
//! how far the run has come. Every random choice of a pass is drawn from the seed and the number of the pass, so nothing
//! else needs to be remembered: a resumed run ends in the same model, bit for bit.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::TrainError;
use super::level::LevelTrainer;
use crate::boundary::Boundary;
use crate::detector::{Model, ModelError};
use crate::durable;
use crate::flow::Flow;
use crate::weights::Weights;

/// How far a run has come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Progress {
    /// Passes done.
    pub passes: usize,
    /// Optimizer steps of each flow.
    pub steps: Vec<u64>,
    /// Running boundary of each flow.
    pub running: Vec<Option<Boundary>>,
    /// `ν` of each flow.
    pub normalizers: Vec<f32>,
    /// SHA-256 of all images and masks of the run in their order: resuming with others would give another model.
    pub images_sha256: String,
}

/// Writes `model` (the flows as they are) and the optimizer's state.
pub(super) fn save<'a>(
    path: &Path,
    mut model: Model,
    progress: &Progress,
    flows: impl Iterator<Item = &'a LevelTrainer>,
) -> Result<(), TrainError> {
    model.header.training.checkpoint = Some(serde_json::to_string(progress).expect("numbers and texts"));
    let moments: Vec<(String, &[f32])> = flows
        .enumerate()
        .flat_map(|(i, flow)| {
            [(format!("adam.flow{i}.m"), flow.m.as_slice()), (format!("adam.flow{i}.v"), flow.v.as_slice())]
        })
        .collect();
    let bytes = model.to_bytes(&moments);
    durable::replace(path, &bytes).map_err(|source| TrainError::Checkpoint {
        path: path.to_owned(),
        source: ModelError::Write { path: path.to_owned(), source },
    })
}

/// A run between two meta-epochs.
pub(super) struct Checkpoint {
    /// The flows, and the options, images and losses so far.
    pub model: Model,
    pub progress: Progress,
    /// First and second moment of each flow.
    pub moments: Vec<[Vec<f32>; 2]>,
}

/// Reads a checkpoint.
pub(super) fn load(path: &Path) -> Result<Checkpoint, TrainError> {
    let in_file = |source| TrainError::Checkpoint { path: path.to_owned(), source };
    let weights = Weights::open(path).map_err(|e| in_file(ModelError::Weights(e)))?;
    let model = Model::from_weights(&weights).map_err(in_file)?;
    let text = model.header.training.checkpoint.as_ref().ok_or_else(|| {
        in_file(ModelError::Inconsistent { what: "this is a finished model, not a checkpoint".into() })
    })?;
    let progress: Progress = serde_json::from_str(text).map_err(|e| in_file(ModelError::Header(e)))?;
    let flows: Vec<&Flow> = model.levels.iter().map(|level| &level.flow).chain(&model.companion).collect();
    let of_flows = [progress.steps.len(), progress.running.len(), progress.normalizers.len()];
    if of_flows != [flows.len(); 3] {
        return Err(in_file(ModelError::Inconsistent { what: "progress of another number of flows".into() }));
    }
    let mut moments = Vec::new();
    for (i, flow) in flows.into_iter().enumerate() {
        let read = |what: &str| {
            weights
                .tensor_f32(&format!("adam.flow{i}.{what}"), &[flow.shape.len()])
                .map_err(|e| in_file(ModelError::Weights(e)))
        };
        moments.push([read("m")?, read("v")?]);
    }
    Ok(Checkpoint { model, progress, moments })
}
