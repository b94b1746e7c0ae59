//! Convolutions and the sum that is a bias's adjoint.
//!
//! All three forms of a convolution run over the same quadruples (output pixel, channel in, channel out, tap);
//! they differ only in which of the three arrays is written.

use super::view::{Canvas, View, indices};
use crate::Channels;
use fovea_tensor::{Shape, Window};

type Operand<'a> = (Shape, &'a [f64]);

/// `(N, Cout, Ho, Wo)` before the activation.
pub(super) fn conv2d(
    x: Operand<'_>,
    w: Operand<'_>,
    bias: Option<&[f64]>,
    window: Window,
    output: Shape,
) -> Vec<f64> {
    let (x, w) = (View::new(x), View::new(w));
    let mut y = Canvas::zeros(output);
    for at @ [n, o, i, j] in indices(y.dims) {
        let mut sum = bias.map_or(0.0, |b| b[o]);
        for [c, p, q, ky, kx] in taps(x.dims, window, [i, j]) {
            sum += x.at([n, c, p, q]) * w.at([o, c, ky, kx]);
        }
        *y.at(at) = sum;
    }
    y.data
}

/// `(N, count, H, W)`.
pub(super) fn conv2d_grad_input(
    w: Operand<'_>,
    dy: Operand<'_>,
    window: Window,
    channels: Channels,
    output: Shape,
) -> Vec<f64> {
    let (w, dy) = (View::new(w), View::new(dy));
    let mut dx = Canvas::zeros(output);
    for at @ [n, o, i, j] in indices(dy.dims) {
        for [c, p, q, ky, kx] in taps(dx.dims, window, [i, j]) {
            *dx.at([n, c, p, q]) += dy.at(at) * w.at([o, channels.start + c, ky, kx]);
        }
    }
    dx.data
}

/// `(Cout, Cin, K, K)`.
pub(super) fn conv2d_grad_weight(x: Operand<'_>, dy: Operand<'_>, window: Window, output: Shape) -> Vec<f64> {
    let (x, dy) = (View::new(x), View::new(dy));
    let mut dw = Canvas::zeros(output);
    for at @ [n, o, i, j] in indices(dy.dims) {
        for [c, p, q, ky, kx] in taps(x.dims, window, [i, j]) {
            *dw.at([o, c, ky, kx]) += dy.at(at) * x.at([n, c, p, q]);
        }
    }
    dw.data
}

/// `(C)`.
pub(super) fn sum_channels(x: Operand<'_>) -> Vec<f64> {
    let x = View::new(x);
    let mut sums = vec![0.0; x.dims[1]];
    for at in indices(x.dims) {
        sums[at[1]] += x.at(at);
    }
    sums
}

/// `(N, Cout, 2H, 2W)`.
pub(super) fn transpose(x: Operand<'_>, w: Operand<'_>, bias: Option<&[f64]>, output: Shape) -> Vec<f64> {
    let (x, w) = (View::new(x), View::new(w));
    let mut y = Canvas::zeros(output);
    for at @ [n, o, i, j] in indices(y.dims) {
        *y.at(at) = bias.map_or(0.0, |b| b[o]);
        for c in 0..x.dims[1] {
            *y.at(at) += x.at([n, c, i / 2, j / 2]) * w.at([c, o, i % 2, j % 2]);
        }
    }
    y.data
}

/// `(N, Cin, H, W)`.
pub(super) fn transpose_grad_input(w: Operand<'_>, dy: Operand<'_>, output: Shape) -> Vec<f64> {
    let (w, dy) = (View::new(w), View::new(dy));
    let mut dx = Canvas::zeros(output);
    for at @ [n, o, i, j] in indices(dy.dims) {
        for c in 0..w.dims[0] {
            *dx.at([n, c, i / 2, j / 2]) += dy.at(at) * w.at([c, o, i % 2, j % 2]);
        }
    }
    dx.data
}

/// `(Cin, Cout, 2, 2)`.
pub(super) fn transpose_grad_weight(x: Operand<'_>, dy: Operand<'_>, output: Shape) -> Vec<f64> {
    let (x, dy) = (View::new(x), View::new(dy));
    let mut dw = Canvas::zeros(output);
    for at @ [n, o, i, j] in indices(dy.dims) {
        for c in 0..x.dims[1] {
            *dw.at([c, o, i % 2, j % 2]) += dy.at(at) * x.at([n, c, i / 2, j / 2]);
        }
    }
    dw.data
}

/// The taps of one output pixel that fall inside the input, as `[channel, row, column, kernel row, kernel column]`.
fn taps(
    [_, channels, h, w]: [usize; 4],
    Window { kernel, stride, padding }: Window,
    [i, j]: [usize; 2],
) -> impl Iterator<Item = [usize; 5]> {
    indices([1, channels, kernel, kernel]).filter_map(move |[_, c, ky, kx]| {
        let p = (i * stride + ky).checked_sub(padding).filter(|&p| p < h)?;
        let q = (j * stride + kx).checked_sub(padding).filter(|&q| q < w)?;
        Some([c, p, q, ky, kx])
    })
}
