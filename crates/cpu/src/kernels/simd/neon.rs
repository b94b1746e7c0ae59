//! Registers of NEON, four lanes each.

use super::{Simd, methods};
use std::arch::aarch64::*;

// SAFETY: NEON belongs to every 64-bit Arm processor; unaligned loads and stores of 4 floats.
unsafe impl Simd for float32x4_t {
    const LANES: usize = 4;
    const REGISTERS: usize = 32;
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        // SAFETY: NEON belongs to the target.
        unsafe { vdupq_n_f32(x) }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: by the trait's contract the pointer is valid for 4 floats.
        unsafe { vld1q_f32(from) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: by the trait's contract the pointer is valid for 4 floats.
        unsafe { vst1q_f32(to, self) }
    }
    methods! {
        fn add(self, other) -> Self = vaddq_f32(self, other);
        fn sub(self, other) -> Self = vsubq_f32(self, other);
        fn mul(self, other) -> Self = vmulq_f32(self, other);
        fn div(self, other) -> Self = vdivq_f32(self, other);
        fn mul_add(self, a, b) -> Self = vfmaq_f32(b, self, a);
        // The instructions give NaN when one of their operands is NaN.
        fn at_least(self, low) -> Self = vmaxq_f32(self, low);
        fn at_most(self, high) -> Self = vminq_f32(self, high);
        fn larger(self, other) -> Self = vmaxq_f32(self, other);
        fn if_below(self, other, yes, no) -> Self = vbslq_f32(vcltq_f32(self, other), yes, no);
        fn to_exponent(self) -> Self = vreinterpretq_f32_u32(vshlq_n_u32::<23>(vreinterpretq_u32_f32(self)));
        fn zip(self, other) -> [Self; 2] = [vzip1q_f32(self, other), vzip2q_f32(self, other)];
        fn unzip(self, other) -> [Self; 2] = [vuzp1q_f32(self, other), vuzp2q_f32(self, other)];
        fn sum(self) -> f32 = vaddvq_f32(self);
        fn up(self, before) -> Self = vextq_f32::<3>(before, self);
        fn down(self, after) -> Self = vextq_f32::<1>(self, after);
    }
    #[inline(always)]
    unsafe fn transpose(from: *const f32, from_row: usize, to: *mut f32, to_row: usize) {
        // SAFETY: NEON belongs to the target and rows of 4 floats are valid by the trait's contract.
        unsafe {
            let [a, b, c, d] = [0, 1, 2, 3].map(|i| vld1q_f32(from.add(i * from_row)));
            // Columns 0 and 1, then 2 and 3, of every second row.
            let ([ac, ac2], [bd, bd2]) = (a.zip(c), b.zip(d));
            for (j, columns) in [ac.zip(bd), ac2.zip(bd2)].into_iter().enumerate() {
                vst1q_f32(to.add(2 * j * to_row), columns[0]);
                vst1q_f32(to.add((2 * j + 1) * to_row), columns[1]);
            }
        }
    }
    #[inline(always)]
    unsafe fn load_phases(from: *const f32) -> [Self; 4] {
        // SAFETY: NEON belongs to the target and 16 floats are valid by the trait's contract.
        let float32x4x4_t(a, b, c, d) = unsafe { vld4q_f32(from) };
        [a, b, c, d]
    }
    #[inline(always)]
    unsafe fn keep(self, lanes: usize) -> Self {
        static MASKS: [u32; 8] = [!0, !0, !0, !0, 0, 0, 0, 0];
        // SAFETY: NEON belongs to the target; four masks from at most the fifth on.
        unsafe {
            let mask = vld1q_u32(MASKS.as_ptr().add(4 - lanes.min(4)));
            vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(self), mask))
        }
    }
    #[inline(always)]
    unsafe fn store_phases([a, b, c, d]: [Self; 4], to: *mut f32) {
        // SAFETY: NEON belongs to the target and 16 floats are valid by the trait's contract.
        unsafe { vst4q_f32(to, float32x4x4_t(a, b, c, d)) }
    }
}
