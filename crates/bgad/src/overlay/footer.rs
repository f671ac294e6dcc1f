//! What stands beneath a picture: verdict, score, thresholds, the score in words, the colour scale, a caption.

use super::canvas::{Canvas, Rect, mixed};
use super::scale::ColourScale;
use super::text::Text;
use super::{CASING, Rgb, WHITE, unit};
use crate::record::{Rank, Recipe};
use crate::verdict::{Thresholds, Verdict};

/// What the footer is printed on.
pub(super) const PAPER: Rgb = [22.0, 26.0, 33.0];
const INK: Rgb = [238.0, 240.0, 243.0];
const FAINT: Rgb = [160.0, 168.0, 180.0];
/// A footer is at least so wide, pixels: a narrow picture stands in the middle above it.
const MIN_WIDTH: usize = 440;
/// Nothing is gained by a wider scale, in units.
const BAR_UNITS: f32 = 44.0;

/// What stands beneath a picture.
pub(super) struct Footer<'a> {
    pub(super) verdict: Verdict,
    pub(super) score: f32,
    pub(super) whole_image: bool,
    pub(super) recipe: &'a Recipe,
    pub(super) scale: ColourScale,
    pub(super) caption: Option<&'a str>,
}

/// The colour of a verdict, and that of words on it.
pub(super) fn verdict_colours(verdict: Verdict) -> (Rgb, Rgb) {
    match verdict {
        Verdict::Ok => ([46.0, 140.0, 87.0], WHITE),
        Verdict::Review => ([245.0, 178.0, 36.0], CASING),
        Verdict::Ng => ([208.0, 32.0, 48.0], WHITE),
    }
}

impl Footer<'_> {
    /// The picture with this footer.
    pub(super) fn beneath(&self, picture: Canvas) -> Canvas {
        let width = picture.width.max(MIN_WIDTH);
        let unit = unit(width);
        let (large, small) = (Text::new(unit * 1.05), Text::new(unit * 0.8));
        let (pad, line, fine) = (unit * 0.7, large.line_height(), small.line_height());
        let caption = self.caption.filter(|caption| !caption.is_empty());
        let rows = if caption.is_some() { 3.0 } else { 2.0 };
        // Badge and score, words, marks, bar, ticks, caption.
        let height = 2.0 * pad + 1.5 * line + rows * fine + fine + unit + 0.5 * pad;
        let top = picture.height;
        let mut canvas = Canvas::filled(width, top + height.ceil() as usize, PAPER);
        canvas.paste(&picture, (width - picture.width) / 2, 0);

        let mut y = top as f32 + pad;
        let badge_end = self.badge(&mut canvas, &large, pad, y);
        let room = width as f32 - badge_end - 2.0 * pad;
        let score = format!("score {:.2}", self.score);
        large.draw(&mut canvas, &score, badge_end + pad, y + 0.15 * line, INK);
        let used = large.width(&score) + pad;
        let Thresholds { ok, ng } = self.recipe.thresholds;
        let limits = match ok < ng {
            true => format!("REVIEW above {ok:.2}, NG above {ng:.2} nats"),
            false => format!("NG above {ng:.2} nats"),
        };
        let limits = small.fitted(&limits, room - used);
        small.draw(
            &mut canvas,
            &limits,
            badge_end + pad + used,
            y + 0.15 * line + 0.5 * (line - fine),
            FAINT,
        );
        y += 1.5 * line;
        let words = small.fitted(&self.words(), width as f32 - 2.0 * pad);
        small.draw(&mut canvas, &words, pad, y, INK);
        y += fine + 0.5 * pad;
        y = self.scale_with_marks(&mut canvas, &small, (pad, y), unit);
        if let Some(caption) = caption {
            small.draw(&mut canvas, &small.fitted(caption, width as f32 - 2.0 * pad), pad, y, FAINT);
        }
        canvas
    }

    /// The verdict on its colour; where it ends.
    fn badge(&self, canvas: &mut Canvas, text: &Text, x: f32, y: f32) -> f32 {
        let (colour, ink) = verdict_colours(self.verdict);
        let word = self.verdict.to_string();
        let height = 1.3 * text.line_height();
        let width = text.width(&word) + 0.8 * height;
        let [left, top, width, height] = [x, y, width, height].map(|side| side.round() as usize);
        canvas.fill(Rect { left, top, width, height }, colour);
        text.draw(canvas, &word, x + 0.4 * height as f32, y + 0.15 * text.line_height(), ink);
        x + width as f32
    }

    /// The score, and what was found, in words that need no method.
    fn words(&self) -> String {
        let rank = Rank::of(self.score, &self.recipe.normal_scores);
        let rank = rank.map(|rank| format!("Score {rank}."));
        let whole = self.whole_image.then(|| "Flagged as a whole: no single place stands out.".to_owned());
        whole.into_iter().chain(rank).collect::<Vec<_>>().join(" ")
    }

    /// The colours with marks above and ticks below; where it ends.
    fn scale_with_marks(&self, canvas: &mut Canvas, text: &Text, (x, y): (f32, f32), unit: f32) -> f32 {
        let fine = text.line_height();
        let width = (canvas.width as f32 - 2.0 * x).min(BAR_UNITS * unit);
        let rect = Rect {
            left: x as usize,
            top: (y + fine) as usize,
            width: width as usize,
            height: (unit * 0.8) as usize,
        };
        let thresholds = self.recipe.thresholds;
        bar(canvas, rect, self.scale, thresholds);
        let at = |nats: f32| x + self.scale.position(nats) * width;

        // Each stretch of the scale has its verdict: OK ends at its mark, NG begins at its own, REVIEW stands between them where it
        // has room. They never meet; the text above says what is left out.
        let (ok, ng) = (at(thresholds.ok), at(thresholds.ng));
        let gap = 0.4 * unit;
        if ok - text.width("OK") - gap >= x {
            text.draw(canvas, "OK", ok - text.width("OK") - gap, y, FAINT);
        }
        if ng + gap + text.width("NG") <= x + width {
            text.draw(canvas, "NG", ng + gap, y, FAINT);
        }
        let review = text.width("REVIEW");
        if ok + review + gap <= ng {
            text.draw(canvas, "REVIEW", 0.5 * (ok + ng - review), y, FAINT);
        }
        self.pointer(canvas, at(self.score), rect);

        let mut free = f32::NEG_INFINITY;
        let count = ((width / text.width("00.00   ")) as usize).clamp(2, 9);
        let below = (rect.top + rect.height) as f32;
        for tick in self.scale.ticks(count) {
            let label_width = text.width(&tick.label);
            let middle = x + tick.position * width;
            let left = (middle - 0.5 * label_width).clamp(x, x + width - label_width);
            if left > free {
                text.draw(canvas, &tick.label, left, below, FAINT);
                free = left + label_width + 0.6 * unit;
            }
        }
        let unit_name = "nats";
        if x + width + 0.5 * unit + text.width(unit_name) < canvas.width as f32 {
            text.draw(canvas, unit_name, x + width + 0.5 * unit, below, FAINT);
        }
        below + fine
    }

    /// A triangle that stands on the bar and points to the score.
    fn pointer(&self, canvas: &mut Canvas, x: f32, bar: Rect) {
        let size = (bar.height as f32 * 0.75).max(4.0);
        let tip = bar.top as f32 + bar.height as f32;
        for row in 0..=size as usize {
            let half = row as f32 * 0.6;
            let y = tip - size + row as f32;
            for column in (x - half - 1.5) as i64..=(x + half + 1.5) as i64 {
                let inside = (column as f32 - x).abs() <= half;
                if let Ok(column) = usize::try_from(column) {
                    canvas.blend(column, y as usize, if inside { WHITE } else { CASING }, 1.0);
                }
            }
        }
    }
}

/// The colours of a scale, with a mark at each threshold.
pub(super) fn bar(canvas: &mut Canvas, rect: Rect, scale: ColourScale, thresholds: Thresholds) {
    for column in 0..rect.width {
        let nats = scale.nats_at((column as f32 + 0.5) / rect.width as f32);
        // What lies below the thresholds is not filled in a picture: it is paler here too.
        let colour = scale.colour(nats);
        let colour =
            if thresholds.verdict(nats) == Verdict::Ok { mixed(PAPER, colour, 0.45) } else { colour };
        canvas.fill(Rect { left: rect.left + column, width: 1, ..rect }, colour);
    }
    for nats in [thresholds.ok, thresholds.ng] {
        let x = rect.left + (scale.position(nats) * rect.width as f32) as usize;
        let x = x.clamp(rect.left, rect.left + rect.width.saturating_sub(1));
        canvas.fill(Rect { left: x, width: 2.min(rect.width), ..rect }, WHITE);
    }
}
