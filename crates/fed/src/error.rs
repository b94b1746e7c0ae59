//! Errors of the machines.

use fovea_secagg::encode::{DecodeError, EncodeError};
use fovea_secagg::error::{Abort, Reject};
use fovea_secagg::hash::Hash;
use fovea_secagg::identity::SignatureError;
use fovea_secagg::journal::{JournalError, StorageError};
use fovea_secagg::layout::LayoutError;
use fovea_secagg::message::Phase;
use fovea_secagg::sets::SiteId;
use fovea_secagg::site::RestoreError;
use fovea_wire::WireError;

use crate::job::JobError;

/// Why a machine did not take an input. Unless it says that the attempt ended, its state is unchanged.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum MachineError {
    /// Bytes that are not a message.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// A message of another attempt, round, model or job.
    #[error("message of another attempt")]
    Context,
    /// A message that this state does not wait for, or from a sender that may not send it.
    #[error("{phase:?} is not expected now")]
    OutOfPhase {
        /// Its phase.
        phase: Phase,
    },
    /// A message that its alleged sender has not signed.
    #[error(transparent)]
    Unsigned(#[from] SignatureError),
    /// The journal cannot be read or written; nothing was sent.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The journal holds an open attempt that this state knows nothing of.
    #[error(
        "the journal is in round {round}, on another model than the saved state of round {state}; \
         restore the state that was saved with it"
    )]
    OtherState {
        /// Round of the open attempt.
        round: u32,
        /// Next round of the state.
        state: u32,
    },
    /// The secrets of an open attempt do not fit it.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// The coordinator refused one message.
    #[error(transparent)]
    Reject(#[from] Reject),
    /// The attempt ended at this machine.
    #[error(transparent)]
    Abort(#[from] Abort),
    /// The local update cannot be encoded; the site drops out of the attempt.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The published sum is out of bounds.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The layout cannot be used.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The coordinator's store cannot be read or written; nothing was sent.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A site stands at a later round than the coordinator.
    #[error(
        "{site} stands before round {round}, the coordinator before round {state}; \
         restore the coordinator's newest store"
    )]
    SiteAhead {
        /// The site.
        site: SiteId,
        /// Its next round.
        round: u32,
        /// The coordinator's next round.
        state: u32,
    },
    /// A state offered to a site that was away is not taken; the site stays where it is.
    #[error(transparent)]
    CatchUp(#[from] CatchUpError),
}

/// Why a site that was away does not take the state that it is offered.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CatchUpError {
    /// Not later than what the site has.
    #[error("offered the state before round {offered}, this site has that before round {own}")]
    NotNewer {
        /// Next round of the site.
        own: u32,
        /// Next round of the offered state.
        offered: u32,
    },
    /// The words are not all there, or not those of the root.
    #[error("offered state: {why}")]
    Words {
        /// What is wrong.
        why: &'static str,
    },
    /// Not a state of this plan.
    #[error("offered state: {0}")]
    State(#[from] JobError),
    /// It is not shown that a quorum of sites stands there.
    #[error("no proof that a quorum of sites stands at the offered state: {why}")]
    Unproven {
        /// What is wrong with the proof.
        why: &'static str,
    },
}

/// Why what a coordinator stored cannot be read or added to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// What was stored does not fit together.
    #[error("the coordinator's store is damaged: {what}; restore it, or start the federation anew")]
    Damaged {
        /// What does not fit.
        what: &'static str,
    },
    /// What was stored belongs to another manifest.
    #[error("the coordinator's store belongs to manifest {found}, not to {expected}; use a store of its own")]
    OtherManifest {
        /// Digest of the manifest at hand.
        expected: Hash,
        /// Digest of the manifest in the store.
        found: Hash,
    },
    /// What is to be stored cannot be encoded.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// Writing failed before; what is in memory may be ahead of what is stored.
    #[error("an earlier write to the coordinator's store failed; start again from the store")]
    Broken,
}
