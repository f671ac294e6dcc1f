//! What a person reads, word for word: help, outputs and pages. Numbers stand as `#`, since they are not what is meant here.

use std::fs;

use crate::scene::{SMALL, Scene, trained};

/// The text with `#` for each number and one space for many, so that columns may have other widths; of rows that are then the same,
/// one.
fn masked(text: &str) -> String {
    let mut masked = Vec::<String>::new();
    for mut rest in text.lines() {
        let mut line = String::new();
        while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
            line.push_str(&rest[..start]);
            line.push('#');
            let is_of_number = |c: char| c.is_ascii_digit() || c == '.';
            let number = rest[start..].len() - rest[start..].trim_start_matches(is_of_number).len();
            // A full stop behind a number ends its sentence.
            let number = rest[start..start + number].trim_end_matches('.').len();
            rest = &rest[start + number..];
        }
        line.push_str(rest);
        // Hashes, and the signs of numbers.
        let is_hash =
            |word: &&str| word.len() > 16 && word.chars().all(|c| c == '#' || c.is_ascii_hexdigit());
        let line = line.replace(" -#", " #").replace(" +#", " #");
        let words: Vec<&str> =
            line.split_whitespace().map(|word| if is_hash(&word) { "#" } else { word }).collect();
        // Seconds, or minutes and seconds: as the machine has it.
        let words = words.join(" ").replace("# min # s", "# s");
        masked.push(words);
    }
    masked.dedup();
    masked.join("\n")
}

/// The page without rows of tables and captions of pictures: which there are, and how often, depends on the scores.
fn without_findings(page: &str) -> String {
    let depends = |line: &&str| {
        let starts = [
            "NG ",
            "OK ",
            "REVIEW ",
            "The score is higher",
            "true mask",
            "image",
            "what is flagged",
            "anomaly map",
        ];
        let is_of_figures = line.starts_with('|') && line.contains('#');
        !is_of_figures && !starts.iter().any(|start| line.starts_with(start))
    };
    page.lines().filter(depends).collect::<Vec<_>>().join("\n")
}

/// What is left of a page for a reader: its text, without drawings, styles and scripts.
fn text_of_page(page: &str) -> String {
    let mut text = String::new();
    let mut rest = page;
    while let Some(start) = rest.find('<') {
        text.push_str(&rest[..start]);
        let skipped = ["style", "script", "svg"].into_iter().find(|tag| rest[start + 1..].starts_with(tag));
        let end = match skipped {
            Some(tag) => {
                let end = format!("</{tag}>");
                rest.find(&end).expect("a closed element") + end.len()
            }
            None => start + rest[start..].find('>').expect("a closed tag") + 1,
        };
        let tag = &rest[start..end];
        // Where a line ends on the page.
        let is_block =
            ["<p", "</p", "<h", "</h", "<li", "<tr", "<div", "</div", "<dt", "<section", "<figcaption"];
        if is_block.iter().any(|block| tag.starts_with(block)) {
            text.push('\n');
        } else if tag.starts_with("<t") || tag.starts_with("<dd") {
            text.push_str(" | ");
        }
        rest = &rest[end..];
    }
    text.push_str(rest);
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_help_of_every_command() {
    let scene = Scene::new("words_of_help");
    let help = scene.run(&["--help"]).exits(0).stdout;
    insta::assert_snapshot!("help", help);
    let commands = help.lines().skip_while(|line| !line.starts_with("Commands:")).skip(1);
    let commands = commands.take_while(|line| !line.is_empty());
    // What goes on below a command is indented further.
    let names =
        commands.filter(|line| !line.starts_with("    ")).filter_map(|line| line.split_whitespace().next());
    let names: Vec<&str> = names.filter(|name| *name != "help").collect();
    assert!(names.len() >= 17, "{names:?}");
    for name in names {
        let text = scene.run(&["help", name]).exits(0).stdout;
        for line in text.lines() {
            assert!(line.chars().count() <= 100, "{name}: a line wider than 100 columns: {line}");
        }
        insta::assert_snapshot!(format!("help_{name}"), text);
    }
}

#[test]
fn the_output_of_every_step() {
    let scene = Scene::with_data("words_of_outputs");
    let trained = scene.train(&["--anomalies", "4", "--hold-out", "25%"]).exits(0);
    insta::assert_snapshot!("train", masked(&trained.stdout));
    for (name, words, code) in [
        ("doctor", &["doctor", "data", "--quick"][..], 0),
        ("calibrate", &["calibrate", "m.bgad", "--max-false-alarms", "35%", "-o", "c.bgad"], 0),
        ("calibrate_by_hand", &["calibrate", "m.bgad", "--ok", "1", "--ng", "2", "-o", "h.bgad"], 0),
        ("evaluate", &["evaluate", "m.bgad", "data", "--report", "r.html"], 0),
        ("compare", &["compare", "m.bgad", "h.bgad", "data"], 0),
        ("inspect", &["inspect", "m.bgad", "data/bad"], 1),
    ] {
        insta::assert_snapshot!(name, masked(&scene.run(words).exits(code).stdout));
    }
    let page = fs::read_to_string(scene.path("r.html")).expect("a page");
    insta::assert_snapshot!("report_page", without_findings(&masked(&text_of_page(&page))));
}

#[test]
fn the_page_of_a_benchmark() {
    let scene = Scene::new("words_of_benchmark");
    let data = trained().path("data");
    let data = data.to_str().expect("UTF-8");
    let benchmark =
        ["benchmark", data, "--out", "b", "--methods", "bgad", "--anomalies", "0", "--seeds", "1"];
    scene.run(&[&benchmark[..], &SMALL].concat()).exits(0);
    let page = fs::read_to_string(scene.path("b/table.html")).expect("a page");
    insta::assert_snapshot!("benchmark_page", masked(&text_of_page(&page)));
}
