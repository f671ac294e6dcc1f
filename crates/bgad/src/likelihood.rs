//! Log-likelihood of a feature vector under the flow, and its unit.
//!
//! ```text
//! log p(x) = −(C/2)·ln 2π − |z|²/2 + log|det|          l = log p(x) / C
//! ```
//!
//! All of bgad works with `l`, nats per channel: levels of different width can be compared.

/// `½ ln 2π`.
pub const HALF_LN_TAU: f32 = 0.918_938_5;

/// `l` of a latent with squared length `energy` and log-determinant `log_det`, over `channels` channels.
pub fn logp_per_channel(energy: f32, log_det: f32, channels: usize) -> f32 {
    (log_det - 0.5 * energy) / channels as f32 - HALF_LN_TAU
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latent_at_the_origin_has_the_density_of_the_standard_normal() {
        assert_eq!(HALF_LN_TAU, (0.5 * std::f64::consts::TAU.ln()) as f32);
        let exact = -7.0 / 2.0 * std::f64::consts::TAU.ln() - 3.0 / 2.0 + 0.5;
        assert!((f64::from(logp_per_channel(3.0, 0.5, 7)) - exact / 7.0).abs() < 1e-6);
    }
}
