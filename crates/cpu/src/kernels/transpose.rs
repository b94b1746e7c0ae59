//! Transposed convolution with kernel 2 and stride 2: windows do not overlap, so each output pixel has one source and the
//! whole op is a matrix product, one image at a time.

use super::im2col::matmul;
use rayon::prelude::*;

/// Extents: `(N, inputs, H, W) -> (N, outputs, 2H, 2W)`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Transpose {
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    pub(crate) input: [usize; 2],
}

impl Transpose {
    fn pixels(&self) -> usize {
        self.input[0] * self.input[1]
    }

    /// Index in `(outputs, 2H, 2W)` of row `(output, tap)`, column pixel of the product.
    fn place(&self, row: usize, pixel: usize) -> usize {
        let ([h, w], (o, i, j)) = (self.input, (row / 4, row / 2 % 2, row % 2));
        (o * 2 * h + 2 * (pixel / w) + i) * 2 * w + 2 * (pixel % w) + j
    }

    /// `dy` of one image as `(outputs 4, H W)`.
    fn gather(&self, dy: &[f32]) -> Vec<f32> {
        let p = self.pixels();
        (0..self.outputs * 4 * p).map(|k| dy[self.place(k / p, k % p)]).collect()
    }
}

pub(crate) fn forward(t: &Transpose, x: &[f32], w: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
    let p = t.pixels();
    let rows = t.outputs * 4;
    y.par_chunks_mut(rows * p).zip(x.par_chunks(t.inputs * p)).for_each(|(y, x)| {
        let mut product = vec![0.0; rows * p];
        matmul([rows, t.inputs, p], (w, [1, rows]), (x, [p, 1]), &mut product);
        for (k, v) in product.into_iter().enumerate() {
            y[t.place(k / p, k % p)] = v + bias.map_or(0.0, |b| b[k / p / 4]);
        }
    });
}

pub(crate) fn grad_input(t: &Transpose, w: &[f32], dy: &[f32], dx: &mut [f32]) {
    let p = t.pixels();
    let rows = t.outputs * 4;
    dx.par_chunks_mut(t.inputs * p).zip(dy.par_chunks(rows * p)).for_each(|(dx, dy)| {
        matmul([t.inputs, rows, p], (w, [rows, 1]), (&t.gather(dy), [p, 1]), dx);
    });
}

pub(crate) fn grad_weight(t: &Transpose, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    let p = t.pixels();
    let rows = t.outputs * 4;
    let images: Vec<Vec<f32>> = x
        .par_chunks(t.inputs * p)
        .zip(dy.par_chunks(rows * p))
        .map(|(x, dy)| {
            let mut own = vec![0.0; t.inputs * rows];
            matmul([t.inputs, p, rows], (x, [p, 1]), (&t.gather(dy), [1, p]), &mut own);
            own
        })
        .collect();
    dw.fill(0.0);
    for own in &images {
        dw.iter_mut().zip(own).for_each(|(d, v)| *d += v);
    }
}
