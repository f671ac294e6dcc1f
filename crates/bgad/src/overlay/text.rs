//! Words in pictures, in Inter (SIL Open Font License 1.1; see NOTICE).

use ab_glyph::{Font as _, FontRef, PxScale, ScaleFont as _, point};

use super::Rgb;
use super::canvas::Canvas;

/// Latin letters of Inter Medium, made by tools/fonts/subset.sh.
static INTER: &[u8] = include_bytes!("../../fonts/Inter-Medium.subset.otf");

/// Text of one size.
pub(super) struct Text {
    font: FontRef<'static>,
    scale: PxScale,
}

impl Text {
    /// Text whose lines are about 1.4 times `size` pixels high.
    pub(super) fn new(size: f32) -> Text {
        let font = FontRef::try_from_slice(INTER).expect("the font of this crate");
        // Scales are heights from ascender to descender; a size is that of an em.
        let em = font.height_unscaled() / font.units_per_em().unwrap_or(1000.0);
        Text { font, scale: PxScale::from(size * em) }
    }

    /// Height of a line, pixels.
    pub(super) fn line_height(&self) -> f32 {
        self.font.as_scaled(self.scale).height() * 1.15
    }

    /// Width of a text, pixels.
    pub(super) fn width(&self, text: &str) -> f32 {
        self.placed(text).1
    }

    /// The text, or as much of its two ends as is not wider than `width`.
    pub(super) fn fitted(&self, text: &str, width: f32) -> String {
        let letters: Vec<char> = text.chars().collect();
        let cut = |kept: usize| -> String {
            let head = kept.div_ceil(2);
            let tail = letters.len() - (kept - head);
            letters[..head].iter().chain(['…'].iter()).chain(&letters[tail..]).collect()
        };
        if self.width(text) <= width {
            return text.to_owned();
        }
        (0..letters.len()).rev().map(cut).find(|text| self.width(text) <= width).unwrap_or_default()
    }

    /// Draws a text whose line has its upper left corner at `(x, y)`. Letters the font does not have are `?`.
    pub(super) fn draw(&self, canvas: &mut Canvas, text: &str, x: f32, y: f32, colour: Rgb) {
        let scaled = self.font.as_scaled(self.scale);
        let baseline = y + scaled.ascent() + 0.075 * scaled.height();
        for (id, offset) in self.placed(text).0 {
            let glyph = id.with_scale_and_position(self.scale, point(x + offset, baseline));
            let Some(outline) = self.font.outline_glyph(glyph) else { continue };
            let bounds = outline.px_bounds();
            outline.draw(|dx, dy, coverage| {
                let (x, y) = (bounds.min.x as i64 + i64::from(dx), bounds.min.y as i64 + i64::from(dy));
                if let (Ok(x), Ok(y)) = (usize::try_from(x), usize::try_from(y)) {
                    canvas.blend(x, y, colour, coverage);
                }
            });
        }
    }

    /// Each letter with its distance from the start, and the width of all.
    fn placed(&self, text: &str) -> (Vec<(ab_glyph::GlyphId, f32)>, f32) {
        let scaled = self.font.as_scaled(self.scale);
        let (mut glyphs, mut at, mut last) = (Vec::new(), 0.0, None);
        for letter in text.chars() {
            let known = |letter: char| Some(self.font.glyph_id(letter)).filter(|id| id.0 != 0);
            let id = known(letter).unwrap_or_else(|| self.font.glyph_id('?'));
            if let Some(last) = last {
                at += scaled.kern(last, id);
            }
            glyphs.push((id, at));
            at += scaled.h_advance(id);
            last = Some(id);
        }
        (glyphs, at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_measured_drawn_and_shortened() {
        let text = Text::new(16.0);
        let width = text.width("score 13.70");
        assert!((70.0..110.0).contains(&width), "{width}");
        let mut canvas = Canvas::filled(120, 30, [0.0; 3]);
        text.draw(&mut canvas, "größe ≥ 日", 2.0, 2.0, [255.0; 3]);
        let lit = canvas.pixels.iter().filter(|pixel| pixel[0] > 128.0).count();
        assert!((100..900).contains(&lit), "{lit}");
        let fitted = text.fitted("a very long name of a picture.png", 100.0);
        assert!(fitted.contains('…') && fitted.ends_with("png") && text.width(&fitted) <= 100.0, "{fitted}");
        assert_eq!(text.fitted("short", 100.0), "short");
        assert_eq!(text.fitted("short", 0.0), "");
    }
}
