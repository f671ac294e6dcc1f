//! `bgad benchmark`: a grid of trainings and what they are worth.

mod cell;
mod grid;
mod page;
mod table;
mod write;

use std::collections::HashMap;
use std::io::Write as _;

use bgad::backbone::Backbone;
use bgad::detector::Detector;
use bgad::evaluation::{self, Scoring};
use bgad::model::Model;
use bgad::options::{Checked, DEFAULT_CACHE_LIMIT, PseudoKinds};
use bgad::train::{self, Plan, Run};

use crate::args::{BenchmarkArgs, Method};
use crate::exit::Outcome;
use crate::failure::{self, Failure, chain, say};
use crate::progress::CountProgress;
use crate::{choice, machine, out, product, recipe};
use cell::CellResult;
use grid::{Cell, DataFolder, cells};

pub(crate) fn run(args: &BenchmarkArgs) -> Result<Outcome, Failure> {
    args.recipe.check()?;
    machine::use_threads(args.threads)?;
    let folders = DataFolder::open_all(&args.data)?;
    let mut cells = cells(&folders, args)?;
    let of = cells.len();
    let backbone = args.recipe.backbone()?;
    let cell_folder = args.out.join("cells");
    product::folder(&cell_folder)?;

    let mut results = Vec::new();
    let mut failed = 0;
    let mut bench = Bench { args, backbone: &backbone, trained: HashMap::new(), group: None };
    for (i, cell) in cells.iter_mut().enumerate() {
        let path = cell_folder.join(format!("{}.json", cell.name()));
        let options = bench.options(cell)?;
        let key = bench.key(cell, &options);
        let at = format!("[{}/{of}]", i + 1);
        let title = format!("{at} {}", cell.title());
        if let Some(result) = CellResult::read(&path, &key) {
            say(format_args!("{title}: there already"));
            results.push(result);
            continue;
        }
        // One data set that fails must not lose the others.
        match bench.measure(cell, &options, key, &at) {
            Ok(result) => {
                say(format_args!("{title}: {}", result.in_short()));
                result.save(&path)?;
                results.push(result);
                // The tables are whole after every cell: a run of hours can be looked at, or broken off.
                write::all(&args.out, &results, failed)?;
            }
            Err(error) => {
                failed += 1;
                say(format_args!("{title}: failed: {}", chain(error.as_ref())));
            }
        }
    }
    write::all(&args.out, &results, failed)?;
    write!(out::text(), "{}", table::markdown(&table::rows(&results)))?;
    say(format_args!("tables written to {}", args.out.display()));
    if failed > 0 {
        say(format_args!("{failed} of {of} cells failed, see above; the tables are without them"));
    }
    let skipped = results.iter().map(|result| result.skipped).sum();
    if skipped > 0 {
        say(failure::skipped(skipped, "counted once for each cell; the figures are without them"));
    }
    Ok(Outcome::of(0, failed + skipped))
}

/// What all cells share.
struct Bench<'a> {
    args: &'a BenchmarkArgs,
    backbone: &'a Backbone,
    /// Models of the present data set and seed by their recipe: cells that differ in the test set alone share one.
    trained: HashMap<String, Trained>,
    group: Option<(String, u64)>,
}

/// What a training gave.
struct Trained {
    model: Model,
    secs: f64,
    /// Files that could not be used.
    skipped: usize,
}

impl Bench<'_> {
    /// Everything that decides a cell's result, as a digest.
    fn key(&self, cell: &Cell, options: &Checked) -> String {
        let tested = [&cell.split.test_good, &cell.split.test_bad];
        let tested = tested.map(|samples| cell::paths(samples, &cell.root));
        cell::digest(&(self.recipe_key(cell, options), tested))
    }

    /// Everything that decides a cell's model, as a digest.
    fn recipe_key(&self, cell: &Cell, options: &Checked) -> String {
        let learned = [&cell.split.train, &cell.split.anomalies];
        let from = learned.map(|samples| cell::paths(samples, &cell.root));
        let version = env!("CARGO_PKG_VERSION");
        let material = format!("{:?}", self.args.material.material());
        cell::digest(&(version, &**options, self.backbone.weights_sha256(), material, &cell.data, from))
    }

    /// What a cell is trained with; known defects from which nothing can be learned leave it.
    fn options(&self, cell: &mut Cell) -> Result<Checked, Failure> {
        let Plan { mut options, unsound, .. } =
            Plan::new(&self.args.recipe.recipe(), cell.seed, &mut cell.split);
        choice::name_unsound(&unsound, cell.split.anomalies.len());
        cell.unsound = unsound.len();
        if cell.method == Method::Nfad {
            // The baseline knows normal images only, whatever the method beside it is shown.
            options.pseudo = PseudoKinds::default();
        }
        recipe::checked(options)
    }

    /// Trains, unless a cell before it had the same recipe, and tests. `at` says on the terminal which cell it is.
    fn measure(
        &mut self,
        cell: &Cell,
        options: &Checked,
        key: String,
        at: &str,
    ) -> Result<CellResult, Failure> {
        let group = Some((cell.data.clone(), cell.seed));
        if self.group != group {
            self.trained.clear();
            self.group = group;
        }
        let recipe = self.recipe_key(cell, options);
        if !self.trained.contains_key(&recipe) {
            let trained = self.train(cell, options, at)?;
            self.trained.insert(recipe.clone(), trained);
        }
        let Trained { model, secs, skipped } = &self.trained[&recipe];
        let detector = Detector::new(model)?;
        let (good, bad) = (&cell.split.test_good, &cell.split.test_bad);
        let progress = CountProgress::new(&format!("{at} scoring images"), good.len() + bad.len());
        let mut skipped = *skipped + cell.unsound;
        let evaluation =
            evaluation::evaluate(&detector, good, bad, Scoring::Frozen, &mut |event| match event {
                evaluation::Event::Scored { done, .. } => progress.set(done),
                evaluation::Event::Skipped(error) => {
                    skipped += 1;
                    progress.say(&format!("skipped: {}", chain(error)));
                }
            })?;
        Ok(CellResult::new(cell, key, model.header.options.clone(), (*secs, skipped), evaluation))
    }

    fn train(&self, cell: &Cell, options: &Checked, at: &str) -> Result<Trained, Failure> {
        let run = Run {
            split: &cell.split,
            backbone: self.backbone,
            material: &self.args.material.material(),
            checkpoint: None,
            resume: false,
            cache_limit: DEFAULT_CACHE_LIMIT,
            stop: &|| false,
        };
        let started = std::time::Instant::now();
        let progress = CountProgress::new(&format!("{at} passes of training"), options.schedule.passes());
        let mut skipped = 0;
        let model = train::train(&run, options, &mut |event| match event {
            train::Event::Pass(report) => progress.set(report.pass),
            train::Event::Skipped(error) => {
                skipped += 1;
                progress.say(&format!("skipped: {}", chain(error)));
            }
            _ => {}
        })?;
        Ok(Trained { model, secs: started.elapsed().as_secs_f64(), skipped })
    }
}
