//! Indexing of `(N, C, H, W)` numbers for the reference loops.

use fovea_tensor::Shape;

/// Numbers of an image batch or of a weight, by four indices.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub dims: [usize; 4],
    pub data: &'a [f64],
}

impl<'a> View<'a> {
    pub fn new((shape, data): (Shape, &'a [f64])) -> Self {
        View { dims: dims4(shape), data }
    }

    pub fn at(&self, [a, b, c, d]: [usize; 4]) -> f64 {
        self.data[index(self.dims, [a, b, c, d])]
    }
}

/// A zeroed result of rank 4 to write into.
pub(super) struct Canvas {
    pub dims: [usize; 4],
    pub data: Vec<f64>,
}

impl Canvas {
    pub fn zeros(shape: Shape) -> Self {
        Canvas { dims: dims4(shape), data: vec![0.0; shape.count()] }
    }

    pub fn at(&mut self, at: [usize; 4]) -> &mut f64 {
        &mut self.data[index(self.dims, at)]
    }
}

/// The extents of a value that shape inference has found to be of rank 4.
pub(super) fn dims4(shape: Shape) -> [usize; 4] {
    shape.nchw().expect("rank 4 by shape inference")
}

/// All indices below `dims` in row-major order.
pub(super) fn indices([a, b, c, d]: [usize; 4]) -> impl Iterator<Item = [usize; 4]> {
    (0..a * b * c * d).map(move |i| [i / (d * c * b), i / (d * c) % b, i / d % c, i % d])
}

fn index(dims: [usize; 4], [a, b, c, d]: [usize; 4]) -> usize {
    ((a * dims[1] + b) * dims[2] + c) * dims[3] + d
}
