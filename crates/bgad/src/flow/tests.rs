//! The parity ladder: latent and log-determinant, likelihood, losses, every gradient, the losses of ten steps.

use bgad_kernels::Isa;
use bgad_kernels::adam::{Step, adam};

use super::*;
use crate::boundary::Boundary;
use crate::golden::Golden;
use crate::loss::{LossParts, LossSettings, loss};

struct Recording {
    golden: Golden,
    flow: Flow,
    grid: (usize, usize),
    x: Vec<f32>,
    mask: Vec<u8>,
    column: Vec<u32>,
    row: Vec<u32>,
}

fn transposed(m: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let mut t = vec![0.0; m.len()];
    for i in 0..rows {
        for j in 0..columns {
            t[j * rows + i] = m[i * columns + j];
        }
    }
    t
}

impl Recording {
    fn open(name: &str) -> Recording {
        let golden = Golden::open(name);
        let channels = golden.metadata("c") as usize;
        let side = golden.metadata("side") as usize;
        let blocks = (0..).take_while(|k| golden.has(&format!("block{k}.gamma"))).count();
        let shape = FlowShape { channels, blocks };
        let read = |prefix: &str| {
            let mut parameters = vec![0.0; shape.len()];
            for k in 0..shape.blocks {
                let part = |what: &str| golden.f32(&format!("{prefix}block{k}.{what}"));
                let parts = shape.split_mut(&mut parameters[shape.block_range(k)]);
                parts.gamma.copy_from_slice(&part("gamma"));
                parts.offset.copy_from_slice(&part("offset"));
                let (d1, h) = (shape.passive(), shape.hidden());
                // Recorded as [H, D1 + 128]; ours are the two halves, [in, out].
                let w1 = transposed(&part("w1"), h, d1 + 128);
                parts.w1x.copy_from_slice(&w1[..d1 * h]);
                parts.w1c.copy_from_slice(&w1[d1 * h..]);
                parts.b1.copy_from_slice(&part("b1"));
                parts.w2.copy_from_slice(&part("w2"));
                parts.b2.copy_from_slice(&part("b2"));
            }
            parameters
        };
        let rotations = (0..blocks).flat_map(|k| golden.f32(&format!("block{k}.rotation"))).collect();
        let flow = Flow { shape, parameters: read(""), rotations };
        let index: Vec<u32> = golden.positions();
        Recording {
            x: golden.f32("x"),
            mask: golden.f32("mask").iter().map(|&m| u8::from(m > 0.0)).collect(),
            column: index.iter().map(|i| i % side as u32).collect(),
            row: index.iter().map(|i| i / side as u32).collect(),
            grid: (side, side),
            flow,
            golden,
        }
    }

    fn at(&self) -> Positions<'_> {
        Positions { column: &self.column, row: &self.row }
    }

    fn recorded_gradient(&self, case: &str, k: usize) -> Vec<(&'static str, Vec<f32>)> {
        let shape = self.flow.shape;
        let part = |what: &str| self.golden.f32(&format!("{case}.grad.block{k}.{what}"));
        let (d1, h) = (shape.passive(), shape.hidden());
        vec![
            ("gamma", part("gamma")),
            ("offset", part("offset")),
            ("w1", transposed(&part("w1"), h, d1 + 128)),
            ("b1", part("b1")),
            ("w2", part("w2")),
            ("b2", part("b2")),
        ]
    }

    fn loss(&self, case: &str, l: &[f32], dl: &mut [f32]) -> (LossParts, Option<Boundary>) {
        let (beta, focal) = match case {
            "plain" => (Some(0.05), false),
            "focal" => (Some(0.01), true),
            _ => (None, false),
        };
        let mut normal: Vec<f32> =
            l.iter().zip(&self.mask).filter(|(_, m)| **m == 0).map(|(l, _)| l / 10.0).collect();
        let boundary = beta.and_then(|beta| Boundary::find(&mut normal, beta, 0.1));
        let settings = LossSettings { lambda: 1.0, normalizer: 10.0, focal };
        // Phase 1 knows normal images only: the recorded `ml` is the mean over all rows.
        let normal = vec![0; l.len()];
        let mask = if case == "ml" { &normal } else { &self.mask };
        (loss(l, mask, boundary, settings, dl), boundary)
    }
}

const RECORDINGS: [&str; 3] = ["flow_c7", "flow_c24", "flow_c40"];

/// The recordings that the golden directory has; `flow_c40` is too large for the repository.
fn recordings() -> Vec<(&'static str, Recording)> {
    RECORDINGS
        .into_iter()
        .filter(|name| *name != "flow_c40" || Golden::directory().join("flow_c40.safetensors").exists())
        .map(|name| (name, Recording::open(name)))
        .collect()
}

fn relative_l2(got: &[f32], want: &[f32]) -> f64 {
    assert_eq!(got.len(), want.len());
    let square = |v: f32| f64::from(v) * f64::from(v);
    let error: f64 = got.iter().zip(want).map(|(g, w)| square(g - w)).sum();
    (error / want.iter().map(|&w| square(w)).sum::<f64>().max(1e-30)).sqrt()
}

#[test]
fn latent_log_determinant_and_likelihood_agree_with_the_recording() {
    for (name, r) in recordings() {
        let (c, n) = (r.flow.shape.channels, r.mask.len());
        let (z, log_det) = r.flow.forward(&r.x, r.at(), r.grid);
        assert!(relative_l2(&z, &r.golden.f32("z")) < 1e-5, "{name}: z");
        assert!(relative_l2(&log_det, &r.golden.f32("log_det")) < 1e-5, "{name}: log-determinant");
        let want = r.golden.f32("logp_per_channel");
        for i in 0..n {
            let energy: f32 = z[i * c..(i + 1) * c].iter().map(|z| z * z).sum();
            let l = crate::likelihood::logp_per_channel(energy, log_det[i], c);
            assert!((l - want[i]).abs() <= 1e-4 * want[i].abs(), "{name} [{i}]: {l}, {}", want[i]);
        }
        for isa in Isa::available() {
            let prepared = Prepared::on(isa, &r.flow, r.grid, false);
            let mut l = vec![0.0; n];
            prepared.likelihood(&r.x, r.at(), &mut Scratch::new(&prepared), &mut l);
            for i in 0..n {
                let (l, want) = (l[i], want[i]);
                assert!((l - want).abs() <= 1e-4 * want.abs(), "{name} {} [{i}]: {l}, {want}", isa.name());
            }
        }
    }
}

#[test]
fn inverse_undoes_forward() {
    for (name, r) in recordings() {
        let (z, _) = r.flow.forward(&r.x, r.at(), r.grid);
        // Eight blocks, each divides by exp(s): rounding grows by the condition of the map.
        assert!(relative_l2(&r.flow.inverse(&z, r.at(), r.grid), &r.x) < 1e-4, "{name}");
    }
}

#[test]
fn losses_and_every_gradient_agree_with_the_recording() {
    for (name, r) in recordings() {
        let shape = r.flow.shape;
        for isa in Isa::available() {
            let prepared = Prepared::on(isa, &r.flow, r.grid, true);
            let mut tape = Tape::new(&prepared, r.mask.len());
            for case in ["ml", "plain", "focal"] {
                tape.forward(&prepared, &r.x, r.at());
                let mut dl = vec![0.0; r.mask.len()];
                let (parts, boundary) = r.loss(case, &tape.logp_per_channel, &mut dl);
                let close = |what: &str, got: f64| {
                    let want = f64::from(r.golden.f32(&format!("{case}.{what}"))[0]);
                    assert!((got - want).abs() <= 1e-5 * want.abs(), "{name} {case} {what}: {got}, {want}");
                };
                close("loss", parts.total);
                if let Some(b) = boundary {
                    close("ml", parts.likelihood);
                    close("pull", parts.pull);
                    close("push", parts.push);
                    close("b_n", b.normal.into());
                    close("b_a", b.anomalous.into());
                }
                let error = relative_l2(&dl, &r.golden.f32(&format!("{case}.dlogp")));
                assert!(error < 1e-5, "{name} {case} dlogp: {error:e}");
                let mut gradient = vec![f32::NAN; shape.len()];
                tape.backward(&r.flow, &prepared, r.at(), &dl, &mut gradient);
                for k in 0..shape.blocks {
                    let parts = shape.split(&gradient[shape.block_range(k)]);
                    let w1 = [parts.w1x, parts.w1c].concat();
                    for (what, want) in r.recorded_gradient(case, k) {
                        let got = match what {
                            "gamma" => parts.gamma,
                            "offset" => parts.offset,
                            "w1" => &w1,
                            "b1" => parts.b1,
                            "w2" => parts.w2,
                            _ => parts.b2,
                        };
                        let error = relative_l2(got, &want);
                        assert!(error < 1e-5, "{name} {} {case} block{k}.{what}: {error:e}", isa.name());
                    }
                }
            }
        }
    }
}

#[test]
fn ten_steps_of_adam_have_the_recorded_losses() {
    for (name, r) in recordings() {
        let isa = Isa::best();
        let rate = r.golden.metadata("lr") as f32;
        let mut flow = r.flow.clone();
        let len = flow.shape.len();
        let (mut m, mut v, mut gradient) = (vec![0.0; len], vec![0.0; len], vec![0.0; len]);
        for (i, want) in r.golden.f32("adam10.losses").into_iter().enumerate() {
            let prepared = Prepared::on(isa, &flow, r.grid, true);
            let mut tape = Tape::new(&prepared, r.mask.len());
            tape.forward(&prepared, &r.x, r.at());
            let mut dl = vec![0.0; r.mask.len()];
            let (parts, _) = r.loss("plain", &tape.logp_per_channel, &mut dl);
            let error = (parts.total - f64::from(want)).abs();
            assert!(error <= 1e-4 * f64::from(want).abs(), "{name} step {i}: {}, {want}", parts.total);
            tape.backward(&flow, &prepared, r.at(), &dl, &mut gradient);
            let (params, gradients, m, v) = (&mut flow.parameters[..], &gradient[..], &mut m[..], &mut v[..]);
            adam(isa, Step { params, gradients, m, v, learning_rate: rate, number: i as u64 + 1 });
        }
    }
}

#[test]
fn gradients_have_the_same_bits_on_any_number_of_threads() {
    let r = Recording::open("flow_c24");
    let prepared = Prepared::on(Isa::best(), &r.flow, r.grid, true);
    let gradient = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        pool.install(|| {
            let mut tape = Tape::new(&prepared, r.mask.len());
            tape.forward(&prepared, &r.x, r.at());
            let mut dl = vec![0.0; r.mask.len()];
            r.loss("plain", &tape.logp_per_channel, &mut dl);
            let mut gradient = vec![0.0; r.flow.shape.len()];
            tape.backward(&r.flow, &prepared, r.at(), &dl, &mut gradient);
            gradient.iter().map(|g| g.to_bits()).collect::<Vec<_>>()
        })
    };
    let one = gradient(1);
    assert_eq!(one, gradient(2));
    assert_eq!(one, gradient(5));
}

#[test]
fn a_fresh_flow_is_seeded_and_keeps_lengths() {
    use rand::SeedableRng;
    let shape = FlowShape { channels: 9, blocks: 3 };
    let fresh = |seed| Flow::initial(shape, &mut rand_chacha::ChaCha8Rng::seed_from_u64(seed));
    assert_eq!(fresh(1), fresh(1));
    assert_ne!(fresh(1), fresh(2));
    let flow = fresh(1);
    for k in 0..3 {
        let prepared = Prepared::on(Isa::best(), &flow, (4, 4), false);
        assert!(prepared.blocks[k].g.iter().all(|g| (g - 1.0).abs() < 1e-6), "g starts at one");
    }
}
