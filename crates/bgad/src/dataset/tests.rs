//! Small folders are made for each test and removed after it; one test per way to be wrong.

use std::error::Error;
use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};

use ::image::{GrayImage, Luma};

use super::*;

mod layouts;
mod split;

/// A data folder of its own for one test, removed with everything in it.
struct Folder(PathBuf);

impl Folder {
    /// Empty.
    fn new() -> Folder {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let unique =
            format!("bgad dataset ü {}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(unique);
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    /// With the files named; those ending like images hold one pixel.
    fn with(files: &[&str]) -> Folder {
        let folder = Folder::new();
        folder.add(files);
        folder
    }

    fn add(&self, files: &[&str]) {
        for file in files {
            let path = self.0.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            if file.ends_with("png") || file.ends_with("bmp") {
                GrayImage::from_pixel(1, 1, Luma([255])).save(&path).unwrap();
            } else {
                fs::write(&path, b"text").unwrap();
            }
        }
    }

    /// MVTec layout: 6 + 3 good, 4 scratches, 4 dents, 2 stains, all with masks.
    fn mvtec() -> Folder {
        let folder = Folder::new();
        folder.add(&numbered("train/good", 6));
        folder.add(&numbered("test/good", 3));
        for (name, count) in [("scratch", 4), ("dent", 4), ("stain", 2)] {
            folder.add(&numbered(&format!("test/{name}"), count));
            for i in 0..count {
                folder.add(&[&format!("ground_truth/{name}/{i:03}_mask.png")]);
            }
        }
        folder
    }

    fn open(&self) -> Dataset {
        Dataset::open(&self.0).unwrap()
    }

    fn error(&self) -> String {
        Dataset::open(&self.0).unwrap_err().to_string()
    }

    fn findings(&self) -> Vec<String> {
        let below = |finding: &Finding| {
            let problem = finding.problem.split(&[':', ';', '('][..]).next().unwrap_or_default();
            format!("{} - {}", folder::portable(&finding.path, &self.0), problem.trim())
        };
        self.open().findings.iter().map(below).collect()
    }

    fn names(&self, samples: &[Sample]) -> Vec<String> {
        samples.iter().map(|sample| folder::portable(&sample.path, &self.0)).collect()
    }

    fn split_file(&self, json: &str) -> PathBuf {
        let path = self.0.join("split.json");
        fs::write(&path, json).unwrap();
        path
    }

    fn read(&self, json: &str) -> Result<Split, DatasetError> {
        Split::read(&self.split_file(json), &self.0)
    }

    fn read_error(&self, json: &str) -> String {
        self.read(json).unwrap_err().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn numbered(folder: &str, count: usize) -> Vec<&'static str> {
    // Leaked: a few bytes per test, so that lists of names are easy to write.
    (0..count).map(|i| &*format!("{folder}/{i:03}.png").leak()).collect()
}

fn options(anomalies: usize) -> SplitOptions {
    SplitOptions { anomalies, setting: Setting::General, weak: false, limit_normal: None, seed: 0 }
}

fn contains_all(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "\"{part}\" is not in: {text}");
    }
}

// Opening.

#[test]
fn the_mvtec_layout_opens_without_findings() {
    let folder = Folder::mvtec();
    let dataset = folder.open();
    assert_eq!(dataset.layout, Layout::Mvtec);
    assert_eq!((dataset.train_good.len(), dataset.test_good.len(), dataset.test_bad.len()), (6, 3, 10));
    assert_eq!(dataset.findings, []);
    assert_eq!(dataset.defect_types(), ["dent", "scratch", "stain"]);
    assert_eq!(dataset.trainable_anomalies(&Setting::General, false), 10);
    let first = &dataset.test_bad[0];
    assert_eq!(first.kind, Kind::Defect("dent".to_owned()));
    assert_eq!(first.mask, Some(folder.0.join("ground_truth/dent/000_mask.png")));
}

#[test]
fn the_plain_layout_opens_with_and_without_types() {
    let folder = Folder::with(&["good/1.png", "good/2.png", "bad/a.png", "bad/b.png", "bad/hole/c.png"]);
    folder.add(&["masks/a_mask.png", "masks/b.bmp", "masks/hole/c.png"]);
    let dataset = folder.open();
    assert_eq!(dataset.layout, Layout::Plain);
    assert_eq!(dataset.findings, []);
    assert_eq!(folder.names(&dataset.test_bad), ["bad/a.png", "bad/b.png", "bad/hole/c.png"]);
    assert_eq!(dataset.defect_types(), ["bad", "hole"]);
    assert!(dataset.test_bad.iter().all(|sample| sample.mask.is_some()));
}

#[test]
fn only_good_images_are_a_data_set_too() {
    for files in [["good/1.png", "good/2.png"], ["train/good/1.png", "train/good/2.png"]] {
        let dataset = Folder::with(&files).open();
        assert_eq!(dataset.train_good.len(), 2);
        assert_eq!(dataset.findings, []);
    }
}

#[test]
fn ok_and_ko_are_good_and_bad() {
    let folder = Folder::with(&["train/ok/0.bmp", "test/ok/1.bmp", "test/ko/2.bmp", "ground_truth/ko/2.png"]);
    let dataset = folder.open();
    assert_eq!((dataset.train_good.len(), dataset.test_good.len(), dataset.test_bad.len()), (1, 1, 1));
    assert_eq!(dataset.findings, []);
    assert_eq!(Folder::with(&["OK/1.png", "NG/2.png", "masks/2.png"]).open().defect_types(), ["NG"]);
}

#[test]
fn extensions_spaces_umlauts_and_clutter_do_not_matter() {
    let folder = Folder::with(&[
        "train/good/Größe 1.PNG",
        "train/good/2.JPeG",
        "train/good/3.tif",
        "train/good/.DS_Store",
        "train/good/Thumbs.db",
        "train/good/._2.jpg",
        "test/kratzer groß/teil ä 1.png",
        "ground_truth/kratzer groß/teil ä 1_mask.bmp",
    ]);
    let dataset = folder.open();
    assert_eq!(dataset.train_good.len(), 3);
    assert_eq!(dataset.findings, []);
    assert_eq!(dataset.defect_types(), ["kratzer groß"]);
    assert!(dataset.test_bad[0].mask.is_some());
}

#[test]
fn order_is_by_the_bytes_of_the_path() {
    let folder =
        Folder::with(&["good/b.png", "good/a.png", "good/Z.png", "good/ä.png", "good/10.png", "good/9.png"]);
    let expected = ["good/10.png", "good/9.png", "good/Z.png", "good/a.png", "good/b.png", "good/ä.png"];
    assert_eq!(folder.names(&folder.open().train_good), expected);
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let error = Dataset::open(Path::new("no such folder")).unwrap_err();
    assert!(error.to_string().starts_with("no such folder: cannot be read: "), "{error}");
    assert!(error.source().is_some());
}

#[test]
fn an_empty_folder_is_an_error_that_names_the_layouts() {
    contains_all(
        &Folder::new().error(),
        &["train/good", "good, bad, masks", "found nothing", "put the good images"],
    );
}

#[test]
fn a_folder_of_text_files_is_an_error_that_lists_some() {
    let folder = Folder::with(&["1.txt", "2.txt", "3.txt", "4.txt", "5.txt", "6.txt", "7.txt"]);
    contains_all(&folder.error(), &["found 1.txt, 2.txt", "and 2 more"]);
}

#[test]
fn images_without_a_folder_are_an_error() {
    contains_all(&Folder::with(&["1.png", "2.png"]).error(), &["found 1.png, 2.png", "a folder named good"]);
}

#[test]
fn one_folder_too_high_says_which_was_meant() {
    let folder = Folder::with(&["screw/train/good/1.png", "nut/good/1.png", "other/1.png"]);
    let error = folder.error();
    contains_all(&error, &["did you mean", "screw", "nut"]);
    assert!(!error.split("did you mean").nth(1).unwrap().contains("other"), "{error}");
}

#[test]
fn no_train_images_is_an_error_that_says_what_is_there() {
    let folder = Folder::with(&["train/good/notes.txt", "test/good/1.png"]);
    contains_all(&folder.error(), &["train", "good images to train on", "found notes.txt"]);
    let folder = Folder::with(&["good/a.csv"]);
    contains_all(&folder.error(), &["good", "found a.csv"]);
}

#[test]
fn files_that_are_no_images_are_findings() {
    let folder =
        Folder::with(&["good/1.png", "good/notes.txt", "good/2.webp", "good/old/3.png", "bad/x.csv"]);
    let expected = ["bad/x.csv - not used", "good/notes.txt - not used"];
    assert_eq!(folder.findings(), expected);
    // Good is good, in whatever folder below; what has the name of a picture is read, and then says what it is instead.
    assert_eq!(folder.names(&folder.open().train_good), ["good/1.png", "good/2.webp", "good/old/3.png"]);
    let folder = Folder::with(&["train/good/1.png", "train/odd/1.png", "test/2.png", "test/dent/readme"]);
    let expected = [
        "test/2.png - not used",
        "test/dent - no images in this folder of defects",
        "test/dent/readme - not used",
        "train/odd - 1 picture, not used",
    ];
    assert_eq!(folder.findings(), expected);
}

#[test]
fn images_without_masks_and_masks_without_images_are_findings() {
    let folder = Folder::mvtec();
    fs::remove_file(folder.0.join("ground_truth/dent/001_mask.png")).unwrap();
    folder.add(&["ground_truth/dent/099_mask.png", "ground_truth/dent/notes.txt", "ground_truth/good/0.png"]);
    assert_eq!(
        folder.findings(),
        [
            "ground_truth/dent/099_mask.png - not used",
            "ground_truth/dent/notes.txt - not used",
            "ground_truth/good - not used",
            "test/dent/001.png - no mask",
        ]
    );
}

/// Archives of macOS hold names of which the umlauts are written as a letter and its dots.
#[test]
fn names_of_both_normal_forms_are_the_same() {
    let folder = Folder::with(&[
        "good/1.png",
        "good/2.png",
        "bad/prüfung.png",
        "masks/pru\u{308}fung_mask.png",
        "bad/Lo\u{308}cher/gro\u{308}ße.png",
        "masks/löcher/größe.png",
        "bad/Ölfleck/1.png",
        "masks/O\u{308}lfleck/1/a.png",
        "masks/O\u{308}lfleck/1/b.png",
    ]);
    let dataset = folder.open();
    assert!(dataset.findings.is_empty(), "{:?}", dataset.findings);
    assert!(dataset.test_bad.iter().all(|sample| sample.mask.is_some()), "{:?}", dataset.test_bad);

    // Where both forms are there, each image gets its own, and one mask goes to none of two.
    let both =
        ["good/1.png", "good/2.png", "bad/a\u{308}.png", "bad/ä.png", "masks/a\u{308}.png", "masks/ä.png"];
    for sample in Folder::with(&both).open().test_bad {
        let mask = sample.mask.expect("its own");
        assert_eq!(mask.file_name(), sample.path.file_name());
    }
    let contested = Folder::with(&both[..5]).open().findings;
    assert!(contested.iter().any(|finding| finding.problem.contains("fits several images")), "{contested:?}");

    let listed = Folder::with(&["gu\u{308}t.png", "gut2.png", "bad/prüfung.png", "m/pru\u{308}fung.png"]);
    let list =
        "image_path,label,mask_path\ngüt.png,good,\ngut2.png,good,\nbad/pru\u{308}fung.png,ö,m/prüfung.png\n";
    fs::write(listed.0.join("list.csv"), list).unwrap();
    let dataset = Dataset::open(&listed.0.join("list.csv")).unwrap();
    assert!(dataset.test_bad[0].mask.is_some());
}

#[test]
fn no_masks_at_all_is_one_finding() {
    let folder = Folder::with(&["good/1.png", "bad/1.png", "bad/2.png"]);
    let findings = folder.open().findings;
    assert_eq!(findings.len(), 1);
    assert!(findings[0].to_string().contains("no masks for the 2 defective images"), "{}", findings[0]);
}

#[test]
fn a_mask_that_fits_two_images_is_used_for_none() {
    let folder = Folder::with(&["good/1.png", "bad/hole/0.png", "bad/rust/0.png", "masks/0_mask.png"]);
    let dataset = folder.open();
    assert!(dataset.test_bad.iter().all(|sample| sample.mask.is_none()));
    contains_all(&dataset.findings[2].to_string(), &["fits several images (bad/hole/0.png, bad/rust/0.png)"]);

    // With folders of their own there is nothing to contest.
    let folder = Folder::with(&[
        "good/1.png",
        "bad/hole/0.png",
        "bad/rust/0.png",
        "masks/hole/0.png",
        "masks/rust/0.png",
    ]);
    assert_eq!(folder.open().findings, []);
}

#[test]
fn a_second_mask_is_a_finding() {
    let folder = Folder::with(&["good/1.png", "bad/0.png", "masks/0_mask.png", "masks/0.png"]);
    assert_eq!(folder.open().test_bad[0].mask, Some(folder.0.join("masks/0_mask.png")));
    assert_eq!(folder.findings(), ["masks/0.png - not used"]);
}

#[test]
fn a_mask_beside_its_image_is_not_taken_for_an_image() {
    let folder =
        Folder::with(&["good/1.png", "good/1_mask.png", "bad/0.png", "bad/0_mask.png", "masks/0.png"]);
    assert_eq!(folder.names(&folder.open().test_bad), ["bad/0.png"]);
    assert_eq!(folder.findings(), ["bad/0_mask.png - not used", "good/1_mask.png - not used"]);
    fs::remove_file(folder.0.join("masks/0.png")).unwrap();
    assert_eq!(folder.open().test_bad[0].mask, Some(folder.0.join("bad/0_mask.png")));
}

// Drawing.

#[test]
fn foreground_masks_are_found_by_the_most_exact_name() {
    let folder = Folder::new();
    let draw = |name: &str, white: u32| {
        let path = folder.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        GrayImage::from_fn(64, 64, |x, _| Luma([if x < white { 255 } else { 0 }])).save(path).unwrap();
    };
    draw("fg/a.png", 16);
    draw("fg/good/a_mask.png", 32);
    draw("fg/test/good/a.png", 48);
    let size = crate::image::InputSize::square(64);
    let source = ForegroundSource::Masks(folder.0.join("fg"));
    let coverage = |image: &str| source.find(&[PathBuf::from(image)], size).map(|f| f.each[0].coverage());
    assert_eq!(coverage("parts/bad/a.jpg").unwrap(), 0.25);
    assert_eq!(coverage("parts/train/good/a.png").unwrap(), 0.5);
    assert_eq!(coverage("parts/test/good/a.png").unwrap(), 0.75);
    assert_eq!(coverage("a.png").unwrap(), 0.25);
    contains_all(
        &coverage("parts/good/b.png").unwrap_err().to_string(),
        &["fg", "b.png", "expected a foreground"],
    );

    let one = ForegroundSource::Masks(folder.0.join("fg/a.png"));
    let found = one.find(&[PathBuf::from("x.png"), PathBuf::from("y.png")], size).unwrap();
    assert_eq!((found.each.len(), found.common.map(|f| f.coverage())), (2, Some(0.25)));
    draw("black.png", 0);
    let black = ForegroundSource::Masks(folder.0.join("black.png"));
    contains_all(&black.find(&[], size).unwrap_err().to_string(), &["black.png", "found only black"]);
    let missing = ForegroundSource::Masks(folder.0.join("no.png"));
    contains_all(&missing.find(&[], size).unwrap_err().to_string(), &["no.png", "cannot be read"]);
}

#[test]
fn defects_without_masks_are_trained_on_when_asked() {
    let folder = Folder::mvtec();
    fs::remove_dir_all(folder.0.join("ground_truth")).unwrap();
    let asked = options(3);
    assert!(matches!(Split::draw(&folder.open(), &asked), Err(DatasetError::NotEnoughAnomalies { .. })));
    let split = Split::draw(&folder.open(), &SplitOptions { weak: true, ..asked }).unwrap();
    assert_eq!(split.anomalies.iter().filter(|sample| sample.mask.is_none()).count(), 3);
    let path = folder.0.join("split.json");
    split.write(&path, &folder.0).unwrap();
    assert!(matches!(Split::read(&path, &folder.0), Err(DatasetError::SplitWithoutMask { .. })));
    assert_eq!(Split::read_weak(&path, &folder.0).unwrap(), split);
}
