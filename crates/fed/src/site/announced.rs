//! The messages of the coordinator that advance a site.

use fovea_secagg::envelope::Envelope;
use fovea_secagg::message::{AdvertiseSet, Announce, ConfirmSet, Phase, ShareSet};

use crate::error::MachineError;

/// The body of a message that advances a site.
pub(super) enum Announced {
    Keys(AdvertiseSet),
    Shares(ShareSet),
    Complete(Announce),
    Quorum(ConfirmSet),
}

impl Announced {
    pub fn read(envelope: &Envelope) -> Result<Self, MachineError> {
        match envelope.header.phase {
            Phase::AdvertiseSet => Ok(Self::Keys(envelope.body()?)),
            Phase::ShareSet => Ok(Self::Shares(envelope.body()?)),
            Phase::Announce => Ok(Self::Complete(envelope.body()?)),
            Phase::ConfirmSet => Ok(Self::Quorum(envelope.body()?)),
            phase => Err(MachineError::OutOfPhase { phase }),
        }
    }
}
