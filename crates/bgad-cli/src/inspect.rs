//! `bgad inspect`: score, verdict and regions of images.

pub(crate) mod inputs;
mod pictures;
mod stdin;
mod table;
mod write;

use std::io;
use std::path::Path;
use std::time::{Instant, SystemTime};

use bgad::detector::{Detector, Inspection};
use bgad::model::Model;
use bgad::record::{Capture, FailedRecord, Recipe, Record};
use bgad::verdict::{Thresholds, Verdict};
use bgad::{Frame, Threads, image::ImageError};
use rayon::prelude::*;

use crate::archive;
use crate::args::{InspectArgs, ThresholdArgs};
use crate::exit::Outcome;
use crate::failure::{self, Failure, count as counted, say};
use crate::progress::CountProgress;
use crate::shell::printable;
use crate::{machine, product};
use inputs::{Input, Inputs};
use pictures::Seen;
use write::Entry;
pub(crate) use write::text as cell_text;

/// Images per thread between two writes: results come while the work goes on, and threads seldom wait.
const SHARE: usize = 4;

/// Bytes of pixels that a thread keeps from the verdict to the picture; larger images are decoded again.
const KEPT: usize = 64 << 20;

/// What came of one image.
struct Judged {
    entry: Entry,
    /// Files that could not be written beside the verdict.
    unwritten: Vec<String>,
}

/// What every image is judged with.
struct Job<'a> {
    args: &'a InspectArgs,
    detector: Detector,
    recipe: Recipe,
}

/// What was judged, whatever became of the text about it.
#[derive(Default)]
struct Tally {
    verdicts: [usize; 3],
    skipped: usize,
    without_part_id: usize,
}

pub(crate) fn run(args: &InspectArgs) -> Result<Outcome, Failure> {
    let job = Job::new(args, machine::threads(args.threads)?)?;
    if let Some(manifest) = &args.archive.manifest {
        return archive::run(&job.detector, job.recipe.model.sha256, manifest, &args.archive);
    }
    let Inputs { images, skipped } = Inputs::find(&stdin::inputs(args)?);
    if images.is_empty() {
        let asked: Vec<String> = args.inputs.iter().map(|path| path.display().to_string()).collect();
        return Err(
            format!("{}: found no image (PNG, JPEG, BMP, TIFF, WebP or PNM)", asked.join(", ")).into()
        );
    }
    if let Some(out) = &args.pictures.out {
        product::folder(out)?;
    }

    let mut tally = Tally { skipped, ..Tally::default() };
    let progress = CountProgress::new("inspecting", images.len());
    let mut exporter = write::exporter(args.results.format);
    progress.suspend(|| exporter.begin())?;
    let mut done = 0;
    for share in images.chunks(SHARE * job.detector.threads()) {
        let judged: Vec<Judged> =
            job.detector.on_threads(|| share.par_iter().map(|input| job.judge(input)).collect());
        progress.suspend(|| -> io::Result<()> {
            for judged in &judged {
                tally.count(judged, args.results.part_id.is_some());
                exporter.entry(&judged.entry)?;
            }
            Ok(())
        })?;
        done += share.len();
        progress.set(done);
    }
    drop(progress);
    tally.say();
    Ok(tally.outcome())
}

impl Tally {
    fn count(&mut self, judged: &Judged, with_part_id: bool) {
        match &judged.entry {
            Entry::Judged(record) => {
                self.verdicts[record.verdict as usize] += 1;
                self.without_part_id += usize::from(with_part_id && record.part_id.is_none());
            }
            Entry::Failed(failed) => {
                self.skipped += 1;
                say(format_args!("skipped: {}", printable(&failed.error)));
            }
        }
        // The verdict stands without its picture.
        for message in &judged.unwritten {
            self.skipped += 1;
            say(format_args!("skipped: {}", printable(message)));
        }
    }

    fn say(&self) {
        let [ok, review, ng] =
            [Verdict::Ok, Verdict::Review, Verdict::Ng].map(|verdict| self.verdicts[verdict as usize]);
        let skipped = if self.skipped > 0 { format!(", {} skipped", self.skipped) } else { String::new() };
        let images = counted(ok + review + ng, "image");
        say(format_args!("{images}: {ok} OK, {review} REVIEW, {ng} NG{skipped}"));
        if self.without_part_id > 0 {
            let names = counted(self.without_part_id, "image");
            say(format_args!("{names} without a part id: the file name does not match --part-id"));
        }
    }

    fn outcome(&self) -> Outcome {
        let [_, review, ng] = self.verdicts;
        Outcome::of(review + ng, self.skipped)
    }
}

impl Job<'_> {
    fn new(args: &InspectArgs, threads: Threads) -> Result<Job<'_>, Failure> {
        let (mut model, bytes) = Model::open_with_bytes(&args.model)?;
        if let Some(thresholds) = asked(&args.thresholds, model.header.thresholds)? {
            let Thresholds { ok, ng } = model.header.thresholds;
            say(format_args!(
                "trying OK up to {} and NG above {}; the model has {ok:.3} and {ng:.3}",
                thresholds.ok, thresholds.ng
            ));
            model.header.thresholds = thresholds;
            // A calibration is about its own thresholds.
            model.header.calibration = None;
        }
        let name = args.model.file_name().unwrap_or(args.model.as_os_str()).to_string_lossy();
        let recipe = Recipe::of(name, &bytes, &model.header);
        let detector = Detector::new(&model)?.with_threads(threads);
        Ok(Job { args, detector, recipe })
    }

    fn judge(&self, input: &Input) -> Judged {
        let started = Instant::now();
        let mut capture = self.capture(input);
        match self.inspected(&input.path) {
            Ok((frame, inspection)) => {
                capture.secs = Some(started.elapsed().as_secs_f64());
                capture.created = Some(SystemTime::now());
                let unwritten = self.pictures(input, frame.as_ref(), &inspection, &mut capture);
                let record = Record::new(&self.recipe, &inspection, &capture);
                Judged { entry: Entry::Judged(Box::new(record)), unwritten }
            }
            Err(error) => {
                capture.created = Some(SystemTime::now());
                let failed = FailedRecord::new(&self.recipe, failure::chain(&error), &capture);
                Judged { entry: Entry::Failed(Box::new(failed)), unwritten: Vec::new() }
            }
        }
    }

    /// The pixels too, if they are worth keeping for a picture.
    fn inspected(&self, path: &Path) -> Result<(Option<Frame>, Inspection), ImageError> {
        let most = if self.args.pictures.out.is_some() { KEPT } else { 0 };
        let (mut inspection, frame) = match stdin::frame(path)? {
            None => self.detector.inspect_file_keeping(path, most)?,
            Some(frame) => {
                let named = |error| ImageError { path: Some(path.to_owned()), ..error };
                (self.detector.inspect(&frame).map_err(named)?, Some(frame))
            }
        };
        let results = &self.args.results;
        let pixel_area = results.pixel_size.map_or(1.0, |side| side * side);
        inspection.regions.retain(|region| region.area * pixel_area >= results.min_area);
        Ok((frame, inspection))
    }

    /// Writes what was asked for beside the verdict; what could not be written.
    fn pictures(
        &self,
        input: &Input,
        frame: Option<&Frame>,
        inspection: &Inspection,
        capture: &mut Capture,
    ) -> Vec<String> {
        let args = &self.args.pictures;
        if args.out.is_none() {
            return Vec::new();
        }
        let mut written = |frame: &Frame| {
            pictures::write(args, input, &Seen { frame, inspection, recipe: &self.recipe }, capture)
        };
        match frame {
            Some(frame) => written(frame),
            // It was too large to be held while others are inspected.
            None => Frame::open_for(&input.path, written)
                .unwrap_or_else(|error| vec![format!("{} has no picture", failure::chain(&error))]),
        }
    }

    fn capture(&self, input: &Input) -> Capture {
        let name = input.path.file_name().unwrap_or_default().to_string_lossy();
        let results = &self.args.results;
        Capture {
            file: Some(input.path.to_string_lossy().into_owned()),
            part_id: results.part_id.as_ref().and_then(|pattern| pattern.part_id(&name)),
            pixel_size: results.pixel_size,
            ..Capture::default()
        }
    }
}

/// The thresholds that were asked for instead of the model's.
fn asked(args: &ThresholdArgs, model: Thresholds) -> Result<Option<Thresholds>, Failure> {
    let (ok, ng) = (args.ok.map(|nats| nats as f32), args.ng.map(|nats| nats as f32));
    if ok.is_none() && ng.is_none() {
        return Ok(None);
    }
    let ok = ok.unwrap_or(model.ok);
    let ng = ng.unwrap_or(ok + (model.ng - model.ok));
    if ng < ok {
        return Err(format!("NG begins above OK: expected --ng of at least {ok}, found {ng}").into());
    }
    Ok(Some(Thresholds { ok, ng }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_that_are_tried_keep_their_order() {
        let model = Thresholds { ok: 4.0, ng: 5.0 };
        let of = |ok, ng| asked(&ThresholdArgs { ok, ng, threshold: None }, model);
        assert_eq!(of(None, None).expect("nothing asked"), None);
        assert_eq!(of(Some(2.0), None).expect("fine"), Some(Thresholds { ok: 2.0, ng: 3.0 }));
        assert_eq!(of(None, Some(9.0)).expect("fine"), Some(Thresholds { ok: 4.0, ng: 9.0 }));
        assert_eq!(of(Some(-1.0), Some(-1.0)).expect("fine"), Some(Thresholds { ok: -1.0, ng: -1.0 }));
        let error = of(None, Some(3.0)).expect_err("NG below OK").to_string();
        assert!(error.contains("--ng of at least 4, found 3"), "{error}");
    }
}
