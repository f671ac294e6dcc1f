//! The peak of a map: the mean of its P highest values, which one odd pixel cannot move far.

use super::map::AnomalyMap;

impl AnomalyMap {
    /// What the map says of the image: the mean of its `pixels` highest values, in nats; of all, where there are fewer. NaN if
    /// it holds a NaN; `−∞` if it is empty. With one pixel this is the authors' score.
    ///
    /// # Panics
    ///
    /// If `pixels` is 0.
    pub fn peak(&self, pixels: usize) -> f32 {
        mean_of_highest(&self.nats, pixels)
    }
}

/// Mean of the `n` highest values; of all, where there are fewer. NaN if one of them is; `−∞` of nothing.
///
/// # Panics
///
/// If `n` is 0.
pub(crate) fn mean_of_highest(values: &[f32], n: usize) -> f32 {
    assert!(n > 0, "the mean of one value at least");
    if values.is_empty() {
        return f32::NEG_INFINITY;
    }
    // The highest so far, and newcomers above the lowest of them, sorted out now and then: a large map is not copied.
    let mut highest: Vec<f32> = Vec::with_capacity(2 * n.min(values.len()));
    let mut least = f32::NEG_INFINITY;
    for &value in values {
        if value.is_nan() {
            return value;
        }
        if highest.len() < n || value > least {
            highest.push(value);
            if highest.len() == 2 * n {
                least = keep_highest(&mut highest, n);
            }
        }
    }
    if highest.len() > n {
        keep_highest(&mut highest, n);
    }
    let sum: f64 = highest.iter().copied().map(f64::from).sum();
    (sum / highest.len() as f64) as f32
}

/// Leaves the `n` highest of more numbers; the lowest of these.
fn keep_highest(numbers: &mut Vec<f32>, n: usize) -> f32 {
    let (_, &mut least, _) = numbers.select_nth_unstable_by(n - 1, |a, b| b.total_cmp(a));
    numbers.truncate(n);
    least
}

/// The positions of a grid of so many that `pixels` of an image of `size` pixels make, at least one.
pub fn positions(pixels: usize, size: usize, grid: usize) -> usize {
    (pixels * grid).div_ceil(size).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_make_positions() {
        for (pixels, size, grid, want) in
            [(256, 65_536, 256, 1), (1, 65_536, 256, 1), (257, 65_536, 256, 2), (1024, 65_536, 256, 4)]
        {
            assert_eq!(positions(pixels, size, grid), want, "{pixels} of {size} on {grid}");
        }
    }
}
