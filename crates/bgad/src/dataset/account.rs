//! What nobody asked about: files of a data folder that no layout uses, by folder.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::folder::{self, Entry, Survey};
use super::{BAD, Dataset, Finding, GOOD, Layout, Sample};
use crate::image::Content;
use crate::printable;

/// So many loose files of a folder are named one by one; of more, their number is said.
const NAMED: usize = 5;

/// Names every file below `root` that is neither used nor named already: alone, or with its folder if nothing in it is used.
pub(super) fn name_the_rest(root: &Path, dataset: &Dataset, survey: &mut Survey) {
    let samples = || {
        let Dataset { train_good, test_good, train_bad, test_bad, .. } = dataset;
        [train_good, test_good, train_bad, test_bad].into_iter().flatten()
    };
    let used = samples().flat_map(|sample: &Sample| [Some(&sample.path), sample.mask.as_ref()]).flatten();
    let named = survey.findings.iter().map(|finding| &finding.path).filter(|path| *path != root);
    let known = used.chain(named).chain(&survey.known).map(|path| resolved(path)).collect();
    let is_list = !root.is_dir();
    let mut walk = Walk {
        known,
        layout: dataset.layout,
        is_list,
        listing: Survey::default(),
        hidden: Vec::new(),
        found: Vec::new(),
    };
    if root.is_dir() {
        walk.folder(root, 0);
        walk.name_hidden(root);
    } else {
        // A list may lie in a folder full of other things: only those folders are looked at that it names images in.
        walk.known.insert(resolved(root));
        let folders: BTreeSet<&Path> = samples().filter_map(|sample| sample.path.parent()).collect();
        for folder in folders {
            let entries = walk.listing.list(folder).unwrap_or_default();
            let unknown = |entry: &Entry| !entry.is_folder && !walk.known.contains(&resolved(&entry.path));
            let files = entries.into_iter().filter(unknown).collect();
            walk.loose(folder, files);
        }
    }
    survey.findings.append(&mut walk.listing.findings);
    survey.findings.append(&mut walk.found);
}

/// The file itself, whatever path or link leads to it.
fn resolved(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

struct Walk {
    /// What is used or named, files and whole folders, links resolved.
    known: BTreeSet<PathBuf>,
    layout: Layout,
    /// Whether a list names the images.
    is_list: bool,
    listing: Survey,
    /// Hidden pictures and folders.
    hidden: Vec<PathBuf>,
    found: Vec<Finding>,
}

/// What came of a folder.
#[derive(Default)]
struct Seen {
    /// Files that the folder above is to name, if nothing in this one is known.
    unknown: Vec<Entry>,
    any_known: bool,
}

impl Walk {
    fn folder(&mut self, folder: &Path, depth: usize) -> Seen {
        if depth > folder::DEEPEST || !self.listing.enter(folder) {
            return Seen::default();
        }
        let entries = self.listing.list(folder).unwrap_or_default();
        let names = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        self.hidden.extend(names.filter(|path| folder::is_hidden_work(path)));
        let (mut loose, mut below, mut any_known) = (Vec::new(), Vec::new(), depth == 0);
        for entry in entries {
            if self.known.contains(&resolved(&entry.path)) {
                any_known = true;
            } else if entry.is_folder {
                let seen = self.folder(&entry.path, depth + 1);
                any_known |= seen.any_known;
                if !seen.unknown.is_empty() {
                    below.push((entry.path, seen.unknown));
                }
            } else if !written_by_us(&entry.name) {
                loose.push(entry);
            }
        }
        if !any_known {
            loose.extend(below.into_iter().flat_map(|(_, files)| files));
            return Seen { unknown: loose, any_known };
        }
        for (path, files) in below {
            let problem = format!("{}, not used: {}", what(&files), self.advice(&path, &files));
            self.found.push(Finding { path, problem, files: files.len() });
        }
        self.loose(folder, loose);
        Seen { unknown: Vec::new(), any_known }
    }

    /// One finding for all that is hidden.
    fn name_hidden(&mut self, root: &Path) {
        self.hidden.sort();
        let names: Vec<String> = self.hidden.iter().map(|path| folder::portable(path, root)).collect();
        match &*names {
            [] => {}
            [name] => self.found.push(Finding {
                path: root.join(name),
                problem: "not used: hidden, and not looked into; rename it if it belongs to the data"
                    .to_owned(),
                files: 1,
            }),
            names => {
                let more = names.len().saturating_sub(NAMED);
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                let shown = names[..names.len().min(NAMED)].join(", ");
                let problem = format!(
                    "{} hidden files or folders, not used and not looked into: {}{more}; rename what belongs to the data",
                    names.len(),
                    printable::text(&shown)
                );
                self.found.push(Finding { path: root.to_owned(), problem, files: names.len() });
            }
        }
    }

    /// Files in a folder of which others are used.
    fn loose(&mut self, folder: &Path, files: Vec<Entry>) {
        if files.len() > NAMED {
            let problem = format!("{}, not used: {}", what(&files), self.advice(folder, &files));
            self.found.push(Finding { path: folder.to_owned(), problem, files: files.len() });
            return;
        }
        for file in files {
            let problem = match Content::of_file(&file.path) {
                Ok(Content::Picture) => {
                    format!("not used: {}", self.advice(folder, std::slice::from_ref(&file)))
                }
                _ => folder::not_a_picture(&file.path),
            };
            self.found.push(Finding { path: file.path, problem, files: 1 });
        }
    }

    /// What would make files of a folder used.
    fn advice(&self, folder: &Path, files: &[Entry]) -> String {
        let (good, bad) = match self.layout {
            Layout::Mvtec => ("train/good/ or test/good/", "test/TYPE/"),
            Layout::Plain => ("good/", "bad/TYPE/"),
        };
        if self.is_list {
            return "the list does not name them; add rows, or leave them out".to_owned();
        }
        let name = folder.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let begins = |names: &[&str]| names.iter().any(|known| name.starts_with(known));
        if !files.iter().any(is_picture) {
            return match name.as_str() {
                "labels" => "YOLO labels are not read: export masks as PNG, COCO or LabelMe".to_owned(),
                "xyz" => "point clouds are not read".to_owned(),
                _ => "nothing in it is a picture".to_owned(),
            };
        }
        if name == "xyz" {
            "point clouds are not read".to_owned()
        } else if begins(&["val"]) {
            format!("images for validation; bgad calibrate --good takes good ones, or move them into {good}")
        } else if begins(&["test"]) {
            "a folder of test images is called test/ or test_public/".to_owned()
        } else if begins(GOOD) {
            format!("if these are good parts, move them into {good}")
        } else if begins(BAD) {
            format!("if these are defective parts, move them into {bad}")
        } else {
            format!(
                "move good parts into {good}, defective ones into {bad}, masks into masks/ or ground_truth/"
            )
        }
    }
}

fn is_picture(file: &Entry) -> bool {
    matches!(Content::of_file(&file.path), Ok(Content::Picture))
}

/// How many files of which kind.
fn what(files: &[Entry]) -> String {
    let pictures = files.iter().filter(|file| is_picture(file)).count();
    let others = files.len() - pictures;
    let some = |n: usize, one: &str, many: &str| format!("{n} {}", if n == 1 { one } else { many });
    match (pictures, others) {
        (_, 0) => some(pictures, "picture", "pictures"),
        (0, _) => some(others, "file", "files"),
        _ => format!(
            "{} and {}",
            some(pictures, "picture", "pictures"),
            some(others, "other file", "other files")
        ),
    }
}

/// Models, split files and lists that bgad itself leaves in a data folder.
fn written_by_us(name: &str) -> bool {
    ["split.json", ".bgad", ".bgad.checkpoint", ".bgad.previous", "bgad.toml"]
        .iter()
        .any(|end| name.ends_with(end))
}
