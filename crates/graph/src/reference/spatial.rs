//! Pooling, enlarging, and joining or cutting channels.

use super::view::{Canvas, View, indices};
use crate::Resize;
use fovea_tensor::{Shape, Window};

type Operand<'a> = (Shape, &'a [f64]);

/// `(N, C, Ho, Wo)`.
pub(super) fn max_pool(x: Operand<'_>, window: Window, output: Shape) -> Vec<f64> {
    let x = View::new(x);
    let mut y = Canvas::zeros(output);
    for at in indices(y.dims) {
        *y.at(at) = x.at(winner(x, window, at));
    }
    y.data
}

/// `(N, C, H, W)`.
pub(super) fn max_pool_grad(x: Operand<'_>, dy: Operand<'_>, window: Window) -> Vec<f64> {
    let mut dx = Canvas::zeros(x.0);
    let (x, dy) = (View::new(x), View::new(dy));
    for at in indices(dy.dims) {
        *dx.at(winner(x, window, at)) += dy.at(at);
    }
    dx.data
}

/// The first largest pixel of a window in row order; a NaN counts as largest.
fn winner(x: View<'_>, Window { kernel, stride, padding }: Window, [n, c, i, j]: [usize; 4]) -> [usize; 4] {
    let rows = (i * stride).saturating_sub(padding)..(i * stride + kernel - padding).min(x.dims[2]);
    let columns = (j * stride).saturating_sub(padding)..(j * stride + kernel - padding).min(x.dims[3]);
    let mut best = [n, c, rows.start, columns.start];
    for p in rows {
        for q in columns.clone() {
            let v = x.at([n, c, p, q]);
            if v > x.at(best) || (v.is_nan() && !x.at(best).is_nan()) {
                best = [n, c, p, q];
            }
        }
    }
    best
}

/// `(N, C, fH, fW)`.
pub(super) fn upsample(x: Operand<'_>, mode: Resize, factor: usize, output: Shape) -> Vec<f64> {
    let x = View::new(x);
    let mut y = Canvas::zeros(output);
    for at @ [n, c, i, j] in indices(y.dims) {
        for (p, wp) in sources(mode, factor, x.dims[2], i) {
            for (q, wq) in sources(mode, factor, x.dims[3], j) {
                *y.at(at) += wp * wq * x.at([n, c, p, q]);
            }
        }
    }
    y.data
}

/// `(N, C, H, W)`.
pub(super) fn upsample_grad(dy: Operand<'_>, mode: Resize, factor: usize, output: Shape) -> Vec<f64> {
    let dy = View::new(dy);
    let mut dx = Canvas::zeros(output);
    let [_, _, h, w] = dx.dims;
    for at @ [n, c, i, j] in indices(dy.dims) {
        for (p, wp) in sources(mode, factor, h, i) {
            for (q, wq) in sources(mode, factor, w, j) {
                *dx.at([n, c, p, q]) += wp * wq * dy.at(at);
            }
        }
    }
    dx.data
}

/// The two pixels of one axis of length `extent` that output pixel `i` mixes, with their weights.
fn sources(mode: Resize, factor: usize, extent: usize, i: usize) -> [(usize, f64); 2] {
    let source = match mode {
        Resize::Nearest => (i / factor) as f64,
        Resize::Bilinear { align_corners: true } => {
            i as f64 * (extent - 1) as f64 / (extent * factor - 1) as f64
        }
        Resize::Bilinear { align_corners: false } => ((i as f64 + 0.5) / factor as f64 - 0.5).max(0.0),
    };
    let low = source.floor() as usize;
    let share = source - low as f64;
    [(low, 1.0 - share), ((low + 1).min(extent - 1), share)]
}

/// The shape `(N, Ca + Cb, H, W)` and the numbers.
pub(super) fn concat(a: Operand<'_>, b: Operand<'_>) -> (Shape, Vec<f64>) {
    let (a, b) = (View::new(a), View::new(b));
    let [n, ca, h, w] = a.dims;
    let output = Shape::new(&[n, ca + b.dims[1], h, w]).expect("its parts have valid shapes");
    let mut y = Canvas::zeros(output);
    for at @ [n, c, i, j] in indices(y.dims) {
        let from_a = c < ca;
        *y.at(at) = if from_a { a.at(at) } else { b.at([n, c - ca, i, j]) };
    }
    (output, y.data)
}

/// `(N, channels, H, W)`.
pub(super) fn slice_channels(x: Operand<'_>, start: usize, output: Shape) -> Vec<f64> {
    let x = View::new(x);
    let mut y = Canvas::zeros(output);
    for at @ [n, c, i, j] in indices(y.dims) {
        *y.at(at) = x.at([n, start + c, i, j]);
    }
    y.data
}
