//! What a training will do: the options of a recipe for the images at hand.

use crate::dataset::{InputChoice, Split};
use crate::image::BitDepth;
use crate::options::{Recipe, TrainOptions};

/// Options, and how the input size came about.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// What training will be given.
    pub options: TrainOptions,
    /// How the input size was chosen from the images; `None` where the recipe says it.
    pub input: Option<InputChoice>,
}

impl Plan {
    /// The options of a recipe for the images of a split. Reads the headers of the good images and the masks of the known defects, unless the recipe
    /// names the input size, and some good images whole, unless it names the bit depth.
    pub fn new(recipe: &Recipe, seed: u64, split: &Split) -> Plan {
        let input = recipe.leaves_input_open().then(|| InputChoice::of(split));
        let size = input.as_ref().map(|choice| choice.size).or(recipe.input);
        let good = || split.train.iter().map(|sample| sample.path.clone()).collect::<Vec<_>>();
        let bit_depth = recipe.bit_depth.or_else(|| BitDepth::observed(&good()));
        let recipe = Recipe { input: size, bit_depth, ..recipe.clone() };
        Plan { options: recipe.options(seed, split.train.len(), split.anomalies.len()), input }
    }
}
