//! The everyday commands as a person runs them: the built binary on a small synthetic data set.
#![allow(clippy::unwrap_used, reason = "the helpers of these tests are not test functions")]

mod device;
mod evaluate;
#[cfg(unix)]
mod interrupt;
mod memory;
mod network;
mod predict;
mod repro;
mod train;
mod workshop;
