//! Convolution and its two gradients: which kernel serves which geometry.

use super::correlate::{Correlation, Epilogue, correlate};
use super::im2col::{self, Gemm};
use super::outer::outer;
use super::planes::Planes;
use super::winograd;
use fovea_graph::Activation;
use fovea_tensor::{Shape, Window};

/// `y = activation(conv(x, w) + bias)`; shapes as in `Op::Conv2d`.
pub(crate) fn forward(
    window: Window,
    activation: Activation,
    inputs: &[&[f32]],
    [x, w, y]: [Shape; 3],
    out: &mut [f32],
) {
    let (xd, wd, yd) = (four(x), four(w), four(y));
    let epilogue = Epilogue { bias: inputs.get(2).copied(), activation };
    if window.stride != 1 {
        return im2col::forward(&gemm(window, xd, yd), inputs[0], inputs[1], epilogue, out);
    }
    let taps = window.kernel * window.kernel;
    let weights = inputs[1];
    let c = correlation(window, xd, yd);
    let weight = |o: usize, i: usize, t: usize| weights[(o * xd[1] + i) * taps + t];
    if same3(window) && winograd::suits(xd[1], wd[0], plane(yd)) {
        return winograd::correlate(&c, Planes::new(inputs[0], xd[1], plane(xd)), weight, epilogue, out);
    }
    correlate(&c, inputs[0], weight, epilogue, out);
}

/// `dx` from `w` and `dy`: for stride 1 the correlation of `dy` with the kernel turned by 180 degrees and its channels swapped.
pub(crate) fn grad_input(window: Window, w: &[f32], dy: &[f32], [ws, ys, xs]: [Shape; 3], dx: &mut [f32]) {
    let (wd, yd, xd) = (four(ws), four(ys), four(xs));
    if window.stride != 1 {
        return im2col::grad_input(&gemm(window, xd, yd), w, dy, dx);
    }
    let taps = window.kernel * window.kernel;
    let c = Correlation {
        images: xd[0],
        inputs: wd[0],
        outputs: wd[1],
        input: plane(yd),
        output: plane(xd),
        kernel: window.kernel,
        padding: window.kernel - 1 - window.padding,
    };
    let plain = Epilogue { bias: None, activation: Activation::Identity };
    let weight = |i: usize, o: usize, t: usize| w[(o * wd[1] + i) * taps + taps - 1 - t];
    if same3(window) && winograd::suits(wd[0], wd[1], plane(xd)) {
        return winograd::correlate(&c, Planes::new(dy, wd[0], plane(yd)), weight, plain, dx);
    }
    correlate(&c, dy, weight, plain, dx);
}

/// `dw` from `x` and `dy`.
pub(crate) fn grad_weight(window: Window, x: &[f32], dy: &[f32], [xs, ys]: [Shape; 2], dw: &mut [f32]) {
    let (xd, yd) = (four(xs), four(ys));
    if window.stride != 1 {
        return im2col::grad_weight(&gemm(window, xd, yd), x, dy, dw);
    }
    let o = correlation(window, xd, yd);
    if same3(window) && winograd::suits_grad_weight(xd[0], xd[1], yd[1], plane(yd)) {
        return winograd::grad_weight(&o, Planes::new(x, xd[1], plane(xd)), dy, dw);
    }
    outer(&o, x, dy, dw);
}

/// The correlation from `x` to `y` that a window of stride 1 makes.
fn correlation(window: Window, x: [usize; 4], y: [usize; 4]) -> Correlation {
    Correlation {
        images: x[0],
        inputs: x[1],
        outputs: y[1],
        input: plane(x),
        output: plane(y),
        kernel: window.kernel,
        padding: window.padding,
    }
}

/// The matrix product from `x` to `y` that a window of any stride makes.
fn gemm(window: Window, x: [usize; 4], y: [usize; 4]) -> Gemm {
    Gemm { window, inputs: x[1], outputs: y[1], input: plane(x), output: plane(y) }
}

/// The windows that the Winograd kernels are made for.
fn same3(window: Window) -> bool {
    window == Window::same(3)
}

fn four(shape: Shape) -> [usize; 4] {
    shape.nchw().expect("shape inference gives convolutions rank 4")
}

fn plane([_, _, h, w]: [usize; 4]) -> [usize; 2] {
    [h, w]
}
