//! The demo from end to end, on very little of everything.

use bgad::dataset::{Dataset, Layout};

use super::*;

/// A folder that is gone after the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("bgad-demo-{name}-{}", std::process::id()));
        fs::remove_dir_all(&path).ok();
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

const SMALL: Plan = Plan {
    train_good: 6,
    given: 1,
    test_good: 2,
    test_bad: 2,
    schedule: Schedule { meta_epochs: 2, sub_epochs: 1 },
};

#[test]
fn the_whole_demo_leaves_a_page_whose_pictures_exist() {
    let folder = Folder::new("whole");
    let args = DemoArgs { out: folder.0.clone(), seed: 0, threads: None };
    let mut told = Vec::new();
    run_plan(&SMALL, &args, &mut told).unwrap();
    let told = String::from_utf8(told).unwrap();
    assert!(told.contains("index.html") && told.contains("dent"), "{told}");

    let data = folder.0.join("data");
    let dataset = Dataset::open(&data).unwrap();
    assert_eq!((dataset.layout, dataset.findings.as_slice()), (Layout::Mvtec, [].as_slice()));
    let split = Split::read(&folder.0.join("split.json"), &data).unwrap();
    let sizes = [&split.train, &split.anomalies, &split.test_good, &split.test_bad].map(Vec::len);
    assert_eq!(sizes, [6, 2, 2, 6]);
    assert!(
        split.anomalies.iter().all(|sample| name_of(&sample.kind) != UNSEEN.name()),
        "unseen stays unseen"
    );

    let page = fs::read_to_string(folder.0.join("index.html")).unwrap();
    let sources: Vec<&str> = page.split("src=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(sources.len() > 10);
    for source in &sources {
        assert!(folder.0.join(source).is_file(), "{source}");
    }
    assert_eq!(page.matches("<img").count(), page.matches(" alt=\"").count());
    assert!(!page.contains("http"), "the page needs nothing from elsewhere");

    // A second run replaces the first.
    run_plan(&SMALL, &args, &mut Vec::new()).unwrap();
}

#[test]
fn a_folder_of_something_else_is_left_alone() {
    let folder = Folder::new("taken");
    fs::create_dir_all(folder.0.join("data")).unwrap();
    let args = DemoArgs { out: folder.0.clone(), seed: 0, threads: None };
    let error = run_plan(&SMALL, &args, &mut Vec::new()).unwrap_err().to_string();
    assert!(error.contains("--out"), "{error}");
    assert!(folder.0.join("data").is_dir() && !folder.0.join(MARKER).exists());
}

#[test]
fn paths_are_quoted_where_a_shell_needs_it() {
    assert_eq!(quoted(Path::new("bgad-demo/data")), "bgad-demo/data");
    assert_eq!(quoted(Path::new("my demo/it's")), "'my demo/it'\\''s'");
}
