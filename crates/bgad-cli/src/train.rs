//! `bgad train`: from a folder of images to a model file.

use std::fs;
use std::io::{self, Write};
use std::process;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use bgad::calibrate::session::{fewest_images, strongest_promise};
use bgad::dataset::{Setting, Split};
use bgad::image::BitDepth;
use bgad::model::Model;
use bgad::options::{DEFAULT_CACHE_LIMIT, Recipe};
use bgad::train::{Kept, Output, Trainer, Unfinished};

use crate::args::TrainArgs;
use crate::calibrate::{CONFIDENCE, rate_as_typed, thresholds_in_words};
use crate::exit::Outcome;
use crate::failure::{self, Failure, chain, context, say};
use crate::progress::{TrainProgress, duration};
use crate::{choice, machine, out, recipe, shell};

/// How often the user has asked to stop.
static STOPS: AtomicUsize = AtomicUsize::new(0);

pub(crate) fn run(args: &TrainArgs) -> Result<Outcome, Failure> {
    let started = Instant::now();
    // What costs nothing to find out is found out before an hour of training.
    args.recipe.check()?;
    let files = Output::beside(&args.output, args.force)?;
    if files.check_resume(args.resume)? {
        let checkpoint = files.checkpoint.display();
        say(format_args!(
            "note: training anew; {checkpoint} of an earlier run will be replaced (--resume goes on from it)"
        ));
    }
    machine::use_threads(args.threads)?;
    let (images, recipe) = (args.choice.choice(), args.recipe.recipe());
    let trainer = Trainer::open(&args.data, &images, &recipe)
        .map_err(recipe::in_typed_names)?
        .with_material(args.material.material())
        .with_cache_limit(args.cache_limit.unwrap_or(DEFAULT_CACHE_LIMIT));
    say_what_is_planned(&trainer, &recipe);

    stop_on_interrupt()?;
    let stop = || STOPS.load(Ordering::Relaxed) > 0;
    if !args.resume
        && let Some(secs) = trainer.estimate(&stop)
    {
        say(format_args!("takes about {}", duration(secs)));
    }
    let mut progress = TrainProgress::new();
    let trained = trainer.train_to(&files, args.resume, &stop, &mut |event| progress.event(event));
    progress.finish();
    let model = trained.map_err(|Unfinished { error, kept }| {
        let kept = match kept {
            None => return Failure::from(*error),
            Some(Kept::OfAnother) => format!("the checkpoint {} is kept", files.checkpoint.display()),
            Some(Kept::Nothing) => "there is no checkpoint of this run yet, nothing was written".to_owned(),
            Some(Kept::Checkpoint) => format!(
                "the checkpoint {} is kept: the same command with --resume goes on from there",
                files.checkpoint.display()
            ),
        };
        Failure::from(format!("{}; {kept}", chain(&*error)))
    })?;
    summary(args, &files, &model, trainer.split(), started)?;
    let skipped = progress.skipped + trainer.unsound().len();
    if skipped > 0 {
        say(failure::skipped(skipped, "the model was trained without them"));
    }
    Ok(Outcome::of(0, skipped))
}

/// What is not used, what is used for what, and how the images are looked at.
fn say_what_is_planned(trainer: &Trainer, recipe: &Recipe) {
    let (split, options) = (trainer.split(), trainer.options());
    trainer.notes().iter().for_each(|note| say(format_args!("note: {note}")));
    choice::name_unsound(trainer.unsound(), split.anomalies.len());
    say(format_args!("{}", split.counts()));
    if let Some(input) = trainer.input() {
        say(format_args!("input {input}"));
        if input.asks_for_tiles() {
            say("note: --tiles would look closer, at the price of time");
        }
    }
    if recipe.bit_depth.is_none() && options.bit_depth != BitDepth::FULL {
        say(format_args!(
            "bit depth {}: no good image of 16 bit needs more; --bit-depth 16 takes the full range",
            options.bit_depth
        ));
    }
}

/// The first Ctrl-C ends training at the next step, the second ends the program.
fn stop_on_interrupt() -> Result<(), Failure> {
    ctrlc::set_handler(|| {
        if STOPS.fetch_add(1, Ordering::Relaxed) > 0 {
            process::exit(2);
        }
        say("stopping; once more to stop at once");
    })
    .map_err(|error| context("cannot listen for Ctrl-C", error))
}

/// Normal images below which a model scores its own so much lower than new ones that it should be said.
const FEW_NORMAL: usize = 100;

fn summary(
    args: &TrainArgs,
    files: &Output,
    model: &Model,
    split: &Split,
    started: Instant,
) -> Result<(), Failure> {
    let header = &model.header;
    let options = &header.options;
    let megabytes = fs::metadata(&files.model)?.len() as f64 / 1e6;
    let mut out = out::text();
    writeln!(out, "model       {} ({megabytes:.1} MB)", files.model.display())?;
    writeln!(out, "split       {}", files.split.display())?;
    writeln!(
        out,
        "learned     from {} good images and {} known defects, {} at {}, schedule {}, seed {}",
        header.training.normal_images,
        header.training.anomalous_images,
        header.backbone,
        options.input,
        options.schedule,
        options.seed,
    )?;
    writeln!(
        out,
        "kept        {} good images held out to calibrate with, {} good and {} defective to test on",
        split.hold_out.len(),
        split.test_good.len(),
        split.test_bad.len()
    )?;
    writeln!(
        out,
        "verdict     {} (scores in nats; nothing is promised yet)",
        thresholds_in_words(header.thresholds)
    )?;
    if split.hold_out.is_empty() && header.training.normal_images < FEW_NORMAL {
        writeln!(
            out,
            "note        from so few good images the end of OK is rough, and good parts may land in REVIEW: bgad calibrate with new ones"
        )?;
    }
    if header.training.anomalous_images == 0 && !options.pseudo.any() {
        writeln!(
            out,
            "note        no defect was shown: --pseudo nsa,perlin makes some up, bgad learn adds real ones as they turn up"
        )?;
    }
    writeln!(out, "time        {}", duration(started.elapsed().as_secs_f64()))?;
    next(&mut out, args, files, split)?;
    out.flush()?;
    Ok(())
}

/// Commands that lead on, each as it can be typed.
fn next(out: &mut impl Write, args: &TrainArgs, files: &Output, split: &Split) -> io::Result<()> {
    let [model, data] = [&files.model, &args.data].map(|path| shell::quoted(path));
    writeln!(out, "\nnext")?;
    match strongest_promise(split.hold_out.len(), CONFIDENCE) {
        Some(rate) => writeln!(out, "  bgad calibrate {model} --max-false-alarms {}", rate_as_typed(rate))?,
        None if !split.hold_out.is_empty() => writeln!(
            out,
            "  (no promise can be proven with {} held out: it takes {})",
            failure::count(split.hold_out.len(), "image"),
            fewest_images(CONFIDENCE)
        )?,
        None => {}
    }
    if !(split.test_good.is_empty() && split.test_bad.is_empty()) {
        // A setting that leaves a type of defect out of the test is known to the split alone.
        let split = match args.choice.setting {
            Setting::General => String::new(),
            Setting::Hard(_) => format!(" --split {model}"),
        };
        writeln!(out, "  bgad evaluate {model} {data}{split}")?;
    }
    writeln!(out, "  bgad inspect {model} IMAGE_OR_FOLDER --out maps")
}
