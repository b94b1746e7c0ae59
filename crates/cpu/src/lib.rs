//! The CPU executor: handwritten kernels over one planned arena.
//!
//! Every kernel splits its work by tile, never by thread, and sums in a fixed order, so that the same graph gives the same
//! bits on one machine for any number of rayon threads. Convolutions of stride 1 run on planes packed
//! with a zero border, as shifted reads of one flat row: no im2col matrix is ever written (see
//! `kernels/correlate.rs`). Wide 3x3 layers go through the Winograd domain instead (`kernels/winograd.rs` says which and
//! why). Instruction sets are chosen at run time.

mod executor;
mod kernels;

pub use executor::CpuExecutor;
pub use kernels::simd::{Isa, isa};
