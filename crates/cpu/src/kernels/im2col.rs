//! Convolutions with a stride above 1: one image at a time through an im2col matrix and `matrixmultiply`.
//!
//! Row `(input channel, tap)`, column output pixel. Strided convolutions are rare in a UNet, so this stays simple.

use super::correlate::Epilogue;
use super::math;
use super::planes::Planes;
use fovea_graph::Activation;
use fovea_tensor::Window;
use rayon::prelude::*;

/// Extents of one convolution.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gemm {
    pub(crate) window: Window,
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    pub(crate) input: [usize; 2],
    pub(crate) output: [usize; 2],
}

impl Gemm {
    fn rows(&self) -> usize {
        self.inputs * self.window.kernel * self.window.kernel
    }
    fn columns(&self) -> usize {
        self.output[0] * self.output[1]
    }
    fn pixels(&self) -> usize {
        self.input[0] * self.input[1]
    }

    /// Calls `f(matrix index, input channel, pixel)` for every tap that falls inside the image.
    fn each_tap(&self, mut f: impl FnMut(usize, usize, usize)) {
        let Window { kernel, stride, padding } = self.window;
        let ([h, w], [ho, wo]) = (self.input, self.output);
        for row in 0..self.rows() {
            let (c, i, j) = (row / (kernel * kernel), row / kernel % kernel, row % kernel);
            for yo in 0..ho {
                let y = (yo * stride + i).wrapping_sub(padding);
                for xo in 0..wo {
                    let x = (xo * stride + j).wrapping_sub(padding);
                    if y < h && x < w {
                        f(row * ho * wo + yo * wo + xo, c, y * w + x);
                    }
                }
            }
        }
    }

    fn matrix(&self, x: Planes<'_>, image: usize) -> Vec<f32> {
        let mut columns = vec![0.0; self.rows() * self.columns()];
        self.each_tap(|at, channel, pixel| columns[at] = x.plane(image, channel)[pixel]);
        columns
    }
}

pub(crate) fn forward(g: &Gemm, x: Planes<'_>, w: &[f32], epilogue: Epilogue<'_>, y: &mut [f32]) {
    y.par_chunks_mut(g.outputs * g.columns()).enumerate().for_each(|(image, y)| {
        let m = [g.outputs, g.rows(), g.columns()];
        matmul(m, (w, [g.rows(), 1]), (&g.matrix(x, image), [g.columns(), 1]), y);
        for (o, row) in y.chunks_mut(g.columns()).enumerate() {
            let bias = epilogue.bias.map_or(0.0, |b| b[o]);
            row.iter_mut().for_each(|v| *v = activate(epilogue.activation, *v + bias));
        }
    });
}

/// `w` begins with the weights of the first output channel and of `g`'s input channels; from one output channel to the next are
/// `stride` floats.
pub(crate) fn grad_input(g: &Gemm, w: &[f32], stride: usize, dy: &[f32], dx: &mut [f32]) {
    let images = dx.par_chunks_mut(g.inputs * g.pixels()).zip(dy.par_chunks(g.outputs * g.columns()));
    images.for_each(|(dx, dy)| {
        let mut columns = vec![0.0; g.rows() * g.columns()];
        let m = [g.rows(), g.outputs, g.columns()];
        matmul(m, (w, [1, stride]), (dy, [g.columns(), 1]), &mut columns);
        dx.fill(0.0);
        g.each_tap(|at, channel, pixel| dx[channel * g.pixels() + pixel] += columns[at]);
    });
}

pub(crate) fn grad_weight(g: &Gemm, x: Planes<'_>, dy: &[f32], dw: &mut [f32]) {
    let images: Vec<Vec<f32>> = dy
        .par_chunks(g.outputs * g.columns())
        .enumerate()
        .map(|(image, dy)| {
            let mut own = vec![0.0; g.outputs * g.rows()];
            let m = [g.outputs, g.columns(), g.rows()];
            matmul(m, (dy, [g.columns(), 1]), (&g.matrix(x, image), [1, g.columns()]), &mut own);
            own
        })
        .collect();
    dw.fill(0.0);
    for own in &images {
        dw.iter_mut().zip(own).for_each(|(d, v)| *d += v);
    }
}

/// `c (m x n) = a (m x k) b (k x n)` with `[row, column]` strides for the operands; `c` is contiguous.
pub(crate) fn matmul(
    [m, k, n]: [usize; 3],
    (a, [ar, ac]): (&[f32], [usize; 2]),
    (b, [br, bc]): (&[f32], [usize; 2]),
    c: &mut [f32],
) {
    assert!(
        a.len() > (m - 1) * ar + (k - 1) * ac && b.len() > (k - 1) * br + (n - 1) * bc && c.len() >= m * n
    );
    let s = |v: usize| v as isize;
    // SAFETY: the strides keep every operand inside its slice (asserted above); `c` is exclusive.
    unsafe {
        let (a, b, c) = (a.as_ptr(), b.as_ptr(), c.as_mut_ptr());
        matrixmultiply::sgemm(m, k, n, 1.0, a, s(ar), s(ac), b, s(br), s(bc), 0.0, c, s(n), 1);
    }
}

fn activate(activation: Activation, v: f32) -> f32 {
    match activation {
        Activation::Identity | Activation::Silu => v,
        Activation::Relu => {
            if v < 0.0 {
                0.0
            } else {
                v
            }
        }
        Activation::LeakyRelu { slope } => {
            if v < 0.0 {
                slope * v
            } else {
                v
            }
        }
        Activation::Sigmoid => math::sigmoid(v),
    }
}
