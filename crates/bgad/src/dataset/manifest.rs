//! Lists of images: a CSV manifest of the user's, or VisA's own.
//!
//! ```text
//! manifest    image_path,label,mask_path,split      label: good (or ok, normal, 0), or the type of defect
//!                                                   mask_path and split (train or test) may be empty or left out
//! VisA        image,label,mask                      in CLASS/image_anno.csv; paths start at the folder above
//! ```
//!
//! Relative paths start at the folder of the manifest, with `/` or `\` between the parts. Columns may stand in any order, others are
//! ignored. Fields are separated by commas, semicolons or tabulators, as the first line shows, and quoted as RFC 4180 says; the
//! text is UTF-8, or UTF-16 with a byte order mark. `true` and `false` are read if the masks, or a column such as `is_good` or
//! `anomaly`, say which is which. If a good image is listed for the test, the list divides the good images; otherwise a split draws them.
//! Defective images listed for training are the only ones that are drawn from.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use csv::{ReaderBuilder, StringRecord};

use super::{BAD, Dataset, DatasetError, GOOD, Kind, Layout, Sample};
use crate::{names, outside, printable};

/// VisA's list in the folder of a class.
pub(super) const VISA: &str = "image_anno.csv";

/// What a column may be called.
const IMAGE: &[&str] = &["image_path", "image"];
const LABEL: &[&str] = &["label"];
const MASK: &[&str] = &["mask_path", "mask"];
const SPLIT: &[&str] = &["split"];
/// Columns of yes and no: of defects, and of good images.
const IS_BAD: &[&str] = &[
    "is_anomaly",
    "is_anomalous",
    "anomaly",
    "anomalous",
    "is_defect",
    "is_defective",
    "defective",
    "is_bad",
];
const IS_GOOD: &[&str] = &["is_good", "is_ok", "is_normal", "good", "ok"];
/// What spreadsheets and programs write for nothing.
const NOTHING: &[&str] = &["nan", "none", "null", "n/a", "na", "-"];

/// Which columns there are.
struct Columns {
    image: usize,
    label: usize,
    mask: Option<usize>,
    split: Option<usize>,
}

/// What `true` means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Truth {
    Good,
    Bad,
    Unknown,
}

/// Reads the list `file`, whose relative paths start at `base`.
pub(super) fn open(file: &Path, base: &Path) -> Result<Dataset, DatasetError> {
    let unreadable = |error| DatasetError::Unreadable { path: file.to_owned(), error };
    let text = outside::read_text(file).map_err(unreadable)?;
    let wrong = |line: u64, found: String| DatasetError::Manifest {
        file: file.to_owned(),
        line: line as usize,
        found,
    };
    // Notes that a program put above the head of the table.
    let notes = text.lines().take_while(|line| line.starts_with('#') || line.trim().is_empty()).count();
    let skipped: usize = text.split_inclusive('\n').take(notes).map(str::len).sum();
    let text = &text[skipped..];

    let head = text.split(['\n', '\r']).next().unwrap_or_default();
    let separator = [b',', b';', b'\t']
        .into_iter()
        .max_by_key(|separator| (head.bytes().filter(|byte| byte == separator).count(), *separator == b','));
    let mut reader = ReaderBuilder::new()
        .delimiter(separator.unwrap_or(b','))
        .flexible(true)
        .has_headers(true)
        .from_reader(text.as_bytes());
    // A row is said to begin where the empty lines before it do.
    let line_of = |row: &StringRecord| {
        let at = row.position().map_or(0, |position| position.byte() as usize).min(text.len());
        let empty = text[at..].len() - text[at..].trim_start_matches(['\n', '\r']).len();
        (1 + notes + text[..at + empty].matches('\n').count()) as u64
    };
    let broken = |error: csv::Error| {
        let line = error.position().map_or(0, csv::Position::line) + notes as u64;
        wrong(line, error.to_string())
    };
    let head = reader.headers().map_err(broken)?.clone();
    let (columns, truth) = columns(&head).ok_or_else(|| {
        wrong(1 + notes as u64, format!("the columns {}", head.iter().collect::<Vec<_>>().join(",")))
    })?;
    let rows: Vec<StringRecord> = reader.records().collect::<Result<_, _>>().map_err(broken)?;
    let truth = if truth == Truth::Unknown { told_by_masks(&rows, &columns) } else { truth };

    let mut dataset = Dataset::bare(base, Layout::Plain);
    dataset.listed = true;
    let mut seen: BTreeMap<PathBuf, u64> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.iter().any(|field| !field.trim().is_empty())) {
        let line = line_of(row);
        let field = |column: Option<usize>| value(row, column);
        let existing = |name: &str| -> Result<PathBuf, DatasetError> {
            names::file_below(base, name)
                .ok_or_else(|| wrong(line, format!("no file {}", printable::text(name))))
        };
        let name = field(Some(columns.image)).ok_or_else(|| wrong(line, "no image".to_owned()))?;
        let label = field(Some(columns.label)).ok_or_else(|| wrong(line, format!("no label of {name}")))?;
        let path = existing(name)?;
        if let Some(earlier) = seen.insert(path.clone(), line) {
            return Err(wrong(line, format!("{name}, which is in line {earlier} already")));
        }
        let kind = kind(label, truth).map_err(|found| wrong(line, found))?;
        let mask = field(columns.mask).filter(|mask| kind != Kind::Good && !is_nothing(mask));
        let mask = mask.map(existing).transpose()?;
        let for_test = match field(columns.split).map(str::to_ascii_lowercase).as_deref() {
            None => None,
            Some("train") => Some(false),
            Some("test") => Some(true),
            Some(other) => return Err(wrong(line, format!("the split {other}"))),
        };
        let sample = Sample { path, mask, kind };
        match (&sample.kind, for_test) {
            (Kind::Good, Some(true)) => dataset.test_good.push(sample),
            (Kind::Good, _) => dataset.train_good.push(sample),
            (Kind::Defect(_), Some(false)) => dataset.train_bad.push(sample),
            (Kind::Defect(_), _) => dataset.test_bad.push(sample),
        }
    }
    if !dataset.test_good.is_empty() {
        dataset.layout = Layout::Mvtec;
    }
    if dataset.train_good.is_empty() {
        return Err(wrong(1, "no good image to train on".to_owned()));
    }
    Ok(dataset)
}

fn columns(head: &StringRecord) -> Option<(Columns, Truth)> {
    let column = |names: &[&str]| {
        head.iter().position(|head| names.iter().any(|name| head.trim().eq_ignore_ascii_case(name)))
    };
    let labels = [(LABEL, Truth::Unknown), (IS_BAD, Truth::Bad), (IS_GOOD, Truth::Good)];
    let (label, truth) = labels.into_iter().find_map(|(names, truth)| Some((column(names)?, truth)))?;
    Some((Columns { image: column(IMAGE)?, label, mask: column(MASK), split: column(SPLIT) }, truth))
}

fn value(row: &StringRecord, column: Option<usize>) -> Option<&str> {
    row.get(column?).map(str::trim).filter(|field| !field.is_empty())
}

fn is_nothing(field: &str) -> bool {
    NOTHING.iter().any(|nothing| field.eq_ignore_ascii_case(nothing))
}

/// What `true` means, if only one of `true` and `false` ever has a mask.
fn told_by_masks(rows: &[StringRecord], columns: &Columns) -> Truth {
    let masked: BTreeSet<String> = rows
        .iter()
        .filter(|row| value(row, columns.mask).is_some_and(|mask| !is_nothing(mask)))
        .filter_map(|row| value(row, Some(columns.label)).map(str::to_lowercase))
        .collect();
    match (masked.contains("true"), masked.contains("false")) {
        (true, false) => Truth::Bad,
        (false, true) => Truth::Good,
        _ => Truth::Unknown,
    }
}

fn kind(label: &str, truth: Truth) -> Result<Kind, String> {
    let is = |names: &[&str]| names.iter().any(|name| label.eq_ignore_ascii_case(name));
    let bad = || Ok(Kind::Defect(BAD[0].to_owned()));
    if let Some(yes) = [(true, &["true", "yes"]), (false, &["false", "no"])]
        .into_iter()
        .find_map(|(yes, names)| is(names).then_some(yes))
    {
        return match truth {
            Truth::Unknown => {
                Err(format!("the label {label}, which may mean either: write good, or the type of defect"))
            }
            truth if (truth == Truth::Good) == yes => Ok(Kind::Good),
            _ => bad(),
        };
    }
    if truth != Truth::Unknown && is(&["0", "1"]) {
        return if (truth == Truth::Good) == is(&["1"]) { Ok(Kind::Good) } else { bad() };
    }
    if is(GOOD) || is(&["0"]) {
        Ok(Kind::Good)
    } else if is(BAD) || is(&["1"]) {
        bad()
    } else {
        Ok(Kind::Defect(label.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yes_and_no_need_a_meaning() {
        let good = |label: &str, truth| kind(label, truth).map(|kind| kind == Kind::Good);
        assert_eq!((good("True", Truth::Bad), good("False", Truth::Bad)), (Ok(false), Ok(true)));
        assert_eq!((good("yes", Truth::Good), good("0", Truth::Good)), (Ok(true), Ok(false)));
        assert!(good("True", Truth::Unknown).expect_err("either").contains("may mean either"));
        assert_eq!((good("0", Truth::Unknown), good("NG", Truth::Unknown)), (Ok(true), Ok(false)));
    }
}
