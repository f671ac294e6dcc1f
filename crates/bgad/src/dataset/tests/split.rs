//! Which image is for what: splits as they are drawn, written and read.

use super::*;

#[test]
fn general_takes_evenly_from_all_types() {
    let folder = Folder::mvtec();
    let dataset = folder.open();
    for (asked, expected) in [(0, [0, 0, 0]), (1, [1, 0, 0]), (3, [1, 1, 1]), (8, [3, 3, 2]), (10, [4, 4, 2])]
    {
        let split = Split::draw(&dataset, &options(asked)).unwrap();
        let of = |name: &str| split.anomalies.iter().filter(|s| s.kind.defect() == Some(name)).count();
        assert_eq!([of("dent"), of("scratch"), of("stain")], expected, "{asked}");
        assert_eq!(split.anomalies.len() + split.test_bad.len(), 10);
        assert!(split.anomalies.iter().all(|sample| !split.test_bad.contains(sample)));
        assert_eq!((split.train.len(), split.test_good.len()), (6, 3));
    }
}

#[test]
fn hard_trains_on_one_type_and_tests_on_the_others() {
    let dataset = Folder::mvtec().open();
    for asked in [0, 3] {
        let setting = Setting::Hard("scratch".to_owned());
        let split = Split::draw(&dataset, &SplitOptions { setting, ..options(asked) }).unwrap();
        assert_eq!(split.anomalies.len(), asked);
        assert!(split.anomalies.iter().all(|sample| sample.kind.defect() == Some("scratch")));
        assert_eq!(split.test_bad.len(), 6);
        assert!(split.test_bad.iter().all(|sample| sample.kind.defect() != Some("scratch")));
    }
}

#[test]
fn a_seed_decides_and_more_includes_fewer() {
    let folder = Folder::with(&numbered("good", 40));
    folder.add(&numbered("bad/hole", 12));
    folder.add(&numbered("masks/hole", 12));
    let dataset = folder.open();
    let draw = |anomalies, limit_normal, seed| {
        let setting = Setting::General;
        Split::draw(&dataset, &SplitOptions { anomalies, setting, weak: false, limit_normal, seed }).unwrap()
    };
    assert_eq!(draw(5, Some(9), 7), draw(5, Some(9), 7));
    assert_ne!(draw(5, Some(9), 7).train, draw(5, Some(9), 8).train);
    assert_ne!(draw(5, Some(9), 7).anomalies, draw(5, Some(9), 8).anomalies);
    assert_ne!(draw(5, Some(9), 7).test_good, draw(5, Some(9), 8).test_good);

    let (few, many) = (draw(3, Some(5), 7), draw(6, Some(10), 7));
    assert!(few.anomalies.iter().all(|sample| many.anomalies.contains(sample)));
    assert!(few.train.iter().all(|sample| many.train.contains(sample)));
    // Neither number disturbs what is held out.
    assert_eq!(few.test_good, many.test_good);
    assert_eq!((many.train.len(), many.test_good.len()), (10, 8));
    assert_eq!(draw(0, None, 7).train.len(), 32);
    assert_eq!(draw(0, Some(1000), 7).train.len(), 32);
}

#[test]
fn a_draw_is_the_same_everywhere() {
    // Recorded once; another result means that old seeds no longer give old splits.
    let folder = Folder::with(&numbered("good", 10));
    folder.add(&numbered("bad", 6));
    folder.add(&numbered("masks", 6));
    let split =
        Split::draw(&folder.open(), &SplitOptions { limit_normal: Some(3), seed: 1, ..options(2) }).unwrap();
    assert_eq!(folder.names(&split.train), ["good/000.png", "good/002.png", "good/009.png"]);
    assert_eq!(folder.names(&split.anomalies), ["bad/001.png", "bad/003.png"]);
    assert_eq!(folder.names(&split.test_good), ["good/003.png", "good/005.png"]);
}

#[test]
fn plain_holds_out_a_fifth_but_at_least_one() {
    for (good, held_out) in [(2, 1), (4, 1), (5, 1), (9, 1), (10, 2), (23, 4)] {
        let split = Split::draw(&Folder::with(&numbered("good", good)).open(), &options(0)).unwrap();
        assert_eq!((split.train.len(), split.test_good.len()), (good - held_out, held_out));
        assert!(split.test_good.iter().all(|sample| !split.train.contains(sample)));
    }
}

#[test]
fn one_good_image_is_too_few_to_divide() {
    let error = Split::draw(&Folder::with(&["good/1.png"]).open(), &options(0)).unwrap_err();
    assert!(matches!(error, DatasetError::NotEnoughGood { found: 1, .. }));
    contains_all(&error.to_string(), &["at least 2 good images", "found 1"]);
}

#[test]
fn asking_for_no_good_image_is_an_error() {
    let error = Split::draw(&Folder::mvtec().open(), &SplitOptions { limit_normal: Some(0), ..options(0) });
    assert!(matches!(error, Err(DatasetError::NoNormalAsked)));
}

#[test]
fn too_few_anomalies_says_how_many_there_are() {
    let folder = Folder::mvtec();
    fs::remove_file(folder.0.join("ground_truth/dent/001_mask.png")).unwrap();
    let error = Split::draw(&folder.open(), &options(10)).unwrap_err();
    assert!(matches!(
        error,
        DatasetError::NotEnoughAnomalies { asked: 10, with_mask: 9, without_mask: 1, .. }
    ));
    contains_all(&error.to_string(), &["at least 10", "found 9 with a mask and 1 without", "add masks"]);

    let setting = Setting::Hard("stain".to_owned());
    let error = Split::draw(&folder.open(), &SplitOptions { setting, ..options(3) }).unwrap_err();
    contains_all(&error.to_string(), &["hard:stain", "at most 2 anomalies", "add defective images"]);
}

#[test]
fn anomalies_without_masks_are_tested_on_and_never_trained_on() {
    let folder = Folder::mvtec();
    fs::remove_file(folder.0.join("ground_truth/stain/000_mask.png")).unwrap();
    for seed in 0..20 {
        let split = Split::draw(&folder.open(), &SplitOptions { seed, ..options(8) }).unwrap();
        assert!(split.anomalies.iter().all(|sample| sample.mask.is_some()));
        assert!(folder.names(&split.test_bad).contains(&"test/stain/000.png".to_owned()));
    }
}

#[test]
fn an_unknown_type_lists_the_known_ones() {
    let setting = Setting::Hard("hole".to_owned());
    let error = Split::draw(&Folder::mvtec().open(), &SplitOptions { setting, ..options(1) }).unwrap_err();
    contains_all(&error.to_string(), &["dent, scratch, stain", "hard:hole"]);
}

#[test]
fn hard_with_the_only_type_leaves_nothing_to_test() {
    let folder = Folder::with(&["good/1.png", "good/2.png", "bad/1.png", "masks/1.png"]);
    let setting = Setting::Hard("bad".to_owned());
    let error = Split::draw(&folder.open(), &SplitOptions { setting, ..options(1) }).unwrap_err();
    contains_all(&error.to_string(), &["besides bad", "setting general"]);
}

#[test]
fn settings_read_as_written() {
    assert_eq!("general".parse(), Ok(Setting::General));
    assert_eq!("hard:scratch: deep".parse(), Ok(Setting::Hard("scratch: deep".to_owned())));
    for setting in [Setting::General, Setting::Hard("ä b".to_owned())] {
        assert_eq!(setting.to_string().parse(), Ok(setting.clone()));
        let json = serde_json::to_string(&setting).unwrap();
        assert_eq!(serde_json::from_str::<Setting>(&json).unwrap(), setting);
    }
    for wrong in ["", "hard", "hard:", "General", "soft:dent", "general:dent"] {
        contains_all(
            &wrong.parse::<Setting>().unwrap_err().to_string(),
            &["hard:TYPE", &format!("\"{wrong}\"")],
        );
    }
}

// Split files.

#[test]
fn a_split_is_read_as_it_was_written() {
    let folder = Folder::mvtec();
    let split = Split::draw(&folder.open(), &options(4)).unwrap();
    let path = folder.0.join("split.json");
    split.write(&path, &folder.0).unwrap();
    assert_eq!(Split::read(&path, &folder.0).unwrap(), split);

    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("\"train/good/000.png\"") && !text.contains(folder.0.to_str().unwrap()), "{text}");
    assert_eq!(Split::data_folder(&path).unwrap(), Some(folder.0.join(".")));
    // Over an existing file too, and nothing is left beside it.
    split.write(&path, &folder.0).unwrap();
    let beside = fs::read_dir(&folder.0).unwrap().count();
    assert_eq!(beside, 4);
}

#[test]
fn a_plain_split_is_read_as_it_was_written() {
    let folder = Folder::with(&numbered("good", 5));
    folder.add(&["bad/a.png", "bad/hole/b.png", "bad/c.png", "masks/a_mask.png", "masks/b.png"]);
    let split = Split::draw(&folder.open(), &options(2)).unwrap();
    let path = folder.0.join("split.json");
    split.write(&path, &folder.0).unwrap();
    assert_eq!(Split::read(&path, &folder.0).unwrap(), split);
}

#[test]
fn absolute_paths_and_backslashes_are_read() {
    let (here, there) = (Folder::with(&["a b/1.png", "a b/2.png"]), Folder::mvtec());
    let outside = there.0.to_str().unwrap().replace('\\', "/");
    let split = here
        .read(&format!(
            r#"{{"train": ["a b\\1.png", "a b/2.png"], "anomalies": ["{outside}/test/dent/000.png"], "test_good": [],
                "test_bad": ["{outside}/test/stain/001.png"]}}"#
        ))
        .unwrap();
    assert_eq!(here.names(&split.train), ["a b/1.png", "a b/2.png"]);
    assert_eq!(split.train[0].kind, Kind::Good);
    assert_eq!(split.anomalies[0].kind, Kind::Defect("dent".to_owned()));
    assert_eq!(split.anomalies[0].mask, Some(there.0.join("ground_truth/dent/000_mask.png")));
    assert_eq!(split.test_bad[0].mask, Some(there.0.join("ground_truth/stain/001_mask.png")));

    // What lies outside is written absolute.
    let path = here.0.join("again.json");
    split.write(&path, &here.0).unwrap();
    assert_eq!(Split::read(&path, &here.0).unwrap(), split);
}

#[test]
fn a_split_file_that_is_not_there_is_named() {
    let error = Split::read(Path::new("no such.json"), Path::new(".")).unwrap_err();
    assert!(error.to_string().starts_with("no such.json: cannot be read: "), "{error}");
}

#[test]
fn broken_json_says_where() {
    let folder = Folder::mvtec();
    contains_all(
        &folder.read_error("{\"train\": ["),
        &["split.json", "\"test_good\": [..]", "line 1 column"],
    );
}

#[test]
fn a_misspelt_list_is_an_error() {
    let folder = Folder::mvtec();
    let error = folder.read_error(r#"{"train": ["train/good/000.png"], "anomaly": []}"#);
    contains_all(&error, &["unknown field `anomaly`"]);
    contains_all(&folder.read_error("{}"), &["missing field `train`"]);
}

#[test]
fn a_listed_path_that_does_not_exist_is_named() {
    let folder = Folder::mvtec();
    let error = folder.read_error(r#"{"train": ["train/good/000.png"], "test_bad": ["test/dent/777.png"]}"#);
    contains_all(&error, &["no file test/dent/777.png of test_bad", "relative paths start at"]);
    // A folder is no image either.
    contains_all(&folder.read_error(r#"{"train": ["train/good"]}"#), &["no file train/good of train"]);
}

#[test]
fn a_path_in_train_and_test_is_named() {
    let folder = Folder::mvtec();
    let error = folder
        .read_error(r#"{"train": ["train/good/000.png"], "test_good": ["train/../train/good/000.png"]}"#);
    contains_all(&error, &["found train/../train/good/000.png in train and test_good"]);
    let error = folder.read_error(
        r#"{"train": ["train/good/000.png"], "anomalies": ["test/dent/001.png"], "test_bad": ["test/dent/001.png"]}"#,
    );
    contains_all(&error, &["found test/dent/001.png in anomalies and test_bad"]);
    let error = folder.read_error(r#"{"train": ["train/good/000.png", "train/good/000.png"]}"#);
    contains_all(&error, &["found train/good/000.png twice in train"]);
}

#[test]
fn good_images_listed_as_bad_are_named() {
    let folder = Folder::mvtec();
    let error = folder.read_error(r#"{"train": ["train/good/000.png"], "anomalies": ["test/good/001.png"]}"#);
    contains_all(&error, &["expected defective images in anomalies, found test/good/001.png"]);
}

#[test]
fn an_anomaly_without_a_mask_is_named() {
    let folder = Folder::mvtec();
    fs::remove_file(folder.0.join("ground_truth/dent/001_mask.png")).unwrap();
    let json = r#"{"train": ["train/good/000.png"], "anomalies": ["test/dent/001.png"]}"#;
    contains_all(&folder.read_error(json), &["expected a mask", "test/dent/001.png", "ground_truth/TYPE/"]);
    // To be tested on it needs none.
    let json = r#"{"train": ["train/good/000.png"], "test_bad": ["test/dent/001.png"]}"#;
    assert_eq!(folder.read(json).unwrap().test_bad[0].mask, None);
}

#[test]
fn a_split_without_good_images_is_an_error() {
    let folder = Folder::mvtec();
    contains_all(&folder.read_error(r#"{"train": []}"#), &["good images in train, found none"]);
}

#[test]
fn a_split_that_cannot_be_written_leaves_nothing_behind() {
    let folder = Folder::mvtec();
    let split = Split::draw(&folder.open(), &options(1)).unwrap();
    let error = split.write(&folder.0.join("no folder/split.json"), &folder.0).unwrap_err();
    contains_all(&error.to_string(), &["no folder", "cannot be written"]);
    // A folder in the place of the file: the rename fails after the new file was written.
    fs::create_dir(folder.0.join("taken.json")).unwrap();
    fs::write(folder.0.join("taken.json/x"), b"").unwrap();
    assert!(split.write(&folder.0.join("taken.json"), &folder.0).is_err());
    let names: Vec<_> = fs::read_dir(&folder.0).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names.len(), 4, "{names:?}");
}

// Contents.

#[test]
fn one_image_in_training_and_test_is_refused_by_name() {
    let folder = Folder::new();
    let draw = |name: &str, value: u8| {
        let path = folder.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        GrayImage::from_pixel(2, 2, Luma([value])).save(path).unwrap();
    };
    let files =
        ["train/good/0.png", "train/good/1.png", "test/good/a.png", "test/dent/x.png", "test/dent/y.png"];
    files.iter().enumerate().for_each(|(i, name)| draw(name, 10 * i as u8));
    folder.add(&["ground_truth/dent/x_mask.png", "ground_truth/dent/y_mask.png"]);
    let check = |anomalies| Split::draw(&folder.open(), &options(anomalies)).unwrap().check_contents();
    assert!(check(1).is_ok());
    // Copies on one side only do not matter.
    draw("train/good/2.png", 0);
    assert!(check(0).is_ok());
    draw("test/good/b.png", 0);
    contains_all(&check(0).unwrap_err().to_string(), &["test/good/b.png", "same content", "train/good/"]);
    fs::remove_file(folder.0.join("test/good/b.png")).unwrap();
    // An anomaly to train on, and the same picture among those to test on.
    draw("test/dent/y.png", 30);
    contains_all(&check(1).unwrap_err().to_string(), &["test/dent/y.png", "test/dent/x.png"]);
    assert!(check(0).is_ok());
}

// Foregrounds.
