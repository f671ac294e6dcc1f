//! Operations that move pixels, by inverse mapping: every target pixel asks where it came from.
//!
//! ```text
//! image'(p) = image(m(p)), reflected at the borders without repeating the edge:  … 2 1 | 0 1 2 … n−1 | n−2 …
//! mask'(p)  = mask(m(p)) inside, 0 outside: a reflected defect is not a second defect
//! m(p)      = c + R(θ)ᵀ (p − c − shift) / scale,   c the centre of the canvas           (shift-scale-rotate)
//! ```

use crate::image::{InputImage, Mask};

/// Moves whole pixels: `source` maps a target `(y, x)` to where it came from.
pub(super) fn moved(
    image: &InputImage,
    mask: &Mask,
    source: &dyn Fn(isize, isize) -> (isize, isize),
) -> (InputImage, Mask) {
    let (h, w) = (image.height as isize, image.width as isize);
    let mut rgb_hwc = Vec::with_capacity(image.rgb_hwc.len()); // [h, w, 3]
    let mut defective = Vec::with_capacity(mask.defective.len()); // [h, w]
    for y in 0..h {
        for x in 0..w {
            let (y, x) = source(y, x);
            defective.push(at(mask, y, x));
            rgb_hwc.extend_from_slice(pixel(image, reflected(y, h), reflected(x, w)));
        }
    }
    (InputImage { rgb_hwc, ..*image }, Mask { defective, ..*mask })
}

/// Turns by `degrees` against the clock and scales about the centre, then shifts by `(down, right)` pixels.
pub(super) fn shift_scale_rotate(
    image: &InputImage,
    mask: &Mask,
    shift: (f32, f32),
    scale: f32,
    degrees: f32,
) -> (InputImage, Mask) {
    let (h, w) = (image.height as isize, image.width as isize);
    let (centre_y, centre_x) = ((h - 1) as f32 / 2.0, (w - 1) as f32 / 2.0);
    let (sin, cos) = degrees.to_radians().sin_cos();
    let mut rgb_hwc = Vec::with_capacity(image.rgb_hwc.len()); // [h, w, 3]
    let mut defective = Vec::with_capacity(mask.defective.len()); // [h, w]
    for y in 0..h {
        for x in 0..w {
            let (dy, dx) = (y as f32 - centre_y - shift.0, x as f32 - centre_x - shift.1);
            // Rows grow downwards, so turning against the clock and back has its sines the other way round.
            let source_y = centre_y + (cos * dy + sin * dx) / scale;
            let source_x = centre_x + (cos * dx - sin * dy) / scale;
            rgb_hwc.extend(bilinear(image, source_y, source_x));
            defective.push(at(mask, (source_y + 0.5).floor() as isize, (source_x + 0.5).floor() as isize));
        }
    }
    (InputImage { rgb_hwc, ..*image }, Mask { defective, ..*mask })
}

/// The mask at a place, 0 outside.
fn at(mask: &Mask, y: isize, x: isize) -> u8 {
    let inside = (0..mask.height as isize).contains(&y) && (0..mask.width as isize).contains(&x);
    if inside { mask.defective[y as usize * mask.width + x as usize] } else { 0 }
}

fn pixel(image: &InputImage, y: usize, x: usize) -> &[f32] {
    &image.rgb_hwc[(y * image.width + x) * 3..][..3]
}

fn bilinear(image: &InputImage, y: f32, x: f32) -> [f32; 3] {
    let (h, w) = (image.height as isize, image.width as isize);
    let (top, left) = (y.floor(), x.floor());
    let (fy, fx) = (y - top, x - left);
    let [top, bottom] = [0, 1].map(|i| reflected(top as isize + i, h));
    let [left, right] = [0, 1].map(|i| reflected(left as isize + i, w));
    let corners = [(top, left), (top, right), (bottom, left), (bottom, right)];
    let [a, b, c, d] = corners.map(|(y, x)| pixel(image, y, x));
    std::array::from_fn(|k| {
        let upper = a[k] + fx * (b[k] - a[k]);
        let lower = c[k] + fx * (d[k] - c[k]);
        // Rounding may leave [0, 1] by one unit in the last place.
        (upper + fy * (lower - upper)).clamp(0.0, 1.0)
    })
}

/// The index in `0..n` that `i` falls on when the line is reflected at both ends without repeating them.
pub(super) fn reflected(i: isize, n: isize) -> usize {
    if (0..n).contains(&i) {
        return i as usize;
    }
    if n <= 1 {
        return 0;
    }
    let folded = i.rem_euclid(2 * (n - 1));
    folded.min(2 * (n - 1) - folded) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reflection_does_not_repeat_the_edge() {
        let folded: Vec<usize> = (-5..8).map(|i| reflected(i, 4)).collect();
        assert_eq!(folded, [1, 2, 3, 2, 1, 0, 1, 2, 3, 2, 1, 0, 1]);
        assert_eq!((-3..4).map(|i| reflected(i, 1)).sum::<usize>(), 0);
    }
}
