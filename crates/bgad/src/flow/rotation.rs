//! Haar-uniform rotations.
//!
//! ```text
//! Q R = G, G standard normal, R with positive diagonal  =>  Q uniform over O(C);  det Q < 0: one column is negated
//! ```
//!
//! Mezzadri, "How to generate random matrices from the classical compact groups", 2007.

use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

/// Draws a rotation from SO(n); `[n, n]` row-major.
pub(super) fn haar(n: usize, rng: &mut impl Rng) -> Vec<f32> {
    // Columns of G, orthonormalised in turn; twice, because once loses orthogonality to rounding.
    let mut columns: Vec<Vec<f64>> = Vec::with_capacity(n);
    // The sign of det Q is the sign of det G, as R's diagonal is positive.
    let mut g: Vec<Vec<f64>> = Vec::with_capacity(n);
    for _ in 0..n {
        let column: Vec<f64> = (0..n).map(|_| StandardNormal.sample(rng)).collect();
        let mut q = column.clone();
        g.push(column);
        for _ in 0..2 {
            for other in &columns {
                let along: f64 = other.iter().zip(&q).map(|(a, b)| a * b).sum();
                q.iter_mut().zip(other).for_each(|(q, o)| *q -= along * o);
            }
        }
        let length = q.iter().map(|q| q * q).sum::<f64>().sqrt();
        q.iter_mut().for_each(|q| *q /= length);
        columns.push(q);
    }
    if n > 0 && determinant_is_negative(g) {
        columns[0].iter_mut().for_each(|q| *q = -*q);
    }
    let mut rotation = vec![0.0; n * n];
    for (j, column) in columns.iter().enumerate() {
        for (i, q) in column.iter().enumerate() {
            rotation[i * n + j] = *q as f32;
        }
    }
    rotation
}

/// Sign of a determinant by elimination with row exchange.
fn determinant_is_negative(mut m: Vec<Vec<f64>>) -> bool {
    let n = m.len();
    let mut negative = false;
    for k in 0..n {
        let pivot = (k..n).max_by(|&a, &b| m[a][k].abs().total_cmp(&m[b][k].abs())).unwrap_or(k);
        if pivot != k {
            m.swap(pivot, k);
            negative = !negative;
        }
        negative ^= m[k][k] < 0.0;
        let (above, below) = m.split_at_mut(k + 1);
        let row = &above[k];
        for other in below {
            let factor = other[k] / row[k];
            for j in k..n {
                other[j] -= factor * row[j];
            }
        }
    }
    negative
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn is_orthogonal_with_determinant_one_and_seeded() {
        for n in [0, 1, 2, 3, 24, 48] {
            let mut rng = ChaCha8Rng::seed_from_u64(n as u64);
            for _ in 0..4 {
                let r = haar(n, &mut rng);
                for i in 0..n {
                    for j in 0..n {
                        let dot: f64 =
                            (0..n).map(|k| f64::from(r[i * n + k]) * f64::from(r[j * n + k])).sum();
                        assert!(
                            (dot - f64::from(u8::from(i == j))).abs() < 1e-6,
                            "{n}: rows {i}, {j}: {dot}"
                        );
                    }
                }
                let rows =
                    (0..n).map(|i| r[i * n..(i + 1) * n].iter().map(|&v| f64::from(v)).collect()).collect();
                assert!(!determinant_is_negative(rows), "{n}");
            }
        }
        let draw = |seed| haar(7, &mut ChaCha8Rng::seed_from_u64(seed));
        assert_eq!(draw(3), draw(3));
        assert_ne!(draw(3), draw(4));
    }
}
