//! The words and tables of the report.

use std::collections::BTreeMap;

use bgad::evaluation::ScoredImage;
use bgad::model::Header;
use bgad::verdict::Verdict;

use maud::{Markup, html};

use super::{Report, name, percent, verdicts};
use crate::failure::count as counted;
use crate::page::{badge, clean, plain, tile};

/// Rows of the table of every image at most.
const ROWS: usize = 1000;
/// Skipped files that are named.
const SKIPPED: usize = 20;

/// What the model does, in two sentences and four figures.
pub(super) fn head(report: &Report<'_>) -> Markup {
    let e = report.evaluation;
    let c = &e.counts;
    let (escapes, false_alarms) = (c.defective_ok, c.good - c.good_ok);
    let noticed = c.defective - escapes;
    let share = |share: Option<f64>| share.map_or("–".to_owned(), |share| format!("{:.1}", 100.0 * share));
    let found = format!("{noticed} of {}", c.defective);
    let stopped = format!("{false_alarms} of {}", c.good);
    html! {
        header {
            p.small { "bgad evaluation report" }
            h1 { (clean(&name(report.model))) " " span.on { "on " (clean(&name(report.data))) } }
            p.lead {
                @if c.defective > 0 {
                    "Of " (counted(c.defective, "defective image")) " the model noticed " b { (noticed) }
                    " (" (percent(noticed, c.defective)) "); " b { (escapes) } " would pass as OK. "
                }
                @if c.good > 0 {
                    "Of " (counted(c.good, "good image")) " it would stop " b { (c.good_ng) } " and have "
                    b { (false_alarms - c.good_ng) } " looked at (" (percent(false_alarms, c.good)) " together)."
                }
            }
            p {
                @match report.trained_on {
                    0 => "None of these images was trained on. ",
                    n => {
                        "None of these images was trained on or calibrated with; " (n)
                        @if n == 1 { " that was is left out. " } @else { " that were are left out. " }
                    }
                }
                @if let Some(auroc) = e.image_auroc {
                    (format!("Whatever the thresholds, a defective image scores above a good one {:.0} times in 100. ", 100.0 * auroc))
                }
                @if let Some((weakest, noticed, of)) = weakest_type(report) {
                    "Weakest is the type " b { (plain(&weakest)) } ": " (noticed) " of " (of) " noticed."
                }
            }
            div.tiles {
                (tile(&found, "defects noticed", "verdict REVIEW or NG"))
                (tile(&stopped, "false alarms", "good, but not OK"))
                (tile(&share(e.image_auroc), "image AUROC, %", "does a defect score above a good part?"))
                (tile(&share(e.aupro), "AUPRO, %", "are the defective regions covered?"))
            }
            (missing(report))
        }
    }
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
fn missing(report: &Report<'_>) -> Markup {
    let c = &report.evaluation.counts;
    let mut lines = Vec::new();
    for (count, what) in [(c.good, "good"), (c.defective, "defective")] {
        if count == 0 {
            lines.push(format!(
                "There is no {what} image: figures that compare good and defective ones are missing."
            ));
        }
    }
    if c.without_mask > 0 {
        let images = counted(c.without_mask, "defective image");
        lines.push(format!("Without a mask, so not part of pixel figures: {images}."));
    }
    lines.extend(report.skipped.iter().take(SKIPPED).map(|reason| format!("Skipped: {}", clean(reason))));
    if report.skipped.len() > SKIPPED {
        lines.push(format!("Skipped: {}.", counted(report.skipped.len() - SKIPPED, "more file")));
    }
    html! {
        @if !lines.is_empty() { ul.warnings { @for line in &lines { li { (line) } } } }
    }
}

/// The thresholds, what they do here, and what they promise.
pub(super) fn operating_point(report: &Report<'_>) -> Markup {
    let thresholds = report.detector.header().thresholds;
    let c = &report.evaluation.counts;
    let rows = [
        (Verdict::Ok, format!("up to {:.2}", thresholds.ok), c.good_ok, c.defective_ok),
        (
            Verdict::Review,
            format!("{:.2} to {:.2}", thresholds.ok, thresholds.ng),
            c.good - c.good_ok - c.good_ng,
            c.defective - c.defective_ok - c.defective_ng,
        ),
        (Verdict::Ng, format!("above {:.2}", thresholds.ng), c.good_ng, c.defective_ng),
    ];
    html! {
        section {
            h2 { "Operating point" }
            p { "The score is in nats: the higher, the rarer such an image is among good ones." }
            (promise(report.detector.header()))
            div.scroll { table {
                thead { tr {
                    th { "Verdict" } th { "score" } th { "good" } th { "of all good" } th { "defective" }
                    th { "of all defective" }
                } }
                tbody { @for (verdict, scores, good, defective) in &rows { tr {
                    th scope="row" { (badge(*verdict)) }
                    td { (scores) } td { (good) } td { (percent(*good, c.good)) }
                    td { (defective) } td { (percent(*defective, c.defective)) }
                } } }
            } }
        }
    }
}

/// What the thresholds promise.
fn promise(header: &Header) -> Markup {
    let Some(calibration) = &header.calibration else {
        return html! { p {
            "Both thresholds are the default and promise no rate. What they do on these images is in the table; other images may \
             differ. " code { "bgad calibrate" } " makes a promise."
        } };
    };
    let images = counted(calibration.images_sha256.len(), "image");
    html! {
        p { "The thresholds were calibrated with " (images) ", none of which is among those here:" }
        ul { @for line in crate::calibrate::in_words(calibration) { li { (line) } } }
        p { "On these images:" }
    }
}

/// Each type of defect for itself.
pub(super) fn by_type(report: &Report<'_>) -> Markup {
    let types = types(report);
    let auroc = |kind: &str| {
        let auroc = report.evaluation.by_type.get(kind).copied().flatten();
        auroc.map_or("–".to_owned(), |auroc| format!("{:.1}", 100.0 * auroc))
    };
    html! {
        @if !types.is_empty() { section {
            h2 { "Types of defect" }
            div.scroll { table {
                thead { tr {
                    th { "Type" } th { "images" } th { "image AUROC, %" } th { "OK" } th { "REVIEW" } th { "NG" }
                    th { "lowest score" } th { "median" }
                } }
                tbody { @for (kind, images) in &types { @let [ok, review, ng] = verdicts(images.iter().copied()); tr {
                    th scope="row" { (plain(kind)) }
                    td { (images.len()) } td { (auroc(kind)) } td { (ok) } td { (review) } td { (ng) }
                    td { (format!("{:.2}", images[0].score)) }
                    td { (format!("{:.2}", images[images.len() / 2].score)) }
                } } }
            } }
        } }
    }
}

/// Every image with its score, so that nothing is hidden.
pub(super) fn every_image(report: &Report<'_>) -> Markup {
    let mut images: Vec<&ScoredImage> = report.evaluation.images.iter().collect();
    images.sort_by(|a, b| b.score.total_cmp(&a.score));
    html! {
        section {
            h2 { "Every image" }
            details {
                summary {
                    (counted(images.len(), "image")) " by falling score"
                    @if images.len() > ROWS { ", the " (ROWS) " highest" }
                }
                div.scroll { table.files {
                    thead { tr { th { "File" } th { "is" } th { "score" } th { "verdict" } } }
                    tbody { @for image in images.iter().take(ROWS) { tr {
                        th scope="row" { (clean(&report.below(&image.sample.path))) }
                        td { (plain(image.sample.kind.defect().unwrap_or("good"))) }
                        td { (format!("{:.3}", image.score)) }
                        td { (badge(image.verdict)) }
                    } } }
                } }
            }
        }
    }
}

/// What it was made from, and how to make it again.
pub(super) fn provenance(report: &Report<'_>, model: &str, data: &str) -> Markup {
    let header = report.detector.header();
    let training = &header.training;
    let o = &header.options;
    let images =
        format!("{} in {}", report.evaluation.images.len(), clean(&report.data.display().to_string()));
    let learned = format!(
        "{} and {}",
        counted(training.normal_images, "good image"),
        counted(training.anomalous_images, "known defect")
    );
    html! {
        section {
            h2 { "Made from" }
            dl {
                dt { "Model" } dd { (clean(&report.model.display().to_string())) }
                dt { "SHA-256 of the model" } dd { code { (model) } }
                dt { "Images" } dd { (images) }
                dt { "SHA-256 of the images" } dd { code { (data) } }
                dt { "Learned from" } dd { (learned) }
                dt { "Training" }
                dd { (format!("{} passes ({}), seed {}, input {}", training.passes, o.schedule, o.seed, o.input)) }
                dt { "Network" } dd { (clean(&header.backbone)) ", " code { (clean(&header.backbone_sha256)) } }
                dt { "Trained with bgad" } dd { (clean(&training.bgad_version)) }
                dt { "Evaluated with bgad" } dd { (env!("CARGO_PKG_VERSION")) }
            }
            p {
                "The hash of the images is that of a list with a line for each image and mask, sorted by path: its SHA-256, two \
                 spaces, its path. The same again:"
            }
            pre { (clean(&report.command)) }
        }
    }
}
