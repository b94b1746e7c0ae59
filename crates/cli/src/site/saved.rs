//! What a site goes on from: the replicated state, its trainer and its counts, written together or not at all.

use super::folder::JobFolder;
use crate::common::snapshots::{Snapshots, weights_from_bytes, weights_to_bytes};
use anyhow::{Context, Result};
use fovea_train::TrainState;
use serde::{Deserialize, Serialize};

/// Counts of a site over its rounds.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Record {
    /// How often this was saved.
    pub saves: u64,
    /// Rounds that this site has followed.
    pub rounds: u32,
    /// Mean loss of each of them, over all sites.
    pub losses: Vec<f64>,
    /// How often this site was away and took the others' state: its running average began anew then.
    pub caught_up: u32,
}

/// A site between two rounds.
pub struct Saved {
    /// The replicated state, encoded.
    pub server: Vec<u8>,
    /// Running average of the global models.
    pub average: Vec<f32>,
    /// The trainer.
    pub trainer: TrainState,
    /// Counts.
    pub record: Record,
}

impl Saved {
    /// Writes it; an older one goes afterwards.
    pub fn write(&self, job: &JobFolder) -> Result<()> {
        snapshots(job).write(self.record.saves, |folder| {
            let average = weights_to_bytes(&self.average);
            fovea_data::write_atomically(&folder.join("server.bin"), &self.server)?;
            fovea_data::write_atomically(&folder.join("average.bin"), &average)?;
            fovea_data::write_atomically(&folder.join("record.json"), &serde_json::to_vec(&self.record)?)?;
            Ok(self.trainer.save(&folder.join("trainer.safetensors"))?)
        })
    }

    /// The newest one, if any.
    pub fn find(job: &JobFolder) -> Result<Option<Self>> {
        let Some(folder) = snapshots(job).newest()? else { return Ok(None) };
        let read = |name: &str| {
            let path = folder.join(name);
            std::fs::read(&path).with_context(|| path.display().to_string())
        };
        let average = weights_from_bytes(&read("average.bin")?);
        let record = serde_json::from_slice(&read("record.json")?)
            .with_context(|| format!("{} is damaged", folder.join("record.json").display()))?;
        let trainer = TrainState::load(&folder.join("trainer.safetensors"))?;
        Ok(Some(Saved { server: read("server.bin")?, average, trainer, record }))
    }
}

fn snapshots(job: &JobFolder) -> Snapshots<'_> {
    Snapshots::new(job.path(), "state-".to_owned())
}
