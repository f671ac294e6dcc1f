//! What a training will do: the options of a recipe for the images at hand.

use crate::dataset::{InputChoice, Split, UnsoundMask};
use crate::image::BitDepth;
use crate::options::{Recipe, TrainOptions};

/// Options, how the input size came about, and which known defects were left out.
#[derive(Debug)]
pub struct Plan {
    /// What training will be given.
    pub options: TrainOptions,
    /// How the input size was chosen from the images; `None` where the recipe says it.
    pub input: Option<InputChoice>,
    /// Images taken out of [`Split::anomalies`], because their masks say nothing about where the defect is: whoever trains names them.
    pub unsound: Vec<UnsoundMask>,
}

impl Plan {
    /// The options of a recipe for the images of a split, from which it takes the known defects whose masks give no position. Reads the
    /// masks of the known defects, the headers of the good images, unless the recipe names the input size, and some good images whole,
    /// unless it names the bit depth.
    pub fn new(recipe: &Recipe, seed: u64, split: &mut Split) -> Plan {
        let mut unsound = Vec::new();
        loop {
            let (options, input) = choose(recipe, seed, split);
            // Tiles are cut from images at their own size, at which no defect vanishes.
            let size = options.tile_overlap.is_none().then_some(options.input);
            let found = split.drop_unsound_masks(size);
            if found.is_empty() {
                return Plan { options, input, unsound };
            }
            // The input size and the score depend on the defects that are left.
            unsound.extend(found);
        }
    }
}

fn choose(recipe: &Recipe, seed: u64, split: &Split) -> (TrainOptions, Option<InputChoice>) {
    let input = recipe.leaves_input_open().then(|| InputChoice::of(split));
    let size = input.as_ref().map(|choice| choice.size).or(recipe.input);
    let good = || split.train.iter().map(|sample| sample.path.clone()).collect::<Vec<_>>();
    let bit_depth = recipe.bit_depth.or_else(|| BitDepth::observed(&good()));
    let recipe = Recipe { input: size, bit_depth, ..recipe.clone() };
    (recipe.options(seed, split.train.len(), split.anomalies.len()), input)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use image::{GrayImage, Luma};

    use super::*;
    use crate::dataset::{Kind, MaskFault, Sample};

    /// An image of 64x64 pixels, white in a square of this side.
    fn square(folder: &Path, name: &str, side: u32) -> std::path::PathBuf {
        let path = folder.join(name);
        let is_white = |at: u32| (20..20 + side).contains(&at);
        let picture = GrayImage::from_fn(64, 64, |x, y| Luma([255 * u8::from(is_white(x) && is_white(y))]));
        picture.save(&path).expect("a file");
        path
    }

    #[test]
    fn known_defects_whose_masks_give_no_position_are_not_planned_with() {
        let folder = tempfile::tempdir().expect("a folder");
        let sample = |name: &str, mask: Option<u32>| Sample {
            path: square(folder.path(), &format!("{name}.png"), 8),
            mask: mask.map(|side| square(folder.path(), &format!("{name}_mask.png"), side)),
            kind: mask.map_or(Kind::Good, |_| Kind::Defect("dent".into())),
        };
        let anomalies: Vec<_> =
            [("sound", 12), ("empty", 0), ("speck", 1)].map(|(name, side)| sample(name, Some(side))).into();
        let mut split = Split {
            train: vec![sample("good", None)],
            anomalies: anomalies.clone(),
            hold_out: Vec::new(),
            test_good: Vec::new(),
            test_bad: Vec::new(),
        };
        let recipe = Recipe { input: Some("32".parse().expect("a size")), ..Recipe::default() };
        let mut whole = split.clone();
        let Plan { options, unsound, .. } = Plan::new(&recipe, 7, &mut split);
        assert_eq!(split.anomalies, anomalies[..1]);
        let faults: Vec<_> = unsound.iter().map(|found| &found.fault).collect();
        assert!(
            matches!(faults[..], [MaskFault::Empty, MaskFault::Vanishes { pixels: 1, .. }]),
            "{faults:?}"
        );
        assert_eq!(options, recipe.options(7, 1, 1), "as if they had never been there");
        // Tiles see images at their own size.
        let recipe = Recipe { tiles: true, ..recipe };
        let Plan { unsound, .. } = Plan::new(&recipe, 7, &mut whole);
        assert_eq!(unsound.len(), 1, "{unsound:?}");
    }
}
