//! Where the part is in the picture, so that pasted defects land on the part and not beside it.
//!
//! ```text
//! t      = argmax σ_B²(t),   σ_B² = ω₀ ω₁ (μ₀ − μ₁)²                          (Otsu 1979, on smoothed luminance)
//! accept   σ_B² / σ² ≥ 0.7,  |μ₀ − μ₁| ≥ 0.05,  at least 3/4 of the frame in one class
//! t*     = argmax over t ± 0.3 |μ₀ − μ₁| of the mean difference of neighbours on the two sides of t*
//! part   = the class that does not own the frame → close → drop faint and small regions → fill holes
//! faint    no pixel of it lies beyond t by a quarter of |μ₀ − μ₁|             (hysteresis)
//! ```
//!
//! `t*` is what keeps shadows out: a part ends in a step, its shadow fades.
//!
//! A surface that fills the picture has no part to find; there the whole picture counts. The doubt always goes that
//! way: a defect pasted a little beside the part does less harm than a part on which none is ever pasted.

mod holes;
mod set;

pub use set::SetKind;

use crate::image::{InputImage, Mask, OriginalSize, Window};
use crate::metrics::regions;

/// Longest side at which the estimate is made, in pixels: the outline needs no more, and larger images stay quick.
const WORKING_SIDE: usize = 256;
/// Share `σ_B² / σ²` below which the histogram is one hill: a normal distribution has 2/π = 0.64.
const SEPARATION: f64 = 0.7;
/// Difference `|μ₀ − μ₁|` of the two mean luminances below which the two classes are the same thing.
const CONTRAST: f64 = 0.05;
/// Share of the frame that one class must own to be the background.
const FRAME_SHARE: f64 = 0.75;
/// A region of the part must reach beyond Otsu's threshold by this share of `|μ₀ − μ₁|` somewhere.
const HYSTERESIS: f32 = 0.25;
/// Regions smaller than this share of the largest one are specks.
const SPECK: f64 = 0.1;
/// How far from Otsu's threshold a sharper outline is looked for, as a share of `|μ₀ − μ₁|`, and at how many places.
const OUTLINE_REACH: f32 = 0.3;
const OUTLINE_LEVELS: usize = 64;
/// A part covering less than the first or more than the second share of the picture is not believed.
const COVERAGE: std::ops::RangeInclusive<f64> = 0.05..=0.95;

/// Which pixels show the part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreground {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// `[height, width]`, row-major: 1 on the part, else 0.
    pub inside: Vec<u8>,
}

impl Foreground {
    /// The part fills the picture: textures, and whatever nothing is known of.
    pub fn everything(height: usize, width: usize) -> Foreground {
        Foreground { height, width, inside: vec![1; height * width] }
    }

    /// For each cell of a grid, whether any pixel of it is inside; row-major.
    pub fn on_grid(&self, grid: (usize, usize)) -> Vec<bool> {
        any_in_cells(&self.inside, (self.height, self.width), grid)
    }

    /// The part as the user marked it: the pixels of `mask` that are 1.
    pub fn from_mask(mask: Mask) -> Foreground {
        Foreground { height: mask.height, width: mask.width, inside: mask.defective }
    }

    /// The same of a picture of another size.
    pub fn resized(&self, size: OriginalSize) -> Foreground {
        let mask = Mask { height: self.height, width: self.width, defective: self.inside.clone() };
        Foreground::from_mask(mask.resized(size.as_input()))
    }

    /// The pixels of a window.
    pub fn window(height: usize, width: usize, window: Window) -> Foreground {
        let mut inside = vec![0; height * width];
        for row in inside.chunks_mut(width).skip(window.top).take(window.height) {
            row[window.left..window.left + window.width].fill(1);
        }
        Foreground { height, width, inside }
    }

    /// The pixels that are in both.
    ///
    /// # Panics
    ///
    /// If the sizes differ.
    pub fn and(&self, other: &Foreground) -> Foreground {
        assert_eq!((self.height, self.width), (other.height, other.width), "foregrounds of one size");
        let inside = self.inside.iter().zip(&other.inside).map(|(a, b)| a & b).collect();
        Foreground { inside, ..*self }
    }

    /// Whether there is no pixel in it.
    pub fn is_empty(&self) -> bool {
        !self.inside.contains(&1)
    }

    /// Finds the part by its brightness; [`Foreground::everything`] where brightness does not tell.
    ///
    /// Either may be the brighter, part or background: the class that owns the frame of the picture is the background.
    pub fn estimate(image: &InputImage) -> Foreground {
        let (height, width) = (image.height, image.width);
        if height.min(width) < 3 {
            return Foreground::everything(height, width); // all frame, nothing within
        }
        let factor = height.max(width).div_ceil(WORKING_SIDE).max(1);
        let small = Luminance::reduced(image, factor).smoothed();
        match part_of(&small) {
            None => Foreground::everything(height, width),
            Some(part) => {
                let mut inside = Vec::with_capacity(height * width);
                for y in 0..height {
                    let row = &part[y / factor * small.width..][..small.width];
                    inside.extend((0..width).map(|x| row[x / factor]));
                }
                Foreground { height, width, inside }
            }
        }
    }

    /// The share of the picture that the part covers, from 0 to 1; 0 for a picture without pixels.
    pub fn coverage(&self) -> f64 {
        share(&self.inside)
    }
}

/// A grey picture.
struct Luminance {
    height: usize,
    width: usize,
    /// `[height, width]`, row-major.
    values: Vec<f32>,
}

impl Luminance {
    /// The mean luminance (Rec. 601) of each `factor x factor` block; blocks at the far edges may be smaller.
    fn reduced(image: &InputImage, factor: usize) -> Luminance {
        let (height, width) = (image.height.div_ceil(factor), image.width.div_ceil(factor));
        let mut values = vec![0.0; height * width];
        let mut counts = vec![0.0f32; height * width];
        for (i, [r, g, b]) in image.rgb_hwc.as_chunks::<3>().0.iter().enumerate() {
            let block = i / image.width / factor * width + i % image.width / factor;
            values[block] += 0.299 * r + 0.587 * g + 0.114 * b;
            counts[block] += 1.0;
        }
        values.iter_mut().zip(counts).for_each(|(value, count)| *value /= count);
        Luminance { height, width, values }
    }

    /// Mean over 3 x 3, edges repeated: single noisy pixels must not decide.
    fn smoothed(&self) -> Luminance {
        let values = three_by_three(&self.values, self.height, self.width, |a, b, c| (a + b + c) / 3.0);
        Luminance { values, ..*self }
    }
}

/// `[h, w]`: 1 on the part; `None` if there is none to tell from the background.
fn part_of(picture: &Luminance) -> Option<Vec<u8>> {
    let (height, width) = (picture.height, picture.width);
    let classes = otsu(&picture.values)?;
    let threshold = sharpest_outline(picture, classes);
    let bright: Vec<u8> = picture.values.iter().map(|&value| u8::from(value > threshold)).collect();

    let frame: Vec<u8> = (0..height * width)
        .filter(|i| {
            let (y, x) = (i / width, i % width);
            y == 0 || x == 0 || y + 1 == height || x + 1 == width
        })
        .map(|i| bright[i])
        .collect();
    let bright_frame = share(&frame);
    let background = match bright_frame {
        share if share >= FRAME_SHARE => 1,
        share if share <= 1.0 - FRAME_SHARE => 0,
        _ => return None,
    };
    let part: Vec<u8> = bright.iter().map(|&class| u8::from(class != background)).collect();

    let grown = three_by_three(&part, height, width, |a, b, c| a.max(b).max(c));
    let mut part = three_by_three(&grown, height, width, |a, b, c| a.min(b).min(c));
    let clearly = |value: f32| match background {
        1 => classes.threshold - value >= HYSTERESIS * classes.gap,
        _ => value - classes.threshold >= HYSTERESIS * classes.gap,
    };
    let clear: Vec<bool> = picture.values.iter().map(|&value| clearly(value)).collect();
    drop_specks(&mut part, &clear, height, width);
    holes::fill_holes(&mut part, height, width);
    COVERAGE.contains(&share(&part)).then_some(part)
}

/// Two classes of brightness.
#[derive(Clone, Copy)]
struct Classes {
    /// The dark class ends here.
    threshold: f32,
    /// `μ₁ − μ₀`.
    gap: f32,
}

/// Otsu's two classes; `None` unless the values fall into two classes that are well apart.
fn otsu(values: &[f32]) -> Option<Classes> {
    const BINS: usize = 256;
    let (low, high) = values.iter().fold((f32::MAX, f32::MIN), |(low, high), &v| (low.min(v), high.max(v)));
    // Also refuses a picture without pixels, and one with values that are no numbers.
    if !(f64::from(high) - f64::from(low) >= CONTRAST && (high - low).is_finite()) {
        return None;
    }
    let step = (high - low) / BINS as f32;
    let mut histogram = [0u32; BINS];
    for value in values {
        histogram[(((value - low) / step) as usize).min(BINS - 1)] += 1;
    }

    let n = values.len() as f64;
    let moment = |power: i32| -> f64 {
        histogram.iter().enumerate().map(|(bin, &count)| f64::from(count) * (bin as f64).powi(power)).sum()
    };
    let (sum, squares) = (moment(1), moment(2));
    let variance = squares / n - (sum / n) * (sum / n);

    let mut best = (0.0, 0, 0.0); // σ_B², last bin of the dark class, |μ₀ − μ₁| in bins
    let (mut dark, mut dark_sum) = (0.0, 0.0);
    for (bin, &count) in histogram.iter().enumerate().take(BINS - 1) {
        dark += f64::from(count);
        dark_sum += f64::from(count) * bin as f64;
        let bright = n - dark;
        if dark == 0.0 || bright == 0.0 {
            continue;
        }
        let apart = (sum - dark_sum) / bright - dark_sum / dark;
        let between = (dark / n) * (bright / n) * apart * apart;
        if between > best.0 {
            best = (between, bin, apart);
        }
    }
    let (between, bin, apart) = best;
    let separated = between >= SEPARATION * variance && apart * f64::from(step) >= CONTRAST;
    separated.then_some(Classes { threshold: low + step * (bin + 1) as f32, gap: apart as f32 * step })
}

/// The threshold near Otsu's across which neighbouring pixels differ most; Otsu's if no two pixels lie on its two sides.
fn sharpest_outline(picture: &Luminance, classes: Classes) -> f32 {
    let low = classes.threshold - OUTLINE_REACH * classes.gap;
    let step = 2.0 * OUTLINE_REACH * classes.gap / OUTLINE_LEVELS as f32;
    // The first of the thresholds `low + i step` that is not below the value.
    let first = |value: f32| ((value - low) / step).ceil().clamp(0.0, OUTLINE_LEVELS as f32 + 1.0) as usize;

    // A pair of neighbours counts for every threshold between them: entered here where that range starts and ends.
    let mut changes = [(0.0f64, 0i64); OUTLINE_LEVELS + 2];
    let mut enter = |a: f32, b: f32| {
        let (start, end) = (first(a.min(b)), first(a.max(b)));
        if start < end {
            let difference = f64::from((a - b).abs());
            changes[start].0 += difference;
            changes[start].1 += 1;
            changes[end].0 -= difference;
            changes[end].1 -= 1;
        }
    };
    for row in picture.values.chunks_exact(picture.width) {
        row.windows(2).for_each(|pair| enter(pair[0], pair[1]));
    }
    let below = picture.values.iter().skip(picture.width);
    picture.values.iter().zip(below).for_each(|(&a, &b)| enter(a, b));

    let mut best = (0.0, classes.threshold);
    let (mut sum, mut pairs) = (0.0, 0);
    for (i, change) in changes.iter().enumerate().take(OUTLINE_LEVELS + 1) {
        sum += change.0;
        pairs += change.1;
        if pairs > 0 && sum / pairs as f64 > best.0 {
            best = (sum / pairs as f64, low + i as f32 * step);
        }
    }
    best.1
}

/// Clears the regions that are much smaller than the largest, and those without a `clear` pixel.
fn drop_specks(part: &mut [u8], clear: &[bool], height: usize, width: usize) {
    let found = regions::label(part, height, width);
    let mut is_clear = vec![false; found.regions.len()];
    let labelled = || found.labels.iter().enumerate().filter(|(_, label)| **label != 0);
    labelled().filter(|(i, _)| clear[*i]).for_each(|(_, label)| is_clear[*label as usize - 1] = true);
    let clear_regions = || found.regions.iter().zip(&is_clear).filter(|(_, clear)| **clear);
    let largest = clear_regions().map(|(region, _)| region.area).max().unwrap_or(0);
    for (i, label) in labelled() {
        let region = *label as usize - 1;
        if !is_clear[region] || (found.regions[region].area as f64) < SPECK * largest as f64 {
            part[i] = 0;
        }
    }
}

/// `f` of each value and its two neighbours in its row, then the same in its column; edges repeated. `[h, w]`.
fn three_by_three<T: Copy>(values: &[T], height: usize, width: usize, f: impl Fn(T, T, T) -> T) -> Vec<T> {
    let mut rows = Vec::with_capacity(values.len());
    for row in values.chunks_exact(width) {
        rows.extend((0..width).map(|x| f(row[x.saturating_sub(1)], row[x], row[(x + 1).min(width - 1)])));
    }
    let mut out = Vec::with_capacity(values.len());
    for y in 0..height {
        let [above, here, below] =
            [y.saturating_sub(1), y, (y + 1).min(height - 1)].map(|y| &rows[y * width..][..width]);
        out.extend((0..width).map(|x| f(above[x], here[x], below[x])));
    }
    out
}

/// The share of ones.
fn share(mask: &[u8]) -> f64 {
    let ones = mask.iter().filter(|&&pixel| pixel != 0).count();
    ones as f64 / mask.len().max(1) as f64
}

/// For each cell of a grid `(h, w)` over an image `(height, width)`, whether any of its pixels is not 0; row-major.
pub(crate) fn any_in_cells(
    pixels: &[u8],
    (height, width): (usize, usize),
    (h, w): (usize, usize),
) -> Vec<bool> {
    let cell = |i: usize, n: usize, size: usize| i * size / n..((i + 1) * size).div_ceil(n).min(size);
    let any = |i, j| cell(i, h, height).any(|y| cell(j, w, width).any(|x| pixels[y * width + x] != 0));
    (0..h).flat_map(|i| (0..w).map(move |j| (i, j))).map(|(i, j)| any(i, j)).collect()
}

#[cfg(test)]
mod tests;
