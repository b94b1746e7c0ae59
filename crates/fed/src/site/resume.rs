//! Going on after a restart with an attempt that had reached its upload.
//!
//! The transitions are the same functions as before the restart, on the same inputs; they draw no randomness
//! and signatures are deterministic, so the messages are the same bytes.

use std::sync::Arc;

use fovea_secagg::message::Phase;
use fovea_secagg::site::{Seat, Uploaded};
use fovea_secagg::vector::Spool;

use crate::error::MachineError;
use crate::record::{Open, unpack};
use crate::site::{Active, Resend, SiteEffect, SiteMachine, SitePhase};

impl SiteMachine {
    /// Rebuilds the state of the attempt under way. Nothing is left of it if the saved state is already past
    /// it or its secrets are gone: the site then behaves as one that dropped out.
    pub(super) fn resume(&mut self, open: Open, effects: &mut Vec<SiteEffect>) -> Result<(), MachineError> {
        let Open { round, attempt, invited, ctx, close, secrets, announce, quorum } = open;
        let confirmed = announce.as_ref().map(|announce| announce.complete.clone());
        let (terms, proven) = self.state.terms(&self.plan, round, attempt, invited)?;
        let same = terms.ctx() == ctx;
        if !same && self.state.round <= round {
            return Err(MachineError::OtherState { round, state: self.state.round });
        }
        let unpacked = secrets.as_ref().and_then(|packed| unpack(packed));
        let Some((rounding, saved)) = unpacked.filter(|_| same) else {
            if let Some(set) = confirmed {
                self.history.remember(round, set);
            }
            return Ok(());
        };
        let seat = Seat::new(Arc::clone(&terms), self.me, Arc::clone(&self.identity))?;
        let uploaded = Uploaded::restore(seat, saved)?;
        let phase = match (uploaded, announce, quorum) {
            (Uploaded::Masked(state), Some(announce), quorum) => {
                let (state, message) = state.confirm(&announce, &mut self.history)?;
                match quorum {
                    None => {
                        effects.push(self.wrap(&terms, Phase::Confirm, &message)?);
                        SitePhase::Confirmed(Box::new(state))
                    }
                    Some(quorum) => {
                        let (state, message) = state.unmask(&quorum)?;
                        effects.push(self.wrap(&terms, Phase::Unmask, &message)?);
                        let complete = state.complete().clone();
                        SitePhase::Following(state.into_verifier(), Some(complete))
                    }
                }
            }
            (uploaded, ..) => {
                effects.push(SiteEffect::Ready { round });
                SitePhase::Uploaded(Box::new(uploaded), Some(Resend { close, rounding }))
            }
        };
        let inbox = Spool::new(terms.words);
        self.active = Some(Active { terms, proven, phase, inbox });
        Ok(())
    }
}
