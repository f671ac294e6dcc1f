//! No command goes round the places that open, write and print.

use std::fs;
use std::path::{Path, PathBuf};

/// What only the module named may use: stdout, stderr, files.
const ALLOWED: [(&[&str], &[&str]); 4] = [
    (&["println!", "print!(", "io::stdout", "stdout()"], &["out.rs"]),
    (&["eprintln!", "eprint!("], &[]),
    (&["fs::write", "File::create", "fs::rename", "fs::copy", "OpenOptions", "fs::create_dir("], &[]),
    (&["fs::read(", "fs::read_to_string", "File::open"], &[]),
];

/// Of the library: what prints, what writes elsewhere than in `durable`, and what opens elsewhere than in `outside`.
const ALLOWED_IN_LIBRARY: [(&[&str], &[&str]); 3] = [
    (&["println!", "print!(", "eprintln!", "eprint!(", "dbg!("], &[]),
    (
        &["fs::write", "File::create", "fs::rename", "fs::copy", "OpenOptions"],
        &["durable.rs", "destination.rs"],
    ),
    (&["fs::read(", "fs::read_to_string", "File::open"], &["outside.rs", "durable.rs"]),
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn offences(folder: &str, rules: &[(&[&str], &[&str])]) -> Vec<String> {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut files);
    assert!(files.len() > 10, "{folder} has sources");
    let mut offences = Vec::new();
    for file in files {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if ["tests.rs", "golden.rs", "recorded_score.rs"].contains(&name.as_str())
            || file.components().any(|c| c.as_os_str() == "tests")
        {
            continue;
        }
        let text = fs::read_to_string(&file).expect("a source");
        // Tests come last in a file.
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (number, line) in code.lines().enumerate() {
            if line.trim_start().starts_with("//") {
                continue;
            }
            for (words, places) in rules {
                let is_word = |word: &&&str| {
                    // `eprintln!` has `println!` in it, and `writeln!` is fine.
                    let at = line.find(**word);
                    at.is_some_and(|at| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
                };
                if let Some(word) = words.iter().find(is_word)
                    && !places.contains(&name.as_str())
                {
                    offences.push(format!("{}:{}: {word}", file.display(), number + 1));
                }
            }
        }
    }
    offences
}

#[test]
fn one_place_opens_one_writes_and_one_prints() {
    let found = offences("src", &ALLOWED);
    assert!(
        found.is_empty(),
        "use bgad::outside, out::text, failure::say and product:\n{}",
        found.join("\n")
    );
    let found = offences("../bgad/src", &ALLOWED_IN_LIBRARY);
    assert!(
        found.is_empty(),
        "the library never prints, writes through durable and opens through outside:\n{}",
        found.join("\n")
    );
}
