//! The state of a training run between two meta-epochs, as a file of its own kind.
//!
//! ```text
//! tensors    flowI.parameters, flowI.rotations      a level's each, the companion's last
//!            flowI.m, flowI.v [parameters]          the moments of Adam
//! metadata   "bgad_checkpoint": JSON, see [`State`]
//! ```
//!
//! Every random choice of a pass is drawn from the seed and the number of the pass, so nothing else needs to be
//! remembered: a resumed run ends in the same model, bit for bit. No command but a resumed training opens it.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::TrainError;
use super::level::LevelTrainer;
use crate::durable;
use crate::flow::{Flow, FlowShape};
use crate::model::{CHECKPOINT_KEY, ModelError, Tensors, read_finite, read_flow};
use crate::options::TrainOptions;
use crate::score::ScoringArea;
use crate::weights::Weights;

/// Version of the layout in this module's header.
const FORMAT_VERSION: u32 = 3;

/// How far a run has come, and of what run it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    pub format_version: u32,
    pub options: TrainOptions,
    pub area: ScoringArea,
    pub backbone_sha256: String,
    /// SHA-256 of all images and masks of the run in their order: resuming with others would give another model.
    pub images_sha256: String,
    /// Passes done.
    pub passes: usize,
    /// Per pass and level, the mean loss of a step.
    pub losses: Vec<Vec<f32>>,
    /// Each flow, the companion's last.
    pub flows: Vec<FlowState>,
}

/// One flow in training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct FlowState {
    pub channels: usize,
    /// Optimizer steps.
    pub steps: u64,
}

/// Writes the state of a run and its flows.
pub(super) fn save<'a>(
    path: &Path,
    state: &State,
    flows: impl Iterator<Item = &'a LevelTrainer>,
) -> Result<(), TrainError> {
    let mut tensors = Tensors::default();
    for (i, flow) in flows.enumerate() {
        tensors.put_flow(&format!("flow{i}"), &flow.flow);
        tensors.put(format!("flow{i}.m"), vec![flow.m.len()], &flow.m);
        tensors.put(format!("flow{i}.v"), vec![flow.v.len()], &flow.v);
    }
    let json = serde_json::to_string(state).expect("numbers and texts");
    durable::replace(path, &tensors.to_bytes(CHECKPOINT_KEY, json)).map_err(|source| TrainError::Checkpoint {
        path: path.to_owned(),
        source: ModelError::Write { path: path.to_owned(), source },
    })
}

/// A run between two meta-epochs.
pub(super) struct Checkpoint {
    pub state: State,
    /// Each flow with its first and second moments.
    pub flows: Vec<(Flow, [Vec<f32>; 2])>,
}

/// Reads a checkpoint.
pub(super) fn load(path: &Path) -> Result<Checkpoint, TrainError> {
    read(path).map_err(|source| TrainError::Checkpoint { path: path.to_owned(), source })
}

fn read(path: &Path) -> Result<Checkpoint, ModelError> {
    let wrong = |what: &str| ModelError::Inconsistent { what: what.to_owned() };
    let weights = Weights::open(path).map_err(ModelError::from)?;
    let text = weights
        .metadata(CHECKPOINT_KEY)
        .ok_or_else(|| wrong("this is no checkpoint of a training, or one of an earlier bgad"))?;
    let state: State = serde_json::from_str(text).map_err(ModelError::Header)?;
    if state.format_version != FORMAT_VERSION {
        return Err(ModelError::Version { found: state.format_version });
    }
    state.options.clone().check().map_err(|error| wrong(&error.to_string()))?;
    if state.flows.is_empty() || state.flows.iter().any(|flow| !(2..=4096).contains(&flow.channels)) {
        return Err(wrong("a checkpoint has flows of 2 to 4096 channels"));
    }
    let of_flow = |(i, flow): (usize, &FlowState)| {
        let shape = FlowShape { channels: flow.channels, blocks: state.options.blocks };
        let moments = |what: &str| read_finite(&weights, format!("flow{i}.{what}"), &[shape.len()]);
        Ok((read_flow(&weights, &format!("flow{i}"), shape)?, [moments("m")?, moments("v")?]))
    };
    let flows = state.flows.iter().enumerate().map(of_flow).collect::<Result<_, ModelError>>()?;
    Ok(Checkpoint { state, flows })
}

impl State {
    /// The state of a run, its flows still to be told.
    pub(super) fn version() -> u32 {
        FORMAT_VERSION
    }
}
