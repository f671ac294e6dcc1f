//! Shapes on a picture of a few pixels, written out.

use super::*;

fn rows(json: &str, image: &str) -> Result<Vec<String>, String> {
    let labels = Labels::parse(json.as_bytes()).map_err(|problem| problem.to_string())?;
    let drawn = labels.drawn(Some(Path::new(image)), None).map_err(|problem| problem.to_string())?;
    let row = |row: &[u8]| row.iter().map(|&pixel| if pixel == 1 { '#' } else { '.' }).collect();
    Ok(drawn.defective.chunks(drawn.width).map(row).collect())
}

fn label_me(shapes: &str) -> Result<Vec<String>, String> {
    rows(&format!(r#"{{"imageHeight": 4, "imageWidth": 6, "shapes": [{shapes}]}}"#), "a.png")
}

fn coco(annotation: &str) -> Result<Vec<String>, String> {
    let images = r#"[{"id": 3, "file_name": "x/a.png", "height": 4, "width": 6}]"#;
    rows(&format!(r#"{{"images": {images}, "annotations": [{annotation}]}}"#), "bad/a.png")
}

#[test]
fn shapes_cover_the_pixels_whose_centre_they_hold() {
    let cases = [
        (
            r#"{"shape_type": "rectangle", "points": [[1, 1], [4, 3]]}"#,
            ["......", ".###..", ".###..", "......"],
        ),
        (
            r#"{"shape_type": "rectangle", "points": [[4, 3], [1, 1]]}"#,
            ["......", ".###..", ".###..", "......"],
        ),
        (r#"{"points": [[0, 0], [4, 0], [0, 4]]}"#, ["###...", "##....", "#.....", "......"]),
        (
            r#"{"shape_type": "circle", "points": [[3, 2], [3, 3.2]]}"#,
            ["......", "..##..", "..##..", "......"],
        ),
        (r#"{"points": [[0, 2.1], [2, 2.2], [4.9, 2.1]]}"#, ["......", "......", "#.#.#.", "......"]),
        ("", ["......"; 4]),
    ];
    for (shapes, want) in cases {
        assert_eq!(label_me(shapes), Ok(want.map(str::to_owned).to_vec()), "{shapes}");
    }
}

#[test]
fn coco_polygons_runs_and_boxes() {
    let cases = [
        r#"{"image_id": 3, "segmentation": [[1, 1, 4, 1, 4, 3, 1, 3]]}"#,
        r#"{"image_id": 3, "bbox": [1, 1, 3, 2], "segmentation": []}"#,
        r#"{"image_id": 3, "segmentation": {"size": [4, 6], "counts": [5, 2, 2, 2, 2, 2, 9]}}"#,
        r#"{"image_id": 3, "bbox": [1, 1, 3, 2]}, {"image_id": 9, "bbox": [0, 0, 6, 4]}"#,
    ];
    for annotation in cases {
        let want = ["......", ".###..", ".###..", "......"].map(str::to_owned).to_vec();
        assert_eq!(coco(annotation), Ok(want), "{annotation}");
    }
    let json = r#"{"images": [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "b.png"}],
        "categories": [{"id": 7, "name": "dent"}], "annotations": [{"image_id": 2, "category_id": 7}]}"#;
    let Ok(Labels::Many(many)) = Labels::parse(json.as_bytes()) else { panic!("a COCO file") };
    let marked: Vec<_> = many.images.iter().map(|image| (image.marked, image.category.clone())).collect();
    assert_eq!(marked, [(false, None), (true, Some("dent".to_owned()))]);
}

#[test]
fn coco_as_other_tools_write_it() {
    let want = || Ok(["......", ".###..", ".###..", "......"].map(str::to_owned).to_vec());
    // Packed by pycocotools: the runs 5 2 2 2 2 2 9 column by column.
    let packed = r#"{"image_id": 3, "segmentation": {"size": [4, 6], "counts": "5220007"}}"#;
    let flat = r#"{"image_id": 3, "segmentation": [1, 1, 4, 1, 4, 3, 1, 3]}"#;
    assert_eq!((coco(packed), coco(flat)), (want(), want()));
    // Texts for ids, a byte order mark, no size, and the paths of Windows.
    let json =
        "\u{feff}{\"images\": [{\"id\": \"x\", \"file_name\": \"..\\\\bad\\\\a.png\", \"height\": null}],
        \"annotations\": [{\"image_id\": \"x\", \"bbox\": [1, 1, 3, 2]}]}";
    let labels = Labels::parse(json.as_bytes()).expect("a COCO file");
    let size = OriginalSize { height: 4, width: 6 };
    let drawn = labels.drawn(Some(Path::new("data/bad/a.png")), Some(size)).expect("drawn");
    assert_eq!(drawn.defective.iter().filter(|pixel| **pixel == 1).count(), 6);
    assert!(labels.drawn(Some(Path::new("a.png")), None).is_err(), "without a size from either");
}

#[test]
fn images_are_found_by_the_longest_end_of_their_path() {
    let find = |names: &str, image: &str| {
        let images: Vec<String> = names
            .split(' ')
            .enumerate()
            .map(|(i, name)| format!(r#"{{"id": {i}, "file_name": "{name}"}}"#))
            .collect();
        let json = format!(r#"{{"images": [{}]}}"#, images.join(","));
        match Labels::parse(json.as_bytes()) {
            Ok(Labels::Many(many)) => many.find(Path::new(image)).map_err(|problem| problem.to_string()),
            _ => panic!("{json}"),
        }
    };
    assert_eq!(find("dent/1.png stain/1.png", "d/bad/stain/1.png"), Ok(Some((1, 2))));
    assert_eq!(find("images/1.png", "d/bad/1.png"), Ok(Some((0, 1))));
    assert_eq!(find("1.png 2.png", "d/3.png"), Ok(None));
    let error = find("dent/1.png stain/1.png", "bad/1.png").expect_err("two fit");
    assert!(error.contains("dent/1.png and stain/1.png"), "{error}");
    assert!(find("1.png 1.png", "1.png").is_err(), "one name twice");
    let twice = br#"{"images": [{"id": 1, "file_name": "a.png"}, {"id": 1, "file_name": "b.png"}]}"#;
    assert!(
        Labels::parse(twice)
            .expect_err("one id")
            .to_string()
            .contains("one id for two images: a.png and b.png")
    );
}

#[test]
fn label_me_as_its_tools_write_it() {
    let square = ["......", ".##...", ".##...", "......"].map(str::to_owned).to_vec();
    for kind in ["rectangle", "rotation", "oriented_rectangle"] {
        let shape = format!(r#"{{"shape_type": "{kind}", "points": [[1, 1], [3, 1], [3, 3], [1, 3]]}}"#);
        assert_eq!(label_me(&shape), Ok(square.clone()), "{kind}");
    }
    // A hand slips a little over the edge; what is generated is clipped, however far it reaches.
    let slipped = r#"{"points": [[4, 1], [7.5, 1], [7.5, 3], [4, 3]]}"#;
    assert_eq!(label_me(slipped), Ok(["......", "....##", "....##", "......"].map(str::to_owned).to_vec()));
    let large = label_me(r#"{"shape_type": "circle", "points": [[0, 0], [0, 30]]}"#);
    assert_eq!(large, Ok(vec!["######".to_owned(); 4]));
    let mut png = std::io::Cursor::new(Vec::new());
    ::image::GrayImage::from_fn(3, 2, |x, _| ::image::Luma([255 * u8::from(x != 1)]))
        .write_to(&mut png, ::image::ImageFormat::Png)
        .expect("encoded");
    let mask = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, png.into_inner());
    let mask = format!(r#"{{"shape_type": "mask", "points": [[1, 1], [3, 2]], "mask": "{mask}"}}"#);
    assert_eq!(label_me(&mask), Ok(["......", ".#.#..", ".#.#..", "......"].map(str::to_owned).to_vec()));
}

#[test]
fn label_studio_polygons_boxes_and_brushes() {
    let task = |kind: &str, value: &str| {
        let json = format!(
            r#"[{{"data": {{"image": "/data/upload/1/0a1b2c3d-a.png"}}, "annotations": [{{"result": [{{"type": "{kind}",
                "original_width": 6, "original_height": 4, "value": {value}}}]}}]}}]"#
        );
        rows(&json, "bad/a.png")
    };
    let want = || Ok(["......", ".###..", ".###..", "......"].map(str::to_owned).to_vec());
    let x = [100.0 / 6.0, 400.0 / 6.0];
    let points = format!(r#"{{"points": [[{0}, 25], [{1}, 25], [{1}, 75], [{0}, 75]]}}"#, x[0], x[1]);
    assert_eq!(task("polygonlabels", &points), want());
    let rectangle = format!(r#"{{"x": {}, "y": 25, "width": 50, "height": 50, "rotation": 0}}"#, x[0]);
    assert_eq!(task("rectanglelabels", &rectangle), want());

    // A brush: 32 bits of length, word size 8, four sizes of 8 bits, then runs of one value or values one by one.
    let mut bits = format!("{:032b}{:05b}", 4 * 24, 7) + &"0111".repeat(4);
    for row in [[0u8; 6], [0, 1, 1, 1, 0, 0], [0, 1, 1, 1, 0, 0], [0; 6]] {
        bits += &format!("000{:08b}", 4 * 6 - 1);
        bits += &row.iter().map(|&on| format!("{:08b}", 255 * on).repeat(4)).collect::<String>();
    }
    bits += &"0".repeat((8 - bits.len() % 8) % 8);
    let bytes: Vec<String> = bits
        .as_bytes()
        .chunks(8)
        .map(|byte| byte.iter().fold(0u8, |v, b| v << 1 | (b - b'0')).to_string())
        .collect();
    let brush = |bytes: &[String]| format!(r#"{{"format": "rle", "rle": [{}]}}"#, bytes.join(","));
    assert_eq!(task("brushlabels", &brush(&bytes)), want());
    assert!(task("brushlabels", &brush(&bytes[..20])).expect_err("cut").contains("a brush that is broken"));
}

#[test]
fn a_file_of_many_is_parsed_once_and_again_when_it_changes() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("all.json");
    std::fs::write(&path, r#"{"images": [{"id": 1, "file_name": "a.png"}]}"#).expect("written");
    let first = labels(&path).expect("labels");
    assert!(Arc::ptr_eq(&first, &labels(&path).expect("labels")));
    std::fs::write(&path, r#"{"images": []}"#).expect("written");
    assert!(matches!(&*labels(&path).expect("labels"), Labels::Many(many) if many.images.is_empty()));
}

#[test]
fn shapes_cost_no_more_than_their_rows() {
    // Each edge crosses all rows: without a bound this takes minutes.
    let zigzag: Vec<String> = (0..40_000).map(|i| format!("[{}, {}]", i % 6, 16_000 * (i % 2))).collect();
    let json = format!(
        r#"{{"imageHeight": 16000, "imageWidth": 6, "shapes": [{{"points": [{}]}}]}}"#,
        zigzag.join(",")
    );
    assert!(rows(&json, "a.png").expect_err("too much").contains("edges that cross more than"));
    let boxes = vec![r#"{"shape_type": "rectangle", "points": [[0, 0], [3000, 3000]]}"#; 200].join(",");
    let json = format!(r#"{{"imageHeight": 3000, "imageWidth": 3000, "shapes": [{boxes}]}}"#);
    assert!(rows(&json, "a.png").expect_err("too much").contains("cover the picture more than 64 times"));
}

#[test]
fn what_cannot_be_drawn_says_why() {
    let outside = r#"{"label": "dent", "points": [[0, 0], [9, 0], [0, 3]]}"#;
    let cases = [
        (label_me(outside), "shape 1 (dent) with a point at x 9, y 0, outside its image of 4x6"),
        (label_me(r#"{"shape_type": "line", "points": [[0, 0], [1, 1]]}"#), "of type line with 2 points"),
        (label_me(r#"{"points": [[0, 0], [1, null]]}"#), "expected"),
        (
            coco(r#"{"image_id": 3, "segmentation": {"size": [4, 6], "counts": "a"}}"#),
            "packed runs that are broken",
        ),
        (coco(r#"{"image_id": 3, "segmentation": {"size": [4, 6], "counts": "52"}}"#), "do not cover"),
        (coco(r#"{"image_id": 3, "segmentation": {"size": [4, 6], "counts": [5, 2]}}"#), "do not cover"),
        (coco(r#"{"image_id": 3, "segmentation": [[1, 1, 4]]}"#), "a polygon of 3 numbers"),
        (coco(r#"{"image_id": 3}"#), "neither segmentation nor box"),
        (rows(r#"{"images": []}"#, "a.png"), "no image named a.png"),
        (rows(r#"{"imageHeight": 0, "imageWidth": 6, "shapes": []}"#, "a.png"), "an image of 0x6"),
        (rows(r#"{"images": "#, "a.png"), "EOF while parsing a value at line 1"),
        (rows("[1, 2]", "a.png"), "expected"),
        (rows(r#"{"version": 1}"#, "a.png"), "neither images nor shapes"),
    ];
    for (found, want) in cases {
        let error = found.expect_err(want);
        assert!(error.contains(want), "no `{want}` in: {error}");
    }
}
