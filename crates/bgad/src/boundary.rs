//! The explicit separating boundary.
//!
//! ```text
//! b_n = the int(β n)-th smallest hat l of the n normal positions, counting from 0
//! b_a = b_n − τ                                              hat l = l / ν
//! ```
//!
//! Only normal positions vote, so a handful of known anomalies cannot bias it. An order statistic, not an
//! interpolated percentile: the authors index a sorted list. The product is taken in `f32` as theirs is.

use serde::{Deserialize, Serialize};

/// Where normal ends and anomalous begins, in normalised units (`l / ν`).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Boundary {
    /// `b_n`: normal positions below it are pulled up.
    pub normal: f32,
    /// `b_a`: anomalous positions above it are pushed down.
    pub anomalous: f32,
}

impl Boundary {
    /// Finds the boundary of one set of normalised likelihoods; `None` if no normal position can vote.
    ///
    /// `hat_l` is reordered.
    pub fn find(hat_l: &mut [f32], beta: f32, tau: f32) -> Option<Boundary> {
        if hat_l.is_empty() {
            return None;
        }
        let rank = ((hat_l.len() as f32 * beta) as usize).min(hat_l.len() - 1);
        let (_, &mut b_n, _) = hat_l.select_nth_unstable_by(rank, f32::total_cmp);
        Some(Boundary { normal: b_n, anomalous: b_n - tau })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(hat_l: &[f32], beta: f32, want: Option<f32>) {
        let found = Boundary::find(&mut hat_l.to_vec(), beta, 0.1);
        assert_eq!(found.map(|b| b.normal), want);
        assert_eq!(found.map(|b| b.anomalous), want.map(|b| b - 0.1));
    }

    #[test]
    fn is_an_order_statistic_of_the_normals() {
        check(&[], 0.05, None);
        check(&[-3.0], 0.05, Some(-3.0));
        check(&[-3.0], 1.0, Some(-3.0));
        check(&[4.0, 1.0, 3.0, 2.0], 0.0, Some(1.0));
        check(&[4.0, 1.0, 3.0, 2.0], 0.5, Some(3.0));
        check(&[1.0, 1.0, 1.0, 2.0], 0.5, Some(1.0));
        // 0.05 · 20 is 1 in f32: the second smallest.
        check(&(0..20).map(|i| i as f32).collect::<Vec<_>>(), 0.05, Some(1.0));
    }
}
