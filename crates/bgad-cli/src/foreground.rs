//! `bgad foreground`: where the part is thought to be, as a contact sheet and as masks.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use bgad::dataset::Dataset;
use bgad::foreground::{Foreground, SetKind};
use bgad::image::InputImage;
use image::{GrayImage, RgbImage};
use rayon::prelude::*;

use crate::args::{ForegroundArgs, foreground_source};
use crate::exit::Outcome;
use crate::failure::Failure;
use crate::{machine, out, product, sheet};

pub(crate) fn run(args: &ForegroundArgs) -> Result<Outcome, Failure> {
    machine::use_threads(args.threads)?;
    let dataset = Dataset::open(&args.data)?;
    let images: Vec<PathBuf> = dataset.train_good.iter().map(|sample| sample.path.clone()).collect();
    let found = foreground_source(&args.foreground).find(&images, args.input)?;

    let masks = args.out.join("masks");
    images.par_iter().zip(&found.each).try_for_each(|(image, foreground)| {
        write(&masks, image, foreground).map_err(|error| error.to_string())
    })?;
    let number = (args.number as usize).min(images.len());
    let shown: Vec<usize> = (0..number).map(|i| i * images.len() / number).collect();
    let cell = |&i: &usize| -> Result<Vec<RgbImage>, Failure> {
        let image = InputImage::load(&images[i], args.input)?;
        Ok(vec![sheet::tile(&image), sheet::faded(&image, &found.each[i].inside)])
    };
    let cells = shown
        .par_iter()
        .map(|i| cell(i).map_err(|error| error.to_string()))
        .collect::<Result<Vec<_>, _>>()?;
    let path = args.out.join("sheet.png");
    product::png(&path, &sheet::sheet(&cells))?;

    let mut coverage: Vec<f64> = found.each.iter().map(|foreground| 100.0 * foreground.coverage()).collect();
    coverage.sort_by(f64::total_cmp);
    let mut out = out::text();
    if let Some(kind) = found.kind {
        writeln!(out, "taken for    {}", in_words(kind))?;
    }
    let [least, median, most] = [0, coverage.len() / 2, coverage.len() - 1].map(|i| coverage[i]);
    writeln!(out, "the part     covers {median:.0} % of an image, from {least:.0} to {most:.0} %")?;
    writeln!(out, "sheet        {} ({number} of {} images)", path.display(), images.len())?;
    writeln!(out, "masks        {}: correct them and give the folder to --foreground", masks.display())?;
    Ok(Outcome::Fine)
}

fn in_words(kind: SetKind) -> &'static str {
    match kind {
        SetKind::Textures => "surfaces that fill the images: everything counts as the part",
        SetKind::FixedCamera => "parts that lie at one place: the same mask for all images",
        SetKind::LooseParts => "parts that lie about: a mask for each image",
    }
}

/// Writes the mask where `--foreground` will find it: by the folder and the name of the image.
fn write(masks: &Path, image: &Path, foreground: &Foreground) -> Result<(), Failure> {
    let parent = image.parent().and_then(Path::file_name).unwrap_or_default();
    let name = image.file_stem().unwrap_or_default();
    let folder = masks.join(parent);
    product::folder(&folder)?;
    let mut file = name.to_owned();
    file.push(".png");
    let path = folder.join(file);
    let pixels = foreground.inside.iter().map(|inside| 255 * inside).collect();
    let mask = GrayImage::from_raw(foreground.width as u32, foreground.height as u32, pixels)
        .expect("one value per pixel");
    product::png(&path, &mask)
}
