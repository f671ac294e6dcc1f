//! The loss: maximum likelihood plus the boundary-guided semi-push-pull term, with its gradient.
//!
//! ```text
//! hat l = l / ν
//! L_ml  = mean over normal positions                       of w_n · −ln σ(l)
//! L_n   = mean over normal positions with hat l ≤ b_n      of w_n · (b_n − hat l)       pull
//! L_a   = mean over anomalous positions with hat l ≥ b_a   of w_a · (hat l − b_a)       push
//! L     = L_ml + λ (L_n + L_a)            the mean over an empty set is 0, value and gradient
//! ```
//!
//! Normals are only pulled up to the boundary, anomalies only pushed below `b_a`. Boundary and weights are
//! constants to the gradient. The boundary position itself satisfies `hat l ≤ b_n`: it adds nothing to the loss
//! but a `−w/(ν n)` to the gradient, as in the authors' code.

use crate::boundary::Boundary;
use crate::focal;

/// The constants of the loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LossSettings {
    /// `λ`: weight of the push-pull term.
    pub lambda: f32,
    /// `ν`: likelihoods are divided by it before the boundary.
    pub normalizer: f32,
    /// Whether hard positions count more.
    pub focal: bool,
}

/// A loss and its parts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LossParts {
    /// `L`.
    pub total: f64,
    /// `L_ml`.
    pub likelihood: f64,
    /// `L_n`; 0 without a boundary.
    pub pull: f64,
    /// `L_a`; 0 without a boundary.
    pub push: f64,
}

/// `ln σ(x)` without overflow: `min(x, 0) − ln(1 + e^−|x|)`, where the exponential never exceeds 1.
fn log_sigmoid(x: f32) -> f32 {
    x.min(0.0) - (-x.abs()).exp().ln_1p()
}

/// `σ(x)`, from the side where the exponential is small.
fn sigmoid(x: f32) -> f32 {
    let e = (-x.abs()).exp();
    if x >= 0.0 { 1.0 / (1.0 + e) } else { e / (1.0 + e) }
}

/// The loss of some positions, and in `dl` its gradient with respect to each `l`.
///
/// `l`: log-likelihoods per channel; `anomalous`: 1 for positions under a defect, 0 otherwise. Without a boundary
/// the loss is `L_ml` alone.
///
/// # Panics
///
/// If the slices differ in length.
pub fn loss(
    l: &[f32],
    anomalous: &[u8],
    boundary: Option<Boundary>,
    settings: LossSettings,
    dl: &mut [f32],
) -> LossParts {
    assert!(anomalous.len() == l.len() && dl.len() == l.len(), "one mask value and one gradient a position");
    let nu = settings.normalizer;
    let is_normal = |i: usize| anomalous[i] == 0;
    let weight = |i: usize| match (settings.focal, is_normal(i)) {
        (false, _) => 1.0,
        (true, true) => focal::normal_weight(l[i] / nu),
        (true, false) => focal::anomaly_weight(l[i] / nu),
    };
    let violates = |i: usize, b: Boundary| {
        let hat = l[i] / nu;
        if is_normal(i) { hat <= b.normal } else { hat >= b.anomalous }
    };
    let mut normals = 0usize;
    let (mut pulled, mut pushed) = (0usize, 0usize);
    for i in 0..l.len() {
        normals += usize::from(is_normal(i));
        if boundary.is_some_and(|b| violates(i, b)) {
            if is_normal(i) { pulled += 1 } else { pushed += 1 }
        }
    }
    let mean = |count: usize| 1.0 / count.max(1) as f32;

    let (mut likelihood, mut pull, mut push) = (0.0f64, 0.0f64, 0.0f64);
    for i in 0..l.len() {
        let w = weight(i);
        let mut gradient = 0.0;
        if is_normal(i) {
            likelihood -= f64::from(w * log_sigmoid(l[i]));
            gradient -= w * sigmoid(-l[i]) * mean(normals);
        }
        if let Some(b) = boundary.filter(|&b| violates(i, b)) {
            if is_normal(i) {
                pull += f64::from(w * (b.normal - l[i] / nu));
                gradient -= settings.lambda * w / nu * mean(pulled);
            } else {
                push += f64::from(w * (l[i] / nu - b.anomalous));
                gradient += settings.lambda * w / nu * mean(pushed);
            }
        }
        dl[i] = gradient;
    }
    let over = |sum: f64, count: usize| sum / count.max(1) as f64;
    let (likelihood, pull, push) = (over(likelihood, normals), over(pull, pulled), over(push, pushed));
    LossParts { total: likelihood + f64::from(settings.lambda) * (pull + push), likelihood, pull, push }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::Golden;

    fn settings(focal: bool) -> LossSettings {
        LossSettings { lambda: 1.0, normalizer: 10.0, focal }
    }

    fn boundary(l: &[f32], mask: &[u8], beta: f32) -> Option<Boundary> {
        let mut normal: Vec<f32> =
            l.iter().zip(mask).filter(|(_, m)| **m == 0).map(|(l, _)| l / 10.0).collect();
        Boundary::find(&mut normal, beta, 0.1)
    }

    #[test]
    fn agrees_with_the_recorded_cases() {
        let golden = Golden::open("loss");
        let mut checked = 0;
        for case in ["mixed", "no_push", "one_anomaly", "ties", "all_normal"] {
            let l = golden.f32(&format!("{case}.logp"));
            let mask: Vec<u8> =
                golden.f32(&format!("{case}.mask")).iter().map(|&m| u8::from(m > 0.0)).collect();
            for focal in [false, true] {
                for beta in [0.01f32, 0.05, 0.2] {
                    let key = |what: &str| format!("{case}.focal{}.beta{beta}.{what}", u8::from(focal));
                    let b = if case == "all_normal" { None } else { boundary(&l, &mask, beta) };
                    let mut dl = vec![0.0; l.len()];
                    let got = loss(&l, &mask, b, settings(focal), &mut dl);
                    // Sums of up to 1000 terms, taken in f64 here and in f32 there.
                    let close = |what: &str, got: f64| {
                        let want = f64::from(golden.f32(&key(what))[0]);
                        assert!(
                            (got - want).abs() <= 1e-5 * want.abs().max(1e-2),
                            "{}: {got}, {want}",
                            key(what)
                        );
                    };
                    close("loss", got.total);
                    close("ml", got.likelihood);
                    if let Some(b) = b {
                        close("pull", got.pull);
                        close("push", got.push);
                        close("b_n", b.normal.into());
                        close("b_a", b.anomalous.into());
                    }
                    for (i, (g, w)) in dl.iter().zip(golden.f32(&key("dlogp"))).enumerate() {
                        assert!((g - w).abs() <= 1e-5 * w.abs() + 1e-9, "{} [{i}]: {g}, {w}", key("dlogp"));
                    }
                    checked += 1;
                }
            }
        }
        assert_eq!(checked, 30);
    }

    #[test]
    fn gradient_agrees_with_finite_differences_where_weights_are_constant() {
        let l = [-30.0, -12.0, -3.0, -0.5, 0.0, 2.0, -8.0, -40.0];
        let mask = [0, 0, 0, 0, 0, 0, 1, 1];
        let b = Some(Boundary { normal: -1.0, anomalous: -1.1 });
        let mut dl = [0.0; 8];
        loss(&l, &mask, b, settings(false), &mut dl);
        for i in 0..8 {
            let at = |step: f32| {
                let mut l = l;
                l[i] += step;
                loss(&l, &mask, b, settings(false), &mut [0.0; 8]).total
            };
            let numeric = (at(0.05) - at(-0.05)) / 0.1;
            assert!((f64::from(dl[i]) - numeric).abs() < 1e-4, "[{i}]: {} is not {numeric}", dl[i]);
        }
    }

    #[test]
    fn empty_sets_add_nothing() {
        let b = Some(Boundary { normal: -5.0, anomalous: -5.1 });
        assert_eq!(loss(&[], &[], b, settings(true), &mut []), LossParts::default());
        let mut dl = [9.0];
        // One anomaly far below the boundary: nothing to do.
        assert_eq!(loss(&[-90.0], &[1], b, settings(true), &mut dl), LossParts::default());
        assert_eq!(dl, [0.0]);
    }

    #[test]
    fn log_sigmoid_is_finite_and_accurate_at_the_extremes() {
        for x in [-1e4f32, -200.0, -88.0, -1.0, 0.0, 1.0, 17.0, 88.0, 1e4] {
            let exact = if x < -700.0 { f64::from(x) } else { -(-f64::from(x)).exp().ln_1p() };
            let error = (f64::from(log_sigmoid(x)) - exact).abs();
            assert!(error <= 1e-6 * exact.abs() + 1e-37, "x = {x}: off by {error:e}");
        }
    }
}
