//! Maxima over windows of 3 × 3 positions, two apart, one row of the result at a time.
//!
//! ```text
//! y[o, n] = max over i < 3 rows and the columns 2 o − 1, 2 o, 2 o + 1 that there are of x_i[column, n]
//! ```

use crate::isa::{Isa, Kernel};
use crate::simd::Simd;

/// Writes one row of the result, `[⌈columns / 2⌉, channels]`, from the three rows that it sees, `[columns, channels]`. Where the map ends
/// before a row, give the middle one again. A value that is not finite gives NaN.
///
/// # Panics
///
/// If the rows differ in length, are not whole columns, or `out` is not half as many.
pub fn max_row(isa: Isa, rows: [&[f32]; 3], channels: usize, out: &mut [f32]) {
    let len = rows[1].len();
    assert!(channels > 0 && len.is_multiple_of(channels), "a row of {len} values, {channels} channels");
    assert!(rows.iter().all(|row| row.len() == len), "rows of {:?} values", rows.map(<[f32]>::len));
    let columns = len / channels;
    assert_eq!(out.len(), columns.div_ceil(2) * channels, "a row of the result");
    isa.run(MaxRow { rows, channels, columns, out });
}

struct MaxRow<'a> {
    rows: [&'a [f32]; 3],
    channels: usize,
    columns: usize,
    out: &'a mut [f32],
}

impl Kernel for MaxRow<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let MaxRow { rows, channels, columns, out } = self;
        for (o, out) in out.chunks_exact_mut(channels).enumerate() {
            // A column that is not there repeats the middle one, which always is.
            let seen = [(2 * o).saturating_sub(1), 2 * o, (2 * o + 1).min(columns - 1)];
            for first in (0..channels).step_by(S::LANES) {
                let end = (first + S::LANES).min(channels);
                let mut max = simd.splat(f32::NEG_INFINITY);
                let mut not_finite = simd.splat(0.0);
                for row in rows {
                    for column in seen {
                        let x = simd.read(&row[column * channels + first..column * channels + end]);
                        max = simd.max(max, x);
                        // `x − x` is 0 of every finite number and NaN of all others, which `max` may lose.
                        not_finite = simd.add(not_finite, simd.sub(x, x));
                    }
                }
                simd.write(&mut out[first..end], simd.add(max, not_finite));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_width_agrees_with_the_definition() {
        for isa in Isa::available() {
            for (columns, channels) in [(1usize, 1usize), (2, 3), (3, 16), (7, 17), (8, 64), (9, 40)] {
                let rows: [Vec<f32>; 3] = [0.3, 0.4, 0.5]
                    .map(|step| (0..columns * channels).map(|i| (i as f32 * step).sin()).collect());
                let mut out = vec![0.0; columns.div_ceil(2) * channels];
                max_row(isa, rows.each_ref().map(Vec::as_slice), channels, &mut out);
                for (i, got) in out.iter().enumerate() {
                    let (o, n) = (i / channels, i % channels);
                    let columns = (2 * o).saturating_sub(1)..(2 * o + 2).min(columns);
                    let want = rows.iter().flat_map(|row| columns.clone().map(|c| row[c * channels + n]));
                    assert_eq!(*got, want.fold(f32::NEG_INFINITY, f32::max), "{} value {i}", isa.name());
                }
                let mut broken = rows.clone();
                broken[2][0] = f32::NAN;
                max_row(isa, broken.each_ref().map(Vec::as_slice), channels, &mut out);
                assert!(out[0].is_nan(), "{}", isa.name());
            }
        }
    }
}
