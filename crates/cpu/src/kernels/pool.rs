//! Max-pooling and its adjoint.

use super::activate::CHUNK as TASK;
use super::simd::{Simd, per_isa, registers};
use fovea_tensor::Window;
use rayon::prelude::*;

/// `planes` of (H, W) to (Ho, Wo).
pub(crate) fn forward(window: Window, [h, w]: [usize; 2], [ho, wo]: [usize; 2], x: &[f32], y: &mut [f32]) {
    let planes = y.par_chunks_mut(ho * wo).zip(x.par_chunks(h * w));
    planes.with_min_len(TASK.div_ceil(h * w)).for_each(|(y, x)| {
        if is_halving(window) {
            // SAFETY: the kernel asks for nothing but its instruction set.
            return unsafe { halve(w, x, y) };
        }
        for (k, y) in y.iter_mut().enumerate() {
            *y = x[argmax(window, [h, w], [k / wo, k % wo], x)];
        }
    });
}

/// The gradient of each output goes to the first largest pixel of its window.
pub(crate) fn grad(
    window: Window,
    [h, w]: [usize; 2],
    [ho, wo]: [usize; 2],
    x: &[f32],
    dy: &[f32],
    dx: &mut [f32],
) {
    let planes = x.par_chunks(h * w).zip(dy.par_chunks(ho * wo));
    dx.par_chunks_mut(h * w).zip(planes).with_min_len(TASK.div_ceil(h * w)).for_each(|(dx, (x, dy))| {
        if is_halving(window) {
            // SAFETY: the kernel asks for nothing but its instruction set.
            return unsafe { halve_grad(w, x, dy, dx) };
        }
        dx.fill(0.0);
        for (k, g) in dy.iter().enumerate() {
            dx[argmax(window, [h, w], [k / wo, k % wo], x)] += g;
        }
    });
}

per_isa! {
    /// Largest of each square of two by two pixels of one plane.
    unsafe fn halve(w: usize, x: &[f32], y: &mut [f32]) = halve_lanes;
}

/// # Safety
/// Must be inlined into code compiled for `V`.
#[inline(always)]
unsafe fn halve_lanes<V: Simd>(w: usize, x: &[f32], y: &mut [f32]) {
    let wo = w / 2;
    for (x, y) in x.chunks_exact(2 * w).zip(y.chunks_exact_mut(wo)) {
        registers!(V, wo, |at, live| {
            // SAFETY: compiled for `V`; `2 live` pixels from `2 at` on lie inside of both rows, half as many inside of the output's.
            unsafe {
                let above = V::load_two(x.as_ptr().add(2 * at), 2 * live);
                let below = V::load_two(x.as_ptr().add(w + 2 * at), 2 * live);
                let [even, odd] = above[0].larger(below[0]).unzip(above[1].larger(below[1]));
                even.larger(odd).store_first(y.as_mut_ptr().add(at), live);
            }
        });
    }
}

per_isa! {
    /// Adjoint of [`halve`], writing all of `dx`.
    unsafe fn halve_grad(w: usize, x: &[f32], dy: &[f32], dx: &mut [f32]) = halve_grad_lanes;
}

/// Without branches: a pixel takes the gradient that is left when it is not below the largest. Below a NaN is nothing, so the
/// first pixel of its window passes its gradient on.
///
/// # Safety
/// Must be inlined into code compiled for `V`.
#[inline(always)]
unsafe fn halve_grad_lanes<V: Simd>(w: usize, x: &[f32], dy: &[f32], dx: &mut [f32]) {
    let wo = w / 2;
    assert!(x.len() == dx.len());
    let pairs = x.chunks_exact(2 * w).zip(dy.chunks_exact(wo));
    let mut rows = dx.chunks_exact_mut(2 * w);
    for ((x, dy), dx) in pairs.zip(&mut rows) {
        registers!(V, wo, |at, live| {
            // SAFETY: compiled for `V`; `2 live` pixels from `2 at` on lie inside of both rows, half as many inside of the gradient's.
            unsafe {
                let above = V::load_two(x.as_ptr().add(2 * at), 2 * live);
                let below = V::load_two(x.as_ptr().add(w + 2 * at), 2 * live);
                let ([a, b], [c, d]) = (above[0].unzip(above[1]), below[0].unzip(below[1]));
                let (most, none) = (a.larger(b).larger(c.larger(d)), V::splat(0.0));
                let g = V::load_first(dy.as_ptr().add(at), live);
                let (first, rest) = (a.if_below(most, none, g), a.if_below(most, g, none));
                let (second, rest) = (b.if_below(most, none, rest), b.if_below(most, rest, none));
                let (third, rest) = (c.if_below(most, none, rest), c.if_below(most, rest, none));
                V::store_two(first.zip(second), dx.as_mut_ptr().add(2 * at), 2 * live);
                V::store_two(third.zip(rest), dx.as_mut_ptr().add(w + 2 * at), 2 * live);
            }
        });
        // A last odd column or row belongs to no window.
        dx[2 * wo..w].fill(0.0);
        dx[w + 2 * wo..].fill(0.0);
    }
    rows.into_remainder().fill(0.0);
}

fn is_halving(window: Window) -> bool {
    window == Window { kernel: 2, stride: 2, padding: 0 }
}

/// NaN wins, as in PyTorch, so that it is not hidden.
fn wins(candidate: f32, best: f32) -> bool {
    candidate > best || candidate.is_nan()
}

/// Index of the first largest pixel of a window.
fn argmax(window: Window, [h, w]: [usize; 2], [yo, xo]: [usize; 2], x: &[f32]) -> usize {
    let span = |o: usize, extent: usize| {
        let start = (o * window.stride) as isize - window.padding as isize;
        start.max(0) as usize..((start + window.kernel as isize) as usize).min(extent)
    };
    let columns = span(xo, w);
    let places = span(yo, h).flat_map(|y| columns.clone().map(move |c| y * w + c));
    places
        .reduce(|best, p| if wins(x[p], x[best]) { p } else { best })
        .expect("padding is smaller than the kernel")
}
