//! The egress record: per round and site, what crossed the boundary of the hospital, how much, and its
//! digest.

use std::collections::BTreeMap;

use fovea_secagg::hash::Hash;
use fovea_secagg::message::Phase;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Which way a message went, seen from the site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// From the site to the coordinator.
    Out,
    /// From the coordinator to the site.
    In,
}

/// All messages of one site, round, direction and purpose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Round.
    pub round: u32,
    /// Site name.
    pub site: String,
    /// Way.
    pub direction: Direction,
    /// What the messages are for.
    pub purpose: Phase,
    /// Number of messages.
    pub messages: u64,
    /// Their bytes, envelopes included.
    pub bytes: u64,
    /// SHA-256 over the messages, one after the other.
    pub sha256: Hash,
}

/// The record of a federation.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ledger {
    /// Entries, round by round.
    pub entries: Vec<Entry>,
}

/// The record of a round under way.
#[derive(Debug, Default)]
pub(crate) struct OpenRound(BTreeMap<(usize, Direction, Phase), (u64, u64, Sha256)>);

impl OpenRound {
    pub(crate) fn record(&mut self, site: usize, direction: Direction, purpose: Phase, message: &[u8]) {
        let (messages, bytes, state) = self.0.entry((site, direction, purpose)).or_default();
        *messages += 1;
        *bytes += message.len() as u64;
        state.update(message);
    }

    /// Bytes of one site in one direction.
    pub(crate) fn bytes(&self, site: usize, direction: Direction) -> u64 {
        self.0.iter().filter(|(key, _)| (key.0, key.1) == (site, direction)).map(|(_, value)| value.1).sum()
    }

    /// Moves the record into the ledger.
    pub(crate) fn close(self, round: u32, names: &[String], ledger: &mut Ledger) {
        for ((site, direction, purpose), (messages, bytes, state)) in self.0 {
            let (site, sha256) = (names[site].clone(), Hash(state.finalize().into()));
            ledger.entries.push(Entry { round, site, direction, purpose, messages, bytes, sha256 });
        }
    }
}
