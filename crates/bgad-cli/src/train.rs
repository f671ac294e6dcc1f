//! `bgad train`: from a folder of images to a model file.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use bgad::dataset::Split;
use bgad::detector::Model;
use bgad::options::DEFAULT_CACHE_LIMIT;
use bgad::train::{self, Run, TrainError};

use crate::args::TrainArgs;
use crate::exit::Outcome;
use crate::failure::{Failure, chain, context, say};
use crate::progress::{TrainProgress, duration};
use crate::{choice, machine, shell};

/// How often the user has asked to stop.
static STOPS: AtomicUsize = AtomicUsize::new(0);

pub(crate) fn run(args: &TrainArgs) -> Result<Outcome, Failure> {
    let started = Instant::now();
    // What costs nothing to find out is found out before an hour of training.
    args.recipe.check()?;
    let files = Files::beside(&args.output)?;
    files.check_resume(args.resume)?;
    let isa = machine::isa()?;
    machine::use_threads(args.threads)?;
    let mut split = choice::split(&args.data, &args.choice)?;
    let planned = args.recipe.options(args.choice.seed, split.train.len(), split.anomalies.len());
    // Tiles are cut from images at their own size, at which no defect vanishes.
    let unsound = split.drop_unsound_masks(planned.tile_overlap.is_none().then_some(planned.input));
    choice::name_unsound(&unsound, split.anomalies.len());
    split.check_contents()?;
    say(format_args!("{}", split.counts()));
    let options = args.recipe.options(args.choice.seed, split.train.len(), split.anomalies.len()).check()?;
    let backbone = args.recipe.backbone(isa)?;

    stop_on_interrupt()?;
    let mut progress = TrainProgress::new();
    let run = Run {
        split: &split,
        backbone: &backbone,
        isa,
        material: &args.material.material(),
        checkpoint: Some(&files.checkpoint),
        resume: args.resume,
        cache_limit: args.cache_limit.unwrap_or(DEFAULT_CACHE_LIMIT),
        stop: &|| STOPS.load(Ordering::Relaxed) > 0,
    };
    let trained = train::train(&run, &options, &mut |event| progress.event(event));
    progress.finish();
    let saved = trained.map_err(Failure::from).and_then(|model| {
        files.save(&model, &split, &args.data)?;
        Ok(model)
    });
    let model = saved.map_err(|error| files.with_what_is_kept(error, args.resume || progress.checkpoint))?;
    if let Err(error) = train::remove_checkpoint(&files.checkpoint) {
        say(format_args!("cannot remove {}: {error}", files.checkpoint.display()));
    }
    summary(args, &files, &model, &split, started)?;
    let skipped = progress.skipped + unsound.len();
    if skipped > 0 {
        let files = if skipped == 1 { "1 file was".to_owned() } else { format!("{skipped} files were") };
        say(format_args!("{files} skipped, see above; the model was trained without"));
        return Ok(Outcome::Incomplete);
    }
    Ok(Outcome::Fine)
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

/// The files that training writes.
struct Files {
    model: PathBuf,
    split: PathBuf,
    checkpoint: PathBuf,
}

impl Files {
    /// The files for this output, or why it cannot be written.
    fn beside(output: &Path) -> Result<Files, Failure> {
        let refuse =
            |why: &str| Failure::from(format!("cannot write the model to {}: {why}", output.display()));
        let Some(name) = output.file_name() else { return Err(refuse("expected a file name")) };
        match fs::metadata(output) {
            Ok(found) if found.is_dir() => return Err(refuse("it is a folder, expected a file name")),
            // A device or a pipe would be replaced by the file.
            Ok(found) if !found.is_file() => return Err(refuse("it is not an ordinary file")),
            _ => {}
        }
        let with = |suffix: &str| {
            let mut name = OsString::from(name);
            name.push(suffix);
            output.with_file_name(name)
        };
        let folder =
            output.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if !folder.is_dir() {
            return Err(refuse(&format!("there is no folder {}", folder.display())));
        }
        let mut probe_name = OsString::from(".");
        probe_name.push(name);
        probe_name.push(format!(".{}.probe", process::id()));
        let probe = output.with_file_name(probe_name);
        let written = OpenOptions::new().write(true).create_new(true).open(&probe).map(drop);
        written.and_then(|()| fs::remove_file(&probe)).map_err(|error| refuse(&error.to_string()))?;
        Ok(Files {
            model: output.to_owned(),
            split: output.with_extension("split.json"),
            checkpoint: with(".checkpoint"),
        })
    }

    fn check_resume(&self, resume: bool) -> Result<(), Failure> {
        let checkpoint = self.checkpoint.display();
        match (resume, self.checkpoint.is_file()) {
            (true, false) => {
                let finished = match self.model.is_file() {
                    true => "; the model is there, so training may have been finished",
                    false => "; train without --resume",
                };
                Err(format!("there is no checkpoint {checkpoint} to resume from{finished}").into())
            }
            (false, true) => {
                say(format_args!(
                    "note: training anew; {checkpoint} of an earlier run will be replaced (--resume goes on from it)"
                ));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn save(&self, model: &Model, split: &Split, data: &Path) -> Result<(), Failure> {
        model.save(&self.model)?;
        split.write(&self.split, data)?;
        Ok(())
    }

    /// The error, with what an interrupted or failed run leaves behind.
    fn with_what_is_kept(&self, error: Failure, has_checkpoint: bool) -> Failure {
        let kept = if has_checkpoint && self.checkpoint.is_file() {
            let checkpoint = self.checkpoint.display();
            format!("the checkpoint {checkpoint} is kept: the same command with --resume goes on from there")
        } else if matches!(error.downcast_ref(), Some(TrainError::Stopped)) {
            "there is no checkpoint of this run yet, nothing was written".to_owned()
        } else {
            return error;
        };
        format!("{}; {kept}", chain(error.as_ref())).into()
    }
}

fn summary(
    args: &TrainArgs,
    files: &Files,
    model: &Model,
    split: &Split,
    started: Instant,
) -> Result<(), Failure> {
    let header = &model.header;
    let options = &header.options;
    let megabytes = fs::metadata(&files.model)?.len() as f64 / 1e6;
    let mut out = io::stdout().lock();
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
    if !split.hold_out.is_empty() {
        writeln!(out, "held out    {} good images to calibrate with", split.hold_out.len())?;
    }
    writeln!(
        out,
        "verdict     OK up to a score of {:.3} nats, NG above {:.3}, REVIEW between",
        header.thresholds.ok, header.thresholds.ng
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
    let [model, split_file, data] = [&files.model, &files.split, &args.data].map(|path| shell::quoted(path));
    writeln!(out, "\nnext")?;
    if !split.hold_out.is_empty() {
        writeln!(out, "  bgad calibrate {model} --max-false-alarms 5%")?;
    }
    writeln!(out, "  bgad evaluate {model} {data} --split {split_file}")?;
    writeln!(out, "  bgad inspect {model} IMAGE_OR_FOLDER --out maps")?;
    out.flush()?;
    Ok(())
}
