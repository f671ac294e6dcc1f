//! Everything that can be wrong with a data folder or a split, and what to do about it.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::folder::{self, Entry, Survey};
use super::{GOOD, Setting};
use crate::image::ImageError;

/// The two layouts, for messages.
const LAYOUTS: &str = "train/good, test/good, test/TYPE, ground_truth/TYPE (MVTec layout) or good, bad, masks (plain layout); or a CSV list";
/// So many names are listed in a message.
const NAMES_SHOWN: usize = 5;

/// A data folder or split that cannot be used.
#[derive(Debug)]
pub enum DatasetError {
    /// A file or folder could not be opened or listed.
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A folder with neither layout.
    UnknownLayout {
        /// The folder.
        root: PathBuf,
        /// What is in it, sorted; folders end with `/`.
        found: Vec<String>,
        /// Those of its folders that do have a layout: perhaps one of them was meant.
        inside: Vec<PathBuf>,
    },
    /// The folder of good images to train on holds none.
    NoTrainImages {
        /// The folder.
        folder: PathBuf,
        /// What is in it instead, sorted.
        found: Vec<String>,
    },
    /// Too few good images to train on some and test on others.
    NotEnoughGood {
        /// The data folder.
        root: PathBuf,
        /// How many good images there are.
        found: usize,
    },
    /// A limit of zero good images.
    NoNormalAsked,
    /// Fewer anomalies can be trained on than were asked for.
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
    UnknownType {
        /// The data folder.
        root: PathBuf,
        /// The type asked for.
        asked: String,
        /// The types there are, sorted.
        known: Vec<String>,
    },
    /// A hard setting with the only type there is: nothing would be left to test on.
    OnlyType {
        /// The data folder.
        root: PathBuf,
        /// The type asked for.
        asked: String,
    },
    /// A split file that is not four lists of paths in JSON.
    SplitSyntax {
        /// The file.
        path: PathBuf,
        /// What the parser says, with line and column.
        error: serde_json::Error,
    },
    /// A split file names a path that is no file.
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
    SplitTwice {
        /// The split file.
        split: PathBuf,
        /// The path as written the second time.
        entry: String,
        /// In which lists.
        lists: [&'static str; 2],
    },
    /// A split file lists as defective what lies in a folder of good images.
    SplitGoodAsBad {
        /// The split file.
        split: PathBuf,
        /// In which list.
        list: &'static str,
        /// The path as written.
        entry: String,
    },
    /// A split file trains on an anomaly for which no mask is found.
    SplitWithoutMask {
        /// The split file.
        split: PathBuf,
        /// The path, relative to the data folder where it is below it.
        entry: String,
    },
    /// A split file without a single good image to train on.
    SplitWithoutTrain {
        /// The split file.
        split: PathBuf,
    },
    /// An image or a mask that a data folder needs is not sound.
    Image(ImageError),
    /// A list of images with a mistake.
    Manifest {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        found: String,
    },
    /// A folder of textures without a picture.
    NoTextures {
        /// The folder.
        folder: PathBuf,
    },
    /// A folder of foreground masks has none for a picture.
    NoForeground {
        /// The folder.
        folder: PathBuf,
        /// The picture.
        image: PathBuf,
    },
    /// Region of interest and ignore mask leave no pixel.
    NothingLeft {
        /// The ignore mask.
        mask: PathBuf,
    },
    /// A foreground mask on which there is no part.
    BlackForeground {
        /// The file.
        mask: PathBuf,
    },
    /// One image is trained on under one name and tested on under another.
    SameContent {
        /// The file to train on.
        trained: PathBuf,
        /// The file to test on.
        tested: PathBuf,
    },
    /// A split file could not be written.
    Unwritable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
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
    DatasetError::UnknownLayout { root: root.to_owned(), found: names(entries), inside }
}

pub(super) fn no_train_images(survey: &mut Survey, folder: &Path) -> Result<DatasetError, DatasetError> {
    let found = names(&survey.list(folder)?);
    Ok(DatasetError::NoTrainImages { folder: folder.to_owned(), found })
}

fn names(entries: &[Entry]) -> Vec<String> {
    entries
        .iter()
        .map(|entry| if entry.is_folder { format!("{}/", entry.name) } else { entry.name.clone() })
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

impl fmt::Display for DatasetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, error } => write!(f, "{}: cannot be read: {error}", path.display()),
            Self::UnknownLayout { root, found, inside } => {
                write!(f, "{}: expected folders {LAYOUTS}, found {}", root.display(), some_of(found))?;
                let inside: Vec<String> = inside.iter().map(|path| path.display().to_string()).collect();
                match inside.is_empty() {
                    true => write!(f, "; put the good images into a folder named good"),
                    false => write!(f, "; did you mean {}?", some_of(&inside)),
                }
            }
            Self::NoTrainImages { folder, found } => {
                write!(f, "{}: expected good images to train on ", folder.display())?;
                write!(f, "(png, jpg, jpeg, bmp, tif or tiff), found {}", some_of(found))
            }
            Self::NotEnoughGood { root, found } => {
                write!(f, "{}: expected at least 2 good images, one of them ", root.display())?;
                write!(f, "to test on, found {found}; add good images")
            }
            Self::NoNormalAsked => write!(f, "expected a limit of at least 1 good image, found 0"),
            Self::NotEnoughAnomalies { root, setting, asked, with_mask, without_mask } => {
                write!(f, "{}: expected at least {asked} defective images with ", root.display())?;
                write!(f, "masks to train on (setting {setting}), found {with_mask} with a mask and ")?;
                write!(f, "{without_mask} without; ask for at most {with_mask} anomalies")?;
                match without_mask {
                    0 => write!(f, " or add defective images"),
                    _ => write!(f, " or add masks in ground_truth/ or masks/"),
                }
            }
            Self::UnknownType { root, asked, known } => {
                write!(f, "{}: expected one of its defect types ({}), ", root.display(), some_of(known))?;
                write!(f, "found hard:{asked}")
            }
            Self::OnlyType { root, asked } => {
                write!(f, "{}: expected a defect type besides {asked} to test on, found ", root.display())?;
                write!(f, "no other; use the setting general")
            }
            Self::SplitSyntax { path, error } => {
                write!(f, "{}: expected {{\"train\": [..], \"anomalies\": [..], ", path.display())?;
                write!(f, "\"test_good\": [..], \"test_bad\": [..]}} of paths, found: {error}")
            }
            Self::SplitMissing { split, list, entry, root } => {
                write!(f, "{}: expected files, found no file {entry} of {list}", split.display())?;
                write!(f, " (relative paths start at {})", root.display())
            }
            Self::SplitTwice { split, entry, lists: [a, b] } if a == b => {
                write!(f, "{}: expected each image once, found {entry} twice in {a}", split.display())
            }
            Self::SplitTwice { split, entry, lists: [a, b] } => {
                write!(f, "{}: expected each image once, found {entry} in {a} and {b}", split.display())
            }
            Self::SplitGoodAsBad { split, list, entry } => {
                write!(f, "{}: expected defective images in {list}, found {entry}", split.display())?;
                write!(f, ", which lies in a folder of good images")
            }
            Self::SplitWithoutMask { split, entry } => {
                write!(f, "{}: expected a mask for every anomaly to train on, found ", split.display())?;
                write!(f, "none (or none of its own) for {entry}; add it in ground_truth/TYPE/ or masks/")
            }
            Self::SplitWithoutTrain { split } => {
                write!(f, "{}: expected good images in train, found none", split.display())
            }
            Self::Image(error) => write!(f, "{error}"),
            Self::Manifest { file, line, found } => {
                write!(
                    f,
                    "{}: line {line}: expected columns image_path,label,mask_path,split ",
                    file.display()
                )?;
                write!(f, "(label good or a type of defect, split train or test), found {found}")
            }
            Self::NoTextures { folder } => {
                write!(f, "{}: expected pictures to take textures from ", folder.display())?;
                write!(f, "(png, jpg, jpeg, bmp, tif or tiff), found none")
            }
            Self::NoForeground { folder, image } => {
                write!(f, "{}: expected a foreground mask for every picture, ", folder.display())?;
                write!(f, "found none for {}; name it like the picture", image.display())
            }
            Self::NothingLeft { mask } => {
                write!(f, "{}: nothing to look at is left outside this mask", mask.display())
            }
            Self::BlackForeground { mask } => {
                write!(
                    f,
                    "{}: expected a mask that is white on the part or where to look, ",
                    mask.display()
                )?;
                write!(f, "found only black")
            }
            Self::SameContent { trained, tested } => {
                write!(f, "{}: expected an image that is not trained on, ", tested.display())?;
                write!(f, "found the same content as {}; remove one of the two", trained.display())
            }
            Self::Unwritable { path, error } => write!(f, "{}: cannot be written: {error}", path.display()),
        }
    }
}

impl Error for DatasetError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Unreadable { error, .. } | Self::Unwritable { error, .. } => Some(error),
            Self::SplitSyntax { error, .. } => Some(error),
            Self::Image(error) => error.source(),
            _ => None,
        }
    }
}
