//! The words and tables of the report.

use std::collections::BTreeMap;

use bgad::evaluation::ScoredImage;
use bgad::model::Header;

use super::{Report, name, percent, verdicts};
use crate::page::{badge, escaped, plain, tile};

/// Rows of the table of every image at most.
const ROWS: usize = 1000;

/// What the model does, in two sentences and four figures.
pub(super) fn head(report: &Report<'_>) -> String {
    let e = report.evaluation;
    let c = &e.counts;
    let (escapes, false_alarms) = (c.defective_ok, c.good - c.good_ok);
    let noticed = c.defective - escapes;
    let mut words = Vec::new();
    if c.defective > 0 {
        words.push(format!(
            "Of {} defective images the model noticed <b>{noticed}</b> ({}); <b>{escapes}</b> escaped it: their verdict is OK.",
            c.defective,
            percent(noticed, c.defective)
        ));
    }
    if c.good > 0 {
        words.push(format!(
            "Of {} good images it stopped <b>{false_alarms}</b> ({}).",
            c.good,
            percent(false_alarms, c.good)
        ));
    }
    let mut more = vec![match report.trained_on {
        0 => "None of these images was trained on.".to_owned(),
        n => format!("None of these images was trained on or calibrated with; {n} that were are left out."),
    }];
    if let Some(auroc) = e.image_auroc {
        more.push(format!(
            "Whatever the thresholds, a defective image scores above a good one {:.0} times in 100.",
            100.0 * auroc
        ));
    }
    if let Some((weakest, noticed, of)) = weakest_type(report) {
        more.push(format!(
            "Weakest is the type <b>{}</b>: {noticed} of {of} noticed.",
            escaped(&plain(&weakest))
        ));
    }
    let share = |share: Option<f64>| share.map_or("–".to_owned(), |share| format!("{:.1}", 100.0 * share));
    let tiles = [
        tile(&format!("{noticed} of {}", c.defective), "defects noticed", "verdict REVIEW or NG"),
        tile(&format!("{false_alarms} of {}", c.good), "false alarms", "good, but not OK"),
        tile(&share(e.image_auroc), "image AUROC, %", "does a defect score above a good part?"),
        tile(&share(e.aupro), "AUPRO, %", "are the defective regions covered?"),
    ];
    format!(
        "<header>\n<p class=\"small\">bgad evaluation report</p>\n<h1>{} <span class=\"on\">on {}</span></h1>\n\
         <p class=\"lead\">{}</p>\n<p>{}</p>\n<div class=\"tiles\">\n{}</div>\n{}</header>\n",
        escaped(&name(report.model)),
        escaped(&name(report.data)),
        words.join(" "),
        more.join(" "),
        tiles.concat(),
        missing(report),
    )
}

/// The type with the smallest share noticed, if one is worse than the others.
fn weakest_type(report: &Report<'_>) -> Option<(String, usize, usize)> {
    let types = types(report);
    let share = |images: &Vec<&ScoredImage>| {
        let [ok, review, ng] = verdicts(images.iter().copied());
        (review + ng, ok + review + ng)
    };
    let (kind, images) = types.iter().min_by(|a, b| {
        let ((a, of_a), (b, of_b)) = (share(a.1), share(b.1));
        (a * of_b).cmp(&(b * of_a))
    })?;
    let (noticed, of) = share(images);
    (types.len() > 1 && noticed < of).then(|| ((*kind).to_owned(), noticed, of))
}

fn types<'a>(report: &'a Report<'_>) -> BTreeMap<&'a str, Vec<&'a ScoredImage>> {
    let mut types: BTreeMap<&str, Vec<&ScoredImage>> = BTreeMap::new();
    for image in report.defective() {
        types.entry(image.sample.kind.defect().unwrap_or_default()).or_default().push(image);
    }
    types
}

/// What the figures are without.
fn missing(report: &Report<'_>) -> String {
    let c = &report.evaluation.counts;
    let mut lines = Vec::new();
    if c.good == 0 {
        lines.push("There is no good image: figures that compare good and defective are missing.".to_owned());
    }
    if c.defective == 0 {
        lines.push(
            "There is no defective image: figures that compare good and defective are missing.".to_owned(),
        );
    }
    if c.without_mask > 0 {
        lines.push(format!(
            "{} defective images have no mask: pixel figures are without them.",
            c.without_mask
        ));
    }
    lines.extend(report.skipped.iter().take(20).map(|reason| format!("Skipped: {}", escaped(reason))));
    if report.skipped.len() > 20 {
        lines.push(format!("Skipped: {} more files.", report.skipped.len() - 20));
    }
    let items: String = lines.iter().map(|line| format!("<li>{line}</li>\n")).collect();
    if items.is_empty() { items } else { format!("<ul class=\"warnings\">\n{items}</ul>\n") }
}

/// The thresholds, what they do here, and what they promise.
pub(super) fn operating_point(report: &Report<'_>) -> String {
    let thresholds = report.detector.header().thresholds;
    let c = &report.evaluation.counts;
    let rows = [
        ("OK", format!("up to {:.2}", thresholds.ok), c.good_ok, c.defective_ok),
        (
            "REVIEW",
            format!("{:.2} to {:.2}", thresholds.ok, thresholds.ng),
            c.good - c.good_ok - c.good_ng,
            c.defective - c.defective_ok - c.defective_ng,
        ),
        ("NG", format!("above {:.2}", thresholds.ng), c.good_ng, c.defective_ng),
    ];
    let rows: String = rows
        .iter()
        .map(|(verdict, scores, good, defective)| {
            format!(
                "<tr><th scope=\"row\"><span class=\"badge {}\">{verdict}</span></th><td>{scores}</td><td>{good}</td>\
                 <td>{}</td><td>{defective}</td><td>{}</td></tr>\n",
                verdict.to_lowercase(),
                percent(*good, c.good),
                percent(*defective, c.defective)
            )
        })
        .collect();
    format!(
        "<section>\n<h2>Operating point</h2>\n<p>The score is in nats: 0 is as normal as training images get. {}</p>\n\
         <div class=\"scroll\"><table>\n<thead><tr><th>Verdict</th><th>score</th><th>good</th><th>of all good</th><th>defective</th>\
         <th>of all defective</th></tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n</section>\n",
        promise(report.detector.header())
    )
}

/// What the thresholds promise.
fn promise(header: &Header) -> String {
    let Some(calibration) = &header.calibration else {
        return "Both thresholds come from the scores of the training images by the default rule and promise no rate: what \
                they do on these images is in the table, other images may differ. <code>bgad calibrate</code> makes a promise."
            .to_owned();
    };
    let words = crate::calibrate::in_words(calibration);
    let items: String = words.iter().map(|line| format!("<li>{}</li>", escaped(line))).collect();
    let images = calibration.images_sha256.len();
    format!(
        "The thresholds were calibrated with {images} images, none of which is among those here:</p>\n<ul>{items}</ul>\n<p>On these images:"
    )
}

/// Each type of defect for itself.
pub(super) fn by_type(report: &Report<'_>) -> String {
    let types = types(report);
    if types.is_empty() {
        return String::new();
    }
    let rows: String = types
        .iter()
        .map(|(kind, images)| {
            let [ok, review, ng] = verdicts(images.iter().copied());
            let auroc = report.evaluation.by_type.get(*kind).copied().flatten();
            format!(
                "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{ok}</td><td>{review}</td><td>{ng}</td><td>{:.2}</td>\
                 <td>{:.2}</td></tr>\n",
                escaped(&plain(kind)),
                images.len(),
                auroc.map_or("–".to_owned(), |auroc| format!("{:.1}", 100.0 * auroc)),
                images[0].score,
                images[images.len() / 2].score,
            )
        })
        .collect();
    format!(
        "<section>\n<h2>Types of defect</h2>\n<div class=\"scroll\"><table>\n<thead><tr><th>Type</th><th>images</th>\
         <th>AUROC, %</th><th>OK</th><th>REVIEW</th><th>NG</th><th>lowest score</th><th>median</th></tr></thead>\n<tbody>\n{rows}</tbody>\n\
         </table></div>\n</section>\n"
    )
}

/// Every image with its score, so that nothing is hidden.
pub(super) fn every_image(report: &Report<'_>) -> String {
    let mut images: Vec<&ScoredImage> = report.evaluation.images.iter().collect();
    images.sort_by(|a, b| b.score.total_cmp(&a.score));
    let rows: String = images
        .iter()
        .take(ROWS)
        .map(|image| {
            format!(
                "<tr><th scope=\"row\">{}</th><td>{}</td><td>{:.3}</td><td>{}</td></tr>\n",
                escaped(&report.below(&image.sample.path)),
                escaped(&plain(image.sample.kind.defect().unwrap_or("good"))),
                image.score,
                badge(image.verdict)
            )
        })
        .collect();
    let cut = if images.len() > ROWS { format!(", the {ROWS} highest") } else { String::new() };
    format!(
        "<section>\n<h2>Every image</h2>\n<details>\n<summary>{} images by falling score{cut}</summary>\n<div class=\"scroll\">\
         <table class=\"files\">\n<thead><tr><th>File</th><th>is</th><th>score</th><th>verdict</th></tr></thead>\n<tbody>\n{rows}</tbody>\n\
         </table></div>\n</details>\n</section>\n",
        images.len()
    )
}

/// What it was made from, and how to make it again.
pub(super) fn provenance(report: &Report<'_>, model: &str, data: &str) -> String {
    let header = report.detector.header();
    let training = &header.training;
    let o = &header.options;
    let rows = [
        ("Model", escaped(&report.model.display().to_string())),
        ("SHA-256 of the model", format!("<code>{model}</code>")),
        (
            "Images",
            format!("{} in {}", report.evaluation.images.len(), escaped(&report.data.display().to_string())),
        ),
        ("SHA-256 of the images", format!("<code>{data}</code>")),
        (
            "Trained on",
            format!("{} good and {} defective images", training.normal_images, training.anomalous_images),
        ),
        (
            "Training",
            format!("{} passes ({}), seed {}, input {}", training.passes, o.schedule, o.seed, o.input),
        ),
        (
            "Backbone",
            format!("{}, <code>{}</code>", escaped(&header.backbone), escaped(&header.backbone_sha256)),
        ),
        ("Trained with bgad", escaped(&training.bgad_version)),
        ("Evaluated with bgad", env!("CARGO_PKG_VERSION").to_owned()),
    ];
    let rows: String =
        rows.iter().map(|(what, value)| format!("<dt>{what}</dt><dd>{value}</dd>\n")).collect();
    format!(
        "<section>\n<h2>Made from</h2>\n<dl>\n{rows}</dl>\n<p>The hash of the images is that of a list with a line for each \
         image and mask, sorted by path: its SHA-256, two spaces, its path. The same again:</p>\n<pre>{}</pre>\n</section>\n",
        escaped(&report.command)
    )
}
