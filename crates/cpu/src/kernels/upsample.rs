//! Upsampling by an integer factor, and its adjoint: one sparse matrix per axis, rows first.
//!
//! The factor 2 has kernels of its own; those here serve the others.

mod double;

use super::simd::vectorised;
use fovea_graph::Resize;
use rayon::prelude::*;

/// For each output position two input positions and the weight of the second.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Tap {
    low: usize,
    high: usize,
    /// Weight of `high`; that of `low` is one minus it.
    weight: f32,
}

/// The taps of an axis of `extent` pixels enlarged by `factor`.
fn axis(mode: Resize, extent: usize, factor: usize) -> Vec<Tap> {
    let last = extent - 1;
    let between = |source: f64| {
        let low = (source.floor() as usize).min(last);
        Tap { low, high: (low + 1).min(last), weight: (source - low as f64) as f32 }
    };
    let outputs = extent * factor;
    (0..outputs)
        .map(|o| match mode {
            Resize::Nearest => Tap { low: o / factor, high: o / factor, weight: 0.0 },
            Resize::Bilinear { align_corners: true } => {
                between(o as f64 * last as f64 / (outputs - 1) as f64)
            }
            Resize::Bilinear { align_corners: false } => {
                between(((o as f64 + 0.5) / factor as f64 - 0.5).max(0.0))
            }
        })
        .collect()
}

/// `planes` of (H, W) to (fH, fW).
pub(crate) fn forward(mode: Resize, factor: usize, [h, w]: [usize; 2], x: &[f32], y: &mut [f32]) {
    if factor == 2 {
        return double::forward(mode, [h, w], x, y);
    }
    let (rows, columns) = (axis(mode, h, factor), axis(mode, w, factor));
    let wide = w * factor;
    y.par_chunks_mut(h * w * factor * factor).zip(x.par_chunks(h * w)).for_each(|(y, x)| {
        let mut mixed = vec![0.0; w];
        for (tap, y) in rows.iter().zip(y.chunks_exact_mut(wide)) {
            mix(tap.weight, &x[tap.low * w..][..w], &x[tap.high * w..][..w], &mut mixed);
            for (y, tap) in y.iter_mut().zip(&columns) {
                *y = mixed[tap.low] + tap.weight * (mixed[tap.high] - mixed[tap.low]);
            }
        }
    });
}

/// Adjoint: every output row adds its share to two input rows, in order, after its columns were gathered likewise.
pub(crate) fn grad(mode: Resize, factor: usize, [h, w]: [usize; 2], dy: &[f32], dx: &mut [f32]) {
    if factor == 2 {
        return double::grad(mode, [h, w], dy, dx);
    }
    let (rows, columns) = (axis(mode, h, factor), axis(mode, w, factor));
    let wide = w * factor;
    dx.par_chunks_mut(h * w).zip(dy.par_chunks(h * w * factor * factor)).for_each(|(dx, dy)| {
        dx.fill(0.0);
        let mut narrow = vec![0.0; w];
        for (tap, dy) in rows.iter().zip(dy.chunks_exact(wide)) {
            narrow.fill(0.0);
            for (g, column) in dy.iter().zip(&columns) {
                let second = column.weight * g;
                narrow[column.low] += g - second;
                narrow[column.high] += second;
            }
            accumulate(1.0 - tap.weight, &narrow, &mut dx[tap.low * w..][..w]);
            accumulate(tap.weight, &narrow, &mut dx[tap.high * w..][..w]);
        }
    });
}

vectorised! {
    fn mix(weight: f32, low: &[f32], high: &[f32], to: &mut [f32]) {
        for (t, (l, h)) in to.iter_mut().zip(low.iter().zip(high)) { *t = l + weight * (h - l); }
    }
}

vectorised! {
    fn accumulate(factor: f32, from: &[f32], to: &mut [f32]) {
        for (t, f) in to.iter_mut().zip(from) { *t += factor * f; }
    }
}
