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
                let (above, below) = x[2 * row * w..(2 * row + 2) * w].split_at(w);
                let (to_above, to_below) = dx[2 * row * w..(2 * row + 2) * w].split_at_mut(w);
                halving_grad(above, below, dy, to_above, to_below);
            }
            return;
        }
        for (k, g) in dy.iter().enumerate() {
            dx[argmax(window, [h, w], [k / wo, k % wo], x)] += g;
        }
    });
}

super::simd::vectorised! {
    /// Without branches: a pixel gets the gradient when none of its window is larger and none before it as large.
    fn halving_grad(above: &[f32], below: &[f32], dy: &[f32], to_above: &mut [f32], to_below: &mut [f32]) {
        let pairs = above.as_chunks::<2>().0.iter().zip(below.as_chunks::<2>().0).zip(dy);
        let places = to_above.as_chunks_mut::<2>().0.iter_mut().zip(to_below.as_chunks_mut::<2>().0);
        for (((a, b), g), (ta, tb)) in pairs.zip(places) {
            let most = larger(larger(larger(a[0], a[1]), b[0]), b[1]);
            // A NaN passes its gradient on.
            let is = [a[0], a[1], b[0], b[1]].map(|v| (v >= most) | most.is_nan());
            ta[0] = if is[0] { *g } else { 0.0 };
            ta[1] = if is[1] & !is[0] { *g } else { 0.0 };
            tb[0] = if is[2] & !(is[0] | is[1]) { *g } else { 0.0 };
            tb[1] = if is[3] & !(is[0] | is[1] | is[2]) { *g } else { 0.0 };
        }
    }
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
