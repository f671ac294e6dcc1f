//! The worst results in pictures, held in the page itself.

use std::io::{self, Cursor};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bgad::Frame;
use bgad::evaluation::ScoredImage;
use bgad::image::{ImageError, InputSize, Mask, OriginalSize};
use bgad::overlay::{self, ColourScale, Look, Picture, PictureError, Style, legend};
use bgad::record::{Rank, Recipe};
use bgad::verdict::DefectRegion;
use image::{DynamicImage, GrayImage, ImageFormat};
use maud::{Markup, html};

use super::Report;
use crate::failure::{self, Failure};
use crate::page::{badge, clean, plain};

/// Images of each kind at most: with [`SIDE`] and [`QUALITY`] this bounds the page to about a megabyte.
const SHOWN: usize = 6;
/// Longest side of a picture, pixels.
const SIDE: usize = 320;
/// Quality of photographs, of 100.
const QUALITY: u8 = 80;
/// Regions that are named.
const REGIONS: usize = 3;

pub(super) fn all(report: &Report<'_>, recipe: &Recipe) -> Result<Markup, Failure> {
    let (defective, good) = (report.defective(), report.good());
    let c = &report.evaluation.counts;
    let escapes = Group {
        title: "Escapes",
        sorted: &defective,
        wrong: c.defective_ok,
        none: "No defective image is called OK. Closest to it:",
        some: "Defective, yet called OK; the lowest score first",
    };
    let false_alarms = Group {
        title: "False alarms",
        sorted: &good,
        wrong: c.good - c.good_ok,
        none: "No good image is stopped. Closest to it:",
        some: "Good, yet not called OK; the highest score first",
    };
    Ok(html! {
        section {
            h2 { "The worst" }
            (scale(report, recipe)?)
            (escapes.html(report, recipe)?)
            (false_alarms.html(report, recipe)?)
        }
    })
}

/// Images that the model got most wrong.
struct Group<'a> {
    title: &'a str,
    /// By score, and so by verdict: the wrong ones come first.
    sorted: &'a [&'a ScoredImage],
    wrong: usize,
    none: &'a str,
    some: &'a str,
}

impl Group<'_> {
    fn html(&self, report: &Report<'_>, recipe: &Recipe) -> Result<Markup, Failure> {
        if self.sorted.is_empty() {
            return Ok(html! {});
        }
        let (shown, words) = match self.wrong {
            0 => (2, self.none.to_owned()),
            n if n > SHOWN => (SHOWN, format!("{}, {SHOWN} of {n}.", self.some)),
            n => (n, format!("{}.", self.some)),
        };
        let cards = self.sorted.iter().take(shown).map(|scored| card(report, recipe, scored));
        let cards = cards.collect::<Result<Vec<Markup>, Failure>>()?;
        Ok(html! {
            h3 { (self.title) }
            p { (words) }
            div.pairs { @for card in &cards { (card) } }
        })
    }
}

fn card(report: &Report<'_>, recipe: &Recipe, scored: &ScoredImage) -> Result<Markup, Failure> {
    let unreadable = |error: ImageError| -> Failure { failure::chain(&error).into() };
    let path = &scored.sample.path;
    let frame = Frame::open(path).map_err(unreadable)?;
    let found = report.detector.inspect(&frame).map_err(unreadable)?;
    let look = |style| Look { style, footer: false, caption: None, longest_side: SIDE };
    let drawn = |style| -> Result<String, Failure> {
        Ok(jpeg(&overlay::draw(&frame, &found, recipe, &look(style)).map_err(unreadable)?)?)
    };
    let picture = overlay::plain(&frame, SIDE).map_err(unreadable)?;
    let (width, height) = (picture.width, picture.height);
    let mut panels = vec![
        ("image", jpeg(&picture)?),
        ("what is flagged", drawn(Style::Overlay)?),
        ("anomaly map", drawn(Style::Heat)?),
    ];
    if let Some(mask) = &scored.sample.mask {
        let size = thumbnail(found.original);
        let mask = Mask::load(mask, size, None).map_err(unreadable)?;
        let bytes = mask.defective.iter().map(|&pixel| 255 * pixel.min(1)).collect();
        panels.push((
            "true mask",
            png(&GrayImage::from_raw(size.width as u32, size.height as u32, bytes)
                .expect("a thumbnail's pixels"))?,
        ));
    }

    let file = clean(&report.below(path));
    let whole = found.whole_image;
    let rank = Rank::of(scored.score, &recipe.normal_scores);
    Ok(html! {
        article {
            p {
                (badge(scored.verdict)) " " b { (plain(scored.sample.kind.defect().unwrap_or("good"))) } " "
                span.score { (format!("{:.2} nats", scored.score)) } " " small.file { (file) }
            }
            div.panels { @for (what, source) in &panels {
                figure {
                    img src=(source) width=(width) height=(height) alt={ (what) " of " (file) };
                    figcaption { (what) }
                }
            } }
            p.small.regions {
                @if let Some(rank) = rank { "The score is " (rank) ". " }
                (regions(&found.regions, whole))
            }
        }
    })
}

fn regions(regions: &[DefectRegion], whole_image: bool) -> String {
    if whole_image {
        return "The image is flagged as a whole: no single place stands out.".to_owned();
    }
    if regions.is_empty() {
        return "No place of the map is above the OK threshold.".to_owned();
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
fn scale(report: &Report<'_>, recipe: &Recipe) -> Result<Markup, Failure> {
    let thresholds = report.detector.header().thresholds;
    let scale = ColourScale::of(&recipe.normal_scores);
    let strip = jpeg(&legend(scale, thresholds, 600, 18))?;
    Ok(html! {
        p {
            "What the map flags is filled and outlined; boxes number the first regions. Colours were fixed by the training and mean \
             the same in every picture of this model. The anomaly map shows all values, also those below the thresholds: grey is \
             as usual as in good images."
        }
        div.scale {
            img src=(strip) width="600" height="18"
                alt="Colour scale from pale yellow through orange to dark red, with a mark at each threshold";
            div.ends {
                span { (format!("{:.1} nats or less", scale.low)) }
                span { (format!("OK up to {:.1}, NG above {:.1}", thresholds.ok, thresholds.ng)) }
                span { (format!("{:.0} or more", scale.high())) }
            }
        }
    })
}

/// The size of a picture in the page, in the proportions of the original.
fn thumbnail(original: OriginalSize) -> InputSize {
    let longest = original.width.max(original.height).max(1);
    let scaled = |side: usize| (side * SIDE / longest).clamp(InputSize::MIN_SIDE, SIDE);
    InputSize { height: scaled(original.height), width: scaled(original.width), keep_aspect: false }
}

fn jpeg(picture: &Picture) -> Result<String, PictureError> {
    let bytes = picture.to_jpeg(QUALITY)?;
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
