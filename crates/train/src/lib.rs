//! Training: batches, optimiser state, schedules, evaluation, exact resume and the run record.
//!
//! One optimiser step is one [`Graph`](fovea_graph::Graph): forward pass, losses, backward pass, updates
//! ([`StepProgram`]). The [`Trainer`] feeds it batches that are a function of (seed, step) and nothing else, so a run that was
//! stopped at any step, saved ([`TrainState`]) and continued ends in the same bits as one that was not. Which
//! device computes is the caller's choice: executors are made by a function that is handed in.

mod batch;
mod config;
mod error;
mod evaluate;
mod optimiser;
mod predict;
mod prepare;
mod program;
mod record;
mod schedule;
mod state;
mod tiles;
mod trainer;

pub use batch::{Batch, Sampler};
pub use config::{InputMode, LossConfig, Selection, TrainConfig};
pub use error::TrainError;
pub use evaluate::{Predicted, choose_threshold, evaluate, evaluate_reduced, predict_all};
pub use optimiser::Optimiser;
pub use predict::{Prediction, Predictor};
pub use prepare::{PreparedSample, WORKING_PIXELS_MAX, frame, prepare};
pub use program::StepProgram;
pub use record::RunRecord;
pub use schedule::{Schedule, average_decay};
pub use state::{Best, TrainState};
pub use trainer::{EpochStats, Observer, RunEnd, StepReport, Trainer};

use fovea_graph::{ExecuteError, Executor, Graph};

/// Bytes in a MiB.
const MIB: usize = 1 << 20;

/// Makes the executor of a graph: the caller's choice of device, which may refuse a graph that it cannot hold.
pub type MakeExecutor = dyn Fn(Graph) -> Result<Box<dyn Executor>, ExecuteError> + Send + Sync;
