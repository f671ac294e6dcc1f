//! The four steps of the library's front page, by its names alone.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use bgad::{
    Choice, Detector, Error, Frame, Kept, Layout, Output, Preset, Recipe, Sample, Split, TrainEvent, Trainer,
    Unfinished, Verdict,
};
use image::{GrayImage, Luma};

const SIDE: u32 = 64;

/// A coarse texture that differs from image to image, with a bright square on it if asked for.
fn picture(seed: u32, is_defective: bool) -> GrayImage {
    GrayImage::from_fn(SIDE, SIDE, |x, y| {
        let texture = (x * 7 + y * 13 + seed * 29) % 31;
        let is_defect = is_defective && (24..40).contains(&x) && (24..40).contains(&y);
        Luma([if is_defect { 250 } else { 90 + texture as u8 }])
    })
}

/// Eight good images and two defective ones with their masks.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let save = |picture: GrayImage, name: String| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        picture.save(path).expect("a file");
    };
    for i in 0..8 {
        save(picture(i, false), format!("good/{i}.png"));
    }
    for i in 0..2 {
        save(picture(50 + i, true), format!("bad/dent/{i}.png"));
        let mask = GrayImage::from_fn(SIDE, SIDE, |x, y| {
            Luma([255 * u8::from((24..40).contains(&x) && (24..40).contains(&y))])
        });
        save(mask, format!("masks/dent/{i}.png"));
    }
    folder
}

fn recipe() -> Recipe {
    Recipe {
        preset: Preset::Quick,
        schedule: Some("3x1".parse().expect("a schedule")),
        input: Some("64".parse().expect("a size")),
        ..Recipe::default()
    }
}

fn trainer(folder: &Path) -> Trainer {
    Trainer::open(folder, &Choice { anomalies: Some(1), ..Choice::default() }, &recipe()).expect("a trainer")
}

/// The score of a defective image that is in memory.
fn score(detector: &Detector) -> f32 {
    let pixels = picture(99, true).into_raw();
    let frame = Frame::from_u8(&pixels, Layout::packed(SIDE as usize, SIDE as usize, 1)).expect("a frame");
    detector.inspect(&frame).expect("an inspection").score
}

#[test]
fn a_folder_becomes_a_verdict() -> Result<(), Error> {
    let folder = folder();
    let trainer = trainer(folder.path());
    assert_eq!((trainer.split().train.len(), trainer.split().test_good.len()), (7, 1));
    let mut passes = 0;
    let model =
        trainer.train(&|| false, &mut |event| passes += usize::from(matches!(event, TrainEvent::Pass(_))))?;
    assert_eq!(passes, 3);
    assert!(model.header.training.split.is_some(), "a model carries its split, with or without a file");
    let detector = Detector::new(&model)?;
    assert!(score(&detector).is_finite());

    // Through a file, and from samples of one's own, it is the same model.
    let file = folder.path().join("m.bgad");
    model.save(&file)?;
    assert_eq!(score(&Detector::open(&file)?), score(&detector));
    let Split { train, anomalies, .. } = trainer.split().clone();
    let none = Vec::<Sample>::new;
    let own = Split { train, anomalies, hold_out: none(), test_good: none(), test_bad: none() };
    let model = Trainer::of(own, folder.path(), &recipe(), 0)?.train(&|| false, &mut |_| {})?;
    assert_eq!(score(&Detector::new(&model)?), score(&detector));
    assert_ne!(detector.inspect_file(&folder.path().join("bad/dent/0.png"))?.verdict, Verdict::Ok);
    Ok(())
}

#[test]
fn a_training_that_was_stopped_goes_on_from_its_checkpoint() -> Result<(), Error> {
    let folder = folder();
    let trainer = trainer(folder.path());
    let whole = trainer.train(&|| false, &mut |_| {})?;
    let output = Output::beside(&folder.path().join("m.bgad"), false)?;

    let stop = AtomicBool::new(false);
    let stopped = trainer.train_to(&output, false, &|| stop.load(Ordering::Relaxed), &mut |event| {
        stop.fetch_or(matches!(event, TrainEvent::Checkpoint(_)), Ordering::Relaxed);
    });
    let Unfinished { error, kept } = stopped.expect_err("it was stopped");
    assert_eq!((error.to_string().as_str(), kept), ("training was stopped", Some(Kept::Checkpoint)));
    assert!(!output.model.exists());

    let resumed = trainer.train_to(&output, true, &|| false, &mut |_| {}).expect("a model");
    assert_eq!(score(&Detector::new(&resumed)?), score(&Detector::new(&whole)?));
    assert_eq!(score(&Detector::open(&output.model)?), score(&Detector::new(&whole)?));
    assert!(output.split.exists() && !output.checkpoint.exists());
    Ok(())
}

#[test]
fn what_is_tested_on_is_not_learned_from() {
    let folder = folder();
    std::fs::copy(folder.path().join("bad/dent/0.png"), folder.path().join("bad/dent/copy.png"))
        .expect("a copy");
    std::fs::copy(folder.path().join("masks/dent/0.png"), folder.path().join("masks/dent/copy.png"))
        .expect("a copy");
    let mut same = 0;
    for seed in 0..8 {
        let choice = Choice { anomalies: Some(1), seed, ..Choice::default() };
        let trainer = Trainer::open(folder.path(), &choice, &recipe()).expect("a trainer");
        let never = trainer.train(&|| true, &mut |_| {}).expect_err("refused, or stopped");
        same += usize::from(matches!(never, Error::Data(_)));
    }
    assert!(
        (1..8).contains(&same),
        "refused whenever one copy is learned from and the other tested on: {same}"
    );
}
