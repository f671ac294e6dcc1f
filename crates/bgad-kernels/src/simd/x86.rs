//! AVX2 with FMA, and AVX-512.

use std::arch::is_x86_feature_detected as has;
use std::arch::x86_64::*;

use super::{Simd, Tile};

/// 256-bit registers, 16 of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Avx2(());

/// 512-bit registers, 32 of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Avx512(());

impl Avx2 {
    /// The token, if this machine has AVX2 and FMA. Nothing else makes one.
    pub(crate) fn detect() -> Option<Avx2> {
        (has!("avx2") && has!("fma")).then_some(Avx2(()))
    }
}

impl Avx512 {
    /// The token, if this machine has AVX-512 F, DQ, BW and VL, and AVX2 and FMA. Nothing else makes one.
    pub(crate) fn detect() -> Option<Avx512> {
        let has_all = has!("avx512f") && has!("avx512dq") && has!("avx512bw") && has!("avx512vl");
        (has_all && Avx2::detect().is_some()).then_some(Avx512(()))
    }
}

/// `-1` in the lanes below `n`.
///
/// # Safety
///
/// `n` must not be above 8.
#[inline(always)]
unsafe fn mask8(_proof: Avx2, n: usize) -> __m256i {
    const ONES_THEN_ZEROS: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
    debug_assert!(n <= 8);
    // SAFETY: eight values from index `8 - n` lie inside the sixteen; the token proves AVX2.
    unsafe { _mm256_loadu_si256(ONES_THEN_ZEROS.as_ptr().add(8 - n).cast()) }
}

macro_rules! arithmetic {
    ($($name:ident($($arg:ident: $type:ty),*) -> $result:ty = $body:expr;)*) => {$(
        #[inline(always)]
        fn $name(self, $($arg: $type),*) -> $result {
            // SAFETY: registers only, and the token proves the instruction set.
            unsafe { $body }
        }
    )*};
}

impl Simd for Avx2 {
    type V = __m256;
    const LANES: usize = 8;
    const MAX_VECTORS: usize = 2;

    arithmetic! {
        splat(x: f32) -> __m256 = _mm256_set1_ps(x);
        mul_add(a: __m256, b: __m256, c: __m256) -> __m256 = _mm256_fmadd_ps(a, b, c);
        add(a: __m256, b: __m256) -> __m256 = _mm256_add_ps(a, b);
        sub(a: __m256, b: __m256) -> __m256 = _mm256_sub_ps(a, b);
        mul(a: __m256, b: __m256) -> __m256 = _mm256_mul_ps(a, b);
        div(a: __m256, b: __m256) -> __m256 = _mm256_div_ps(a, b);
        max(a: __m256, b: __m256) -> __m256 = _mm256_max_ps(a, b);
        min(a: __m256, b: __m256) -> __m256 = _mm256_min_ps(a, b);
        sqrt(a: __m256) -> __m256 = _mm256_sqrt_ps(a);
        abs(a: __m256) -> __m256 = _mm256_andnot_ps(_mm256_set1_ps(-0.0), a);
        copysign(a: __m256, s: __m256) -> __m256 = {
            let sign = _mm256_set1_ps(-0.0);
            _mm256_or_ps(_mm256_andnot_ps(sign, a), _mm256_and_ps(sign, s))
        };
        round(a: __m256) -> __m256 = _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a);
        scale_pow2(a: __m256, n: __m256) -> __m256 = {
            let exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
            _mm256_mul_ps(a, _mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent)))
        };
        gated(gate: __m256, a: __m256) -> __m256 =
            _mm256_and_ps(_mm256_cmp_ps::<_CMP_NLE_UQ>(gate, _mm256_setzero_ps()), a);
        where_less(x: __m256, y: __m256, a: __m256, b: __m256) -> __m256 =
            _mm256_blendv_ps(b, a, _mm256_cmp_ps::<_CMP_LT_OQ>(x, y));
        sum(a: __m256) -> f32 = {
            let four = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
        };
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> __m256 {
        // SAFETY: eight values at `p`.
        unsafe { _mm256_loadu_ps(p) }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: __m256) {
        // SAFETY: eight values at `p`.
        unsafe { _mm256_storeu_ps(p, v) }
    }
    #[inline(always)]
    unsafe fn load_first(self, p: *const f32, n: usize) -> __m256 {
        // SAFETY: the mask reads exactly `n` values.
        unsafe { _mm256_maskload_ps(p, mask8(self, n)) }
    }
    #[inline(always)]
    unsafe fn store_first(self, p: *mut f32, n: usize, v: __m256) {
        // SAFETY: the mask writes exactly `n` values.
        unsafe { _mm256_maskstore_ps(p, mask8(self, n), v) }
    }
    #[inline(always)]
    fn tile<T: Tile>(self, vectors: usize, t: T) {
        // 16 registers: accumulators, one row of B, two values of A (a tile of 4 × 3 leaves room for one and runs at half
        // the speed).
        match vectors {
            1 => t.run::<Self, 8, 1>(self),
            _ => t.run::<Self, 6, 2>(self),
        }
    }
}

/// The first `n` of sixteen lanes.
#[inline(always)]
fn mask16(n: usize) -> u16 {
    debug_assert!(n < 16);
    ((1u32 << n) - 1) as u16
}

impl Simd for Avx512 {
    type V = __m512;
    const LANES: usize = 16;
    const MAX_VECTORS: usize = 3;

    arithmetic! {
        splat(x: f32) -> __m512 = _mm512_set1_ps(x);
        mul_add(a: __m512, b: __m512, c: __m512) -> __m512 = _mm512_fmadd_ps(a, b, c);
        add(a: __m512, b: __m512) -> __m512 = _mm512_add_ps(a, b);
        sub(a: __m512, b: __m512) -> __m512 = _mm512_sub_ps(a, b);
        mul(a: __m512, b: __m512) -> __m512 = _mm512_mul_ps(a, b);
        div(a: __m512, b: __m512) -> __m512 = _mm512_div_ps(a, b);
        max(a: __m512, b: __m512) -> __m512 = _mm512_max_ps(a, b);
        min(a: __m512, b: __m512) -> __m512 = _mm512_min_ps(a, b);
        // Fourteen bits, and a step of Newton for the rest: a third of the time of a division.
        reciprocal(a: __m512) -> __m512 = {
            let y = _mm512_rcp14_ps(a);
            let error = _mm512_fnmadd_ps(a, y, _mm512_set1_ps(1.0));
            _mm512_fmadd_ps(y, error, y)
        };
        sqrt(a: __m512) -> __m512 = _mm512_sqrt_ps(a);
        abs(a: __m512) -> __m512 = _mm512_abs_ps(a);
        copysign(a: __m512, s: __m512) -> __m512 = {
            let sign = _mm512_set1_ps(-0.0);
            _mm512_or_ps(_mm512_andnot_ps(sign, a), _mm512_and_ps(sign, s))
        };
        round(a: __m512) -> __m512 =
            _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a);
        scale_pow2(a: __m512, n: __m512) -> __m512 = _mm512_scalef_ps(a, n);
        gated(gate: __m512, a: __m512) -> __m512 =
            _mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_NLE_UQ>(gate, _mm512_setzero_ps()), a);
        where_less(x: __m512, y: __m512, a: __m512, b: __m512) -> __m512 =
            _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_LT_OQ>(x, y), b, a);
        sum(a: __m512) -> f32 = _mm512_reduce_add_ps(a);
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> __m512 {
        // SAFETY: sixteen values at `p`.
        unsafe { _mm512_loadu_ps(p) }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: __m512) {
        // SAFETY: sixteen values at `p`.
        unsafe { _mm512_storeu_ps(p, v) }
    }
    #[inline(always)]
    unsafe fn load_first(self, p: *const f32, n: usize) -> __m512 {
        // SAFETY: the mask reads exactly `n` values.
        unsafe { _mm512_maskz_loadu_ps(mask16(n), p) }
    }
    #[inline(always)]
    unsafe fn store_first(self, p: *mut f32, n: usize, v: __m512) {
        // SAFETY: the mask writes exactly `n` values.
        unsafe { _mm512_mask_storeu_ps(p, mask16(n), v) }
    }
    #[inline(always)]
    fn tile<T: Tile>(self, vectors: usize, t: T) {
        // 32 registers: accumulators and one row of B; A comes from memory.
        match vectors {
            1 => t.run::<Self, 16, 1>(self),
            2 => t.run::<Self, 12, 2>(self),
            _ => t.run::<Self, 8, 3>(self),
        }
    }
}
