//! `bgad demo`: the main job from end to end on parts that it draws itself.
//!
//! ```text
//! draw parts -> data/ (MVTec layout), split.json -> train -> model.bgad -> evaluate -> overlays, index.html
//! ```
//!
//! One kind of defect is never trained on, and the page shows the worst results beside the typical ones.

mod page;
mod part;

use std::error::Error;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;
use std::{fs, io};

use bgad::Frame;
use bgad::dataset::{Kind, Sample, Split};
use bgad::detector::Detector;
use bgad::durable;
use bgad::evaluation::{self, Evaluation, ScoredImage, Scoring, evaluate};
use bgad::model::Model;
use bgad::options::{Recipe, Schedule, TrainOptions};
use bgad::overlay::{self, ColourScale, Look, Style};
use bgad::record;
use bgad::train::{self, Trainer};
use bgad::verdict::Verdict;
use image::{DynamicImage, ImageFormat, RgbImage, imageops};
use rayon::prelude::*;

use part::Defect;

/// See the whole job done in a minute or two, with nothing but this program
///
/// Draws pictures of a machined part, good ones and defective ones. Trains on good parts and a few scratches and stains,
/// tests on new parts, among them a kind of defect that it never saw, and writes a page that shows what was found and what
/// was missed.
#[derive(Debug, clap::Args)]
pub(crate) struct DemoArgs {
    /// Folder to write to.
    #[arg(short, long, value_name = "DIR", default_value = "bgad-demo")]
    pub(crate) out: PathBuf,

    /// Seed of how the parts look and of every random choice in training.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,

    /// Threads to use [default: one per core]. The results do not depend on it.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
}

/// Says that a folder was made here and may be made anew.
const MARKER: &str = "made-by-bgad-demo.txt";
/// Quality of JPEG files, of 100.
const QUALITY: u8 = 88;
/// Side of one picture in the overview, pixels.
const TILE: u32 = 168;

/// How much of everything.
struct Plan {
    train_good: usize,
    /// Of each known kind.
    given: usize,
    test_good: usize,
    /// Of each kind, known or not.
    test_bad: usize,
    /// Instead of the preset's.
    schedule: Schedule,
}

const PLAN: Plan = Plan {
    train_good: 60,
    given: 5,
    test_good: 20,
    test_bad: 12,
    schedule: Schedule { meta_epochs: 5, sub_epochs: 2 },
};

/// Kinds of defects with examples to train on.
const KNOWN: [Defect; 2] = [Defect::Scratch, Defect::Stain];
/// The kind without.
const UNSEEN: Defect = Defect::Dent;

/// Runs the demo and tells about it on `out`.
///
/// # Errors
///
/// If the folder is not empty and not of an earlier demo, if it cannot be written, or if training fails.
pub(crate) fn run(args: &DemoArgs, out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    if let Some(threads) = args.threads {
        rayon::ThreadPoolBuilder::new().num_threads(threads.into()).build_global()?;
    }
    run_plan(&PLAN, args, out)
}

/// What there is to show in the end.
struct Results<'a> {
    plan: &'a Plan,
    seed: u64,
    folder: &'a Path,
    options: &'a TrainOptions,
    evaluation: Evaluation,
    detector: Detector,
    train_secs: f64,
    total_secs: f64,
}

fn run_plan(plan: &Plan, args: &DemoArgs, out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let started = Instant::now();
    let folder = args.out.as_path();
    prepare(folder)?;

    let (known, unseen) = (KNOWN.map(Defect::name).join(" and "), UNSEEN.name());
    writeln!(out, "1  Parts")?;
    writeln!(out, "   to learn from: {} good, {} each of {known}", plan.train_good, plan.given)?;
    writeln!(
        out,
        "   to test on:    {} good, {} each of {known}, and of {unseen}",
        plan.test_good, plan.test_bad
    )?;
    writeln!(out, "   No {unseen} is learnt from: it stands for the defect that nobody thought of.")?;
    out.flush()?;
    let split = draw_parts(plan, args.seed, &folder.join("data"))?;
    split.write(&folder.join("split.json"), &folder.join("data"))?;

    let recipe = Recipe { schedule: Some(plan.schedule), ..Recipe::default() };
    let trainer = Trainer::of(split.clone(), &folder.join("data"), &recipe, args.seed)?;
    writeln!(out, "2  Training, {} passes", trainer.options().schedule.passes())?;
    out.flush()?;
    let train_started = Instant::now();
    let mut told = Ok(());
    let model = trainer.train(&|| false, &mut |event| {
        if told.is_ok() {
            told = tell(&event, train_started, out);
        }
    })?;
    told?;
    let train_secs = train_started.elapsed().as_secs_f64();
    let model_file = folder.join("model.bgad");
    model.save(&model_file)?;

    // From the file, as everyone will do it.
    let detector = Detector::open(&model_file)?;
    writeln!(out, "3  Test on {} parts not seen before", split.test_good.len() + split.test_bad.len())?;
    out.flush()?;
    let mut unreadable = Vec::new();
    let evaluation = evaluate(&detector, &split.test_good, &split.test_bad, Scoring::Frozen, &mut |event| {
        if let evaluation::Event::Skipped(error) = event {
            unreadable.push(error.to_string());
        }
    })?;
    for problem in unreadable {
        writeln!(out, "   skipped {problem}")?;
    }
    draw_results(&detector, &evaluation, folder)?;
    let total_secs = started.elapsed().as_secs_f64();
    let results = Results {
        plan,
        seed: args.seed,
        folder,
        options: trainer.options(),
        evaluation,
        detector,
        train_secs,
        total_secs,
    };
    overview(&results)?;
    let index = folder.join("index.html");
    durable::replace(&index, page::html(&results).as_bytes()).map_err(|error| at(&index, error))?;
    summary(&results, out)?;
    Ok(())
}

/// Makes the folder, or empties that of an earlier demo; never touches any other.
fn prepare(folder: &Path) -> Result<(), Box<dyn Error>> {
    let marker = folder.join(MARKER);
    match fs::read_dir(folder) {
        Ok(mut entries) => {
            if entries.next().is_some() && !marker.is_file() {
                let folder = folder.display();
                return Err(format!(
                    "{folder} is not empty and not of an earlier demo: name another with --out"
                )
                .into());
            }
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            fs::create_dir_all(folder).map_err(|error| at(folder, error))?;
        }
        Err(error) => return Err(at(folder, error).into()),
    }
    let note = "Everything in this folder was drawn and computed by `bgad demo`, which replaces it when run again.\n";
    durable::replace(&marker, note.as_bytes()).map_err(|error| at(&marker, error))?;
    for name in ["data", "overlays", "maps"] {
        let inside = folder.join(name);
        match fs::remove_dir_all(&inside) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(at(&inside, error).into()),
            _ => {}
        }
    }
    Ok(())
}

/// Draws the project that the studio offers to begin with: labelled parts, and some to be labelled.
///
/// # Errors
///
/// If a file cannot be written.
#[cfg(feature = "server")]
pub(crate) fn draw_project(folder: &Path) -> io::Result<()> {
    for inside in ["good", "unlabelled", "models"] {
        fs::create_dir_all(folder.join(inside))?;
    }
    let good = |inside: &str, first: u64, count: u64| {
        (first..first + count).into_par_iter().try_for_each(|i| {
            let path = folder.join(inside).join(format!("part-{i:03}.png"));
            save(&DynamicImage::ImageRgb8(part::good(0, i)), &path)
        })
    };
    good("good", 0, 48)?;
    // Parts of different groups never share an index, so no two lie exactly alike.
    good("unlabelled", 100, 6)?;
    for (defect, first) in KNOWN.into_iter().zip([200, 300]) {
        let (bad, masks) = (folder.join("bad").join(defect.name()), folder.join("masks").join(defect.name()));
        fs::create_dir_all(&bad)?;
        fs::create_dir_all(&masks)?;
        (first..first + 10).into_par_iter().try_for_each(|i| {
            let (picture, truth) = part::defective(0, i, defect);
            save(&DynamicImage::ImageRgb8(picture), &bad.join(format!("part-{i:03}.png")))?;
            save(&DynamicImage::ImageLuma8(truth), &masks.join(format!("part-{i:03}_mask.png")))
        })?;
    }
    for (defect, first) in [(KNOWN[0], 400), (KNOWN[1], 410), (UNSEEN, 420)] {
        (first..first + 2).into_par_iter().try_for_each(|i| {
            let picture = part::defective(0, i, defect).0;
            save(
                &DynamicImage::ImageRgb8(picture),
                &folder.join("unlabelled").join(format!("part-{i:03}.png")),
            )
        })?;
    }
    Ok(())
}

/// Draws all parts into a folder of the MVTec layout.
fn draw_parts(plan: &Plan, seed: u64, data: &Path) -> io::Result<Split> {
    // Parts of different groups never share an index, so no test part lies exactly as a training part does.
    let good = |group: &str, first: u64, count: usize| -> io::Result<Vec<Sample>> {
        let folder = data.join(group).join("good");
        fs::create_dir_all(&folder).map_err(|error| at(&folder, error))?;
        let draw = |i: usize| {
            let path = folder.join(format!("{i:03}.png"));
            save(&DynamicImage::ImageRgb8(part::good(seed, first + i as u64)), &path)?;
            Ok(Sample { path, mask: None, kind: Kind::Good })
        };
        (0..count).into_par_iter().map(draw).collect()
    };
    let bad = |defect: Defect, first: u64, count: usize| -> io::Result<Vec<Sample>> {
        let folder = data.join("test").join(defect.name());
        let masks = data.join("ground_truth").join(defect.name());
        for folder in [&folder, &masks] {
            fs::create_dir_all(folder).map_err(|error| at(folder, error))?;
        }
        let draw = |i: usize| {
            let (path, mask) = (folder.join(format!("{i:03}.png")), masks.join(format!("{i:03}_mask.png")));
            let (picture, truth) = part::defective(seed, first + i as u64, defect);
            save(&DynamicImage::ImageRgb8(picture), &path)?;
            save(&DynamicImage::ImageLuma8(truth), &mask)?;
            Ok(Sample { path, mask: Some(mask), kind: Kind::Defect(defect.name().to_owned()) })
        };
        (0..count).into_par_iter().map(draw).collect()
    };

    let mut split = Split {
        train: good("train", 0, plan.train_good)?,
        anomalies: Vec::new(),
        hold_out: Vec::new(),
        test_good: good("test", 10_000, plan.test_good)?,
        test_bad: Vec::new(),
    };
    for (defect, first) in KNOWN.into_iter().zip([20_000, 30_000]) {
        let mut samples = bad(defect, first, plan.given + plan.test_bad)?;
        split.test_bad.extend(samples.split_off(plan.given));
        split.anomalies.append(&mut samples);
    }
    split.test_bad.extend(bad(UNSEEN, 40_000, plan.test_bad)?);
    Ok(split)
}

fn tell(event: &train::Event<'_>, started: Instant, out: &mut impl Write) -> io::Result<()> {
    let secs = started.elapsed().as_secs_f64();
    match event {
        train::Event::Encoded { done, total } if done == total => {
            writeln!(out, "   {total} images encoded                  {secs:5.1} s")?;
        }
        train::Event::Pass(pass) => {
            let loss: f64 = pass.levels.iter().map(|level| level.loss.total).sum();
            let (at, of) = (pass.pass, pass.passes);
            let what = if pass.phase == 1 { "good parts alone" } else { "with known defects" };
            writeln!(out, "   pass {at:2} of {of}, {what:18} loss {loss:7.3}  {secs:5.1} s")?;
        }
        train::Event::Skipped(error) => writeln!(out, "   skipped {error}")?,
        _ => {}
    }
    out.flush()
}

/// Overlay and map of every test image.
fn draw_results(detector: &Detector, evaluation: &Evaluation, folder: &Path) -> Result<(), Box<dyn Error>> {
    for name in ["overlays", "maps"] {
        let inside = folder.join(name);
        fs::create_dir_all(&inside).map_err(|error| at(&inside, error))?;
    }
    let (_, bytes) = Model::open_with_bytes(&folder.join("model.bgad"))?;
    let recipe = record::Recipe::of("model.bgad", &bytes, detector.header());
    let draw = |scored: &ScoredImage| -> Result<(), Box<dyn Error + Send + Sync>> {
        let frame = Frame::open(&scored.sample.path)?;
        let found = detector.inspect(&frame)?;
        for (style, folder_of, side) in [(Style::Overlay, "overlays", 512), (Style::Heat, "maps", 256)] {
            let look = Look { style, footer: false, caption: None, longest_side: side };
            let picture = overlay::draw(&frame, &found, &recipe, &look)?.to_jpeg(QUALITY)?;
            let path = folder.join(folder_of).join(format!("{}.jpg", label(scored)));
            durable::replace(&path, &picture).map_err(|error| at(&path, error))?;
        }
        Ok(())
    };
    evaluation
        .images
        .par_iter()
        .map(draw)
        .collect::<Result<(), _>>()
        .map_err(|error| -> Box<dyn Error> { error })?;
    let strip = overlay::legend(ColourScale::of(&recipe.normal_scores), recipe.thresholds, 600, 24);
    let path = folder.join("maps").join("scale.png");
    Ok(durable::replace(&path, &strip.to_png()?).map_err(|error| at(&path, error))?)
}

/// One row: part, map and mask of a typical known and a typical unseen defect.
fn overview(results: &Results<'_>) -> Result<(), Box<dyn Error>> {
    let (gap, wide) = (4, 20);
    let mut row = RgbImage::from_pixel(6 * TILE + 4 * gap + wide, TILE, image::Rgb([255, 255, 255]));
    let mut x = 0;
    for defect in [KNOWN[0], UNSEEN] {
        let Some(scored) = middle(&results.of(defect.name())) else { continue };
        let mask = scored.sample.mask.as_ref().unwrap_or(&scored.sample.path);
        let drawn = results.folder.join("overlays").join(format!("{}.jpg", label(scored)));
        for path in [&scored.sample.path, &drawn, mask] {
            let tile = image::open(path)?.resize_exact(TILE, TILE, imageops::FilterType::Triangle).to_rgb8();
            imageops::replace(&mut row, &tile, x, 0);
            x += i64::from(TILE + gap);
        }
        x += i64::from(wide - gap);
    }
    Ok(save(&DynamicImage::ImageRgb8(row), &results.folder.join("overview.png"))?)
}

impl Results<'_> {
    /// Test images of a kind, lowest score first.
    fn of(&self, kind: &str) -> Vec<&ScoredImage> {
        let mut of: Vec<&ScoredImage> =
            self.evaluation.images.iter().filter(|scored| name_of(&scored.sample.kind) == kind).collect();
        of.sort_by(|a, b| a.score.total_cmp(&b.score));
        of
    }

    /// How many test images of a kind are OK, REVIEW and NG.
    fn verdicts(&self, kind: &str) -> [usize; 3] {
        let of = self.of(kind);
        [Verdict::Ok, Verdict::Review, Verdict::Ng]
            .map(|v| of.iter().filter(|scored| scored.verdict == v).count())
    }

    /// Image AUROC of a defect type, in percent, as text.
    fn auroc(&self, kind: &str) -> String {
        percent(self.evaluation.by_type.get(kind).copied().flatten())
    }

    /// What does the same by hand.
    fn commands(&self) -> [String; 3] {
        let inside = |name: &str| quoted(&self.folder.join(name));
        let (model, data, split) = (inside("model.bgad"), inside("data"), inside("split.json"));
        let schedule = self.plan.schedule;
        let unseen = quoted(&self.folder.join("data").join("test").join(UNSEEN.name()));
        [
            format!(
                "bgad train {data} --split {split} --seed {} --schedule {schedule} -o {model}",
                self.seed
            ),
            format!("bgad evaluate {model} {data} --split {split}"),
            format!("bgad inspect {model} {unseen} --out {}", inside("inspected")),
        ]
    }
}

fn summary(results: &Results<'_>, out: &mut impl Write) -> io::Result<()> {
    let evaluation = &results.evaluation;
    writeln!(out)?;
    writeln!(
        out,
        "   {:14} {:>7} {:>7} {:>12} {:>5} {:>7} {:>4}",
        "", "trained", "tested", "image AUROC", "OK", "REVIEW", "NG"
    )?;
    for (kind, trained) in results.kinds() {
        let [ok, review, ng] = results.verdicts(kind);
        let auroc = if kind == GOOD { String::new() } else { results.auroc(kind) };
        let tested = ok + review + ng;
        writeln!(out, "   {kind:14} {trained:7} {tested:7} {auroc:>12} {ok:5} {review:7} {ng:4}")?;
    }
    writeln!(out)?;
    let (image, aupro) = (percent(evaluation.image_auroc), percent(evaluation.aupro));
    writeln!(
        out,
        "   all defects: image AUROC {image} %, AUPRO {aupro} %   ({:.0} s in all)",
        results.total_secs
    )?;
    writeln!(out)?;
    writeln!(out, "Look at {}", results.folder.join("index.html").display())?;
    writeln!(out, "The same by hand:")?;
    results.commands().iter().try_for_each(|command| writeln!(out, "   {command}"))
}

/// Name of good parts where kinds are named.
const GOOD: &str = "good";

impl Results<'_> {
    /// All kinds of parts, and how many of each were trained on.
    fn kinds(&self) -> [(&'static str, usize); 4] {
        let [a, b] = KNOWN.map(|defect| (defect.name(), self.plan.given));
        [(GOOD, self.plan.train_good), a, b, (UNSEEN.name(), 0)]
    }
}

fn name_of(kind: &Kind) -> &str {
    kind.defect().unwrap_or(GOOD)
}

/// What the files about a test image are called.
fn label(scored: &ScoredImage) -> String {
    let stem = scored.sample.path.file_stem().unwrap_or_default().to_string_lossy();
    format!("{}_{stem}", name_of(&scored.sample.kind))
}

/// The typical one of a sorted list.
fn middle<'a>(sorted: &[&'a ScoredImage]) -> Option<&'a ScoredImage> {
    sorted.get(sorted.len() / 2).copied()
}

fn percent(share: Option<f64>) -> String {
    share.map_or("-".to_owned(), |share| format!("{:.1}", 100.0 * share))
}

/// A path as it can be typed.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-\\:".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

fn save(image: &DynamicImage, path: &Path) -> io::Result<()> {
    let mut bytes = io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, ImageFormat::Png).map_err(|error| at(path, io::Error::other(error)))?;
    durable::replace(path, bytes.get_ref()).map_err(|error| at(path, error))
}

/// The error with the file that it is about.
fn at(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests;
