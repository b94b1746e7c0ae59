//! For tests: tolerances, the golden-case reader and awkward geometries. Works on slices, imports no internal crate.

mod compare;
mod geometry;
mod golden;
mod tolerance;

pub use compare::{Mismatch, assert_close, assert_close_at, compare};
pub use geometry::{ConvGeometry, conv_geometries};
pub use golden::{Array, Case, GoldenError, golden_cases, golden_ops};
pub use tolerance::{ROUNDOFF, Tolerance, tolerance};
