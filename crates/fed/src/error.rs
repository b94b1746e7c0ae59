//! Errors of the machines.

use fovea_secagg::encode::{DecodeError, EncodeError};
use fovea_secagg::error::{Abort, Reject};
use fovea_secagg::identity::SignatureError;
use fovea_secagg::journal::JournalError;
use fovea_secagg::layout::LayoutError;
use fovea_secagg::message::Phase;
use fovea_secagg::site::RestoreError;
use fovea_wire::WireError;

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
}
