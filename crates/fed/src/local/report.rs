//! What a round in one process reports, and how it fails.

use fovea_secagg::hash::Hash;
use fovea_secagg::secret::EntropyError;
use serde::Serialize;

use crate::error::MachineError;
use crate::job::JobError;

/// What happened in a round.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RoundReport {
    /// Round.
    pub round: u32,
    /// Names of the sites in the sum.
    pub participants: Vec<String>,
    /// Sites that are not in it, and why.
    pub dropped: Vec<Dropped>,
    /// Bytes that each site sent.
    pub bytes_up: Vec<u64>,
    /// Bytes that each site received.
    pub bytes_down: Vec<u64>,
    /// Samples of all participants.
    pub samples: u32,
    /// Coordinates whose update was clipped, over all participants.
    pub clipped_coordinates: u32,
    /// The same as a fraction of all coordinates of all participants.
    pub clipped_fraction: f64,
    /// Sample-weighted means of the sidecar values, with their names.
    pub means: Vec<(String, f64)>,
    /// Digest of the new model.
    pub model_hash: Hash,
    /// Whether the new model is, to the bit, the one computed in the clear; `None` when not compared.
    pub equals_clear: Option<bool>,
    /// Whether all sites computed the same new model as the coordinator.
    pub replicas_agree: bool,
    /// Warnings of the multi-round rule in this round.
    pub isolating_sets: usize,
}

/// A site that is not in the sum.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Dropped {
    /// Name.
    pub site: String,
    /// Reason.
    pub reason: String,
}

/// Why a federation or one of its rounds failed.
#[derive(Debug, thiserror::Error)]
pub enum FederationError {
    /// The job cannot run.
    #[error(transparent)]
    Job(#[from] JobError),
    /// A round ended without a sum; the model is unchanged and another round may be tried.
    #[error("round {round}, attempt {attempt} ended without a sum: {error}{}", list(.dropped))]
    Ended {
        /// Round.
        round: u32,
        /// Attempt.
        attempt: u16,
        /// Why.
        error: MachineError,
        /// Sites that dropped out.
        dropped: Vec<Dropped>,
    },
    /// A machine refused a message of this process.
    #[error("{party}: {error}")]
    Machine {
        /// Who refused.
        party: String,
        /// Why.
        error: MachineError,
    },
    /// No random bytes.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// Bytes that are not a saved state.
    #[error("saved state: {0}")]
    Saved(#[from] fovea_wire::WireError),
}

fn list(dropped: &[Dropped]) -> String {
    dropped.iter().map(|d| format!("; {} dropped out ({})", d.site, d.reason)).collect()
}
