//! The page of `bgad evaluate --report`, read by a program and by a browser.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use crate::scene::{Scene, trained};

/// Set where a browser must be there, as in this project's checks: its test then fails without one.
const REQUIRED: &str = "BGAD_BROWSER_REQUIRED";

/// A scene with a report `r.html` on images whose names and types are hostile.
fn reported() -> &'static (Scene, String) {
    static REPORTED: OnceLock<(Scene, String)> = OnceLock::new();
    REPORTED.get_or_init(|| {
        let scene = Scene::new("reported");
        for i in 0..8 {
            scene.picture(&format!("data/good/{i}.png"), 300 + i, None);
            let kind = if i < 5 { "<img src=x onerror=alert(1)>" } else { "a'\"&b" };
            scene.picture(&format!("data/bad/{kind}/{i}<b>.png"), 400 + i, Some((20, 4 * i)));
        }
        // An escape and a false alarm, each with a mask or without.
        scene.picture("data/bad/a'\"&b/good one.png", 500, None);
        scene.picture("data/good/bad one.png", 501, Some((8, 8)));
        fs::write(scene.path("data/good/broken.png"), b"no image").expect("a file");
        let model = trained().path("m.bgad");
        let model = model.to_str().expect("UTF-8");
        let ran = scene.run(&["evaluate", model, "data", "--report", "r.html"]).exits(2);
        ran.says(&["report: r.html"]);
        let page = fs::read_to_string(scene.path("r.html")).expect("a report");
        (scene, page)
    })
}

#[test]
fn a_report_is_one_file_that_loads_nothing_and_says_all() {
    let (scene, page) = reported();
    for text in [
        "<h2>Operating point</h2>",
        "<title id=\"roc-t\">",
        "<title id=\"pr-t\">",
        "<title id=\"scores-t\">",
        "<title id=\"training-t\">",
        "b_n",
        "<h2>Types of defect</h2>",
        "<h3>Escapes</h3>",
        "<h3>False alarms</h3>",
        "data:image/jpeg;base64,",
        "good/bad one.png",
        "broken.png",
        "SHA-256 of the model",
        "--report r.html",
        "prefers-color-scheme: dark",
    ] {
        assert!(page.contains(text), "no `{text}`");
    }
    for text in ["http:", "https:", "<script", "<link", "<iframe", "url(", "<img src=x", "<b>.png"] {
        assert!(!page.contains(text), "found `{text}`");
    }
    assert!(page.len() < 3 << 20, "{} bytes", page.len());
    let model = fs::read(trained().path("m.bgad")).expect("the model");
    assert!(page.contains(&bgad::weights::sha256_hex(&model)), "the model's hash");

    let again = trained().path("m.bgad");
    let again = again.to_str().expect("UTF-8");
    scene.run(&["evaluate", again, "data", "--report", "again.html", "--threads", "1"]).exits(2);
    let again = fs::read_to_string(scene.path("again.html")).expect("a report");
    assert_eq!(&again.replace("again.html", "r.html"), page, "the same bytes on any number of threads");
}

#[test]
fn a_report_needs_the_models_own_scores() {
    let ran = trained().run(&["evaluate", "m.bgad", "data", "--scoring", "authors", "--report", "r.html"]);
    ran.exits(2).says(&["--scoring authors"]);
    assert!(!trained().path("r.html").exists());
}

/// Reads the report in frames of 390 and 1440 pixels and writes what is wrong with it into the page.
const PROBE: &str = r#"<!doctype html><meta charset="utf-8"><body><pre id="found">not read</pre><script>
const page = PAGE;
const wrong = [];
Promise.all([390, 1440].map(width => new Promise(done => {
  const frame = document.createElement('iframe');
  frame.style.cssText = `width:${width}px;height:900px;border:0`;
  frame.onload = () => {
    const doc = frame.contentDocument, root = doc.documentElement;
    doc.querySelectorAll('details').forEach(d => d.open = true);
    if (frame.contentWindow.innerWidth !== width) wrong.push(`the frame is not ${width} wide`);
    if (root.scrollWidth > root.clientWidth) wrong.push(`scrolls to ${root.scrollWidth} at ${width}`);
    if (doc.images.length < 7) wrong.push(`${doc.images.length} images`);
    for (const image of doc.images) {
      if (!image.alt) wrong.push('an image without a text');
      if (!image.complete || !image.naturalWidth) wrong.push('not shown: ' + image.alt);
    }
    for (const svg of doc.querySelectorAll('svg')) {
      if (!svg.querySelector('title')?.textContent) wrong.push('a chart without a title');
      if (!svg.closest('figure')?.querySelector('table')) wrong.push('a chart without a table');
    }
    done();
  };
  frame.srcdoc = page;
  document.body.append(frame);
}))).then(() => document.getElementById('found').textContent = wrong.length ? 'WRONG ' + wrong.join('; ') : 'ALL WELL');
</script>"#;

fn browser() -> Option<PathBuf> {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let folders: Vec<PathBuf> = std::env::split_paths(&std::env::var_os("PATH")?).collect();
    names
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
        .find(|path| path.is_file())
}

#[test]
fn a_browser_shows_the_report_without_a_complaint() {
    let Some(browser) = browser() else {
        let how = "no browser: install one with `apt-get install chromium` to have the report read by it";
        assert!(std::env::var_os(REQUIRED).is_none(), "{how}");
        eprintln!("{how}");
        return;
    };
    let (scene, page) = reported();
    let probe = |file: &str, page: &str| {
        let text = serde_json::to_string(page).expect("a text").replace("</", "<\\/");
        fs::write(scene.path(file), PROBE.replace("PAGE", &text)).expect("the probe");
    };
    probe("probe.html", page);
    // What a page with faults comes to, so that "all well" means something.
    probe("faults.html", "<!doctype html><div style='width:900px'>wide</div><img src='none.png'><svg></svg>");
    let read = |file: &str| {
        let profile = scene.path(&format!("profile-{file}"));
        let output = Command::new(&browser)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--no-first-run",
            ])
            .args([
                "--enable-logging=stderr",
                "--virtual-time-budget=20000",
                "--dump-dom",
                "--window-size=1600,1000",
            ])
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg(format!("file://{}", scene.path(file).display()))
            .output()
            .expect("the browser");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let console: Vec<&str> = said.lines().filter(|line| line.contains("CONSOLE")).collect();
        assert!(console.is_empty() || file == "faults.html", "{console:#?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let shown = read("r.html");
    assert!(shown.contains("<h2>Made from</h2>"), "{shown}");
    let found = |file: &str| {
        let probed = read(file);
        let found = probed.split("<pre id=\"found\">").nth(1).and_then(|rest| rest.split("</pre>").next());
        found.unwrap_or_default().to_owned()
    };
    assert_eq!(found("probe.html"), "ALL WELL");
    let faults = found("faults.html");
    for fault in ["scrolls to", "1 images", "without a text", "not shown", "without a title"] {
        assert!(faults.contains(fault), "no `{fault}` in {faults}");
    }
}
