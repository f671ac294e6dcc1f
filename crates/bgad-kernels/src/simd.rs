//! Vector registers behind one trait: the vocabulary in which every kernel is written.
//!
//! A value that implements [`Simd`] is a token: the type has no public constructor but one that asks the processor, so
//! whoever holds it may execute the instructions, and arithmetic is safe. `unsafe` is left for memory, and where memory
//! is a slice ([`Simd::read`], [`Simd::write`]) that is safe too.
//!
//! All methods are `#[inline(always)]` and must end up inside a function compiled for the instruction set, or they become
//! calls; `Isa::run` is the only door.

#[cfg(target_arch = "aarch64")]
mod arm;
mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(target_arch = "aarch64")]
pub(crate) use arm::Neon;
pub(crate) use portable::Portable;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2, Avx512};

/// One instruction set, and the proof that this machine has it.
pub(crate) trait Simd: Copy + 'static {
    /// A register of [`Simd::LANES`] values of `f32`.
    type V: Copy;
    const LANES: usize;
    /// Widest tile of the matrix kernels, in vectors; [`Simd::tile`] accepts `1..=MAX_VECTORS`.
    const MAX_VECTORS: usize;

    /// # Safety
    ///
    /// `p` must be valid for reads of [`Simd::LANES`] values.
    unsafe fn load(self, p: *const f32) -> Self::V;
    /// # Safety
    ///
    /// `p` must be valid for writes of [`Simd::LANES`] values.
    unsafe fn store(self, p: *mut f32, v: Self::V);
    /// The first `n < LANES` values, zero behind them.
    ///
    /// # Safety
    ///
    /// `p` must be valid for reads of `n` values, and `n` below [`Simd::LANES`].
    unsafe fn load_first(self, p: *const f32, n: usize) -> Self::V;
    /// Writes the first `n < LANES` values only.
    ///
    /// # Safety
    ///
    /// `p` must be valid for writes of `n` values, and `n` below [`Simd::LANES`].
    unsafe fn store_first(self, p: *mut f32, n: usize, v: Self::V);

    fn splat(self, x: f32) -> Self::V;
    /// `a * b + c`, fused where the machine can.
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    fn div(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a` if `a > b`, else `b`: where one of them is NaN, and of two zeros, the second.
    fn max(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a` if `a < b`, else `b`: where one of them is NaN, and of two zeros, the second.
    fn min(self, a: Self::V, b: Self::V) -> Self::V;
    /// `1 / a` for `a ≥ 1`, within 2 ULP; 0 where that is no normal number; NaN of NaN.
    #[inline(always)]
    fn reciprocal(self, a: Self::V) -> Self::V {
        self.div(self.splat(1.0), a)
    }
    fn sqrt(self, a: Self::V) -> Self::V;
    fn abs(self, a: Self::V) -> Self::V;
    /// Magnitude of `a` with the sign of `s`.
    fn copysign(self, a: Self::V, s: Self::V) -> Self::V;
    /// Nearest integer, ties to even.
    fn round(self, a: Self::V) -> Self::V;
    /// `a · 2^n` for integral `n` that keeps the result normal.
    fn scale_pow2(self, a: Self::V, n: Self::V) -> Self::V;
    /// 0 where `gate ≤ 0`, else `a`: a gate that is NaN lets NaN through.
    fn gated(self, gate: Self::V, a: Self::V) -> Self::V;
    /// `a` where `x < y`, else `b`.
    fn where_less(self, x: Self::V, y: Self::V, a: Self::V, b: Self::V) -> Self::V;
    /// Sum of the lanes, in an order fixed for the instruction set.
    fn sum(self, a: Self::V) -> f32;

    /// `x` between `low` and `high`; NaN stays NaN.
    #[inline(always)]
    fn clamp(self, x: Self::V, low: f32, high: f32) -> Self::V {
        // The value is the second operand both times: that is the one that `max` and `min` give of NaN.
        self.min(self.splat(high), self.max(self.splat(low), x))
    }

    /// `max(x, 0)`; NaN stays NaN.
    #[inline(always)]
    fn relu(self, x: Self::V) -> Self::V {
        self.max(self.splat(0.0), x)
    }

    /// Runs `t` with the number of rows that fits the registers for a tile of `vectors` vectors.
    fn tile<T: Tile>(self, vectors: usize, t: T);

    /// Loads up to a whole vector: `n` values, zero behind them.
    ///
    /// # Safety
    ///
    /// `p` must be valid for reads of `n` values or [`Simd::LANES`], whichever is less.
    #[inline(always)]
    unsafe fn load_up_to(self, p: *const f32, n: usize) -> Self::V {
        // SAFETY: the caller vouches for as many values at `p` as are read.
        unsafe { if n >= Self::LANES { self.load(p) } else { self.load_first(p, n) } }
    }

    /// Stores up to a whole vector: `n` values.
    ///
    /// # Safety
    ///
    /// `p` must be valid for writes of `n` values or [`Simd::LANES`], whichever is less.
    #[inline(always)]
    unsafe fn store_up_to(self, p: *mut f32, n: usize, v: Self::V) {
        // SAFETY: the caller vouches for as many values at `p` as are written.
        unsafe { if n >= Self::LANES { self.store(p, v) } else { self.store_first(p, n, v) } }
    }

    /// The beginning of a slice, zero behind its end.
    #[inline(always)]
    fn read(self, from: &[f32]) -> Self::V {
        // SAFETY: the slice is valid for reads of its length.
        unsafe { self.load_up_to(from.as_ptr(), from.len()) }
    }

    /// Writes the beginning of a slice, at most a vector.
    #[inline(always)]
    fn write(self, to: &mut [f32], v: Self::V) {
        // SAFETY: the slice is valid for writes of its length.
        unsafe { self.store_up_to(to.as_mut_ptr(), to.len(), v) }
    }
}

/// A matrix kernel over tiles of `ROWS × VECTORS` registers.
pub(crate) trait Tile {
    fn run<S: Simd, const ROWS: usize, const VECTORS: usize>(self, simd: S);
}
