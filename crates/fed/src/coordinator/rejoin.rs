//! Answers to sites that say where they stand: the publication they missed, the state they are behind, the
//! messages of the attempt under way.

use fovea_secagg::commit::Terms;
use fovea_secagg::envelope::{Envelope, Header};
use fovea_secagg::hash::Hash;
use fovea_secagg::message::{AdvertiseSet, COORDINATOR, CatchUpClose, Hello, Open, Phase};
use fovea_secagg::sets::{Attempt, SiteId, SiteSet};
use fovea_secagg::vector::chunks;
use fovea_wire::Bytes;
use serde::{Deserialize, Serialize};

use crate::coordinator::active::Active;
use crate::coordinator::{CoordinatorEffect, CoordinatorMachine};
use crate::error::MachineError;
use crate::site::RoundResult;

/// The last published sum, as it was sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Publication {
    /// Context of its attempt.
    pub ctx: Hash,
    /// Its messages, in order.
    pub messages: Vec<(Phase, Bytes)>,
    /// What came out.
    pub result: RoundResult,
}

/// An attempt that started from the present state, and the keys that a quorum advertised for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Voucher {
    pub open: Open,
    pub proof: AdvertiseSet,
}

impl Voucher {
    pub(super) fn new(terms: &Terms, proof: AdvertiseSet) -> Self {
        let Attempt { round, attempt, invited, .. } = terms.attempt.clone();
        Self { open: Open { round, attempt, invited }, proof }
    }
}

impl CoordinatorMachine {
    /// Answers a site's hello. A site that waits for the last publication gets it again. One that stands
    /// elsewhere gets the present state as soon as a quorum of sites has advertised keys on it, early enough to
    /// join that attempt. A site that stands where the others do, or is about to, gets the messages of the
    /// attempt under way that were for it; another could not take them and would only say hello again.
    pub(super) fn hello(&mut self, envelope: &Envelope) -> Result<Vec<CoordinatorEffect>, MachineError> {
        envelope.verify(self.plan.keys())?;
        let Header { phase, from, .. } = envelope.header;
        if phase != Phase::Hello || from == COORDINATOR {
            return Err(MachineError::OutOfPhase { phase });
        }
        let Hello { round, position, awaits } = envelope.body()?;
        if round > self.state.round {
            return Err(MachineError::SiteAhead { site: from, round, state: self.state.round });
        }
        let mut effects = Vec::new();
        let missed = self.publication.as_ref().filter(|publication| awaits == Some(publication.ctx));
        if let Some(publication) = missed {
            let messages = publication.messages.iter();
            effects.extend(messages.map(|(phase, Bytes(bytes))| to_one(from, *phase, bytes.clone())));
        } else if position != self.position()? {
            self.behind.insert(from);
            self.offer(&mut effects)?;
            return Ok(effects);
        }
        if let Some(active) = self.active.as_ref().filter(|active| active.is_open_to(from)) {
            let own = active.sent.iter().filter(|(to, ..)| to.contains(from));
            effects.extend(own.map(|(_, phase, bytes)| to_one(from, *phase, bytes.clone())));
        }
        Ok(effects)
    }

    /// Sends the present state to the sites that are behind it, if a quorum vouches for it.
    pub(super) fn offer(&mut self, effects: &mut Vec<CoordinatorEffect>) -> Result<(), MachineError> {
        if self.behind.is_empty() {
            return Ok(());
        }
        let vouched = || self.active.as_ref().and_then(Active::voucher);
        let Some(voucher) = self.voucher.take().or_else(vouched) else { return Ok(()) };
        let Voucher { open, proof } = self.voucher.insert(voucher).clone();
        let (chunks, root) = chunks(&self.state.to_words());
        let close = CatchUpClose { root, open, proof };
        let header = |phase| Header { ctx: self.plan.hello_ctx(), phase, from: COORDINATOR };
        let mut messages = Vec::with_capacity(chunks.len() + 1);
        for chunk in chunks {
            let bytes = Envelope::seal(header(Phase::CatchUpChunk), &chunk, &self.identity)?;
            messages.push((Phase::CatchUpChunk, bytes));
        }
        let bytes = Envelope::seal(header(Phase::CatchUpClose), &close, &self.identity)?;
        messages.push((Phase::CatchUpClose, bytes));
        let to = std::mem::take(&mut self.behind).into_iter().collect::<SiteSet>();
        effects.extend(
            messages.into_iter().map(|(phase, bytes)| CoordinatorEffect::Send(to.clone(), phase, bytes)),
        );
        Ok(())
    }

    /// Digest of the present state; computed once per state.
    fn position(&mut self) -> Result<Hash, MachineError> {
        if let Some(position) = self.position {
            return Ok(position);
        }
        let position = self.state.position(&self.plan)?;
        self.position = Some(position);
        Ok(position)
    }
}

fn to_one(site: SiteId, phase: Phase, bytes: Vec<u8>) -> CoordinatorEffect {
    CoordinatorEffect::Send(std::iter::once(site).collect(), phase, bytes)
}
