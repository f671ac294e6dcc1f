//! Lists of images: a CSV manifest of the user's, or VisA's own.
//!
//! ```text
//! manifest    image_path,label,mask_path,split      label: good (or ok, normal, 0), or the type of defect
//!                                                   mask_path and split (train or test) may be empty or left out
//! VisA        image,label,mask                      in CLASS/image_anno.csv; paths start at the folder above
//! ```
//!
//! Relative paths start at the folder of the manifest. Columns may stand in any order, others are ignored; fields may be
//! quoted as RFC 4180 says. If a good image is listed for the test, the list divides the good images; otherwise a split
//! draws them. Defective images listed for training are the only ones that are drawn from.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::{BAD, Dataset, DatasetError, GOOD, Kind, Layout, Sample};

/// VisA's list in the folder of a class.
pub(super) const VISA: &str = "image_anno.csv";

/// What a column may be called.
const COLUMNS: [&[&str]; 4] = [&["image_path", "image"], &["label"], &["mask_path", "mask"], &["split"]];

/// Reads the list `file`, whose relative paths start at `base`.
pub(super) fn open(file: &Path, base: &Path) -> Result<Dataset, DatasetError> {
    let unreadable = |error| DatasetError::Unreadable { path: file.to_owned(), error };
    let text = fs::read_to_string(file).map_err(unreadable)?;
    let wrong = |line: usize, found: String| DatasetError::Manifest { file: file.to_owned(), line, found };

    let mut rows = text.trim_start_matches('\u{feff}').lines().enumerate().map(|(i, row)| (i + 1, row));
    let head = rows.next().map(|(_, head)| fields(head)).unwrap_or_default();
    let column = |names: &[&str]| {
        head.iter().position(|head| names.iter().any(|name| head.trim().eq_ignore_ascii_case(name)))
    };
    let [Some(image), Some(label), mask, split] = COLUMNS.map(column) else {
        return Err(wrong(1, format!("the columns {}", head.join(","))));
    };

    let mut dataset = Dataset::bare(base, Layout::Plain);
    dataset.listed = true;
    let mut seen: BTreeMap<PathBuf, usize> = BTreeMap::new();
    for (line, row) in rows.filter(|(_, row)| !row.trim().is_empty()) {
        let row = fields(row);
        let field = |column: Option<usize>| {
            column
                .and_then(|column| row.get(column))
                .map(|field| field.trim())
                .filter(|field| !field.is_empty())
        };
        let existing = |name: &str| -> Result<PathBuf, DatasetError> {
            let path = base.join(name);
            if path.is_file() { Ok(path) } else { Err(wrong(line, format!("no file {name}"))) }
        };
        let name = field(Some(image)).ok_or_else(|| wrong(line, "no image".to_owned()))?;
        let label = field(Some(label)).ok_or_else(|| wrong(line, format!("no label of {name}")))?;
        let path = existing(name)?;
        if let Some(earlier) = seen.insert(path.clone(), line) {
            return Err(wrong(line, format!("{name}, which is in line {earlier} already")));
        }
        let kind = kind(label);
        let mask = field(mask).filter(|_| kind != Kind::Good).map(existing).transpose()?;
        let for_test = match field(split).map(str::to_ascii_lowercase).as_deref() {
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

fn kind(label: &str) -> Kind {
    let is = |names: &[&str]| names.iter().any(|name| label.eq_ignore_ascii_case(name));
    if is(GOOD) || is(&["normal", "0"]) {
        Kind::Good
    } else if is(BAD) || is(&["anomaly", "1"]) {
        Kind::Defect(BAD[0].to_owned())
    } else {
        Kind::Defect(label.to_owned())
    }
}

/// The fields of a row.
fn fields(row: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut letters = row.trim_end_matches('\r').chars().peekable();
    while let Some(letter) = letters.next() {
        let field = fields.last_mut().expect("one field at least");
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                field.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            letter => field.push(letter),
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_split_and_unquoted() {
        let cases: [(&str, &[&str]); 5] = [
            ("a,b,,c\r", &["a", "b", "", "c"]),
            ("\"a,b\",c", &["a,b", "c"]),
            ("\"say \"\"no\"\"\",", &["say \"no\"", ""]),
            ("", &[""]),
            ("\"open,end", &["open,end"]),
        ];
        for (row, want) in cases {
            assert_eq!(fields(row), want, "{row}");
        }
    }
}
