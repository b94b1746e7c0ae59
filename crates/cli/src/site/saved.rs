//! What a site goes on from: the replicated state, its trainer and its counts, written together or not at all.

use super::folder::JobFolder;
use anyhow::{Context, Result};
use fovea_train::TrainState;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::path::{Path, PathBuf};

const PREFIX: &str = "state-";
const PARTIAL: &str = "partial";

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
    /// Writes a new folder, flushes it, and lets its name appear at once; older ones go afterwards.
    pub fn write(&self, job: &JobFolder) -> Result<()> {
        let partial = job.path().join(format!("{PREFIX}{PARTIAL}"));
        let target = job.path().join(format!("{PREFIX}{}", self.record.saves));
        let at = || format!("{} could not be written", target.display());
        remove(&partial)?;
        std::fs::create_dir_all(&partial).with_context(at)?;
        let average: Vec<u8> = self.average.iter().flat_map(|w| w.to_le_bytes()).collect();
        fovea_data::write_atomically(&partial.join("server.bin"), &self.server)?;
        fovea_data::write_atomically(&partial.join("average.bin"), &average)?;
        fovea_data::write_atomically(&partial.join("record.json"), &serde_json::to_vec(&self.record)?)?;
        self.trainer.save(&partial.join("trainer.safetensors"))?;
        flush(&partial)?;
        let older = found(job)?;
        remove(&target)?;
        std::fs::rename(&partial, &target).with_context(at)?;
        flush(job.path())?;
        older.iter().filter(|(_, path)| *path != target).try_for_each(|(_, path)| remove(path))
    }

    /// The newest one, if any.
    pub fn find(job: &JobFolder) -> Result<Option<Self>> {
        let Some((_, folder)) = found(job)?.into_iter().max() else { return Ok(None) };
        let read = |name: &str| {
            let path = folder.join(name);
            std::fs::read(&path).with_context(|| path.display().to_string())
        };
        let average = read("average.bin")?;
        let average = average.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        let record = serde_json::from_slice(&read("record.json")?)
            .with_context(|| format!("{} is damaged", folder.join("record.json").display()))?;
        let trainer = TrainState::load(&folder.join("trainer.safetensors"))?;
        Ok(Some(Saved { server: read("server.bin")?, average, trainer, record }))
    }
}

/// Saved folders by number.
fn found(job: &JobFolder) -> Result<Vec<(u64, PathBuf)>> {
    let entries = std::fs::read_dir(job.path()).with_context(|| job.path().display().to_string())?;
    let number = |path: &Path| path.file_name()?.to_str()?.strip_prefix(PREFIX)?.parse().ok();
    let paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    Ok(paths.filter_map(|path| Some((number(&path)?, path))).collect())
}

fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{} could not be removed", path.display()))
        }
        _ => Ok(()),
    }
}

/// Makes the names in a folder durable, where the system lets a folder be flushed.
fn flush(folder: &Path) -> Result<()> {
    if cfg!(unix) {
        let flushed = File::open(folder).and_then(|folder| folder.sync_all());
        flushed.with_context(|| format!("{} could not be flushed", folder.display()))?;
    }
    Ok(())
}
