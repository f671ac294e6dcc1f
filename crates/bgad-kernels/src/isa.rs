//! Instruction sets, chosen at run time: one binary serves every machine.
//!
//! An [`Isa`] can only be obtained from a constructor that asked the processor, so holding one is the proof
//! that its instructions may be executed. Kernels are written once against `Simd` and instantiated here.

#[cfg(target_arch = "aarch64")]
use crate::simd::Neon;
#[cfg(target_arch = "x86_64")]
use crate::simd::{Avx2, Avx512};
use crate::simd::{Portable, Simd};

/// An instruction set that this machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Isa(Level);

/// Each with the token that only its detection makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Portable(Portable),
    #[cfg(target_arch = "aarch64")]
    Neon(Neon),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
}

/// `$body` with the token of the instruction set in `$isa`.
macro_rules! with_token {
    ($isa:expr, $simd:ident => $body:expr) => {
        match $isa.0 {
            Level::Portable($simd) => $body,
            #[cfg(target_arch = "aarch64")]
            Level::Neon($simd) => $body,
            #[cfg(target_arch = "x86_64")]
            Level::Avx2($simd) => $body,
            #[cfg(target_arch = "x86_64")]
            Level::Avx512($simd) => $body,
        }
    };
}

impl Isa {
    /// Every instruction set of this machine, the fastest first. Never empty: the last is portable code.
    pub fn available() -> Vec<Isa> {
        let found = [
            #[cfg(target_arch = "x86_64")]
            Avx512::detect().map(Level::Avx512),
            #[cfg(target_arch = "x86_64")]
            Avx2::detect().map(Level::Avx2),
            #[cfg(target_arch = "aarch64")]
            Some(Level::Neon(Neon)),
            Some(Level::Portable(Portable)),
        ];
        found.into_iter().flatten().map(Isa).collect()
    }

    /// The fastest instruction set of this machine.
    pub fn best() -> Isa {
        Isa::available()[0]
    }

    /// The instruction set called `avx512`, `avx2`, `neon` or `portable`, if this machine has it.
    pub fn named(name: &str) -> Option<Isa> {
        Isa::available().into_iter().find(|isa| isa.name() == name)
    }

    /// `avx512`, `avx2`, `neon` or `portable`.
    pub fn name(self) -> &'static str {
        match self.0 {
            Level::Portable(_) => "portable",
            #[cfg(target_arch = "aarch64")]
            Level::Neon(_) => "neon",
            #[cfg(target_arch = "x86_64")]
            Level::Avx2(_) => "avx2",
            #[cfg(target_arch = "x86_64")]
            Level::Avx512(_) => "avx512",
        }
    }

    /// `f32` values in one vector register.
    pub fn lanes(self) -> usize {
        with_token!(self, simd => lanes(simd))
    }

    /// Widest tile of the matrix kernels, in vectors.
    pub(crate) fn max_vectors(self) -> usize {
        with_token!(self, simd => max_vectors(simd))
    }

    /// `n` rounded up to whole vectors: the row length of buffers that kernels read without a mask.
    ///
    /// # Panics
    ///
    /// If that is more than a `usize` holds.
    pub fn padded(self, n: usize) -> usize {
        let lanes = self.lanes();
        n.checked_next_multiple_of(lanes)
            .unwrap_or_else(|| panic!("{n} values cannot be rounded up to whole vectors of {lanes}"))
    }

    /// Runs a kernel with the instructions of this set.
    #[inline]
    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self.0 {
            Level::Portable(simd) => kernel.run(simd),
            #[cfg(target_arch = "aarch64")]
            Level::Neon(simd) => kernel.run(simd),
            // SAFETY: the token proves that the processor has AVX2 and FMA.
            #[cfg(target_arch = "x86_64")]
            Level::Avx2(simd) => unsafe { run_avx2(simd, kernel) },
            // SAFETY: the token proves that the processor has these features.
            #[cfg(target_arch = "x86_64")]
            Level::Avx512(simd) => unsafe { run_avx512(simd, kernel) },
        }
    }
}

fn lanes<S: Simd>(_: S) -> usize {
    S::LANES
}

fn max_vectors<S: Simd>(_: S) -> usize {
    S::MAX_VECTORS
}

/// A computation that is compiled once for every instruction set.
///
/// It holds checked views and slices, and its own invariants are checked where it is made or where it begins: running
/// one is safe.
pub(crate) trait Kernel {
    type Output;

    /// Implementations are `#[inline(always)]`, or they would lose the features.
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn run_avx2<K: Kernel>(simd: Avx2, kernel: K) -> K::Output {
    kernel.run(simd)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")]
fn run_avx512<K: Kernel>(simd: Avx512, kernel: K) -> K::Output {
    kernel.run(simd)
}
