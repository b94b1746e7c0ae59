//! What is written down about a run, so that it can be repeated and compared.

use crate::{TrainConfig, TrainError, Trainer};
use fovea_data::Entry;
use serde::{Deserialize, Serialize};

/// A run in JSON. Same config, images and commit give the same model hash.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunRecord {
    /// Source revision, as the caller knows it.
    pub commit: String,
    /// The settings, seed included.
    pub config: TrainConfig,
    /// Training images by name and content hash.
    pub train: Vec<Entry>,
    /// Test images by name and content hash.
    pub test: Vec<Entry>,
    /// Length of the model vector.
    pub parameters: usize,
    /// Hash of the parameter table.
    pub layout_hash: String,
    /// Hash of the selected model.
    pub model_hash: String,
    /// Steps done.
    pub steps: u32,
    /// Mean loss of each epoch.
    pub epoch_losses: Vec<f32>,
    /// Time spent in steps, seconds.
    pub seconds: f64,
    /// Threads of the pool that asked for the record.
    pub threads: usize,
}

impl RunRecord {
    /// The record of a trainer as it stands.
    ///
    /// # Errors
    /// When the device fails.
    pub fn of(trainer: &Trainer, commit: &str, test: &[Entry]) -> Result<Self, TrainError> {
        let table = trainer.unet().parameters();
        Ok(RunRecord {
            commit: commit.to_owned(),
            config: trainer.config().clone(),
            train: trainer.samples().iter().map(|s| s.entry.clone()).collect(),
            test: test.to_vec(),
            parameters: table.count(),
            layout_hash: table.layout_hash(),
            model_hash: trainer.hash(&trainer.selected()?),
            steps: trainer.step(),
            epoch_losses: trainer.epoch_losses(),
            seconds: trainer.seconds(),
            threads: rayon::current_num_threads(),
        })
    }
}
