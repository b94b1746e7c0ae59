//! A contiguous f32 value with its shape.

use crate::{Shape, ShapeError};
use ndarray::{ArrayViewD, ArrayViewMutD, IxDyn};

/// A shape and that many numbers, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    shape: Shape,
    data: Vec<f32>,
}

/// Why a tensor could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TensorError {
    /// The extents are no shape.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// The data do not fill the shape.
    #[error("shape {shape} needs {expected} numbers, found {found}", expected = shape.count())]
    Length {
        /// The wanted shape.
        shape: Shape,
        /// How many numbers came.
        found: usize,
    },
}

impl Tensor {
    /// A tensor from extents and numbers in row-major order.
    ///
    /// # Errors
    /// When the extents are no shape or the count differs.
    pub fn new(dims: &[usize], data: Vec<f32>) -> Result<Self, TensorError> {
        let shape = Shape::new(dims)?;
        if data.len() != shape.count() {
            return Err(TensorError::Length { shape, found: data.len() });
        }
        Ok(Tensor { shape, data })
    }

    /// All zeros.
    #[must_use]
    pub fn zeros(shape: Shape) -> Self {
        Tensor { shape, data: vec![0.0; shape.count()] }
    }

    /// The shape.
    #[must_use]
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// The numbers, row-major.
    #[must_use]
    pub fn data(&self) -> &[f32] {
        &self.data
    }

    /// The numbers, row-major, to write.
    pub fn data_mut(&mut self) -> &mut [f32] {
        &mut self.data
    }

    /// The numbers alone.
    #[must_use]
    pub fn into_data(self) -> Vec<f32> {
        self.data
    }

    /// An `ndarray` view.
    #[must_use]
    pub fn view(&self) -> ArrayViewD<'_, f32> {
        ArrayViewD::from_shape(IxDyn(self.shape.dims()), &self.data).expect("length was checked when made")
    }

    /// An `ndarray` view to write through.
    pub fn view_mut(&mut self) -> ArrayViewMutD<'_, f32> {
        ArrayViewMutD::from_shape(IxDyn(self.shape.dims()), &mut self.data)
            .expect("length was checked when made")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_index_row_major() {
        let mut t = Tensor::new(&[1, 2, 2, 2], (0..8u8).map(f32::from).collect()).unwrap();
        assert_eq!(t.view()[[0, 1, 0, 1]], 5.0);
        t.view_mut()[[0, 0, 1, 1]] = 9.0;
        assert_eq!(t.data()[3], 9.0);
        assert!(Tensor::new(&[3], vec![0.0; 2]).is_err());
    }
}
