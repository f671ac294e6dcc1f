//! Instruction sets, chosen at run time: one binary serves every machine.
//!
//! An [`Isa`] can only be obtained from a constructor that asked the processor, so holding one is the proof
//! that its instructions may be executed. Kernels are written once against `Simd` and instantiated here.

use crate::simd::{Portable, Simd};

/// An instruction set that this machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Isa(Level);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Portable,
    #[cfg(target_arch = "aarch64")]
    Neon,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Isa {
    /// Every instruction set of this machine, the fastest first. Never empty: the last is portable code.
    // Only on Arm does the list need no question.
    #[cfg_attr(target_arch = "aarch64", allow(clippy::vec_init_then_push))]
    pub fn available() -> Vec<Isa> {
        let mut found = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::is_x86_feature_detected as has;
            let avx2 = has!("avx2") && has!("fma");
            if avx2 && has!("avx512f") && has!("avx512dq") && has!("avx512bw") && has!("avx512vl") {
                found.push(Isa(Level::Avx512));
            }
            if avx2 {
                found.push(Isa(Level::Avx2));
            }
        }
        #[cfg(target_arch = "aarch64")]
        found.push(Isa(Level::Neon));
        found.push(Isa(Level::Portable));
        found
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
            Level::Portable => "portable",
            #[cfg(target_arch = "aarch64")]
            Level::Neon => "neon",
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => "avx512",
        }
    }

    /// `f32` values in one vector register.
    pub fn lanes(self) -> usize {
        match self.0 {
            Level::Portable => Portable::LANES,
            #[cfg(target_arch = "aarch64")]
            Level::Neon => crate::simd::Neon::LANES,
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => crate::simd::Avx2::LANES,
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => crate::simd::Avx512::LANES,
        }
    }

    /// Widest tile of the matrix kernels, in vectors.
    pub(crate) fn max_vectors(self) -> usize {
        match self.0 {
            Level::Portable => Portable::MAX_VECTORS,
            #[cfg(target_arch = "aarch64")]
            Level::Neon => crate::simd::Neon::MAX_VECTORS,
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => crate::simd::Avx2::MAX_VECTORS,
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => crate::simd::Avx512::MAX_VECTORS,
        }
    }

    /// `n` rounded up to whole vectors: the row length of buffers that kernels read without a mask.
    pub fn padded(self, n: usize) -> usize {
        n.next_multiple_of(self.lanes())
    }

    /// Runs a kernel with the instructions of this set.
    #[inline]
    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self.0 {
            // SAFETY: portable code has no requirement; the kernel's own contract was met by its builder.
            Level::Portable => unsafe { kernel.run::<Portable>() },
            // SAFETY: NEON is part of 64-bit Arm.
            #[cfg(target_arch = "aarch64")]
            Level::Neon => unsafe { kernel.run::<crate::simd::Neon>() },
            // SAFETY: an `Isa` of this level exists only where the processor has these features.
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => unsafe { run_avx2(kernel) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => unsafe { run_avx512(kernel) },
        }
    }
}

/// A computation that is compiled once for every instruction set.
pub(crate) trait Kernel {
    type Output;

    /// # Safety
    ///
    /// The processor must have the instructions of `S`, and the pointers inside `self` must be valid for what
    /// the kernel documents. Implementations are `#[inline(always)]`, or they would lose the features.
    unsafe fn run<S: Simd>(self) -> Self::Output;
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn run_avx2<K: Kernel>(kernel: K) -> K::Output {
    // SAFETY: the caller vouches for AVX2 and FMA.
    unsafe { kernel.run::<crate::simd::Avx2>() }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")]
unsafe fn run_avx512<K: Kernel>(kernel: K) -> K::Output {
    // SAFETY: the caller vouches for AVX-512 F, DQ, BW and VL.
    unsafe { kernel.run::<crate::simd::Avx512>() }
}
