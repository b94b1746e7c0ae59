//! Weights to the Winograd domain, and their gradients back from it.

use super::lines::{Taps, Weight, square};
use super::{BLOCK, POINTS, plane};
use crate::kernels::share::Parts;
use crate::kernels::simd::{Simd, per_isa};
use rayon::prelude::*;

/// Transformed weights: `[36][output block][input][64 outputs]`, inputs in whole blocks.
#[derive(Clone, Copy)]
pub(super) struct Extents {
    pub(super) inputs: usize,
    pub(super) outputs: usize,
}

impl Extents {
    pub(super) fn input_blocks(&self) -> usize {
        self.inputs.div_ceil(BLOCK)
    }
    pub(super) fn output_blocks(&self) -> usize {
        self.outputs.div_ceil(BLOCK)
    }
    /// Floats per point of one block of outputs.
    pub(super) fn panel(&self) -> usize {
        self.input_blocks() * BLOCK * BLOCK
    }
    /// Floats from point to point.
    pub(super) fn plane(&self) -> usize {
        plane(self.output_blocks() * self.panel())
    }
}

/// G g G^T of every kernel, `weight(output, input, tap)`; zeros where there is no such channel.
pub(super) fn transform(e: Extents, weight: impl Fn(usize, usize, usize) -> f32 + Sync, to: &mut [f32]) {
    let parts = Parts::new(to);
    let inputs = e.input_blocks() * BLOCK;
    (0..e.output_blocks() * inputs).into_par_iter().for_each(|task| {
        let (block, input) = (task / inputs, task % inputs);
        let mut taps = [[0f32; BLOCK]; 9];
        for (t, taps) in taps.iter_mut().enumerate() {
            for (lane, tap) in taps.iter_mut().enumerate() {
                let output = block * BLOCK + lane;
                if input < e.inputs && output < e.outputs {
                    *tap = weight(output, input, t);
                }
            }
        }
        // SAFETY: each task has one (block, input) of every point.
        unsafe { kernels(&taps, &parts, e.plane(), task * BLOCK) };
    });
}

per_isa! {
    /// 64 kernels side by side.
    ///
    /// # Safety
    /// No other task may use the 64 floats at `start` of any plane.
    unsafe fn kernels(taps: &[[f32; BLOCK]; 9], to: &Parts<'_>, plane: usize, start: usize) = forward;
}

/// # Safety
/// As for [`kernels`], and must be inlined into code compiled for `V`.
#[inline(always)]
unsafe fn forward<V: Simd>(taps: &[[f32; BLOCK]; 9], to: &Parts<'_>, plane: usize, start: usize) {
    for lane in (0..BLOCK).step_by(V::LANES) {
        // SAFETY: compiled for `V`; V::LANES floats from `lane` on lie inside of 64; the parts are this task's alone.
        unsafe {
            let mut kernel = [[V::splat(0.0); 3]; 3];
            for (t, tap) in kernel.as_flattened_mut().iter_mut().enumerate() {
                *tap = V::load(taps[t].as_ptr().add(lane));
            }
            let points = square::<Weight, V, 3, 6>(&kernel);
            for (p, point) in points.as_flattened().iter().enumerate() {
                let at = p * plane + start + lane;
                point.store(to.part(at..at + V::LANES).as_mut_ptr());
            }
        }
    }
}

/// A^T m A of every kernel of `m`, `[36][input block][output][64 inputs]` with outputs in whole blocks, to
/// `dw (outputs, inputs, 3, 3)`.
pub(super) fn inverse(e: Extents, m: &[f32], plane: usize, dw: &mut [f32]) {
    let outputs = e.output_blocks() * BLOCK;
    assert!((POINTS - 1) * plane + e.input_blocks() * outputs * BLOCK <= m.len());
    dw.par_chunks_mut(e.inputs * 9).enumerate().for_each(|(output, dw)| {
        for (block, dw) in dw.chunks_mut(BLOCK * 9).enumerate() {
            let mut taps = [[0f32; BLOCK]; 9];
            // SAFETY: row `output` of a block of inputs lies inside of every plane, as asserted.
            unsafe { gradients(m, plane, (block * outputs + output) * BLOCK, &mut taps) };
            for (lane, dw) in dw.chunks_exact_mut(9).enumerate() {
                for (d, tap) in dw.iter_mut().zip(&taps) {
                    *d = tap[lane];
                }
            }
        }
    });
}

per_isa! {
    /// 64 kernels side by side.
    ///
    /// # Safety
    /// 64 floats at `start` of every plane must lie in `m`.
    unsafe fn gradients(m: &[f32], plane: usize, start: usize, taps: &mut [[f32; BLOCK]; 9]) = backward;
}

/// # Safety
/// As for [`gradients`], and must be inlined into code compiled for `V`.
#[inline(always)]
unsafe fn backward<V: Simd>(m: &[f32], plane: usize, start: usize, taps: &mut [[f32; BLOCK]; 9]) {
    for lane in (0..BLOCK).step_by(V::LANES) {
        // SAFETY: compiled for `V`; inside of `m` by the caller's promise, V::LANES floats from `lane` on lie inside of 64.
        unsafe {
            let mut points = [[V::splat(0.0); 6]; 6];
            for (p, point) in points.as_flattened_mut().iter_mut().enumerate() {
                *point = V::load(m.as_ptr().add(p * plane + start + lane));
            }
            let kernel = square::<Taps, V, 6, 3>(&points);
            for (t, tap) in kernel.as_flattened().iter().enumerate() {
                tap.store(taps[t].as_mut_ptr().add(lane));
            }
        }
    }
}
