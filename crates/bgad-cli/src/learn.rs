//! `bgad learn`: what the line has found since goes into the model, if that makes it no worse.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use bgad::backbone::Backbone;
use bgad::dataset::{Kind, Sample, Split, content_hash};
use bgad::detector::Detector;
use bgad::evaluation::{self, Evaluation, Event, Scoring};
use bgad::model::Model;
use bgad::options::DEFAULT_CACHE_LIMIT;
use bgad::train::{self, Material, Run};
use bgad_kernels::Isa;

use crate::args::LearnArgs;
use crate::exit::Outcome;
use crate::failure::{self, Failure, context, say};
use crate::inspect::inputs::Inputs;
use crate::progress::{CountProgress, TrainProgress, duration};
use crate::{calibrate, choice, machine};

pub(crate) fn run(args: &LearnArgs) -> Result<Outcome, Failure> {
    let started = Instant::now();
    let isa = machine::isa()?;
    machine::use_threads(args.threads)?;
    let known = Model::open(&args.model)?;
    let (mut split, data) = choice::beside(&args.model, args.data.as_deref())?;
    let lesson = Lesson::find(args, &known)?;
    lesson.add_to(&mut split);
    let before = evaluated(&known, &split, isa)?;

    let mut progress = TrainProgress::new();
    let backbone = backbone(&known, isa)?;
    let run = Run {
        split: &split,
        backbone: &backbone,
        isa,
        material: &Material::default(),
        checkpoint: None,
        resume: false,
        cache_limit: DEFAULT_CACHE_LIMIT,
        stop: &|| false,
    };
    let learned = train::fine_tune(&run, &known, args.schedule, args.learning_rate, &mut |event| {
        progress.event(event);
    });
    progress.finish();
    let mut model = learned?;
    if progress.skipped > 0 {
        return Err(format!(
            "{} files could not be used, see above; {} is as it was",
            progress.skipped,
            args.model.display()
        )
        .into());
    }
    calibrate_again(&mut model, &known, &split, isa)?;
    let after = evaluated(&model, &split, isa)?;
    let detectors = [Detector::new(&known, isa)?, Detector::new(&model, isa)?];
    print(&lesson, [&known, &model], [&before, &after], &detectors, started)?;

    let escapes = [(&known, &before), (&model, &after)].map(|(model, e)| at_operating_point(model, e)[0]);
    if escapes[1] > escapes[0] && !args.force {
        return Err(format!(
            "not written: {} defects escape instead of {}; --force writes it all the same",
            escapes[1], escapes[0]
        )
        .into());
    }
    let out = args.out.as_ref().unwrap_or(&args.model);
    // A split file of images that the model beside it does not know yet does no harm; the other way round it would.
    split.write(&out.with_extension("split.json"), &data)?;
    model.save(out).map_err(|error| context(format!("cannot write {}", out.display()), error))?;
    say(format_args!("{} has learned it", out.display()));
    Ok(Outcome::Fine)
}

fn backbone(model: &Model, isa: Isa) -> Result<Backbone, Failure> {
    Ok(model.backbone(isa)?)
}

/// What is to be learned.
struct Lesson {
    defects: Vec<Sample>,
    good: Vec<Sample>,
    /// Contents of all of them.
    sha256: Vec<String>,
}

impl Lesson {
    fn find(args: &LearnArgs, known: &Model) -> Result<Lesson, Failure> {
        if args.defect.len() != args.mask.len() {
            return Err(format!(
                "{} defects and {} masks: give each --defect its --mask",
                args.defect.len(),
                args.mask.len()
            )
            .into());
        }
        let mut lesson = Lesson { defects: Vec::new(), good: Vec::new(), sha256: Vec::new() };
        for (image, mask) in args.defect.iter().zip(&args.mask) {
            fs::metadata(mask)
                .map_err(|error| context(format!("{}: cannot be read", mask.display()), error))?;
            let folder = std::path::absolute(image)?;
            let folder = folder.parent().and_then(Path::file_name).unwrap_or_default();
            let kind = Kind::Defect(folder.to_string_lossy().into_owned());
            lesson.defects.push(Sample { path: image.clone(), mask: Some(mask.clone()), kind });
        }
        for input in Inputs::find(&args.good).images {
            lesson.good.push(Sample { path: input.path, mask: None, kind: Kind::Good });
        }
        for sample in lesson.defects.iter().chain(&lesson.good) {
            let shown = sample.path.display();
            let bytes =
                fs::read(&sample.path).map_err(|error| context(format!("{shown}: cannot be read"), error))?;
            let hash = content_hash(&bytes);
            if known.header.trained_on(&hash) {
                return Err(format!("{shown}: the model has learned from this image already").into());
            }
            if lesson.sha256.contains(&hash) {
                return Err(format!("{shown}: the same picture twice: give every image once").into());
            }
            lesson.sha256.push(hash);
        }
        match lesson.sha256.is_empty() {
            true => Err("nothing to learn: give --defect with --mask, or --good".into()),
            false => Ok(lesson),
        }
    }

    /// Adds it to what is learned from, and takes it out of everything else.
    fn add_to(&self, split: &mut Split) {
        for list in [&mut split.test_good, &mut split.test_bad, &mut split.hold_out] {
            list.retain(|sample| {
                !fs::read(&sample.path).is_ok_and(|bytes| self.sha256.contains(&content_hash(&bytes)))
            });
        }
        split.anomalies.extend(self.defects.iter().cloned());
        split.train.extend(self.good.iter().cloned());
    }
}

/// The figures on the images that neither model learns from.
fn evaluated(model: &Model, split: &Split, isa: Isa) -> Result<Evaluation, Failure> {
    let detector = Detector::new(model, isa)?;
    let good: Vec<Sample> = split.test_good.iter().chain(&split.hold_out).cloned().collect();
    let progress = CountProgress::new("scoring images", good.len() + split.test_bad.len());
    let mut on_event = |event: Event<'_>| match event {
        Event::Scored { done, .. } => progress.set(done),
        Event::Skipped(error) => progress.say(&format!("skipped: {}", failure::chain(error))),
    };
    Ok(evaluation::evaluate(&detector, &good, &split.test_bad, Scoring::Frozen, &mut on_event)?)
}

/// Carries a promise over to the new scores, or says that it is gone.
fn calibrate_again(model: &mut Model, known: &Model, split: &Split, isa: Isa) -> Result<(), Failure> {
    let Some(before) = &known.header.calibration else { return Ok(()) };
    let good: Vec<PathBuf> = split.hold_out.iter().map(|sample| sample.path.clone()).collect();
    match calibrate::again(model, before, &good, isa)? {
        Some(calibration) => {
            model.header.thresholds = calibration.thresholds;
            model.header.calibration = Some(calibration);
        }
        None => say(
            "note: the thresholds were calibrated and are now the default again: run bgad calibrate as before",
        ),
    }
    Ok(())
}

/// Defective images up to the threshold of the operating point, and good ones above it.
fn at_operating_point(model: &Model, evaluation: &Evaluation) -> [usize; 2] {
    let threshold = model.header.operating_threshold();
    let count = |defective: bool, above: bool| {
        let images = evaluation.images.iter();
        images
            .filter(|i| i.sample.kind.defect().is_some() == defective && (i.score > threshold) == above)
            .count()
    };
    [count(true, false), count(false, true)]
}

fn print(
    lesson: &Lesson,
    models: [&Model; 2],
    evaluations: [&Evaluation; 2],
    detectors: &[Detector; 2],
    started: Instant,
) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let percent = |share: Option<f64>| share.map_or("-".to_owned(), |share| format!("{:.2}", 100.0 * share));
    let c = &evaluations[0].counts;
    let at = [0, 1].map(|i| at_operating_point(models[i], evaluations[i]));
    writeln!(out, "{:<28}{:>9}  {:>9}", "on images kept apart", "before", "after")?;
    let rows = [
        ("image AUROC, %".to_owned(), evaluations.map(|e| percent(e.image_auroc))),
        ("AUPRO, %".to_owned(), evaluations.map(|e| percent(e.aupro))),
        ("threshold, nats".to_owned(), models.map(|m| format!("{:.3}", m.header.operating_threshold()))),
        (format!("escapes, of {} defective", c.defective), at.map(|[escapes, _]| escapes.to_string())),
        (format!("false alarms, of {} good", c.good), at.map(|[_, alarms]| alarms.to_string())),
    ];
    for (name, [before, after]) in rows {
        writeln!(out, "{name:<28}{before:>9}  {after:>9}")?;
    }
    writeln!(out, "\nlearned")?;
    for sample in lesson.defects.iter().chain(&lesson.good) {
        let [before, after] = detectors.each_ref().map(|detector| detector.inspect_file(&sample.path));
        let (before, after) = (before?, after?);
        writeln!(
            out,
            "  {} {:.3} -> {} {:.3}  {}",
            before.verdict,
            before.score,
            after.verdict,
            after.score,
            sample.path.display()
        )?;
    }
    writeln!(out, "\n{}", duration(started.elapsed().as_secs_f64()))?;
    out.flush()?;
    Ok(())
}
