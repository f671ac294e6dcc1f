//! Vector registers behind one trait: the vocabulary in which every kernel is written.
//!
//! All methods are `#[inline(always)]` and must end up inside a function compiled for the instruction set;
//! `Isa::run` is the only door. Partial loads read nothing past the given count and fill with zero.

/// One instruction set.
pub(crate) trait Simd: Copy + 'static {
    /// A register of [`Simd::LANES`] values of `f32`.
    type V: Copy;
    const LANES: usize;
    /// Widest tile of the matrix kernels, in vectors; [`Simd::tile`] accepts `1..=MAX_VECTORS`.
    const MAX_VECTORS: usize;

    unsafe fn splat(x: f32) -> Self::V;
    unsafe fn load(p: *const f32) -> Self::V;
    unsafe fn store(p: *mut f32, v: Self::V);
    /// The first `n < LANES` values, zero behind them.
    unsafe fn load_first(p: *const f32, n: usize) -> Self::V;
    /// Writes the first `n < LANES` values only.
    unsafe fn store_first(p: *mut f32, n: usize, v: Self::V);
    /// `a * b + c`, fused where the machine can.
    unsafe fn mul_add(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn div(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn min(a: Self::V, b: Self::V) -> Self::V;
    /// `1 / a` for `a ≥ 1`, within 2 ULP; 0 where that is no normal number.
    #[inline(always)]
    unsafe fn reciprocal(a: Self::V) -> Self::V {
        // SAFETY: register only; the caller vouches for the instruction set.
        unsafe { Self::div(Self::splat(1.0), a) }
    }
    unsafe fn sqrt(a: Self::V) -> Self::V;
    unsafe fn abs(a: Self::V) -> Self::V;
    /// Magnitude of `a` with the sign of `s`.
    unsafe fn copysign(a: Self::V, s: Self::V) -> Self::V;
    /// Nearest integer, ties to even.
    unsafe fn round(a: Self::V) -> Self::V;
    /// `a · 2^n` for integral `n` that keeps the result normal.
    unsafe fn scale_pow2(a: Self::V, n: Self::V) -> Self::V;
    /// `a` where `gate > 0`, else 0.
    unsafe fn where_positive(gate: Self::V, a: Self::V) -> Self::V;
    /// `a` where `x < y`, else `b`.
    unsafe fn where_less(x: Self::V, y: Self::V, a: Self::V, b: Self::V) -> Self::V;
    /// Sum of the lanes, in an order fixed for the instruction set.
    unsafe fn sum(a: Self::V) -> f32;

    /// Runs `t` with the number of rows that fits the registers for a tile of `vectors` vectors.
    unsafe fn tile<T: Tile>(vectors: usize, t: T);

    /// Loads up to a whole vector: `n` values, at least one.
    #[inline(always)]
    unsafe fn load_up_to(p: *const f32, n: usize) -> Self::V {
        // SAFETY: the caller vouches for `n` values at `p`.
        unsafe { if n >= Self::LANES { Self::load(p) } else { Self::load_first(p, n) } }
    }

    /// Stores up to a whole vector: `n` values, at least one.
    #[inline(always)]
    unsafe fn store_up_to(p: *mut f32, n: usize, v: Self::V) {
        // SAFETY: the caller vouches for `n` values at `p`.
        unsafe { if n >= Self::LANES { Self::store(p, v) } else { Self::store_first(p, n, v) } }
    }
}

/// A matrix kernel over tiles of `ROWS × VECTORS` registers.
pub(crate) trait Tile {
    unsafe fn run<S: Simd, const ROWS: usize, const VECTORS: usize>(self);
}

/// Plain Rust on eight lanes, for processors without any of the others.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

#[inline(always)]
fn map2(a: [f32; 8], b: [f32; 8], f: impl Fn(f32, f32) -> f32) -> [f32; 8] {
    std::array::from_fn(|i| f(a[i], b[i]))
}

/// Nothing here is unsafe beyond the raw pointers, whose validity the caller vouches for.
impl Simd for Portable {
    type V = [f32; 8];
    const LANES: usize = 8;
    const MAX_VECTORS: usize = 2;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::V {
        [x; 8]
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self::V {
        // SAFETY: eight values at `p`, any alignment.
        unsafe { p.cast::<[f32; 8]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: Self::V) {
        // SAFETY: eight values at `p`, any alignment.
        unsafe { p.cast::<[f32; 8]>().write_unaligned(v) }
    }
    #[inline(always)]
    unsafe fn load_first(p: *const f32, n: usize) -> Self::V {
        // SAFETY: only indices below `n` are read.
        std::array::from_fn(|i| if i < n { unsafe { *p.add(i) } } else { 0.0 })
    }
    #[inline(always)]
    unsafe fn store_first(p: *mut f32, n: usize, v: Self::V) {
        for (i, x) in v.iter().enumerate().take(n) {
            // SAFETY: only indices below `n` are written.
            unsafe { *p.add(i) = *x }
        }
    }
    #[inline(always)]
    unsafe fn mul_add(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        // Without a fused instruction `f32::mul_add` is a library call.
        if cfg!(any(target_arch = "aarch64", target_feature = "fma")) {
            std::array::from_fn(|i| a[i].mul_add(b[i], c[i]))
        } else {
            std::array::from_fn(|i| a[i] * b[i] + c[i])
        }
    }
    #[inline(always)]
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V {
        map2(a, b, |a, b| a + b)
    }
    #[inline(always)]
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V {
        map2(a, b, |a, b| a - b)
    }
    #[inline(always)]
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V {
        map2(a, b, |a, b| a * b)
    }
    #[inline(always)]
    unsafe fn div(a: Self::V, b: Self::V) -> Self::V {
        map2(a, b, |a, b| a / b)
    }
    #[inline(always)]
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V {
        map2(a, b, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    unsafe fn min(a: Self::V, b: Self::V) -> Self::V {
        map2(a, b, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    unsafe fn sqrt(a: Self::V) -> Self::V {
        a.map(f32::sqrt)
    }
    #[inline(always)]
    unsafe fn abs(a: Self::V) -> Self::V {
        a.map(f32::abs)
    }
    #[inline(always)]
    unsafe fn copysign(a: Self::V, s: Self::V) -> Self::V {
        map2(a, s, f32::copysign)
    }
    #[inline(always)]
    unsafe fn round(a: Self::V) -> Self::V {
        // Adding 1.5 · 2^23 pushes the fraction out of the mantissa; exact for the |a| < 2^22 used here.
        const MAGIC: f32 = 12_582_912.0;
        a.map(|x| (x + MAGIC) - MAGIC)
    }
    #[inline(always)]
    unsafe fn scale_pow2(a: Self::V, n: Self::V) -> Self::V {
        map2(a, n, |a, n| a * f32::from_bits(((n as i32 + 127) as u32) << 23))
    }
    #[inline(always)]
    unsafe fn where_positive(gate: Self::V, a: Self::V) -> Self::V {
        map2(gate, a, |g, a| if g > 0.0 { a } else { 0.0 })
    }
    #[inline(always)]
    unsafe fn where_less(x: Self::V, y: Self::V, a: Self::V, b: Self::V) -> Self::V {
        std::array::from_fn(|i| if x[i] < y[i] { a[i] } else { b[i] })
    }
    #[inline(always)]
    unsafe fn sum(a: Self::V) -> f32 {
        let b: [f32; 4] = std::array::from_fn(|i| a[i] + a[i + 4]);
        (b[0] + b[2]) + (b[1] + b[3])
    }
    #[inline(always)]
    unsafe fn tile<T: Tile>(vectors: usize, t: T) {
        // SAFETY: passed on to the caller.
        unsafe {
            match vectors {
                1 => t.run::<Self, 4, 1>(),
                _ => t.run::<Self, 4, 2>(),
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2, Avx512};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Simd, Tile};
    use std::arch::x86_64::*;

    /// 256-bit registers, 16 of them.
    #[derive(Clone, Copy)]
    pub(crate) struct Avx2;

    /// 512-bit registers, 32 of them.
    #[derive(Clone, Copy)]
    pub(crate) struct Avx512;

    /// `-1` in the lanes below `n`.
    #[inline(always)]
    unsafe fn mask8(n: usize) -> __m256i {
        const ONES_THEN_ZEROS: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
        debug_assert!(n <= 8);
        // SAFETY: eight values from index `8 - n` lie inside the sixteen; the CPU has AVX2.
        unsafe { _mm256_loadu_si256(ONES_THEN_ZEROS.as_ptr().add(8 - n).cast()) }
    }

    macro_rules! intrinsics {
        ($($name:ident($($arg:ident),*) = $body:expr;)*) => {$(
            #[inline(always)]
            unsafe fn $name($($arg: Self::V),*) -> Self::V {
                // SAFETY: register arithmetic; the caller vouches for the instruction set.
                unsafe { $body }
            }
        )*};
    }

    impl Simd for Avx2 {
        type V = __m256;
        const LANES: usize = 8;
        const MAX_VECTORS: usize = 2;

        intrinsics! {
            mul_add(a, b, c) = _mm256_fmadd_ps(a, b, c);
            add(a, b) = _mm256_add_ps(a, b);
            sub(a, b) = _mm256_sub_ps(a, b);
            mul(a, b) = _mm256_mul_ps(a, b);
            div(a, b) = _mm256_div_ps(a, b);
            max(a, b) = _mm256_max_ps(a, b);
            min(a, b) = _mm256_min_ps(a, b);
            sqrt(a) = _mm256_sqrt_ps(a);
            abs(a) = _mm256_andnot_ps(_mm256_set1_ps(-0.0), a);
            copysign(a, s) = {
                let sign = _mm256_set1_ps(-0.0);
                _mm256_or_ps(_mm256_andnot_ps(sign, a), _mm256_and_ps(sign, s))
            };
            round(a) = _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a);
            scale_pow2(a, n) = {
                let exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
                _mm256_mul_ps(a, _mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent)))
            };
            where_positive(gate, a) = _mm256_and_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(gate, _mm256_setzero_ps()), a);
            where_less(x, y, a, b) = _mm256_blendv_ps(b, a, _mm256_cmp_ps::<_CMP_LT_OQ>(x, y));
        }
        #[inline(always)]
        unsafe fn splat(x: f32) -> Self::V {
            // SAFETY: register only; the caller vouches for AVX2.
            unsafe { _mm256_set1_ps(x) }
        }
        #[inline(always)]
        unsafe fn load(p: *const f32) -> Self::V {
            // SAFETY: eight values at `p`.
            unsafe { _mm256_loadu_ps(p) }
        }
        #[inline(always)]
        unsafe fn store(p: *mut f32, v: Self::V) {
            // SAFETY: eight values at `p`.
            unsafe { _mm256_storeu_ps(p, v) }
        }
        #[inline(always)]
        unsafe fn load_first(p: *const f32, n: usize) -> Self::V {
            // SAFETY: the mask reads exactly `n` values.
            unsafe { _mm256_maskload_ps(p, mask8(n)) }
        }
        #[inline(always)]
        unsafe fn store_first(p: *mut f32, n: usize, v: Self::V) {
            // SAFETY: the mask writes exactly `n` values.
            unsafe { _mm256_maskstore_ps(p, mask8(n), v) }
        }
        #[inline(always)]
        unsafe fn sum(a: Self::V) -> f32 {
            // SAFETY: register only.
            unsafe {
                let four = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
                let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
                _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
            }
        }
        #[inline(always)]
        unsafe fn tile<T: Tile>(vectors: usize, t: T) {
            // SAFETY: passed on to the caller. 16 registers: accumulators, one row of B, two values of A (a tile of
            // 4 × 3 leaves room for one and runs at half the speed).
            unsafe {
                match vectors {
                    1 => t.run::<Self, 8, 1>(),
                    _ => t.run::<Self, 6, 2>(),
                }
            }
        }
    }

    impl Simd for Avx512 {
        type V = __m512;
        const LANES: usize = 16;
        const MAX_VECTORS: usize = 3;

        intrinsics! {
            mul_add(a, b, c) = _mm512_fmadd_ps(a, b, c);
            add(a, b) = _mm512_add_ps(a, b);
            sub(a, b) = _mm512_sub_ps(a, b);
            mul(a, b) = _mm512_mul_ps(a, b);
            div(a, b) = _mm512_div_ps(a, b);
            max(a, b) = _mm512_max_ps(a, b);
            min(a, b) = _mm512_min_ps(a, b);
            sqrt(a) = _mm512_sqrt_ps(a);
            abs(a) = _mm512_abs_ps(a);
            copysign(a, s) = {
                let sign = _mm512_set1_ps(-0.0);
                _mm512_or_ps(_mm512_andnot_ps(sign, a), _mm512_and_ps(sign, s))
            };
            round(a) = _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a);
            scale_pow2(a, n) = _mm512_scalef_ps(a, n);
            where_positive(gate, a) =
                _mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_GT_OQ>(gate, _mm512_setzero_ps()), a);
            where_less(x, y, a, b) = _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_LT_OQ>(x, y), b, a);
        }
        #[inline(always)]
        unsafe fn reciprocal(a: Self::V) -> Self::V {
            // SAFETY: register only; the caller vouches for AVX-512.
            unsafe {
                // Fourteen bits, and a step of Newton for the rest: a third of the time of a division.
                let y = _mm512_rcp14_ps(a);
                let error = _mm512_fnmadd_ps(a, y, _mm512_set1_ps(1.0));
                _mm512_fmadd_ps(y, error, y)
            }
        }
        #[inline(always)]
        unsafe fn splat(x: f32) -> Self::V {
            // SAFETY: register only; the caller vouches for AVX-512.
            unsafe { _mm512_set1_ps(x) }
        }
        #[inline(always)]
        unsafe fn load(p: *const f32) -> Self::V {
            // SAFETY: sixteen values at `p`.
            unsafe { _mm512_loadu_ps(p) }
        }
        #[inline(always)]
        unsafe fn store(p: *mut f32, v: Self::V) {
            // SAFETY: sixteen values at `p`.
            unsafe { _mm512_storeu_ps(p, v) }
        }
        #[inline(always)]
        unsafe fn load_first(p: *const f32, n: usize) -> Self::V {
            // SAFETY: the mask reads exactly `n` values.
            unsafe { _mm512_maskz_loadu_ps(u16::MAX >> (16 - n), p) }
        }
        #[inline(always)]
        unsafe fn store_first(p: *mut f32, n: usize, v: Self::V) {
            // SAFETY: the mask writes exactly `n` values.
            unsafe { _mm512_mask_storeu_ps(p, u16::MAX >> (16 - n), v) }
        }
        #[inline(always)]
        unsafe fn sum(a: Self::V) -> f32 {
            // SAFETY: register only.
            unsafe { _mm512_reduce_add_ps(a) }
        }
        #[inline(always)]
        unsafe fn tile<T: Tile>(vectors: usize, t: T) {
            // SAFETY: passed on to the caller. 32 registers: accumulators and one row of B; A comes from memory.
            unsafe {
                match vectors {
                    1 => t.run::<Self, 16, 1>(),
                    2 => t.run::<Self, 12, 2>(),
                    _ => t.run::<Self, 8, 3>(),
                }
            }
        }
    }
}

#[cfg(target_arch = "aarch64")]
pub(crate) use arm::Neon;

#[cfg(target_arch = "aarch64")]
mod arm {
    use super::{Simd, Tile};
    use std::arch::aarch64::*;

    /// 128-bit registers, 32 of them; part of every 64-bit Arm processor.
    #[derive(Clone, Copy)]
    pub(crate) struct Neon;

    macro_rules! intrinsics {
        ($($name:ident($($arg:ident),*) = $body:expr;)*) => {$(
            #[inline(always)]
            unsafe fn $name($($arg: Self::V),*) -> Self::V {
                // SAFETY: register arithmetic; the caller vouches for the instruction set.
                unsafe { $body }
            }
        )*};
    }

    impl Simd for Neon {
        type V = float32x4_t;
        const LANES: usize = 4;
        const MAX_VECTORS: usize = 4;

        intrinsics! {
            mul_add(a, b, c) = vfmaq_f32(c, a, b);
            add(a, b) = vaddq_f32(a, b);
            sub(a, b) = vsubq_f32(a, b);
            mul(a, b) = vmulq_f32(a, b);
            div(a, b) = vdivq_f32(a, b);
            // Not `vmaxq`: of a number that is none, the other instruction sets give the second operand.
            max(a, b) = vbslq_f32(vcgtq_f32(a, b), a, b);
            min(a, b) = vbslq_f32(vcltq_f32(a, b), a, b);
            sqrt(a) = vsqrtq_f32(a);
            abs(a) = vabsq_f32(a);
            copysign(a, s) = vbslq_f32(vdupq_n_u32(1 << 31), s, a);
            round(a) = vrndnq_f32(a);
            scale_pow2(a, n) = {
                let exponent = vaddq_s32(vcvtnq_s32_f32(n), vdupq_n_s32(127));
                vmulq_f32(a, vreinterpretq_f32_s32(vshlq_n_s32::<23>(exponent)))
            };
            where_positive(gate, a) = vbslq_f32(vcgtzq_f32(gate), a, vdupq_n_f32(0.0));
            where_less(x, y, a, b) = vbslq_f32(vcltq_f32(x, y), a, b);
        }
        #[inline(always)]
        unsafe fn splat(x: f32) -> Self::V {
            // SAFETY: register only; every 64-bit Arm processor has NEON.
            unsafe { vdupq_n_f32(x) }
        }
        #[inline(always)]
        unsafe fn load(p: *const f32) -> Self::V {
            // SAFETY: four values at `p`.
            unsafe { vld1q_f32(p) }
        }
        #[inline(always)]
        unsafe fn store(p: *mut f32, v: Self::V) {
            // SAFETY: four values at `p`.
            unsafe { vst1q_f32(p, v) }
        }
        #[inline(always)]
        unsafe fn load_first(p: *const f32, n: usize) -> Self::V {
            let mut four = [0.0; 4];
            // SAFETY: `n < 4` values at `p`, four in the array.
            unsafe {
                std::ptr::copy_nonoverlapping(p, four.as_mut_ptr(), n.min(3));
                vld1q_f32(four.as_ptr())
            }
        }
        #[inline(always)]
        unsafe fn store_first(p: *mut f32, n: usize, v: Self::V) {
            let mut four = [0.0; 4];
            // SAFETY: four in the array, `n < 4` values at `p`.
            unsafe {
                vst1q_f32(four.as_mut_ptr(), v);
                std::ptr::copy_nonoverlapping(four.as_ptr(), p, n.min(3));
            }
        }
        #[inline(always)]
        unsafe fn sum(a: Self::V) -> f32 {
            // SAFETY: register only.
            unsafe { vaddvq_f32(a) }
        }
        #[inline(always)]
        unsafe fn tile<T: Tile>(vectors: usize, t: T) {
            // SAFETY: passed on to the caller. 32 registers: accumulators, one row of B and a value of A.
            unsafe {
                match vectors {
                    1 => t.run::<Self, 16, 1>(),
                    2 => t.run::<Self, 12, 2>(),
                    3 => t.run::<Self, 8, 3>(),
                    _ => t.run::<Self, 6, 4>(),
                }
            }
        }
    }
}
