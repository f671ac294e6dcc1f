use bgad_kernels::{Isa, gemm::*};
use std::time::Instant;
fn time(mut f: impl FnMut()) -> f64 {
    f();
    let mut best = f64::MAX;
    for _ in 0..15 {
        let t = Instant::now();
        for _ in 0..20 {
            f();
        }
        best = best.min(t.elapsed().as_secs_f64() / 20.0);
    }
    best
}
fn main() {
    for isa in Isa::available() {
        println!("{}", isa.name());
        for c in [24usize, 40, 48, 120, 200] {
            let d1 = c / 2;
            let h = 2 * (d1 + 128);
            let ld = isa.padded(h);
            let m = 128;
            let x = vec![0.5f32; m * c];
            let w1 = vec![0.01f32; d1 * h];
            let w2 = vec![0.01f32; h * c];
            let p1 = Packed::new(isa, d1, h, &w1);
            let p2 = Packed::new(isa, h, c, &w2);
            let p2t = Packed::transposed(isa, c, h, &w2);
            let p1t = Packed::transposed(isa, h, d1, &w1);
            let t = vec![0.1f32; 64 * ld];
            let idx: Vec<u32> = (0..m as u32).map(|i| i % 64).collect();
            let mut hid = vec![0f32; m * ld];
            let mut a = vec![0f32; m * c];
            let mut dh = vec![0f32; m * ld];
            let (mut tx, mut ty) = (t.clone(), t.clone());
            let g = |t: f64, k: usize, n: usize| 2.0 * (m * k * n) as f64 / t / 1e9;
            let t1 = time(|| {
                relu_from_tables(
                    &x,
                    c,
                    m,
                    &p1,
                    Tables { x: &t, y: &t, ld, column: &idx, row: &idx },
                    &mut hid,
                    ld,
                )
            });
            let t2 = time(|| affine(&hid, ld, m, &p2, AffineOptions::default(), &mut a, c));
            let t3 = time(|| {
                gated_into_tables(
                    &a,
                    c,
                    m,
                    &p2t,
                    &hid,
                    TablesMut { x: &mut tx, y: &mut ty, ld, column: &idx, row: &idx },
                    &mut dh,
                    ld,
                )
            });
            let t4 = time(|| accumulate(&dh, ld, m, &p1t, &mut a, c));
            let mut gw = vec![0f32; h * c];
            let mut gw1 = vec![0f32; d1 * ld];
            let t5 = time(|| accumulate_transposed(isa, m, (h, c), &hid, ld, &x, c, &mut gw, c));
            let t5b = time(|| accumulate_transposed(isa, m, (c, h), &x, c, &hid, ld, &mut gw, h));
            let t6 = time(|| accumulate_transposed(isa, m, (d1, h), &x, c, &dh, ld, &mut gw1, ld));
            println!(
                "C={c}: W1 {:.0} W2 {:.0} dH {:.0} dx1 {:.0} dW2 {:.0} dW2b {:.0} dW1 {:.0} GF  us: {:.1} {:.1} {:.1} {:.1} {:.1} {:.1} {:.1}",
                g(t1, d1, h),
                g(t2, h, c),
                g(t3, c, h),
                g(t4, h, d1),
                g(t5, h, c),
                g(t5b, h, c),
                g(t6, d1, h),
                t1 * 1e6,
                t2 * 1e6,
                t3 * 1e6,
                t4 * 1e6,
                t5 * 1e6,
                t5b * 1e6,
                t6 * 1e6
            );
        }
        // pointwise
        for (m, k, n) in [
            (4096, 96, 24),
            (4096, 24, 144),
            (256, 528, 88),
            (256, 720, 120),
            (4096, 240, 40),
            (256, 1200, 200),
            (16384, 16, 96),
        ] {
            let a = vec![0.5f32; m * k];
            let b = vec![0.1f32; k * n];
            let p = Packed::new(isa, k, n, &b);
            let mut c = vec![0f32; m * n];
            let mut best = f64::MAX;
            for _ in 0..15 {
                let t = Instant::now();
                affine(
                    &a,
                    k,
                    m,
                    &p,
                    AffineOptions { activation: Activation::Relu6, ..Default::default() },
                    &mut c,
                    n,
                );
                best = best.min(t.elapsed().as_secs_f64());
            }
            println!("pw {m}x{k}x{n}: {:.0} GF", 2.0 * (m * k * n) as f64 / best / 1e9);
        }
    }
}
