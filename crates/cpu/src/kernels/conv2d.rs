//! Convolution and its two gradients: which kernel serves which geometry.

use super::correlate::{Correlation, Epilogue, correlate};
use super::im2col::{self, Gemm};
use super::outer::outer;
use super::planes::Planes;
use super::winograd;
use fovea_graph::{Activation, Channels};
use fovea_tensor::Window;

/// `y = activation(conv(x, w) + bias)`; `y` has shape `ys`, the rest is as in `Op::Conv2d` or `Op::Conv2dPair`.
pub(crate) fn forward(
    window: Window,
    x: Planes<'_>,
    w: &[f32],
    epilogue: Epilogue<'_>,
    ys: [usize; 4],
    y: &mut [f32],
) {
    let c = correlation(window, x, ys);
    if window.stride != 1 {
        return im2col::forward(&gemm(window, &c), x, w, epilogue, y);
    }
    let taps = window.kernel * window.kernel;
    let weight = |o: usize, i: usize, t: usize| w[(o * c.inputs + i) * taps + t];
    if same3(window) && winograd::suits(c.inputs, c.outputs, c.output) {
        return winograd::correlate(&c, x, weight, epilogue, y);
    }
    correlate(&c, x, weight, epilogue, y);
}

/// `dx` of some `channels` of an x of extent `input`, from `w` and `dy` with their shapes: for stride 1 the correlation of
/// `dy` with the kernel turned by 180 degrees and its channels swapped.
pub(crate) fn grad_input(
    window: Window,
    input: [usize; 2],
    channels: Channels,
    (ws, w): ([usize; 4], &[f32]),
    (ys, dy): ([usize; 4], &[f32]),
    dx: &mut [f32],
) {
    let [outputs, all, kernel, _] = ws;
    let [images, _, height, width] = ys;
    let taps = kernel * kernel;
    if window.stride != 1 {
        let g = Gemm { window, inputs: channels.count, outputs, input, output: [height, width] };
        return im2col::grad_input(&g, &w[channels.start * taps..], all * taps, dy, dx);
    }
    let c = Correlation {
        images,
        inputs: outputs,
        outputs: channels.count,
        input: [height, width],
        output: input,
        kernel,
        padding: kernel - 1 - window.padding,
    };
    let dy = Planes::new(dy, outputs, [height, width]);
    let plain = Epilogue { bias: None, activation: Activation::Identity };
    let weight = |i: usize, o: usize, t: usize| w[(o * all + channels.start + i) * taps + taps - 1 - t];
    if same3(window) && winograd::suits(c.inputs, c.outputs, c.output) {
        return winograd::correlate(&c, dy, weight, plain, dx);
    }
    correlate(&c, dy, weight, plain, dx);
}

/// `dw` from `x` and `dy`, which has shape `ys`.
pub(crate) fn grad_weight(window: Window, x: Planes<'_>, ys: [usize; 4], dy: &[f32], dw: &mut [f32]) {
    let c = correlation(window, x, ys);
    if window.stride != 1 {
        return im2col::grad_weight(&gemm(window, &c), x, dy, dw);
    }
    if same3(window) && winograd::suits_grad_weight(c.images, c.inputs, c.outputs, c.output) {
        return winograd::grad_weight(&c, x, dy, dw);
    }
    outer(&c, x, dy, dw);
}

/// The correlation from `x` to `y` that a window makes, but for its stride.
fn correlation(window: Window, x: Planes<'_>, [images, outputs, height, width]: [usize; 4]) -> Correlation {
    Correlation {
        images,
        inputs: x.channels(),
        outputs,
        input: x.extent,
        output: [height, width],
        kernel: window.kernel,
        padding: window.padding,
    }
}

/// The matrix product in place of a correlation whose window has a stride.
fn gemm(window: Window, c: &Correlation) -> Gemm {
    Gemm { window, inputs: c.inputs, outputs: c.outputs, input: c.input, output: c.output }
}

/// The windows that the Winograd kernels are made for.
fn same3(window: Window) -> bool {
    window == Window::same(3)
}
