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
    assert_eq!(dataset.findings.len(), 1, "004 has no mask");
    assert!(dataset.findings[0].to_string().contains("004.png: no mask"), "{}", dataset.findings[0]);
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
    fs::write(folder.0.join("binary.csv"), [0xff, 0xfe, 0x00]).unwrap();
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
    contains_all(&wrong("{\"shapes\": ["), &["a.json", "LabelMe or COCO annotation", "line 1"]);
}
