//! What comes in: a folder to import, a project to examine, a mask to read.

use std::path::{Path, PathBuf};

use bgad::backbone::Backbone;
use bgad::dataset::doctor::{self, Checkup, DoctorOptions};
use bgad::dataset::{Dataset, Sample};
use bgad::image::{InputSize, Mask, OriginalSize};
use bgad::options::DEFAULT_BACKBONE;

use super::{Control, Failure, Progress};
use crate::studio::bitmask::Bitmask;

/// Folders of a project that are not for training, and its regions.
const OWN: [&str; 5] = ["unlabelled", "models", "runs", "roi.png", "ignore.png"];

/// Examines the project.
pub(in crate::studio) fn examine(
    root: &Path,
    quick: bool,
    control: &dyn Control,
) -> Result<Checkup, Failure> {
    let backbone = if quick { None } else { Some(Backbone::embedded(DEFAULT_BACKBONE)?) };
    let options = DoctorOptions { input: InputSize::square(256), backbone: backbone.as_ref() };
    let mut checkup = doctor::examine(root, &options, &mut |seen| {
        let (done, total) = (seen.done, seen.total);
        control.report(Progress { stage: "reading".to_owned(), done, total, ..Progress::default() });
    })?;
    // Folders of the studio's own are no images that somebody forgot.
    checkup.findings.retain(|finding| finding.check != "layout" || !OWN.contains(&finding.file.as_str()));
    Ok(checkup)
}

/// A mask of any format that bgad reads, in pixels of its image.
pub(in crate::studio) fn read_mask(
    mask: &Path,
    image: Option<&Path>,
    width: usize,
    height: usize,
) -> Result<Bitmask, Failure> {
    let original = OriginalSize { height, width };
    let read = Mask::load(mask, original.as_input(), image.map(|image| (image, original)))?;
    let pixels = read.defective.iter().map(|&pixel| 255 * u8::from(pixel != 0)).collect();
    Ok(Bitmask { width, height, pixels })
}

/// A file to be brought into a project: where it is, its label, its mask.
pub(in crate::studio) struct Import {
    pub image: PathBuf,
    pub defect: Option<String>,
    pub mask: Option<PathBuf>,
}

/// The images of a folder in any layout that bgad reads.
pub(in crate::studio) fn survey(folder: &Path) -> Result<Vec<Import>, Failure> {
    let dataset = Dataset::open(folder)?;
    let lists = [&dataset.train_good, &dataset.test_good, &dataset.train_bad, &dataset.test_bad];
    let import = |sample: &Sample| Import {
        image: sample.path.clone(),
        defect: sample.kind.defect().map(str::to_owned),
        mask: sample.mask.clone(),
    };
    Ok(lists.into_iter().flatten().map(import).collect())
}
