//! The federated run between two rounds, on disk: server, sites and counts, written together or not at all.

use super::trained::{Place, remove};
use anyhow::{Context, Result};
use fovea_fed::local::RoundReport;
use fovea_train::TrainState;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Counts over the rounds done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// Rounds that ended in a sum.
    pub rounds: u32,
    /// Mean loss of each round.
    pub losses: Vec<f64>,
    /// Bytes that each site sent.
    pub bytes_up: Vec<u64>,
    /// Bytes that each site received.
    pub bytes_down: Vec<u64>,
    /// Attempts that ended without each site.
    pub dropped: Vec<u64>,
    /// Sum over rounds of the fraction of clipped coordinates.
    pub clipped_fraction: f64,
    /// Whether every round's model was, to the bit, the one summed in the clear.
    pub equals_clear: bool,
}

impl Tally {
    /// Before the first round.
    pub fn new(sites: usize) -> Self {
        let zeros = vec![0; sites];
        Tally {
            rounds: 0,
            losses: Vec::new(),
            bytes_up: zeros.clone(),
            bytes_down: zeros.clone(),
            dropped: zeros,
            clipped_fraction: 0.0,
            equals_clear: true,
        }
    }

    /// Counts a round.
    pub fn add(&mut self, report: &RoundReport, loss: f64) {
        self.rounds += 1;
        self.losses.push(loss);
        self.bytes_up.iter_mut().zip(&report.bytes_up).for_each(|(sum, b)| *sum += b);
        self.bytes_down.iter_mut().zip(&report.bytes_down).for_each(|(sum, b)| *sum += b);
        self.clipped_fraction += report.clipped_fraction;
        self.equals_clear &= report.equals_clear == Some(true);
    }
}

/// Everything that the next round depends on.
pub struct RoundState {
    /// The replicated server state, as the federation wrote it.
    pub server: Vec<u8>,
    /// Each site's trainer.
    pub sites: Vec<TrainState>,
    /// Running average of the global models.
    pub average: Vec<f32>,
    /// Counts so far.
    pub tally: Tally,
}

impl RoundState {
    /// Writes a new folder and lets its name appear at once; older ones go afterwards.
    pub fn save(&self, place: &Place) -> Result<()> {
        let target = prefix(place, &self.tally.rounds.to_string());
        let partial = prefix(place, "partial");
        remove(&partial)?;
        let write = |name: &str, bytes: &[u8]| std::fs::write(partial.join(name), bytes);
        std::fs::create_dir_all(&partial)
            .and_then(|()| write("server.bin", &self.server))
            .and_then(|()| {
                write("average.bin", &self.average.iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<_>>())
            })
            .and_then(|()| write("tally.json", &serde_json::to_vec(&self.tally)?))
            .with_context(|| format!("{} could not be written", partial.display()))?;
        for (i, site) in self.sites.iter().enumerate() {
            site.save(&partial.join(site_file(i)))?;
        }
        let older = found(place)?;
        remove(&target)?;
        std::fs::rename(&partial, &target)
            .with_context(|| format!("{} could not be written", target.display()))?;
        older.iter().filter(|(_, path)| *path != target).try_for_each(|(_, path)| remove(path))
    }

    /// The latest saved round, if any.
    pub fn find(place: &Place, sites: usize) -> Result<Option<Self>> {
        let Some((_, folder)) = found(place)?.into_iter().max() else { return Ok(None) };
        let read = |name: &str| {
            let path = folder.join(name);
            std::fs::read(&path)
                .with_context(|| format!("{} could not be read; --fresh starts over", path.display()))
        };
        let bytes = read("average.bin")?;
        let average = bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        let tally = serde_json::from_slice(&read("tally.json")?).with_context(|| {
            format!("{} is damaged; --fresh starts over", folder.join("tally.json").display())
        })?;
        let sites =
            (0..sites).map(|i| TrainState::load(&folder.join(site_file(i)))).collect::<Result<_, _>>()?;
        Ok(Some(RoundState { server: read("server.bin")?, sites, average, tally }))
    }

    /// Removes all saved rounds.
    pub fn clear(place: &Place) -> Result<()> {
        found(place)?.iter().try_for_each(|(_, path)| remove(path))
    }
}

fn site_file(site: usize) -> String {
    format!("site-{site}.safetensors")
}

fn prefix(place: &Place, suffix: &str) -> PathBuf {
    place.folder.join(format!("{}.rounds-{suffix}", place.key))
}

/// Saved rounds by number.
fn found(place: &Place) -> Result<Vec<(u32, PathBuf)>> {
    let start = format!("{}.rounds-", place.key);
    let number = |path: &Path| path.file_name()?.to_str()?.strip_prefix(&start)?.parse().ok();
    let folder = std::fs::read_dir(&place.folder);
    let folder = folder.with_context(|| format!("{} could not be read", place.folder.display()))?;
    Ok(folder
        .filter_map(|entry| entry.ok().map(|e| e.path()))
        .filter_map(|p| Some((number(&p)?, p)))
        .collect())
}
