//! The worst results in pictures, held in the page itself.

use std::io::{self, Cursor};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bgad::evaluation::ScoredImage;
use bgad::image::{ImageError, InputImage, InputSize, Mask, OriginalSize};
use bgad::score::AnomalyMap;
use bgad::verdict::{DefectRegion, Thresholds};
use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, GrayImage, ImageFormat, RgbImage, imageops};

use super::Report;
use crate::failure::{self, Failure};
use crate::overlay::{Scale, heat_map, legend, overlay};
use crate::page::{badge, escaped, plain};

/// Images of each kind at most: with [`SIDE`] and [`QUALITY`] this bounds the page to about a megabyte.
const SHOWN: usize = 6;
/// Longest side of a picture, pixels.
const SIDE: usize = 320;
/// Quality of photographs, of 100.
const QUALITY: u8 = 80;
/// Regions that are named.
const REGIONS: usize = 3;

pub(super) fn all(report: &Report<'_>) -> Result<String, Failure> {
    let (defective, good) = (report.defective(), report.good());
    let c = &report.evaluation.counts;
    let false_alarms = c.good - c.good_ok;
    let mut out = String::from("<section>\n<h2>The worst</h2>\n");
    out += &scale(report)?;
    out += &group(
        report,
        "Escapes",
        &defective,
        c.defective_ok,
        [
            "No defective image is called OK. Closest to it:",
            "Defective, yet called OK; the lowest score first",
        ],
    )?;
    out += &group(
        report,
        "False alarms",
        &good,
        false_alarms,
        ["No good image is stopped. Closest to it:", "Good, yet not called OK; the highest score first"],
    )?;
    Ok(out + "</section>\n")
}

fn group(
    report: &Report<'_>,
    title: &str,
    sorted: &[&ScoredImage],
    wrong: usize,
    [none, some]: [&str; 2],
) -> Result<String, Failure> {
    if sorted.is_empty() {
        return Ok(String::new());
    }
    // The order is by score, and so is the verdict: the wrong ones come first.
    let (shown, words) = match wrong {
        0 => (2, none.to_owned()),
        n if n > SHOWN => (SHOWN, format!("{some}, {SHOWN} of {n}.")),
        n => (n, format!("{some}.")),
    };
    let cards: Result<String, Failure> =
        sorted.iter().take(shown).map(|scored| card(report, scored)).collect();
    Ok(format!("<h3>{title}</h3>\n<p>{words}</p>\n<div class=\"pairs\">\n{}</div>\n", cards?))
}

fn card(report: &Report<'_>, scored: &ScoredImage) -> Result<String, Failure> {
    let unreadable = |error: ImageError| -> Failure { failure::chain(&error).into() };
    let detector = report.detector;
    let thresholds = detector.header().thresholds;
    let path = &scored.sample.path;
    let (input, original) = detector.load(path).map_err(unreadable)?;
    let found = detector.inspect_input(&input, original);
    let input = detector.visible(&input, original);
    let size = thumbnail(original);
    let (width, height) = (size.width as u32, size.height as u32);
    let scaled =
        |picture: &RgbImage| imageops::resize(picture, width, height, imageops::FilterType::Triangle);

    let picture = InputImage::load(path, size).map_err(unreadable)?;
    let picture = RgbImage::from_raw(width, height, picture.to_rgb8()).expect("a thumbnail's pixels");
    let mut panels = vec![
        ("image", jpeg(&picture)?),
        ("anomalies", jpeg(&scaled(&overlay(&input, &found.map, thresholds, &found.regions, original)))?),
        ("map, own scale", jpeg(&scaled(&heat_map(&found.map, own_scale(&found.map))))?),
    ];
    if let Some(mask) = &scored.sample.mask {
        let mask = Mask::load(mask, size, None).map_err(unreadable)?;
        let bytes = mask.defective.iter().map(|&pixel| 255 * pixel.min(1)).collect();
        panels.push((
            "true mask",
            png(&GrayImage::from_raw(width, height, bytes).expect("a thumbnail's pixels"))?,
        ));
    }

    let file = report.below(path);
    let kind = plain(scored.sample.kind.defect().unwrap_or("good"));
    let figures: String = panels
        .iter()
        .map(|(what, source)| {
            format!(
                "<figure><img src=\"{source}\" width=\"{width}\" height=\"{height}\" alt=\"{what} of {}\">\
                 <figcaption>{what}</figcaption></figure>\n",
                escaped(&file)
            )
        })
        .collect();
    Ok(format!(
        "<article>\n<p>{} <b>{}</b> <span class=\"score\">{:.2} nats</span> <small class=\"file\">{}</small></p>\n\
         <div class=\"panels\">\n{figures}</div>\n<p class=\"small regions\">{}</p>\n</article>\n",
        badge(scored.verdict),
        escaped(&kind),
        scored.score,
        escaped(&file),
        regions(&found.regions),
    ))
}

/// Thresholds with which the colours run from the lowest value of the map to the highest: an escape is pale on the
/// scale of the model, and where it scores most is what one asks.
fn own_scale(map: &AnomalyMap) -> Thresholds {
    let finite = map.nats.iter().copied().filter(|nats| nats.is_finite());
    let (low, high) = finite.fold((f32::MAX, f32::MIN), |(low, high), nats| (low.min(nats), high.max(nats)));
    // The stops of a scale lie a quarter of a gap below `ok` and four gaps above.
    let gap = (high - low).max(1e-3) / 4.25;
    Thresholds { ok: low + 0.25 * gap, ng: low + 1.25 * gap }
}

fn regions(regions: &[DefectRegion]) -> String {
    if regions.is_empty() {
        return "Nothing above the OK threshold.".to_owned();
    }
    let named: Vec<String> = regions
        .iter()
        .take(REGIONS)
        .map(|r| {
            format!(
                "{:.2} nats at {:.0}, {:.0} ({:.0} pixels in {}×{})",
                r.peak, r.centroid_x, r.centroid_y, r.area, r.width, r.height
            )
        })
        .collect();
    let more = match regions.len().saturating_sub(REGIONS) {
        0 => String::new(),
        n => format!("; {n} more"),
    };
    format!("Above the OK threshold: {}{more}.", named.join("; "))
}

/// What the colours mean.
fn scale(report: &Report<'_>) -> Result<String, Failure> {
    let thresholds = report.detector.header().thresholds;
    let stops = Scale::of(thresholds).stops;
    Ok(format!(
        "<p>Colours on the image are fixed by the thresholds and mean the same in every picture; a white line runs round \
         what is above the OK threshold, a blue box round the largest such regions. The map beside it is stretched from \
         its own lowest value to its highest: it shows where, not how much.</p>\n<div class=\"scale\"><img src=\"{}\" width=\"600\" height=\"18\" \
         alt=\"Colour scale from pale yellow through orange to red\"><div class=\"ends\"><span>{:.1} nats or less</span><span>OK up to {:.1}, \
         NG from {:.1}</span><span>{:.1} or more</span></div></div>\n",
        jpeg(&legend(thresholds, 600, 18))?,
        stops[0],
        stops[1],
        stops[2],
        stops[3]
    ))
}

/// The size of a picture in the page, in the proportions of the original.
fn thumbnail(original: OriginalSize) -> InputSize {
    let longest = original.width.max(original.height).max(1);
    let scaled = |side: usize| (side * SIDE / longest).clamp(InputSize::MIN_SIDE, SIDE);
    InputSize { height: scaled(original.height), width: scaled(original.width), keep_aspect: false }
}

fn jpeg(picture: &RgbImage) -> io::Result<String> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, QUALITY).encode_image(picture).map_err(io::Error::other)?;
    Ok(format!("data:image/jpeg;base64,{}", BASE64_STANDARD.encode(bytes)))
}

fn png(picture: &GrayImage) -> io::Result<String> {
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::from(picture.clone()).write_to(&mut bytes, ImageFormat::Png).map_err(io::Error::other)?;
    Ok(format!("data:image/png;base64,{}", BASE64_STANDARD.encode(bytes.into_inner())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_scale_runs_from_the_lowest_to_the_highest() {
        let map = |nats: &[f32]| AnomalyMap { nats: nats.to_vec(), h: 1, w: nats.len() };
        let stops = Scale::of(own_scale(&map(&[1.0, 9.5, 3.0]))).stops;
        assert!((stops[0] - 1.0).abs() < 1e-5 && (stops[3] - 9.5).abs() < 1e-5, "{stops:?}");
        for odd in [&[2.0, 2.0][..], &[f32::INFINITY, f32::NAN], &[]] {
            let stops = Scale::of(own_scale(&map(odd))).stops;
            assert!(stops.is_sorted(), "{stops:?}");
        }
    }

    #[test]
    fn thumbnails_keep_proportions_within_bounds() {
        let cases = [
            ((512, 512), (320, 320)),
            ((100, 200), (160, 320)),
            ((1, 9000), (16, 320)),
            ((16, 16), (320, 320)),
        ];
        for ((height, width), want) in cases {
            let size = thumbnail(OriginalSize { height, width });
            assert_eq!((size.height, size.width), want);
        }
    }
}
