//! `bgad inspect`: score, verdict and regions of images.

pub(crate) mod inputs;
mod write;

use std::fs;
use std::io::{self, Cursor};
use std::path::{Path, PathBuf};
use std::time::Instant;

use bgad::detector::{Detector, Inspection};
use bgad::durable;
use bgad::image::InputImage;
use bgad::model::Model;
use bgad::verdict::Verdict;
use image::ImageFormat;
use rayon::prelude::*;

use crate::archive;
use crate::args::InspectArgs;
use crate::exit::Outcome;
use crate::failure::{self, Failure, say};
use crate::overlay::overlay;
use crate::progress::CountProgress;
use crate::{machine, out, product};
use inputs::{Input, Inputs};
use write::Writer;
pub(crate) use write::field;

/// Images per thread between two writes: results come while the work goes on, and threads seldom wait.
const SHARE: usize = 4;

/// What came of one image.
struct Judged {
    inspection: Inspection,
    /// From the file to the result, without the overlay.
    secs: f64,
    /// Where the overlay was written, or why not; `None` if none was asked for.
    overlay: Option<Result<PathBuf, String>>,
}

pub(crate) fn run(args: &InspectArgs) -> Result<Outcome, Failure> {
    let isa = machine::isa()?;
    machine::use_threads(args.threads)?;
    let detector = Detector::new(&Model::open(&args.model)?, isa)?;
    if let Some(manifest) = &args.archive.manifest {
        let model = bgad::weights::sha256_hex(&fs::read(&args.model)?);
        return archive::run(&detector, model, manifest, &args.archive);
    }
    let Inputs { images, mut skipped } = Inputs::find(&args.inputs);
    if images.is_empty() {
        let asked: Vec<String> = args.inputs.iter().map(|path| path.display().to_string()).collect();
        return Err(format!("{}: found no image (png, jpg, jpeg, bmp, tif or tiff)", asked.join(", ")).into());
    }
    if let Some(out) = &args.out {
        product::folder(out)?;
    }

    let mut verdicts = [0; 3];
    let progress = CountProgress::new("inspecting", images.len());
    let mut writer = Writer::new(args.format, detector.header().thresholds, args.pixel_size, out::text());
    progress.suspend(|| writer.begin())?;
    let mut done = 0;
    for share in images.chunks(SHARE * rayon::current_num_threads()) {
        let judged: Vec<Result<Judged, String>> =
            share.par_iter().map(|input| judge(&detector, input, args)).collect();
        progress.suspend(|| -> io::Result<()> {
            for (input, result) in share.iter().zip(&judged) {
                match result {
                    Ok(judged) => {
                        verdicts[judged.inspection.verdict as usize] += 1;
                        // The verdict stands without its picture.
                        if let Some(Err(message)) = &judged.overlay {
                            skipped += 1;
                            say(format_args!("skipped: {message}"));
                        }
                        writer.judged(input, judged)?;
                    }
                    Err(message) => {
                        skipped += 1;
                        say(format_args!("skipped: {message}"));
                        writer.skipped(input, message)?;
                    }
                }
            }
            writer.flush()
        })?;
        done += share.len();
        progress.set(done);
    }
    drop(progress);

    let [ok, review, ng] =
        [Verdict::Ok, Verdict::Review, Verdict::Ng].map(|verdict| verdicts[verdict as usize]);
    let skipped_too = if skipped > 0 { format!(", {skipped} skipped") } else { String::new() };
    say(format_args!("{} images: {ok} OK, {review} REVIEW, {ng} NG{skipped_too}", ok + review + ng));
    Ok(Outcome::of(review + ng, skipped))
}

/// The error is a whole sentence that names the file.
fn judge(detector: &Detector, input: &Input, args: &InspectArgs) -> Result<Judged, String> {
    let started = Instant::now();
    let (image, original) = detector.load(&input.path).map_err(|error| failure::chain(&error))?;
    let mut inspection = detector.inspect_input(&image, original);
    let pixel_area = args.pixel_size.map_or(1.0, |side| side * side);
    inspection.regions.retain(|region| region.area * pixel_area >= args.min_area);
    let secs = started.elapsed().as_secs_f64();
    let overlay = args.out.as_ref().map(|out| {
        let path = out.join(&input.overlay);
        match write_overlay(&path, detector, &image, &inspection) {
            Ok(()) => Ok(path),
            Err(error) => Err(format!("cannot write {}: {error}", path.display())),
        }
    });
    Ok(Judged { inspection, secs, overlay })
}

fn write_overlay(
    path: &Path,
    detector: &Detector,
    image: &InputImage,
    inspection: &Inspection,
) -> io::Result<()> {
    let Inspection { map, regions, original, .. } = inspection;
    let image = &detector.visible(image, *original);
    let picture = overlay(image, map, detector.header().thresholds, regions, *original);
    let mut png = Vec::new();
    picture.write_to(&mut Cursor::new(&mut png), ImageFormat::Png).map_err(io::Error::other)?;
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    durable::replace(path, &png)
}
