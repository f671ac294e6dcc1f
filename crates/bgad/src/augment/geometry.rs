//! Operations that move pixels, by inverse mapping: every target pixel asks where it came from.
//!
//! ```text
//! image'(p) = image(m(p)), reflected at the borders without repeating the edge:  … 2 1 | 0 1 2 … n−1 | n−2 …
//! mask'(p)  = mask(m(p)) inside, 0 outside: a reflected defect is not a second defect
//! m(p)      = c + R(θ)ᵀ (p − c − shift) / scale,   c the centre of the canvas           (shift-scale-rotate)
//! m(p)      = c + (p − c) (1 + k r² + k r⁴),       r = |p − c| / longest side           (optical distortion)
//! m(p)      = piecewise linear in y and in x, over the rows and columns of a grid       (grid distortion)
//! m(p)      = p + a (n₁(p / s), n₂(p / s)),        n smooth noise                       (elastic distortion)
//! ```

use super::perlin_noise::Perlin;
use crate::image::{InputImage, Mask};

/// Moves whole pixels: `source` maps a target `(y, x)` to where it came from.
pub(super) fn moved(
    image: &InputImage,
    mask: &Mask,
    source: &dyn Fn(isize, isize) -> (isize, isize),
) -> (InputImage, Mask) {
    let (h, w) = (image.height as isize, image.width as isize);
    let from = |y: usize, x: usize| source(y as isize, x as isize);
    let moved = image.rearranged(|y, x| {
        let (y, x) = from(y, x);
        (reflected(y, h), reflected(x, w))
    });
    let mut defective = Vec::with_capacity(mask.defective.len()); // [h, w]
    for y in 0..mask.height {
        for x in 0..mask.width {
            let (y, x) = from(y, x);
            defective.push(at(mask, y, x));
        }
    }
    (moved, Mask { defective, ..*mask })
}

/// A map from a target `(y, x)` to where it came from, in pixels.
pub(super) type Inverse<'a> = &'a dyn Fn(f32, f32) -> (f32, f32);

/// Moves by an [`Inverse`] map: the image bilinear, the mask nearest.
pub(super) fn warped(image: &InputImage, mask: &Mask, source: Inverse<'_>) -> (InputImage, Mask) {
    let mut rgb_hwc = Vec::with_capacity(image.rgb_hwc.len()); // [h, w, 3]
    let mut defective = Vec::with_capacity(mask.defective.len()); // [h, w]
    for y in 0..image.height {
        for x in 0..image.width {
            let (y, x) = source(y as f32, x as f32);
            rgb_hwc.extend(bilinear(image, y, x));
            defective.push(at(mask, (y + 0.5).floor() as isize, (x + 0.5).floor() as isize));
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
    let (centre_y, centre_x) = centre(image);
    let (sin, cos) = degrees.to_radians().sin_cos();
    warped(image, mask, &|y, x| {
        let (dy, dx) = (y - centre_y - shift.0, x - centre_x - shift.1);
        // Rows grow downwards, so turning against the clock and back has its sines the other way round.
        (centre_y + (cos * dy + sin * dx) / scale, centre_x + (cos * dx - sin * dy) / scale)
    })
}

/// The distortion of a lens: `k` above 0 draws the edges in, below 0 pushes them out.
pub(super) fn optical_distortion(image: &InputImage, mask: &Mask, k: f32) -> (InputImage, Mask) {
    let (centre_y, centre_x) = centre(image);
    let side = image.height.max(image.width) as f32;
    warped(image, mask, &|y, x| {
        let (dy, dx) = (y - centre_y, x - centre_x);
        let r2 = (dy * dy + dx * dx) / (side * side);
        let stretch = 1.0 + k * r2 * (1.0 + r2);
        (centre_y + dy * stretch, centre_x + dx * stretch)
    })
}

/// Rows and columns of cells, each stretched by a share of its own; the canvas as a whole keeps its size.
pub(super) fn grid_distortion(
    image: &InputImage,
    mask: &Mask,
    rows: &[f32],
    columns: &[f32],
) -> (InputImage, Mask) {
    let rows = stretched(rows, image.height);
    let columns = stretched(columns, image.width);
    warped(image, mask, &|y, x| (rows[y as usize], columns[x as usize]))
}

/// Where each of `n` pixels of one axis came from, if cell `i` of the target shows `1 + cells[i]` times its length.
fn stretched(cells: &[f32], n: usize) -> Vec<f32> {
    let total: f32 = cells.iter().map(|cell| 1.0 + cell).sum();
    let end = n.saturating_sub(1) as f32;
    let of_pixel = |i: usize| {
        let at = i as f32 / end.max(1.0) * cells.len() as f32;
        let cell = (at as usize).min(cells.len() - 1);
        let before: f32 = cells[..cell].iter().map(|cell| 1.0 + cell).sum();
        (before + (at - cell as f32) * (1.0 + cells[cell])) / total * end
    };
    // Unstretched cells leave every pixel exactly where it was.
    let unchanged = cells.iter().all(|cell| *cell == 0.0);
    (0..n).map(|i| if unchanged { i as f32 } else { of_pixel(i) }).collect()
}

/// Every pixel moves by smooth noise of at most about `amplitude` pixels, whose hills are `cell` pixels apart.
pub(super) fn elastic_distortion(
    image: &InputImage,
    mask: &Mask,
    amplitude: f32,
    cell: f32,
    seed: u64,
) -> (InputImage, Mask) {
    let (down, right) = (Perlin::new(seed), Perlin::new(seed.wrapping_add(1)));
    warped(image, mask, &|y, x| {
        let (v, u) = (y / cell, x / cell);
        (y + amplitude * down.at(v, u), x + amplitude * right.at(v, u))
    })
}

fn centre(image: &InputImage) -> (f32, f32) {
    ((image.height as f32 - 1.0) / 2.0, (image.width as f32 - 1.0) / 2.0)
}

/// The mask at a place, 0 outside.
fn at(mask: &Mask, y: isize, x: isize) -> u8 {
    let inside = (0..mask.height as isize).contains(&y) && (0..mask.width as isize).contains(&x);
    if inside { mask.defective[y as usize * mask.width + x as usize] } else { 0 }
}

fn pixel(image: &InputImage, y: usize, x: usize) -> &[f32] {
    &image.rgb_hwc[(y * image.width + x) * 3..][..3]
}

pub(super) fn bilinear(image: &InputImage, y: f32, x: f32) -> [f32; 3] {
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
