//! Max-pooling and its adjoint.

use fovea_tensor::Window;
use rayon::prelude::*;

/// `planes` of (H, W) to (Ho, Wo).
pub(crate) fn forward(window: Window, [h, w]: [usize; 2], [ho, wo]: [usize; 2], x: &[f32], y: &mut [f32]) {
    y.par_chunks_mut(ho * wo).zip(x.par_chunks(h * w)).for_each(|(y, x)| {
        if is_halving(window) {
            for (row, y) in y.chunks_exact_mut(wo).enumerate() {
                let (a, b) = (&x[2 * row * w..][..2 * wo], &x[(2 * row + 1) * w..][..2 * wo]);
                for ((y, a), b) in y.iter_mut().zip(a.chunks_exact(2)).zip(b.chunks_exact(2)) {
                    *y = larger(larger(larger(a[0], a[1]), b[0]), b[1]);
                }
            }
            return;
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
    dx.par_chunks_mut(h * w).zip(planes).for_each(|(dx, (x, dy))| {
        dx.fill(0.0);
        if is_halving(window) {
            for (row, dy) in dy.chunks_exact(wo).enumerate() {
                let top = 2 * row * w;
                for (col, g) in dy.iter().enumerate() {
                    let at = top + 2 * col;
                    let places = [at, at + 1, at + w, at + w + 1];
                    let mut best = places[0];
                    for p in &places[1..] {
                        best = if wins(x[*p], x[best]) { *p } else { best };
                    }
                    dx[best] = *g;
                }
            }
            return;
        }
        for (k, g) in dy.iter().enumerate() {
            dx[argmax(window, [h, w], [k / wo, k % wo], x)] += g;
        }
    });
}

fn is_halving(window: Window) -> bool {
    window == Window { kernel: 2, stride: 2, padding: 0 }
}

/// NaN wins, as in PyTorch, so that it is not hidden.
#[inline(always)]
fn wins(candidate: f32, best: f32) -> bool {
    candidate > best || candidate.is_nan()
}

#[inline(always)]
fn larger(best: f32, candidate: f32) -> f32 {
    if wins(candidate, best) { candidate } else { best }
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
