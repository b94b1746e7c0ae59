//! Weights to the Winograd domain, and their gradients back from it.

use super::POINTS;
use super::lines::{Taps, Weight, square};
use super::product::Block;
use crate::kernels::share::Parts;
use crate::kernels::simd::{Simd, per_isa};
use rayon::prelude::*;

/// Kernels that are transformed side by side.
const SIDE: usize = 16;
/// Input channels of one task.
const INPUTS: usize = 16;

/// G g G^T of every kernel, `weight(output, input, tap)`, to `[36][block][input][output of the block]` with `plane` floats from point
/// to point.
pub(super) fn transform(
    blocks: &[Block],
    inputs: usize,
    weight: impl Fn(usize, usize, usize) -> f32 + Sync,
    plane: usize,
    to: &mut [f32],
) {
    let parts = Parts::new(to);
    let pieces = inputs.div_ceil(INPUTS);
    (0..blocks.len() * pieces).into_par_iter().for_each(|task| {
        let (first, count) = blocks[task / pieces];
        for input in (task % pieces * INPUTS..inputs).take(INPUTS) {
            let mut taps = [[0f32; SIDE]; 9];
            for (t, taps) in taps.iter_mut().enumerate() {
                for (lane, tap) in taps.iter_mut().enumerate().take(count) {
                    *tap = weight(first + lane, input, t);
                }
            }
            let mut points = [[0f32; SIDE]; POINTS];
            // SAFETY: both are arrays of the sizes that the kernel asks for.
            unsafe { kernels(&taps, &mut points) };
            for (p, point) in points.iter().enumerate() {
                let at = p * plane + first * inputs + input * count;
                // SAFETY: each task has its own (block, input) of every point.
                unsafe { parts.part(at..at + count) }.copy_from_slice(&point[..count]);
            }
        }
    });
}

per_isa! {
    /// Kernels side by side.
    ///
    /// # Safety
    /// None but the instruction set.
    unsafe fn kernels(taps: &[[f32; SIDE]; 9], points: &mut [[f32; SIDE]; POINTS]) = forward;
}

/// # Safety
/// Must be inlined into code compiled for `V`.
#[inline(always)]
unsafe fn forward<V: Simd>(taps: &[[f32; SIDE]; 9], points: &mut [[f32; SIDE]; POINTS]) {
    for lane in (0..SIDE).step_by(V::LANES) {
        // SAFETY: compiled for `V`; V::LANES floats from `lane` on lie inside of each array.
        unsafe {
            let mut kernel = [[V::splat(0.0); 3]; 3];
            for (tap, from) in kernel.as_flattened_mut().iter_mut().zip(taps) {
                *tap = V::load(from.as_ptr().add(lane));
            }
            let values = square::<Weight, V, 3, 6>(&kernel);
            for (value, to) in values.as_flattened().iter().zip(points.iter_mut()) {
                value.store(to.as_mut_ptr().add(lane));
            }
        }
    }
}

/// Sums of products of the weight gradient: `[36][row][column]`, columns in whole registers.
#[derive(Clone, Copy)]
pub(super) struct Sums {
    pub(super) rows: usize,
    /// Columns that count.
    pub(super) columns: usize,
    /// Floats from row to row.
    pub(super) pitch: usize,
    /// Floats from point to point.
    pub(super) plane: usize,
    /// Whether rows are outputs and columns inputs, or the other way round.
    pub(super) rows_are_outputs: bool,
}

/// A^T m A of every kernel, to `dw (outputs, inputs, 3, 3)`.
pub(super) fn inverse(s: Sums, m: &[f32], dw: &mut [f32]) {
    assert!((POINTS - 1) * s.plane + s.rows * s.pitch <= m.len() && dw.len() == s.rows * s.columns * 9);
    let parts = Parts::new(dw);
    (0..s.rows).into_par_iter().for_each(|row| {
        for column in (0..s.columns).step_by(SIDE) {
            let count = SIDE.min(s.columns - column);
            let (mut points, mut taps) = ([[0f32; SIDE]; POINTS], [[0f32; SIDE]; 9]);
            for (p, point) in points.iter_mut().enumerate() {
                point[..count].copy_from_slice(&m[p * s.plane + row * s.pitch + column..][..count]);
            }
            // SAFETY: both are arrays of the sizes that the kernel asks for.
            unsafe { gradients(&points, &mut taps) };
            for lane in 0..count {
                let at = if s.rows_are_outputs {
                    row * s.columns + column + lane
                } else {
                    (column + lane) * s.rows + row
                };
                // SAFETY: each (row, column) is one kernel, written by one task.
                for (d, tap) in unsafe { parts.part(9 * at..9 * at + 9) }.iter_mut().zip(&taps) {
                    *d = tap[lane];
                }
            }
        }
    });
}

per_isa! {
    /// Kernels side by side.
    ///
    /// # Safety
    /// None but the instruction set.
    unsafe fn gradients(points: &[[f32; SIDE]; POINTS], taps: &mut [[f32; SIDE]; 9]) = backward;
}

/// # Safety
/// Must be inlined into code compiled for `V`.
#[inline(always)]
unsafe fn backward<V: Simd>(points: &[[f32; SIDE]; POINTS], taps: &mut [[f32; SIDE]; 9]) {
    for lane in (0..SIDE).step_by(V::LANES) {
        // SAFETY: compiled for `V`; V::LANES floats from `lane` on lie inside of each array.
        unsafe {
            let mut values = [[V::splat(0.0); 6]; 6];
            for (value, from) in values.as_flattened_mut().iter_mut().zip(points) {
                *value = V::load(from.as_ptr().add(lane));
            }
            let kernel = square::<Taps, V, 6, 3>(&values);
            for (tap, to) in kernel.as_flattened().iter().zip(taps.iter_mut()) {
                tap.store(to.as_mut_ptr().add(lane));
            }
        }
    }
}
