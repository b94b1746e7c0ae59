//! What is known of a run when it is over.

use fovea_secagg::hash::Hash;
use fovea_secagg::sets::SiteSet;
use serde::Serialize;

use crate::check::Violation;
use crate::faults::Kind;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// All rounds gave an exact sum, and every site has the same model.
    Complete,
    /// Some rounds did not: each attempt ended with a typed reason.
    Aborted,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Seed.
    pub seed: u64,
    /// Main trouble.
    pub kind: Kind,
    /// Number of sites.
    pub sites: usize,
    /// Rounds asked for.
    pub rounds: u32,
    /// How it ended.
    pub outcome: Outcome,
    /// Sums published.
    pub sums: u32,
    /// Sums that a quorum of sites refused.
    pub revoked: u32,
    /// Attempts opened.
    pub attempts: u32,
    /// Reasons of attempts without a sum, in order.
    pub ended: Vec<String>,
    /// Processes started again.
    pub restarts: u32,
    /// Sites found to equivocate.
    pub convicted: u32,
    /// Sites in each sum that sites took, in order.
    pub sets: Vec<SiteSet>,
    /// The coordinator's last model.
    pub model: Option<Hash>,
    /// Virtual time, in milliseconds.
    pub virtual_ms: u64,
    /// Events.
    pub events: u64,
    /// Digest of everything that happened.
    pub trace: Hash,
    /// Everything that happened, for people; empty unless asked for.
    #[serde(skip)]
    pub lines: Vec<String>,
    /// Invariants that did not hold.
    pub violations: Vec<Violation>,
}
