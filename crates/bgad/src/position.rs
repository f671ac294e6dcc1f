//! Two-dimensional sinusoidal positions: the condition `c` of every flow.
//!
//! ```text
//! w_i = 10000^(−2i/64), i = 0..31
//! c(y, x) = [ sin x·w_0, cos x·w_0, … sin x·w_31, cos x·w_31 | sin y·w_0, cos y·w_0, … ]      D = 128
//!             64 channels know the column only                 64 channels know the row only
//! ```
//!
//! The code is two halves that never mix, so a layer that reads it is a sum of two small tables; the flow is
//! built on that and asks only for [`axis_code`].

/// Channels of the condition, `D`.
pub const CONDITION_CHANNELS: usize = 128;

/// Channels that code one axis.
pub const AXIS_CHANNELS: usize = CONDITION_CHANNELS / 2;

/// Codes the positions `0..n` of one axis; `[n, 64]`, row-major.
pub fn axis_code(n: usize) -> Vec<f32> {
    let frequencies: Vec<f64> =
        (0..AXIS_CHANNELS / 2).map(|i| 10_000f64.powf(-2.0 * i as f64 / AXIS_CHANNELS as f64)).collect();
    let mut code = Vec::with_capacity(n * AXIS_CHANNELS);
    for position in 0..n {
        for w in &frequencies {
            let (sin, cos) = (position as f64 * w).sin_cos();
            code.extend([sin as f32, cos as f32]);
        }
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::Golden;

    #[test]
    fn agrees_with_the_recorded_code() {
        for (name, h, w) in [("position_16x16", 16, 16), ("position_7x12", 7, 12)] {
            let recorded = Golden::open(name).f32("code_dhw");
            let (x, y) = (axis_code(w), axis_code(h));
            for row in 0..h {
                for column in 0..w {
                    for d in 0..CONDITION_CHANNELS {
                        let got = if d < AXIS_CHANNELS {
                            x[column * AXIS_CHANNELS + d]
                        } else {
                            y[row * AXIS_CHANNELS + d - AXIS_CHANNELS]
                        };
                        let want = recorded[(d * h + row) * w + column];
                        // The recording computed its frequencies in f32: an argument of 15 is off by 2e-6.
                        assert!(
                            (got - want).abs() < 4e-6,
                            "{name} [{d}, {row}, {column}]: {got} is not {want}"
                        );
                    }
                }
            }
        }
    }
}
