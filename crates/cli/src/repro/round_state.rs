//! The federated run between two rounds, on disk: server, sites and counts, written together or not at all.

use super::trained::Place;
use crate::common::snapshots::{Snapshots, weights_from_bytes, weights_to_bytes};
use anyhow::{Context, Result};
use fovea_fed::local::RoundReport;
use fovea_train::TrainState;
use serde::{Deserialize, Serialize};

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
    /// Writes it; an older one goes afterwards.
    pub fn save(&self, place: &Place) -> Result<()> {
        snapshots(place).write(self.tally.rounds.into(), |folder| {
            let write = |name: &str, bytes: &[u8]| std::fs::write(folder.join(name), bytes);
            write("server.bin", &self.server)
                .and_then(|()| write("average.bin", &weights_to_bytes(&self.average)))
                .and_then(|()| write("tally.json", &serde_json::to_vec(&self.tally)?))
                .with_context(|| format!("{} could not be written", folder.display()))?;
            for (i, site) in self.sites.iter().enumerate() {
                site.save(&folder.join(site_file(i)))?;
            }
            Ok(())
        })
    }

    /// The latest saved round, if any.
    pub fn find(place: &Place, sites: usize) -> Result<Option<Self>> {
        let Some(folder) = snapshots(place).newest()? else { return Ok(None) };
        let read = |name: &str| {
            let path = folder.join(name);
            std::fs::read(&path)
                .with_context(|| format!("{} could not be read; --fresh starts over", path.display()))
        };
        let average = weights_from_bytes(&read("average.bin")?);
        let tally = serde_json::from_slice(&read("tally.json")?).with_context(|| {
            format!("{} is damaged; --fresh starts over", folder.join("tally.json").display())
        })?;
        let sites =
            (0..sites).map(|i| TrainState::load(&folder.join(site_file(i)))).collect::<Result<_, _>>()?;
        Ok(Some(RoundState { server: read("server.bin")?, sites, average, tally }))
    }

    /// Removes all saved rounds.
    pub fn clear(place: &Place) -> Result<()> {
        snapshots(place).clear()
    }
}

fn snapshots(place: &Place) -> Snapshots<'_> {
    Snapshots::new(&place.folder, format!("{}.rounds-", place.key))
}

fn site_file(site: usize) -> String {
    format!("site-{site}.safetensors")
}
