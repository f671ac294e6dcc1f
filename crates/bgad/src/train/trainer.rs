//! The front door of training: a folder or a split of one's own in, a model out.
//!
//! ```text
//! open or of    which images are for what; options and input size for them; network made ready
//! train         contents compared, so that nothing is learned from that is tested on; a model in memory
//! train_to      the same with a checkpoint after each meta-epoch, the model and its split as files at the end
//! ```

use std::path::{Path, PathBuf};

use super::plan::Plan;
use super::{Event, Kept, Material, Output, OutputError, Run, estimate, train};
use crate::Error;
use crate::backbone::Backbone;
use crate::dataset::{Choice, Chosen, InputChoice, Split, SplitRecord, UnsoundMask};
use crate::model::Model;
use crate::options::{Checked, DEFAULT_CACHE_LIMIT, Recipe};

/// A training that is ready to run: images, options and network are there and checked.
#[derive(Debug)]
pub struct Trainer {
    split: Split,
    data: PathBuf,
    options: Checked,
    input: Option<InputChoice>,
    notes: Vec<String>,
    unsound: Vec<UnsoundMask>,
    backbone: Backbone,
    material: Material,
    cache_limit: u64,
}

impl Trainer {
    /// Trains on the images of a folder, in any layout that bgad reads, or of a manifest.
    ///
    /// # Errors
    ///
    /// [`Error::Choice`] if there is no such split, else as [`Trainer::of`].
    pub fn open(data: &Path, choice: &Choice, recipe: &Recipe) -> Result<Trainer, Error> {
        let Chosen { split, notes } = choice.of(data)?;
        let trainer = Trainer::of(split, data, recipe, choice.seed)?;
        Ok(Trainer { notes, ..trainer })
    }

    /// Trains on images that the caller divides; the model records their names relative to the folder `data`.
    ///
    /// # Errors
    ///
    /// [`Error::Options`] for a choice outside its limits, [`Error::Recipe`] if the network cannot be had.
    pub fn of(split: Split, data: &Path, recipe: &Recipe, seed: u64) -> Result<Trainer, Error> {
        let mut split = split;
        let Plan { options, input, unsound } = Plan::new(recipe, seed, &mut split);
        Ok(Trainer {
            split,
            data: data.to_owned(),
            options: options.check()?,
            input,
            notes: Vec::new(),
            unsound,
            backbone: recipe.backbone()?,
            material: Material::default(),
            cache_limit: DEFAULT_CACHE_LIMIT,
        })
    }

    /// Makes defects with this, and looks only where it says.
    #[must_use]
    pub fn with_material(self, material: Material) -> Trainer {
        Trainer { material, ..self }
    }

    /// Keeps so many bytes of features in memory; the rest goes to a file. The model does not depend on it.
    #[must_use]
    pub fn with_cache_limit(self, cache_limit: u64) -> Trainer {
        Trainer { cache_limit, ..self }
    }

    /// Which image is for what.
    pub fn split(&self) -> &Split {
        &self.split
    }

    /// What is trained with.
    pub fn options(&self) -> &Checked {
        &self.options
    }

    /// How the input size was chosen from the images; `None` where the recipe says it.
    pub fn input(&self) -> Option<&InputChoice> {
        self.input.as_ref()
    }

    /// What is not used, or not as asked for: a sentence each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Known defects that are left out, because their masks do not say where the defect is.
    pub fn unsound(&self) -> &[UnsoundMask] {
        &self.unsound
    }

    /// Seconds that training will take on this machine, measured by training a little; `None` if the images that are tried cannot be used.
    pub fn estimate(&self, stop: &(dyn Fn() -> bool + Sync)) -> Option<f64> {
        estimate(&self.run(None, false, stop), &self.options)
    }

    /// Trains. `stop` is asked at every step.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] if one content is both in training and in test or calibration, [`Error::Train`] for what goes wrong after that:
    /// [`TrainError::Stopped`](super::TrainError::Stopped) once `stop` says true.
    pub fn train(
        &self,
        stop: &(dyn Fn() -> bool + Sync),
        progress: &mut dyn FnMut(Event<'_>),
    ) -> Result<Model, Error> {
        self.trained(&self.run(None, false, stop), progress)
    }

    /// Trains as [`Trainer::train`], with a checkpoint after each meta-epoch, and writes the model and its split. With `resume` it goes on from
    /// the checkpoint that is there.
    ///
    /// # Errors
    ///
    /// [`Unfinished`], which says what is kept. A checkpoint that cannot be removed at the end is an [`Event::Leftover`]: the model is whole.
    pub fn train_to(
        &self,
        output: &Output,
        resume: bool,
        stop: &(dyn Fn() -> bool + Sync),
        progress: &mut dyn FnMut(Event<'_>),
    ) -> Result<Model, Unfinished> {
        let run = self.run(Some(&output.checkpoint), resume, stop);
        let mut written = resume;
        let trained = self.trained(&run, &mut |event| {
            written |= matches!(event, Event::Checkpoint(_));
            progress(event);
        });
        let saved = trained.and_then(|model| {
            match output.save(&model, &self.split, &self.data) {
                Err(error @ OutputError::Leftover { .. }) => progress(Event::Leftover(&error)),
                saved => saved?,
            }
            Ok(model)
        });
        saved.map_err(|error| Unfinished { kept: output.kept_after(&error, written), error: Box::new(error) })
    }

    fn run<'a>(
        &'a self,
        checkpoint: Option<&'a Path>,
        resume: bool,
        stop: &'a (dyn Fn() -> bool + Sync),
    ) -> Run<'a> {
        Run {
            split: &self.split,
            backbone: &self.backbone,
            material: &self.material,
            checkpoint,
            resume,
            cache_limit: self.cache_limit,
            stop,
        }
    }

    fn trained(&self, run: &Run<'_>, progress: &mut dyn FnMut(Event<'_>)) -> Result<Model, Error> {
        let mut record = SplitRecord::of(&self.split, &self.data)?;
        record.check_contents()?;
        let mut model = train(run, &self.options, progress)?;
        record.keep_trained(&model.header.training.trained_on);
        model.header.training.split = Some(record);
        Ok(model)
    }
}

/// A training that left no model, and what it left instead.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct Unfinished {
    /// Why it ended.
    #[source]
    pub error: Box<Error>,
    /// What is kept, if that is worth a word.
    pub kept: Option<Kept>,
}
