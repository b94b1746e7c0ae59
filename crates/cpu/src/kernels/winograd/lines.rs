//! The one-dimensional transforms of F(4, 3) and F(3, 4), each applied to the rows and columns of a square by [`square`].
//!
//! Both algorithms interpolate at 0, a, -a, b, -b and infinity (Lavin and Gray, CVPR 2016, section 5.1 with the construction of
//! Winograd, "Arithmetic complexity of computations", 1980), so they share the transform of the input. The paper's points, a = 1
//! and b = 2, give constants from 1/24 to 8; a = sqrt(1/2), b = sqrt(2) give constants within a factor of 8 of one
//! another and, measured over 128 input channels of normal numbers, a largest error of 6 u sum |x||w| in place of 25
//! (direct summation: 4; u = 2^-24), for the same number of operations.

use crate::kernels::simd::Simd;
use std::f32::consts::{FRAC_1_SQRT_2, SQRT_2};

const A: f32 = FRAC_1_SQRT_2;
const A2: f32 = 0.5;
const A3: f32 = 0.5 * FRAC_1_SQRT_2;
const B: f32 = SQRT_2;
const B2: f32 = 2.0;
const B3: f32 = 2.0 * SQRT_2;
/// `1 / (2 a^2 (a^2 - b^2))`, the factor of the filter's values at a and -a.
const NA: f32 = -2.0 / 3.0;
/// `1 / (2 b^2 (b^2 - a^2))`, the factor of the filter's values at b and -b.
const NB: f32 = 1.0 / 6.0;

/// A linear map of `I` numbers to `O` numbers.
pub(super) trait Line<const I: usize, const O: usize> {
    /// # Safety
    /// Must be inlined into code compiled for `V`.
    unsafe fn apply<V: Simd>(from: [V; I]) -> [V; O];
}

/// Applies a map to the columns, then to the rows of a square.
///
/// # Safety
/// Must be inlined into code compiled for `V`.
#[inline(always)]
pub(super) unsafe fn square<L: Line<I, O>, V: Simd, const I: usize, const O: usize>(
    from: &[[V; I]; I],
) -> [[V; O]; O] {
    // SAFETY: inlined into code compiled for `V`, as this function is.
    unsafe {
        let mut half = [[V::splat(0.0); I]; O];
        for column in 0..I {
            let mut values = [V::splat(0.0); I];
            for row in 0..I {
                values[row] = from[row][column];
            }
            let values = L::apply(values);
            for row in 0..O {
                half[row][column] = values[row];
            }
        }
        let mut to = [[V::splat(0.0); O]; O];
        for row in 0..O {
            to[row] = L::apply(half[row]);
        }
        to
    }
}

/// `c x + y`.
///
/// # Safety
/// Must be inlined into code compiled for `V`.
#[inline(always)]
unsafe fn fma<V: Simd>(c: f32, x: V, y: V) -> V {
    // SAFETY: as for this function.
    unsafe { x.mul_add(V::splat(c), y) }
}

/// B^T: six neighbouring inputs.
pub(super) struct Input;

impl Line<6, 6> for Input {
    #[inline(always)]
    unsafe fn apply<V: Simd>([d0, d1, d2, d3, d4, d5]: [V; 6]) -> [V; 6] {
        // SAFETY: inlined into code compiled for `V` by the trait's contract.
        unsafe {
            let (even, odd) = (fma(-B2, d2, d4), fma(-B2, d1, d3));
            let (even2, odd2) = (fma(-A2, d2, d4), fma(-A2, d1, d3));
            // a^2 b^2 = 1.
            let first = fma(-A2 - B2, d2, fma(1.0, d0, d4));
            let last = fma(-A2 - B2, d3, fma(1.0, d1, d5));
            [first, fma(A, odd, even), fma(-A, odd, even), fma(B, odd2, even2), fma(-B, odd2, even2), last]
        }
    }
}

/// G of F(4, 3): three weights.
pub(super) struct Weight;

impl Line<3, 6> for Weight {
    #[inline(always)]
    unsafe fn apply<V: Simd>([g0, g1, g2]: [V; 3]) -> [V; 6] {
        // SAFETY: inlined into code compiled for `V` by the trait's contract.
        unsafe { values([g0, g1, g2, V::splat(0.0)], g2) }
    }
}

/// G of F(3, 4): four neighbouring output gradients.
pub(super) struct Gradient;

impl Line<4, 6> for Gradient {
    #[inline(always)]
    unsafe fn apply<V: Simd>(g: [V; 4]) -> [V; 6] {
        // SAFETY: inlined into code compiled for `V` by the trait's contract.
        unsafe { values(g, g[3]) }
    }
}

/// Values of the polynomial g at the five finite points, scaled, and its leading coefficient.
///
/// # Safety
/// Must be inlined into code compiled for `V`.
#[inline(always)]
unsafe fn values<V: Simd>([g0, g1, g2, g3]: [V; 4], leading: V) -> [V; 6] {
    // SAFETY: as for this function.
    unsafe {
        let zero = V::splat(0.0);
        let (even, odd) = (fma(NA, fma(A2, g2, g0), zero), fma(A2, g3, g1));
        let (even2, odd2) = (fma(NB, fma(B2, g2, g0), zero), fma(B2, g3, g1));
        [
            g0,
            fma(NA * A, odd, even),
            fma(-NA * A, odd, even),
            fma(NB * B, odd2, even2),
            fma(-NB * B, odd2, even2),
            leading,
        ]
    }
}

/// A^T of F(4, 3): four neighbouring outputs.
pub(super) struct Output;

impl Line<6, 4> for Output {
    #[inline(always)]
    unsafe fn apply<V: Simd>(m: [V; 6]) -> [V; 4] {
        // SAFETY: inlined into code compiled for `V` by the trait's contract.
        unsafe {
            let ([sum, sum2], [difference, difference2]) = pairs(m);
            let zero = V::splat(0.0);
            [
                fma(1.0, m[0], fma(1.0, sum, sum2)),
                fma(A, difference, fma(B, difference2, zero)),
                fma(A2, sum, fma(B2, sum2, zero)),
                fma(A3, difference, fma(B3, difference2, m[5])),
            ]
        }
    }
}

/// A^T of F(3, 4): the three taps of a weight gradient.
pub(super) struct Taps;

impl Line<6, 3> for Taps {
    #[inline(always)]
    unsafe fn apply<V: Simd>(m: [V; 6]) -> [V; 3] {
        // SAFETY: inlined into code compiled for `V` by the trait's contract.
        unsafe {
            let ([sum, sum2], [difference, difference2]) = pairs(m);
            [
                fma(1.0, m[0], fma(1.0, sum, sum2)),
                fma(A, difference, fma(B, difference2, V::splat(0.0))),
                fma(A2, sum, fma(B2, sum2, m[5])),
            ]
        }
    }
}

/// Sums and differences of the values at a and -a, and at b and -b.
///
/// # Safety
/// Must be inlined into code compiled for `V`.
#[inline(always)]
unsafe fn pairs<V: Simd>(m: [V; 6]) -> ([V; 2], [V; 2]) {
    // SAFETY: as for this function.
    unsafe { ([fma(1.0, m[1], m[2]), fma(1.0, m[3], m[4])], [fma(-1.0, m[2], m[1]), fma(-1.0, m[4], m[3])]) }
}
