//! The middle of values and how far they spread, whatever a few of them are.
//!
//! ```text
//! z = (x − median) / max(1.4826 · median |x − median|, floor)
//! ```

/// Values that a spread is taken from at the least.
const ENOUGH: usize = 8;

/// The middle and spread of values, whatever a few of them are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) deviation: f64,
}

impl Spread {
    /// `None` of fewer than eight values; the deviation is `floor` at the least.
    pub(super) fn of(values: impl IntoIterator<Item = f64>, floor: f64) -> Option<Spread> {
        let mut values: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
        if values.len() < ENOUGH {
            return None;
        }
        let median = middle(&mut values);
        let mut distances: Vec<f64> = values.iter().map(|value| (value - median).abs()).collect();
        Some(Spread { median, deviation: (1.4826 * middle(&mut distances)).max(floor) })
    }

    pub(super) fn z(self, value: f64) -> f64 {
        (value - self.median) / self.deviation
    }
}

fn middle(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_does_not_follow_a_few_far_values() {
        let mut values: Vec<f64> = (0..20).map(|i| f64::from(i % 5)).collect();
        let before = Spread::of(values.clone(), 0.0).expect("enough");
        values.extend([1e9, f64::NAN]);
        let after = Spread::of(values, 0.0).expect("enough");
        assert!((before.median - after.median).abs() <= 1.0 && after.z(1e9) > 1e6);
        assert_eq!(Spread::of(vec![1.0; 7], 1.0), None);
        let flat = Spread::of(vec![1.0; 9], 0.5).expect("enough");
        assert_eq!((flat.z(1.0), flat.z(2.0)), (0.0, 2.0));
    }
}
