//! Everything that can be wrong with a data folder or a split, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use super::folder::{self, Entry, Survey};
use super::hash::SameContent;
use super::{GOOD, Setting};
use crate::image::{FORMATS, ImageError};
use crate::printable;

/// The two layouts, for messages.
const LAYOUTS: &str = "train/good, test/good, test/TYPE, ground_truth/TYPE (MVTec layout) or good, bad, masks (plain layout); or a CSV list";
/// So many names are listed in a message.
const NAMES_SHOWN: usize = 5;
/// So many pairs of files are listed in a message; of images, all matter, but a thousand cannot be read.
const PAIRS_SHOWN: usize = 50;

/// A data folder or split that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// A file or folder could not be opened or listed.
    #[error("{}: cannot be read: {error}", printable::path(.path))]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// A folder with neither layout.
    #[error("{}: expected folders {LAYOUTS}, found {}; {}", printable::path(.root), some_of(.found), meant(.inside, *.labelled))]
    UnknownLayout {
        /// The folder.
        root: PathBuf,
        /// What is in it, sorted; folders end with `/`.
        found: Vec<String>,
        /// Those of its folders that do have a layout: perhaps one of them was meant.
        inside: Vec<PathBuf>,
        /// How many of its pictures have a file of labels beside them.
        labelled: usize,
    },
    /// The folder of good images to train on holds none.
    #[error("{}: expected good images to train on ({FORMATS}), found {}", printable::path(.folder), some_of(.found))]
    NoTrainImages {
        /// The folder.
        folder: PathBuf,
        /// What is in it instead, sorted.
        found: Vec<String>,
    },
    /// Too few good images to train on some and test on others.
    #[error(
        "{}: expected at least 2 good images, one of them to test on, found {found}; add good images",
        printable::path(.root)
    )]
    NotEnoughGood {
        /// The data folder.
        root: PathBuf,
        /// How many good images there are.
        found: usize,
    },
    /// A limit of zero good images.
    #[error("expected a limit of at least 1 good image, found 0")]
    NoNormalAsked,
    /// Fewer anomalies can be trained on than were asked for.
    #[error(
        "{}: expected at least {asked} defective images with masks to train on (setting {setting}), found {with_mask} with a \
         mask and {without_mask} without; ask for at most {with_mask} anomalies or add {}",
        printable::path(.root),
        if *.without_mask == 0 { "defective images" } else { "masks in ground_truth/ or masks/" }
    )]
    NotEnoughAnomalies {
        /// The data folder.
        root: PathBuf,
        /// From which types they were to come.
        setting: Setting,
        /// How many were asked for.
        asked: usize,
        /// How many defective images of these types have a mask.
        with_mask: usize,
        /// How many have none.
        without_mask: usize,
    },
    /// A hard setting with a type that the data folder does not have.
    #[error("{}: expected one of its defect types ({}), found hard:{asked}", printable::path(.root), some_of(.known))]
    UnknownType {
        /// The data folder.
        root: PathBuf,
        /// The type asked for.
        asked: String,
        /// The types there are, sorted.
        known: Vec<String>,
    },
    /// A hard setting with the only type there is: nothing would be left to test on.
    #[error(
        "{}: expected a defect type besides {asked} to test on, found no other; use the setting general",
        printable::path(.root)
    )]
    OnlyType {
        /// The data folder.
        root: PathBuf,
        /// The type asked for.
        asked: String,
    },
    /// A split file that is not four lists of paths in JSON.
    #[error(
        "{}: expected {{\"train\": [..], \"anomalies\": [..], \"test_good\": [..], \"test_bad\": [..]}} of paths, found: {error}",
        printable::path(.path)
    )]
    SplitSyntax {
        /// The file.
        path: PathBuf,
        /// What the parser says, with line and column.
        #[source]
        error: serde_json::Error,
    },
    /// A split file names a path that is no file.
    #[error(
        "{}: expected files, found no file {} of {list} (relative paths start at {})",
        printable::path(.split),
        printable::text(.entry),
        printable::path(.root)
    )]
    SplitMissing {
        /// The split file.
        split: PathBuf,
        /// In which list.
        list: &'static str,
        /// The path as written.
        entry: String,
        /// Where relative paths start.
        root: PathBuf,
    },
    /// A split file names a file twice.
    #[error(
        "{}: expected each image once, found {} {}",
        printable::path(.split),
        printable::text(.entry),
        twice(.lists)
    )]
    SplitTwice {
        /// The split file.
        split: PathBuf,
        /// The path as written the second time.
        entry: String,
        /// In which lists.
        lists: [&'static str; 2],
    },
    /// A split file lists as defective what lies in a folder of good images.
    #[error(
        "{}: expected defective images in {list}, found {}, which lies in a folder of good images",
        printable::path(.split),
        printable::text(.entry)
    )]
    SplitGoodAsBad {
        /// The split file.
        split: PathBuf,
        /// In which list.
        list: &'static str,
        /// The path as written.
        entry: String,
    },
    /// A split file trains on an anomaly for which no mask is found.
    #[error(
        "{}: expected a mask for every anomaly to train on, found none (or none of its own) for {}; add it in \
         ground_truth/TYPE/ or masks/",
        printable::path(.split),
        printable::text(.entry)
    )]
    SplitWithoutMask {
        /// The split file.
        split: PathBuf,
        /// The path, relative to the data folder where it is below it.
        entry: String,
    },
    /// A split file without a single good image to train on.
    #[error("{}: expected good images in train, found none", printable::path(.split))]
    SplitWithoutTrain {
        /// The split file.
        split: PathBuf,
    },
    /// An image or a mask that a data folder needs is not sound.
    #[error("{0}")]
    Image(#[source] ImageError),
    /// A list of images with a mistake.
    #[error(
        "{}: line {line}: expected columns image_path,label,mask_path,split (label good or a type of defect, split train \
         or test), found {found}",
        printable::path(.file)
    )]
    Manifest {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        found: String,
    },
    /// A folder of textures without a picture.
    #[error("{}: expected pictures to take textures from ({FORMATS}), found none", printable::path(.folder))]
    NoTextures {
        /// The folder.
        folder: PathBuf,
    },
    /// A folder of foreground masks has none for a picture.
    #[error(
        "{}: expected a foreground mask for every picture, found none for {}; name it like the picture",
        printable::path(.folder),
        printable::path(.image)
    )]
    NoForeground {
        /// The folder.
        folder: PathBuf,
        /// The picture.
        image: PathBuf,
    },
    /// Region of interest and ignore mask leave no pixel.
    #[error("{}: nothing to look at is left outside this mask", printable::path(.mask))]
    NothingLeft {
        /// The ignore mask.
        mask: PathBuf,
    },
    /// A foreground mask on which there is no part.
    #[error(
        "{}: expected a mask that is white on the part or where to look, found only black",
        printable::path(.mask)
    )]
    BlackForeground {
        /// The file.
        mask: PathBuf,
    },
    /// Images are trained on under one name and tested on under another.
    #[error("{}", same(.pairs))]
    SameContent {
        /// All of them, in the order of the test images.
        pairs: Vec<SameContent>,
    },
    /// A split file could not be written.
    #[error("{}: cannot be written: {error}", printable::path(.path))]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
}

fn twice([a, b]: &[&str; 2]) -> String {
    if a == b { format!("twice in {a}") } else { format!("in {a} and {b}") }
}

/// One pair is a sentence, several are a list.
fn same(pairs: &[SameContent]) -> String {
    let show = |path: &PathBuf| printable::path(path).to_string();
    match pairs {
        [SameContent { trained, tested }] => format!(
            "{}: expected an image that is not trained on, found the same content as {}; remove one of the two",
            show(tested),
            show(trained)
        ),
        _ => {
            let listed = pairs.iter().take(PAIRS_SHOWN);
            let lines = listed.map(|pair| format!("\n  {} = {}", show(&pair.tested), show(&pair.trained)));
            let more = match pairs.len().saturating_sub(PAIRS_SHOWN) {
                0 => String::new(),
                n => format!("\n  and {n} more: bgad doctor lists all"),
            };
            format!(
                "expected test images that are not trained on, found {} with the same content as a training image; remove \
                 one of each two:{}{more}",
                pairs.len(),
                lines.collect::<String>()
            )
        }
    }
}

/// What was meant, perhaps.
fn meant(inside: &[PathBuf], labelled: usize) -> String {
    let inside: Vec<String> = inside.iter().map(|path| printable::path(path).to_string()).collect();
    match (inside.is_empty(), labelled) {
        (false, _) => format!("did you mean {}?", some_of(&inside)),
        (true, 0) => "put the good images into a folder named good".to_owned(),
        (true, n) => format!(
            "labels lie beside {n} of the pictures: put these with their JSON files into a folder named bad, and the good \
             images into a folder named good"
        ),
    }
}

pub(super) fn unknown_layout(root: &Path, entries: &[Entry]) -> DatasetError {
    let has_layout = |folder: &Path| {
        let list = |folder: &Path| Survey::default().list(folder).unwrap_or_default();
        let entries = list(folder);
        let train = folder::named(&entries, &["train"]);
        folder::named(&entries, GOOD).is_some()
            || train.is_some_and(|train| folder::named(&list(&train.path), GOOD).is_some())
    };
    let inside = entries
        .iter()
        .filter(|entry| entry.is_folder && has_layout(&entry.path))
        .map(|entry| entry.path.clone())
        .collect();
    let stem = |entry: &&Entry| folder::stem(&entry.name).to_owned();
    let pictures: Vec<String> =
        entries.iter().filter(|e| folder::promises_picture(&e.name)).map(|entry| stem(&entry)).collect();
    let labelled = entries.iter().filter(|e| e.is_json() && pictures.contains(&stem(e))).count();
    DatasetError::UnknownLayout { root: root.to_owned(), found: names(entries), inside, labelled }
}

pub(super) fn no_train_images(survey: &mut Survey, folder: &Path) -> Result<DatasetError, DatasetError> {
    let found = names(&survey.list(folder)?);
    Ok(DatasetError::NoTrainImages { folder: folder.to_owned(), found })
}

fn names(entries: &[Entry]) -> Vec<String> {
    entries
        .iter()
        .map(|entry| {
            let name = printable::text(&entry.name);
            if entry.is_folder { format!("{name}/") } else { name.to_string() }
        })
        .collect()
}

/// Names for a message: the first few, and how many more.
fn some_of(names: &[String]) -> String {
    match names.len() {
        0 => "nothing".to_owned(),
        n if n <= NAMES_SHOWN => names.join(", "),
        n => format!("{} and {} more", names[..NAMES_SHOWN].join(", "), n - NAMES_SHOWN),
    }
}
