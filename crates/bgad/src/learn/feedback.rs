//! What operators said of parts on a line, and the lesson in it.
//!
//! ```text
//! DIR/feedback.jsonl               answers, one a line; of a part the last one counts
//! DIR/images/VERDICT/ID.json       record of a picture that was kept, with its `part_id` and its own `id`
//! DIR/images/VERDICT/ID.png        the picture, in any format
//! DIR/images/VERDICT/ID_mask.png   where its defect is, drawn by a person; black elsewhere
//! ```
//!
//! `bgad watch` writes all of it but the masks. A defect without a mask is no lesson: that a part is defective does not say where.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

use serde::{Deserialize, Serialize};

use super::Found;
use crate::outside::{self, MAX_TEXT};

/// Name of the file of answers.
pub const ANSWERS: &str = "feedback.jsonl";
/// Name of the folder of pictures with their records.
pub const IMAGES: &str = "images";

/// What a person says of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// The part is good.
    Good,
    /// The part is defective.
    Defect,
    /// The person cannot tell.
    Unsure,
}

/// An answer of an operator, as it is posted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Said {
    /// What the line calls the part.
    pub part_id: String,
    /// What it is.
    pub answer: Answer,
    /// Who says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
    /// What else there is to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// The lesson in the answers of a line, and what is left out of it.
#[derive(Clone, Debug, Default)]
pub struct Answered {
    /// What can be learned.
    pub found: Found,
    /// Parts that teach nothing, in the order of their ids.
    pub left: Vec<Left>,
}

/// A part that teaches nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// What the line calls it.
    pub part_id: String,
    /// Why it teaches nothing.
    pub why: Why,
}

/// Why a part teaches nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// The operator could not tell.
    Unsure,
    /// No picture of it was kept, or none is left.
    NoPicture,
    /// It is a defect, and nobody has said where: a mask is wanted.
    NoMask {
        /// Where the mask is looked for.
        mask: PathBuf,
    },
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Left { part_id, why } = self;
        match why {
            Why::Unsure => write!(f, "part {part_id:?}: the operator could not tell"),
            Why::NoPicture => write!(f, "part {part_id:?}: no picture of it was kept"),
            Why::NoMask { mask } => {
                write!(f, "part {part_id:?}: a defect; draw where it is as {}", mask.display())
            }
        }
    }
}

/// Why the answers of a line cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FeedbackError {
    /// A file or folder cannot be read.
    #[error("{}: cannot be read", path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A line of the file of answers, or a record, is no such thing.
    #[error("{}: line {line} cannot be understood: correct or remove it", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

impl Answered {
    /// Reads the folder that `bgad watch` writes to.
    ///
    /// # Errors
    ///
    /// A [`FeedbackError`] if there are no answers or no folder of pictures, or if one of the files is damaged.
    pub fn read(folder: &Path) -> Result<Answered, FeedbackError> {
        let answers = answers(&folder.join(ANSWERS))?;
        let pictures = pictures(&folder.join(IMAGES))?;
        let mut answered = Answered::default();
        for (part_id, answer) in answers {
            let of_part = pictures.get(&part_id).map(Vec::as_slice).unwrap_or_default();
            if let Some(why) = answered.found.add(answer, of_part) {
                answered.left.push(Left { part_id, why });
            }
        }
        Ok(answered)
    }
}

impl Found {
    /// Takes what an answer teaches about the pictures of a part.
    fn add(&mut self, answer: Answer, pictures: &[PathBuf]) -> Option<Why> {
        let first = match (answer, pictures.first()) {
            (Answer::Unsure, _) => return Some(Why::Unsure),
            (_, None) => return Some(Why::NoPicture),
            (_, Some(first)) => first,
        };
        if answer == Answer::Good {
            self.good.extend_from_slice(pictures);
            return None;
        }
        // Of several pictures of a part some may not show the defect.
        let before = self.defects.len();
        let masked = pictures.iter().map(|picture| (picture.clone(), mask_of(picture)));
        self.defects.extend(masked.filter(|(_, mask)| mask.is_file()));
        (self.defects.len() == before).then(|| Why::NoMask { mask: mask_of(first) })
    }
}

fn mask_of(picture: &Path) -> PathBuf {
    let stem = picture.file_stem().unwrap_or_default().to_string_lossy();
    picture.with_file_name(format!("{stem}_mask.png"))
}

/// The last answer for each part.
fn answers(path: &Path) -> Result<BTreeMap<String, Answer>, FeedbackError> {
    let text = outside::read(path, MAX_TEXT)
        .map_err(|source| FeedbackError::Unreadable { path: path.to_owned(), source })?;
    #[derive(Deserialize)]
    struct Line {
        part_id: String,
        answer: Answer,
    }
    let mut answers = BTreeMap::new();
    for (i, line) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
        match serde_json::from_slice(line) {
            Ok(Line { part_id, answer }) => {
                answers.insert(part_id, answer);
            }
            // Cut by a crash while it was written: nobody was told that it is kept.
            Err(_) if !line.ends_with(b"\n") => {}
            Err(source) => return Err(FeedbackError::Line { path: path.to_owned(), line: i + 1, source }),
        }
    }
    Ok(answers)
}

/// The pictures of each part that were judged and kept, the oldest first.
fn pictures(folder: &Path) -> Result<HashMap<String, Vec<PathBuf>>, FeedbackError> {
    #[derive(Deserialize)]
    struct Record {
        id: Option<String>,
        part_id: Option<String>,
        verdict: Option<String>,
    }
    let unreadable = |path: &Path, source| FeedbackError::Unreadable { path: path.to_owned(), source };
    let mut files = Vec::new();
    for class in fs::read_dir(folder).map_err(|error| unreadable(folder, error))? {
        let class = class.map_err(|error| unreadable(folder, error))?.path();
        if class.is_dir() {
            for file in fs::read_dir(&class).map_err(|error| unreadable(&class, error))? {
                files.push(file.map_err(|error| unreadable(&class, error))?.path());
            }
        }
    }
    // Names begin with the time.
    files.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
    let is_record = |path: &Path| path.extension().is_some_and(|extension| extension == "json");
    let pictures: HashMap<PathBuf, &PathBuf> =
        files.iter().filter(|path| !is_record(path)).map(|path| (path.with_extension(""), path)).collect();
    let mut of_parts: HashMap<String, Vec<PathBuf>> = HashMap::new();
    for path in files.iter().filter(|path| is_record(path)) {
        let text = outside::read(path, MAX_TEXT).map_err(|error| unreadable(path, error))?;
        let record: Record = serde_json::from_slice(&text).map_err(|source| FeedbackError::Line {
            path: path.clone(),
            line: source.line(),
            source,
        })?;
        // A part that could not be judged has no verdict, and often no picture that can be read.
        let (Some(_), Some(&picture)) = (record.verdict, pictures.get(&path.with_extension(""))) else {
            continue;
        };
        // Lines without part ids answer by the id of the record.
        for id in [record.part_id, record.id].into_iter().flatten() {
            of_parts.entry(id).or_default().push(picture.clone());
        }
    }
    Ok(of_parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture of a part that was kept; its bytes do not matter here.
    fn keep(folder: &Path, class: &str, id: &str, part: &str) -> PathBuf {
        let at = folder.join(IMAGES).join(class);
        fs::create_dir_all(&at).unwrap();
        let verdict = if class == "FAULT" { "null".to_owned() } else { format!("{class:?}") };
        fs::write(
            at.join(format!("{id}.json")),
            format!(r#"{{"id":"of {id}","part_id":{part:?},"verdict":{verdict}}}"#),
        )
        .unwrap();
        fs::write(at.join(format!("{id}.bmp")), id).unwrap();
        at.join(format!("{id}.bmp"))
    }

    fn answer(folder: &Path, lines: &str) {
        fs::write(folder.join(ANSWERS), lines).unwrap();
    }

    #[test]
    fn the_last_answer_counts_and_every_part_is_a_lesson_or_has_a_reason() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path();
        let good = keep(folder, "NG", "1", "stopped");
        let defect = keep(folder, "OK", "2", "missed");
        let bare = keep(folder, "OK", "3", "bare");
        keep(folder, "FAULT", "4", "fault");
        keep(folder, "REVIEW", "5", "odd");
        let mask = folder.join("images/OK/2_mask.png");
        fs::write(&mask, "").unwrap();
        let said = [("stopped", "defect"), ("missed", "defect"), ("bare", "defect"), ("stopped", "good")];
        let said = said.into_iter().chain([("gone", "good"), ("fault", "good"), ("odd", "unsure")]);
        let line = |(part, answer)| {
            format!(r#"{{"time":"t","part_id":"{part}","answer":"{answer}","operator":"ada"}}"#) + "\n"
        };
        // The last line was cut by a crash.
        answer(folder, &(said.map(line).collect::<String>() + r#"{"time":"t","part_id":"stop"#));
        let Answered { found, left } = Answered::read(folder).unwrap();
        assert_eq!(found.good, [good]);
        assert_eq!(found.defects, [(defect, mask)]);
        let no_mask = Why::NoMask { mask: mask_of(&bare) };
        let wanted =
            [("bare", no_mask), ("fault", Why::NoPicture), ("gone", Why::NoPicture), ("odd", Why::Unsure)];
        assert_eq!(left, wanted.map(|(part, why)| Left { part_id: part.to_owned(), why }));
        assert!(left[0].to_string().ends_with("3_mask.png"), "{}", left[0]);
    }

    #[test]
    fn several_pictures_of_a_part_are_good_together_and_defective_where_a_mask_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path();
        let pictures = [keep(folder, "NG", "1", "p"), keep(folder, "OK", "2", "p")];
        answer(folder, "{\"part_id\":\"p\",\"answer\":\"good\"}\n");
        assert_eq!(Answered::read(folder).unwrap().found.good, pictures);
        answer(folder, "{\"part_id\":\"p\",\"answer\":\"defect\"}\n");
        fs::write(mask_of(&pictures[1]), "").unwrap();
        let found = Answered::read(folder).unwrap().found;
        assert_eq!((found.defects.len(), &found.defects[0].0, found.good.len()), (1, &pictures[1], 0));
        // By the id of the record it is one picture.
        answer(folder, "{\"part_id\":\"of 1\",\"answer\":\"good\"}\n");
        assert_eq!(Answered::read(folder).unwrap().found.good, pictures[..1]);
    }

    #[test]
    fn what_is_damaged_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path();
        assert!(Answered::read(folder).unwrap_err().to_string().contains(ANSWERS));
        answer(folder, "");
        assert!(Answered::read(folder).unwrap_err().to_string().contains(IMAGES));
        let picture = keep(folder, "OK", "1", "p");
        assert!(Answered::read(folder).unwrap().left.is_empty());
        answer(folder, "{\"part_id\":\"p\",\"answer\":\"good\"}\n{\"part_id\":\"p\"}\n");
        assert!(Answered::read(folder).unwrap_err().to_string().contains("line 2"));
        answer(folder, "");
        fs::write(picture.with_extension("json"), "{").unwrap();
        assert!(Answered::read(folder).unwrap_err().to_string().contains("1.json"));
    }
}
