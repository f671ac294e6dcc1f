//! `bgad augment`: a contact sheet of the anomalies that training would make.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use bgad::dataset::{Sample, textures};
use bgad::image::{InputImage, Mask};
use bgad::options::{Recipe, TrainOptions};
use bgad::tiles::Source;
use bgad::train::{FromHost, Maker};
use image::RgbImage;
use rayon::prelude::*;

use crate::args::AugmentArgs;
use crate::exit::Outcome;
use crate::failure::{Failure, chain, say};
use crate::inspect::cell_text;
use crate::{choice, machine, out, product, recipe, sheet};

pub(crate) fn run(args: &AugmentArgs) -> Result<Outcome, Failure> {
    let options = args.anomaly.in_recipe(Recipe::default()).options(args.choice.seed, usize::MAX, 0);
    let options = recipe::checked(TrainOptions { input: args.input, ..options })?;
    machine::use_threads(args.threads)?;
    let split = choice::split(&args.data, &args.choice)?;

    let mut skipped = 0;
    let mut defects = Vec::new();
    let mut defect_paths = Vec::new();
    for sample in &split.anomalies {
        match defect(sample, args) {
            Ok(defect) => {
                defects.push(defect);
                defect_paths.push(sample.path.clone());
            }
            Err(error) => {
                skipped += 1;
                say(format_args!("skipped: {}", chain(error.as_ref())));
            }
        }
    }
    let good = split.train.par_iter().map(|sample| {
        InputImage::load_with_original_size(&sample.path, args.input).map(|_| sample.path.clone())
    });
    let mut paths: Vec<PathBuf> = Vec::new();
    for readable in good.collect::<Vec<_>>() {
        match readable {
            Ok(path) => paths.push(path),
            Err(error) => {
                skipped += 1;
                say(format_args!("skipped: {}", chain(&error)));
            }
        }
    }
    if paths.is_empty() {
        return Err("none of the good images could be read: there is nothing to place a defect on".into());
    }
    let foregrounds = args.material.foreground().find(&paths, args.input)?;
    let hosts: Vec<Source> = paths.into_iter().map(|path| Source { path, corner: None }).collect();
    let textures = match &args.material.textures {
        Some(folder) => textures(folder, args.input)?,
        None => Vec::new(),
    };
    let maker = Maker {
        options: &options,
        defects: &defects,
        hosts: &hosts,
        foregrounds: &foregrounds.each,
        textures: &textures,
    };
    let per_pass = maker.per_pass();
    if per_pass == 0 {
        return Err(
            "training would make no anomalies: there is no known defect, and no --pseudo is asked for".into(),
        );
    }
    // A pass goes through one defect after the other; the sheet shows all strategies, so it takes from all of the pass.
    let number = args.number as usize;
    let indices: Vec<(usize, usize)> = (0..number)
        .map(|i| (i / per_pass, if number < per_pass { i * per_pass / number } else { i % per_pass }))
        .collect();
    let made: Vec<Option<FromHost>> =
        indices.par_iter().map(|&(pass, index)| maker.make(pass, index)).collect();
    let made: Vec<FromHost> = made.into_iter().flatten().collect();
    if made.is_empty() {
        return Err(
            "nothing visible came out in several tries: are the masks and the foreground right?".into()
        );
    }

    product::folder(&args.out)?;
    let cells = made.iter().map(|made| cell(made, &maker)).collect::<Result<Vec<_>, Failure>>()?;
    let path = args.out.join("sheet.png");
    product::png(&path, &sheet::sheet(&cells))?;
    list(&args.out.join("list.csv"), &made, &hosts, &defect_paths)?;
    let mut out = out::text();
    writeln!(out, "{} anomalies on {}, of {per_pass} that a pass would show", made.len(), path.display())?;
    writeln!(out, "each: the known defect or the good image, what is shown, and what is called anomalous")?;
    if made.len() < number {
        say(format_args!("note: {} more came out invisible and would not be shown", number - made.len()));
    }
    Ok(if skipped > 0 { Outcome::Incomplete } else { Outcome::Fine })
}

fn defect(sample: &Sample, args: &AugmentArgs) -> Result<(InputImage, Mask), Failure> {
    let (image, original) = InputImage::load_with_original_size(&sample.path, args.input)?;
    let Some(mask) = &sample.mask else {
        return Err(format!("{}: there is no mask", sample.path.display()).into());
    };
    Ok((image, Mask::load(mask, args.input, Some((&sample.path, original)))?))
}

/// What it was made from, what came out, and what of it is anomalous.
fn cell(found: &FromHost, maker: &Maker<'_>) -> Result<Vec<RgbImage>, Failure> {
    let FromHost { made, host, defect } = found;
    let from = match defect {
        Some(defect) => {
            let (image, mask) = &maker.defects[*defect];
            sheet::outlined(image, &mask.defective)
        }
        None => sheet::tile(&maker.hosts[*host].load(maker.options.input, maker.options.bit_depth)?),
    };
    Ok(vec![from, sheet::tile(&made.image), sheet::outlined(&made.image, &made.mask.defective)])
}

fn list(path: &Path, made: &[FromHost], hosts: &[Source], defects: &[PathBuf]) -> Result<(), Failure> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    csv.write_record(["number", "recipe", "good_image", "known_defect", "anomalous_pixels"])?;
    for (i, FromHost { made, host, defect }) in made.iter().enumerate() {
        let defect = defect.map(|defect| defects[defect].display().to_string());
        let pixels = made.mask.defective.iter().filter(|pixel| **pixel != 0).count();
        csv.write_record([
            (i + 1).to_string(),
            made.recipe.to_string(),
            cell_text(Some(&hosts[*host].path.display().to_string())),
            cell_text(defect.as_deref()),
            pixels.to_string(),
        ])?;
    }
    product::write(path, csv.into_inner().map_err(|error| error.into_error())?)
}
