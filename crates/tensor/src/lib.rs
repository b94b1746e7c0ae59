//! NCHW shapes, checked geometry, contiguous f32 values and counter-based random streams.
//!
//! Every value in Fovea is a contiguous, row-major `f32` array of rank 1 to 4; an image batch is
//! `(N, C, H, W)`. Strided views were left out on purpose: a kernel that may assume contiguity is half as
//! long, and the planner can place a value by its byte count alone. [`Tensor::view`] gives an `ndarray`
//! view where indexing convenience is worth more than speed.

mod geometry;
mod rng;
mod shape;
mod tensor;

pub use geometry::{Window, WindowError};
pub use rng::Stream;
pub use shape::{Shape, ShapeError};
pub use tensor::{Tensor, TensorError};
