//! What the machine can do at best: multiply-adds that touch nothing but registers. Benchmarks are held against it.

use crate::isa::{Isa, Kernel};
use crate::simd::Simd;

/// Independent sums: twice the latency of a multiply-add times two units a cycle, and they fit 16 registers.
const CHAINS: usize = 12;

/// Runs `rounds` rounds of dependent multiply-adds on registers; the sum keeps the compiler from removing them.
pub fn multiply_adds(isa: Isa, rounds: usize) -> f32 {
    isa.run(Chains(rounds))
}

/// Operations of [`multiply_adds`], two for a multiply-add.
pub fn operations(isa: Isa, rounds: usize) -> f64 {
    2.0 * rounds as f64 * (CHAINS * isa.lanes()) as f64
}

struct Chains(usize);

impl Kernel for Chains {
    type Output = f32;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> f32 {
        let [factor, term] = [0.999, 0.1].map(|x| simd.splat(std::hint::black_box(x)));
        let mut sums = [term; CHAINS];
        for _ in 0..self.0 {
            for sum in &mut sums {
                *sum = simd.mul_add(*sum, factor, term);
            }
        }
        sums.into_iter().map(|sum| simd.sum(sum)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_lane_of_every_chain_takes_every_round() {
        for isa in Isa::available() {
            let (mut one, rounds) = (0.1f64, 20);
            for _ in 0..rounds {
                one = one * f64::from(0.999f32) + f64::from(0.1f32);
            }
            let want = one * operations(isa, rounds) / (2.0 * rounds as f64);
            let got = f64::from(multiply_adds(isa, rounds));
            // 21 roundings of each of up to 192 values.
            assert!((got - want).abs() < 1e-4 * want, "{}: {got} is not {want}", isa.name());
        }
    }
}
