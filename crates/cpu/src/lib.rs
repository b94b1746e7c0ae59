//! The CPU executor: handwritten kernels over one planned arena.
//!
//! Every kernel splits its work by tile, never by thread, and sums in a fixed order, so that the same graph gives the same
//! bits on one machine for any number of rayon threads. Convolutions of stride 1 run on planes packed
//! with a zero border, as shifted reads of one flat row: no im2col matrix is ever written (see
//! `kernels/correlate.rs`). 3x3 layers of 8 channels and more go through the Winograd domain instead (`kernels/winograd.rs`
//! says why). Instruction sets are chosen at run time: AVX-512, AVX2 or NEON, else plain lanes. `FOVEA_ISA=portable` and
//! `FOVEA_ISA=portable16` run the same kernels on plain lanes of the width of AVX2 and of AVX-512.
//!
//! The memory accesses of packing, planes and arena are checked with Miri, on plain lanes since it sees no vector unit:
//! `cargo +nightly miri test -p fovea-cpu --lib -- arena pack planes`, with
//! `MIRIFLAGS="-Zmiri-disable-isolation -Zmiri-ignore-leaks"`.

mod executor;
mod kernels;

pub use executor::CpuExecutor;
pub use kernels::simd::{Isa, isa};
