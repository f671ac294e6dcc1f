//! NEON. It is part of every 64-bit Arm processor: its token needs no detection.

use std::arch::aarch64::*;

use super::{Simd, Tile};

/// 128-bit registers, 32 of them; part of every 64-bit Arm processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Neon;

macro_rules! arithmetic {
    ($($name:ident($($arg:ident),*) = $body:expr;)*) => {$(
        #[inline(always)]
        fn $name(self, $($arg: Self::V),*) -> Self::V {
            // SAFETY: registers only, and every 64-bit Arm processor has NEON.
            unsafe { $body }
        }
    )*};
}

impl Simd for Neon {
    type V = float32x4_t;
    const LANES: usize = 4;
    const MAX_VECTORS: usize = 4;

    arithmetic! {
        mul_add(a, b, c) = vfmaq_f32(c, a, b);
        add(a, b) = vaddq_f32(a, b);
        sub(a, b) = vsubq_f32(a, b);
        mul(a, b) = vmulq_f32(a, b);
        div(a, b) = vdivq_f32(a, b);
        // Not `vmaxq`: where an operand is NaN, the other instruction sets give the second one.
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
        gated(gate, a) = vbslq_f32(vclezq_f32(gate), vdupq_n_f32(0.0), a);
        where_less(x, y, a, b) = vbslq_f32(vcltq_f32(x, y), a, b);
    }
    #[inline(always)]
    fn splat(self, x: f32) -> Self::V {
        // SAFETY: registers only, and every 64-bit Arm processor has NEON.
        unsafe { vdupq_n_f32(x) }
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> Self::V {
        // SAFETY: four values at `p`.
        unsafe { vld1q_f32(p) }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: Self::V) {
        // SAFETY: four values at `p`.
        unsafe { vst1q_f32(p, v) }
    }
    #[inline(always)]
    unsafe fn load_first(self, p: *const f32, n: usize) -> Self::V {
        let mut four = [0.0; 4];
        // SAFETY: `n < 4` values at `p`, four in the array.
        unsafe {
            std::ptr::copy_nonoverlapping(p, four.as_mut_ptr(), n.min(3));
            vld1q_f32(four.as_ptr())
        }
    }
    #[inline(always)]
    unsafe fn store_first(self, p: *mut f32, n: usize, v: Self::V) {
        let mut four = [0.0; 4];
        // SAFETY: four in the array, `n < 4` values at `p`.
        unsafe {
            vst1q_f32(four.as_mut_ptr(), v);
            std::ptr::copy_nonoverlapping(four.as_ptr(), p, n.min(3));
        }
    }
    #[inline(always)]
    fn sum(self, a: Self::V) -> f32 {
        // SAFETY: registers only, and every 64-bit Arm processor has NEON.
        unsafe { vaddvq_f32(a) }
    }
    #[inline(always)]
    fn tile<T: Tile>(self, vectors: usize, t: T) {
        // 32 registers: accumulators, one row of B and a value of A.
        match vectors {
            1 => t.run::<Self, 16, 1>(self),
            2 => t.run::<Self, 12, 2>(self),
            3 => t.run::<Self, 8, 3>(self),
            _ => t.run::<Self, 6, 4>(self),
        }
    }
}
