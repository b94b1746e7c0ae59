//! Training, resuming, predicting and evaluating on toy images with the CPU executor.

mod predict;
mod resume;
mod steps;
mod toy;
