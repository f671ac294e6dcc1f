//! Layouts beyond folders of good and bad images, and annotations instead of masks.

use super::*;
use crate::image::{InputSize, Mask};

impl Folder {
    /// A picture of 8 x 8 in which the first `white` columns are white.
    fn picture(&self, name: &str, white: u32) {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        GrayImage::from_fn(8, 8, |x, _| Luma([if x < white { 255 } else { 0 }])).save(path).unwrap();
    }

    fn text(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// White pixels of the mask of a sample, or why it cannot be read.
    fn area(&self, sample: &Sample) -> Result<usize, String> {
        let (image, original) =
            crate::image::InputImage::load_with_original_size(&sample.path, InputSize::square(16)).unwrap();
        assert_eq!((image.height, image.width), (16, 16));
        let mask = sample.mask.as_ref().expect("a mask");
        let mask = Mask::load(mask, InputSize::square(16), Some((&sample.path, original)));
        mask.map(|mask| mask.defective.iter().filter(|pixel| **pixel == 1).count()).map_err(|e| e.to_string())
    }
}

fn counts(dataset: &Dataset) -> [usize; 4] {
    [&dataset.train_good, &dataset.test_good, &dataset.train_bad, &dataset.test_bad].map(Vec::len)
}

#[test]
fn a_manifest_says_it_all() {
    let folder = Folder::with(&numbered("images", 9));
    folder.picture("m/6.png", 2);
    let file = folder.text(
        "list.csv",
        "\u{feff}split,image_path,note,label,mask_path\r\ntrain,images/000.png,,good,\r\ntrain,images/001.png,x,OK,\n\
         test,images/002.png,\"a, b\",normal,m/6.png\n\ntrain,images/003.png,,dent,m/6.png\ntest,images/004.png,,dent,\n\
         ,images/005.png,,1,m/6.png\n",
    );
    let dataset = Dataset::open(&file).unwrap();
    assert_eq!((counts(&dataset), dataset.layout), ([2, 1, 1, 2], Layout::Mvtec));
    assert_eq!(dataset.root, folder.0);
    assert_eq!(dataset.defect_types(), ["bad", "dent"]);
    assert!(dataset.findings[0].to_string().contains("004.png: no mask"), "{}", dataset.findings[0]);
    let unlisted: Vec<bool> =
        dataset.findings[1..].iter().map(|f| f.problem.starts_with("not used")).collect();
    assert_eq!(unlisted, [true; 3], "006 to 008 are in no row");
    // What the list gives for training is trained on, and nothing else.
    let split = Split::draw(&dataset, &options(1)).unwrap();
    assert_eq!(folder.names(&split.anomalies), ["images/003.png"]);
    assert_eq!(split.test_bad.len(), 2);
    contains_all(&Split::draw(&dataset, &options(2)).unwrap_err().to_string(), &["found 1 with a mask"]);
    // A split file keeps to the list, though its images are in no folder of their type.
    let path = folder.0.join("split.json");
    split.write(&path, &file).unwrap();
    assert!(fs::read_to_string(&path).unwrap().contains("\"images/003.png\""));
    assert_eq!(Split::read(&path, &file).unwrap(), split);
}

#[test]
fn a_manifest_without_splits_is_divided_by_a_draw() {
    let folder = Folder::with(&numbered("i", 8));
    let rows: String =
        (0..8).map(|i| format!("i/{i:03}.png,{}\n", if i < 6 { "good" } else { "hole" })).collect();
    let dataset = Dataset::open(&folder.text("list.csv", &format!("image,label\n{rows}"))).unwrap();
    assert_eq!((counts(&dataset), dataset.layout), ([6, 0, 0, 2], Layout::Plain));
    assert_eq!(Split::draw(&dataset, &options(0)).unwrap().test_good.len(), 1);
}

#[test]
fn a_wrong_manifest_names_file_line_and_reason() {
    let folder = Folder::with(&numbered("i", 2));
    let error = |text: &str| Dataset::open(&folder.text("list.csv", text)).unwrap_err().to_string();
    let cases = [
        ("", "line 1: expected columns"),
        ("image_path,mask_path\n", "found the columns image_path,mask_path"),
        ("image_path,label\ni/9.png,good\n", "line 2: expected columns image_path,label,mask_path,split"),
        ("image_path,label\n\ni/9.png,good\n", "line 3"),
        ("image_path,label\ni/9.png,good\n", "found no file i/9.png"),
        ("image_path,label\ni/000.png,\n", "found no label of i/000.png"),
        ("image_path,label\n,good\n", "found no image"),
        ("image_path,label\ni/000.png,good\ni/000.png,dent\n", "i/000.png, which is in line 2 already"),
        ("image_path,label,split\ni/000.png,good,valid\n", "found the split valid"),
        ("image_path,label,mask_path\ni/000.png,dent,m.png\n", "found no file m.png"),
        ("image_path,label\ni/000.png,dent\n", "found no good image to train on"),
    ];
    for (text, want) in cases {
        contains_all(&error(text), &["list.csv", want]);
    }
    fs::write(folder.0.join("binary.csv"), [0x80, 0xfe, 0x00]).unwrap();
    contains_all(
        &Dataset::open(&folder.0.join("binary.csv")).unwrap_err().to_string(),
        &["binary.csv", "UTF-8"],
    );
}

#[test]
fn visa_is_read_by_the_list_of_a_class() {
    let folder = Folder::new();
    (0..5).for_each(|i| folder.picture(&format!("candle/Data/Images/Normal/{i}.png"), i));
    folder.picture("candle/Data/Images/Anomaly/0.png", 7);
    folder.picture("candle/Data/Masks/Anomaly/0.png", 2);
    let rows: String = (0..5).map(|i| format!("candle/Data/Images/Normal/{i}.png,normal,\n")).collect();
    let anomaly = "candle/Data/Images/Anomaly/0.png,\"wax melded,other\",candle/Data/Masks/Anomaly/0.png\n";
    folder.text("candle/image_anno.csv", &format!("image,label,mask\n{rows}{anomaly}"));
    let root = folder.0.join("candle");
    let dataset = Dataset::open(&root).unwrap();
    assert_eq!(counts(&dataset), [5, 0, 0, 1]);
    assert_eq!(dataset.defect_types(), ["wax melded,other"]);
    assert_eq!(folder.area(&dataset.test_bad[0]), Ok(2 * 2 * 2 * 8));
    let split = Split::draw(&dataset, &options(1)).unwrap();
    let path = folder.0.join("split.json");
    split.write(&path, &root).unwrap();
    let read = Split::read(&path, &root).unwrap();
    assert_eq!(read.anomalies[0].kind, split.anomalies[0].kind);
    assert!(read.anomalies[0].mask.is_some());
}

#[test]
fn kolektor_tells_good_from_bad_by_the_mask_beside() {
    let folder = Folder::new();
    for (part, white) in [("kos01/Part0", 0), ("kos01/Part1", 3), ("kos02/Part0", 0), ("kos02/Part7", 0)] {
        folder.picture(&format!("{part}.png"), 8);
        folder.picture(&format!("{part}_label.bmp"), white);
    }
    folder.picture("kos02/Part9.png", 8);
    let dataset = folder.open();
    assert_eq!((counts(&dataset), dataset.layout), ([3, 0, 0, 1], Layout::Plain));
    assert_eq!(folder.names(&dataset.test_bad), ["kos01/Part1.png"]);
    assert_eq!(folder.area(&dataset.test_bad[0]), Ok(4 * 3 * 8));
    assert_eq!(folder.findings(), ["kos02/Part9.png - not used"]);

    let second = Folder::new();
    for (name, white) in [("train/1", 0), ("train/2", 1), ("test/3", 0), ("test/4", 1), ("test/5", 1)] {
        second.picture(&format!("{name}.png"), 8);
        second.picture(&format!("{name}_GT.png"), white);
    }
    assert_eq!((counts(&second.open()), second.open().layout), ([1, 1, 1, 2], Layout::Mvtec));
    second.text("test/5_GT.png", "no picture");
    contains_all(&second.error(), &["test/5_GT.png", "begins with \"no pictu\""]);
}

#[test]
fn btad_has_bitmaps_for_images_and_masks() {
    let folder = Folder::with(&["train/ok/0.bmp", "test/ok/1.bmp"]);
    folder.picture("test/ko/2.bmp", 8);
    folder.picture("ground_truth/ko/2.bmp", 1);
    let dataset = folder.open();
    assert_eq!((counts(&dataset), dataset.findings.len()), ([1, 1, 0, 1], 0));
    assert_eq!(folder.area(&dataset.test_bad[0]), Ok(4 * 8));
    // A mask of another size is refused when it is used, by name.
    GrayImage::new(8, 9).save(folder.0.join("ground_truth/ko/2.bmp")).unwrap();
    contains_all(&folder.area(&dataset.test_bad[0]).unwrap_err(), &["2.bmp", "a mask of 8x8", "found 9x8"]);
}

#[test]
fn images_without_any_mask_are_told_by_name() {
    let folder = Folder::with(&["good/0.png", "good/1.png", "bad/a.png"]);
    assert_eq!(folder.findings().len(), 1);
    contains_all(&folder.open().findings[0].to_string(), &["no masks for the 1 defective images"]);
    folder.add(&["bad/b.png", "masks/b.png"]);
    assert_eq!(folder.findings(), ["bad/a.png - no mask"]);
    assert_eq!(folder.open().trainable_anomalies(&Setting::General, false), 1);
}

#[test]
fn polygons_and_boxes_are_masks() {
    let folder = Folder::with(&["good/0.png", "good/1.png"]);
    ["a", "b", "c"].iter().for_each(|name| folder.picture(&format!("bad/{name}.png"), 8));
    let label_me = |height: usize, x: usize| {
        format!(
            r#"{{"imageHeight": {height}, "imageWidth": 8, "shapes": [{{"label": "dent", "points": [[0, 0], [{x}, 0], [{x}, 4], [0, 4]]}}]}}"#
        )
    };
    folder.text("masks/a.json", &label_me(8, 4));
    let images = r#"[{"id": 1, "file_name": "bad/b.png", "height": 8, "width": 8}, {"id": 2, "file_name": "c.png", "height": 8, "width": 8}]"#;
    let boxes = r#"[{"image_id": 1, "bbox": [0, 0, 2, 8]}, {"image_id": 2, "segmentation": [[0, 0, 8, 0, 8, 1, 0, 1]]}]"#;
    folder.text("masks/all.json", &format!(r#"{{"images": {images}, "annotations": {boxes}}}"#));
    let dataset = folder.open();
    assert_eq!(dataset.findings, []);
    let areas: Vec<_> = dataset.test_bad.iter().map(|sample| folder.area(sample)).collect();
    assert_eq!(areas, [Ok(4 * 16), Ok(4 * 16), Ok(4 * 8)]);

    let wrong = |text: &str| {
        folder.text("masks/a.json", text);
        folder.area(&folder.open().test_bad[0]).unwrap_err()
    };
    contains_all(
        &wrong(&label_me(8, 80)),
        &["a.json", "shape 1 (dent)", "x 80, y 0, outside its image of 8x8"],
    );
    contains_all(&wrong(&label_me(9, 4)), &["a.json", "expected a mask of 8x8", "a.png, found 9x8"]);
    contains_all(&wrong("{\"shapes\": ["), &["a.json", "LabelMe, COCO or Label Studio annotation", "line 1"]);
}

impl Folder {
    /// Pictures of 8 x 8 pixels, none like another.
    fn pictures(&self, names: &[&str]) {
        for (i, name) in names.iter().enumerate() {
            self.picture(name, 1 + (i as u32) % 7);
        }
    }
}

/// Findings without what follows a colon.
fn unused(folder: &Folder) -> Vec<String> {
    folder.findings()
}

#[test]
fn every_file_is_used_or_named_with_its_folder() {
    let folder = Folder::new();
    folder.pictures(&[
        "good/1.png",
        "good/2.png",
        "bad/a.png",
        "masks/a.png",
        "validation/x/1.png",
        "validation/2.png",
    ]);
    folder.pictures(&["OK2/1.png", "Bad 2/1.png", "Bad 2/2.png", "scratch/1.png", "stray.png"]);
    folder.text("readme.md", "about these parts");
    folder.text("labels/a.txt", "0 0.5 0.5 0.1 0.1");
    assert_eq!(
        unused(&folder),
        [
            "Bad 2 - 2 pictures, not used",
            "OK2 - 1 picture, not used",
            "labels - 1 file, not used",
            "readme.md - not used",
            "scratch - 1 picture, not used",
            "stray.png - not used",
            "validation - 2 pictures, not used",
        ]
    );
    let dataset = folder.open();
    let problem = |name: &str| {
        let path = folder.0.join(name);
        dataset.findings.iter().find(|finding| finding.path == path).expect(name).problem.clone()
    };
    contains_all(&problem("validation"), &["bgad calibrate --good"]);
    contains_all(&problem("Bad 2"), &["bad/TYPE/"]);
    contains_all(&problem("labels"), &["YOLO"]);
    // The numbers add up: every file is in one of them.
    let counts = dataset.counts();
    assert_eq!((counts.train_good, counts.test_bad, counts.with_mask, counts.unused), (2, 1, 1, 9));
}

#[test]
fn hidden_folders_are_named_and_masks_of_nobody_say_why() {
    let folder = Folder::with(&["good/1.png", "good/2.png", "bad/a.png", "good/.batch 2/3.png", ".x.png"]);
    folder.pictures(&["good/.Trash-1000/1.png", "@eaDir/1.png", ".git/1.png"]);
    let dataset = folder.open();
    let hidden =
        dataset.findings.iter().find(|finding| finding.problem.contains("hidden")).expect("a finding");
    contains_all(&hidden.problem, &["2 hidden files or folders", ".x.png, good/.batch 2;"]);
    assert_eq!(dataset.counts().unused, 2);

    let folder = Folder::with(&["good/1.png", "good/2.png", "bad/a.png", "bad/a-1.png"]);
    folder.pictures(&["masks/a-1-scratch-0.png", "masks/task-1-annotation-4-by-1-tag-x-0.png"]);
    let dataset = folder.open();
    let problem = |name: &str| {
        let path = folder.0.join(name);
        dataset.findings.iter().find(|finding| finding.path == path).expect(name).problem.clone()
    };
    contains_all(
        &problem("masks/a-1-scratch-0.png"),
        &["not used", "bad/a-1.png", "a-1_mask", "a folder a-1/"],
    );
    contains_all(&problem("masks/task-1-annotation-4-by-1-tag-x-0.png"), &["Label Studio", "export JSON"]);
    assert_eq!(dataset.counts().unused, 2);
}

#[test]
fn images_without_the_mask_beside_them_are_named() {
    let folder = Folder::with(&["train/1.png", "train/2.png", "train/3.png", "train/3_GT.png"]);
    let error = folder.error();
    contains_all(&error, &["2 images without a mask beside them", "1.png", "black mask"]);
}

#[test]
fn the_layouts_of_the_mvtec_family() {
    let folder = Folder::new();
    folder.pictures(&["train/good/1.png", "train/good/2.png", "validation/good/3.png"]);
    folder.pictures(&[
        "test_public/good/4.png",
        "test_public/bad/5.png",
        "test_public/ground_truth/bad/5_mask.png",
    ]);
    let dataset = folder.open();
    assert_eq!(counts(&dataset), [2, 1, 0, 1]);
    assert_eq!(dataset.test_bad[0].mask, Some(folder.0.join("test_public/ground_truth/bad/5_mask.png")));
    assert_eq!(unused(&folder), ["validation - 1 picture, not used"]);

    let loco = Folder::new();
    loco.pictures(&["train/good/1.png", "test/logical/1.png", "test/logical/2.png"]);
    loco.picture("ground_truth/logical/1/000.png", 1);
    loco.picture("ground_truth/logical/1/001.png", 3);
    loco.picture("ground_truth/logical/2/000.png", 2);
    let dataset = loco.open();
    assert_eq!(dataset.findings, []);
    assert_eq!(loco.area(&dataset.test_bad[0]), Ok(4 * 3 * 8), "both masks, united");
    let split = Split::draw(&dataset, &options(1)).unwrap();
    let path = loco.0.join("split.json");
    split.write(&path, &loco.0).unwrap();
    assert_eq!(Split::read(&path, &loco.0).unwrap(), split);

    let deep = Folder::new();
    deep.pictures(&[
        "train/good/rgb/1.png",
        "test/good/rgb/2.png",
        "test/hole/rgb/3.png",
        "test/hole/gt/3.png",
    ]);
    deep.text("train/good/xyz/1.tiff", "points");
    let dataset = deep.open();
    assert_eq!(counts(&dataset), [1, 1, 0, 1]);
    assert_eq!(dataset.test_bad[0].mask, Some(deep.0.join("test/hole/gt/3.png")));
    assert_eq!(unused(&deep), ["train/good/xyz - 1 file, not used"]);
}

#[test]
fn masks_under_the_names_that_tools_give() {
    for mask in [
        "masks/a.mask.png",
        "masks/a-mask.png",
        "masks/a_GT.png",
        "masks/mask_a.png",
        "mask/A_mask.png",
        "bad/a_mask.png",
    ] {
        let folder = Folder::new();
        folder.pictures(&["good/1.png", "good/2.png", "bad/a.png", mask]);
        let dataset = folder.open();
        assert_eq!(dataset.test_bad[0].mask, Some(folder.0.join(mask)), "{mask}");
        assert_eq!(dataset.findings, [], "{mask}");
    }
    for (good, bad) in [("normal", "abnormal"), ("OK", "NG"), ("good", "defect"), ("Good", "anomaly")] {
        let folder =
            Folder::with(&[&format!("{good}/1.png"), &format!("{good}/2.png"), &format!("{bad}/1.png")]);
        assert_eq!(counts(&folder.open()), [2, 0, 0, 1], "{good} {bad}");
    }
}

#[test]
fn label_me_beside_its_image_is_its_mask() {
    let folder = Folder::new();
    folder.pictures(&["good/1.png", "good/2.png", "bad/dent/a.png", "bad/dent/b.png"]);
    let shape =
        r#"{"imageHeight": 8, "imageWidth": 8, "shapes": [{"points": [[0, 0], [4, 0], [4, 4], [0, 4]]}]}"#;
    folder.text("bad/dent/a.json", shape);
    let dataset = folder.open();
    assert_eq!(folder.area(&dataset.test_bad[0]), Ok(4 * 16));
    assert_eq!(unused(&folder), ["bad/dent/b.png - no mask"]);
    // In one folder with the good ones nobody can tell which of the others are good.
    let mixed = Folder::with(&["a.png", "b.png"]);
    mixed.text("a.json", shape);
    contains_all(&mixed.error(), &["labels lie beside 1 of the pictures", "into a folder named bad"]);
}

#[test]
fn coco_with_the_same_name_in_two_folders() {
    let coco = |names: [&str; 2]| {
        format!(
            r#"{{"images": [{{"id": 1, "file_name": "{}", "height": 8, "width": 8}}, {{"id": 2, "file_name": "{}", "height": 8, "width": 8}}],
            "annotations": [{{"image_id": 1, "bbox": [0, 0, 1, 8]}}, {{"image_id": 2, "bbox": [0, 0, 3, 8]}}]}}"#,
            names[0], names[1]
        )
    };
    let folder = Folder::new();
    folder.pictures(&["good/1.png", "good/2.png", "bad/dent/001.png", "bad/stain/001.png"]);
    folder.text("masks/all.json", &coco(["dent/001.png", "images\\\\stain\\\\001.png"]));
    let dataset = folder.open();
    assert_eq!(dataset.findings, []);
    let areas: Vec<_> = dataset.test_bad.iter().map(|sample| folder.area(sample)).collect();
    assert_eq!(areas, [Ok(4 * 8), Ok(4 * 3 * 8)]);
    // Names that do not tell them apart are refused, by name.
    folder.text("masks/all.json", &coco(["001.png", "001.png"]));
    let dataset = folder.open();
    assert!(dataset.test_bad.iter().all(|sample| sample.mask.is_none()));
    let problems: Vec<String> = dataset.findings.iter().map(ToString::to_string).collect();
    assert!(
        problems.iter().any(|p| p.contains("all.json") && p.contains("two entries that fit")),
        "{problems:?}"
    );
    // One entry that two images might be is of the one whose folder it names, or of none.
    folder.text("masks/all.json", &coco(["stain/001.png", "other.png"]));
    let masks: Vec<bool> = folder.open().test_bad.iter().map(|sample| sample.mask.is_some()).collect();
    assert_eq!(masks, [false, true]);
    folder.text("masks/all.json", "{\"images\": [");
    let problems: Vec<String> = folder.open().findings.iter().map(ToString::to_string).collect();
    assert!(
        problems.iter().any(|p| p.contains("all.json") && p.contains("cannot be read") && p.contains("EOF")),
        "{problems:?}"
    );
}

#[test]
fn exports_that_name_every_image() {
    // Roboflow: a COCO file in each of its folders.
    let folder = Folder::new();
    folder.pictures(&["train/1.png", "train/2.png", "train/3.png", "valid/4.png", "valid/5.png"]);
    let coco = |names: [&str; 3], marked: usize| {
        let image = |(i, name): (usize, &str)| {
            format!(r#"{{"id": {i}, "file_name": "{name}", "height": 8, "width": 8}}"#)
        };
        let images: Vec<String> = names.into_iter().enumerate().map(image).collect();
        format!(
            r#"{{"images": [{}], "categories": [{{"id": 1, "name": "dent"}}],
            "annotations": [{{"image_id": {marked}, "category_id": 1, "bbox": [0, 0, 2, 8]}}]}}"#,
            images.join(",")
        )
    };
    folder.text("train/_annotations.coco.json", &coco(["1.png", "2.png", "3.png"], 2));
    folder.text("valid/_annotations.coco.json", &coco(["4.png", "5.png", "gone.png"], 1));
    let dataset = folder.open();
    assert_eq!((counts(&dataset), dataset.layout), ([2, 1, 1, 1], Layout::Mvtec));
    assert_eq!(dataset.defect_types(), ["dent"]);
    assert_eq!(folder.area(&dataset.test_bad[0]), Ok(4 * 2 * 8));

    // CVAT: pictures beside masks, black for good ones.
    let cvat = Folder::new();
    cvat.pictures(&["JPEGImages/1.png", "JPEGImages/2.png", "JPEGImages/3.png"]);
    [("1", 0), ("2", 3), ("3", 0)]
        .iter()
        .for_each(|(name, white)| cvat.picture(&format!("SegmentationClass/{name}.png"), *white));
    let dataset = cvat.open();
    assert_eq!((counts(&dataset), cvat.area(&dataset.test_bad[0])), ([2, 0, 0, 1], Ok(4 * 3 * 8)));

    // In a folder of masks its colours must be those that tell a defect.
    let colours = Folder::new();
    colours.pictures(&["good/1.png", "good/2.png", "bad/3.png", "SegmentationClass/3.png"]);
    colours.text("labelmap.txt", "# label:color_rgb:parts:actions\nbackground:255,255,255::\ndent:0,0,0::\n");
    let problems: Vec<String> = colours.open().findings.iter().map(ToString::to_string).collect();
    assert!(problems.iter().any(|p| p.contains("background the colour 255,255,255")), "{problems:?}");
}

#[test]
fn lists_as_spreadsheets_write_them() {
    let folder = Folder::with(&numbered("i", 4));
    folder.picture("m.png", 2);
    let rows = |separator: &str, good: &str, bad: &str| {
        let rows = ["i/000.png", "i/001.png", "i/002.png"].map(|name| [name, good, ""].join(separator));
        let head = ["image_path", "label", "mask_path"].join(separator);
        let last = ["i\\003.png", bad, "m.png"].join(separator);
        format!("{head}\r\n{}\r\n{last}\r\n{}\r\n", rows.join("\r\n"), [""; 3].join(separator))
    };
    let texts = [
        rows(";", "OK", "NG"),
        rows("\t", "good", "dent"),
        rows(",", "False", "True"),
        rows(";", "nein", "x"),
    ];
    for (text, want) in texts.iter().zip([[3, 0, 0, 1], [3, 0, 0, 1], [3, 0, 0, 1], [0, 0, 0, 0]]) {
        match Dataset::open(&folder.text("list.csv", text)) {
            Ok(dataset) => assert_eq!(counts(&dataset), want, "{text}"),
            Err(error) => contains_all(&error.to_string(), &["list.csv", "no good image to train on"]),
        }
    }
    let utf16: Vec<u8> =
        [0xfeffu16].into_iter().chain(texts[0].encode_utf16()).flat_map(u16::to_le_bytes).collect();
    fs::write(folder.0.join("list.csv"), utf16).unwrap();
    assert_eq!(counts(&Dataset::open(&folder.0.join("list.csv")).unwrap()), [3, 0, 0, 1]);
    let quoted = "image_path,note,label\ni/000.png,\"two\nlines\",good\ni/001.png,,True\n";
    let error = Dataset::open(&folder.text("list.csv", quoted)).unwrap_err().to_string();
    contains_all(&error, &["line 4", "the label True, which may mean either"]);
}
