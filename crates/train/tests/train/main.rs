//! Training, resuming, predicting and evaluating on toy images with the CPU executor.
#![allow(clippy::unwrap_used, reason = "the helpers of these tests are not test functions")]

mod memory;
mod predict;
mod resume;
mod steps;
mod tiles;
mod toy;
