//! Where sites stand, and what follows: the publication that one missed, the state that one is behind, the messages
//! of the attempt under way, and whether the last sum holds.
//!
//! The coordinator cannot check the tags of a sum. When a site uploaded another vector than its tags are for, all
//! honest sites refuse the sum and stay where they were. Once more of them say so than may lie, the coordinator
//! goes back; otherwise no site could follow it any more.

use std::collections::{BTreeMap, BTreeSet};

use fovea_secagg::envelope::{Envelope, Header, Signed};
use fovea_secagg::error::Abort;
use fovea_secagg::hash::Hash;
use fovea_secagg::message::{COORDINATOR, CatchUpClose, Hello, Phase};
use fovea_secagg::sets::{SiteId, SiteSet};
use fovea_secagg::vector::chunks;
use fovea_wire::Bytes;
use serde::{Deserialize, Serialize};

use crate::coordinator::{CoordinatorEffect, CoordinatorMachine};
use crate::error::MachineError;
use crate::site::RoundResult;
use crate::state::ServerState;

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

/// Where sites stand. Kept in memory: after a restart they say it again.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// The newest hello of each site since the state changed.
    hellos: BTreeMap<SiteId, Signed<Hello>>,
    /// Digest of the present state, once it was needed.
    position: Option<Hash>,
    /// Sites that were sent the present state, and have not asked again.
    offered: BTreeSet<SiteId>,
}

impl CoordinatorMachine {
    /// Answers a site's hello. A site that waits for the last publication gets it again. One that stands
    /// elsewhere gets the present state as soon as a quorum of sites stands there. A site that stands there too,
    /// or is about to, gets the messages of the attempt under way that were for it; another could not take them
    /// and would only say hello again.
    pub(super) fn hello(&mut self, envelope: &Envelope) -> Result<Vec<CoordinatorEffect>, MachineError> {
        envelope.verify(self.plan.keys())?;
        let Header { phase, from, .. } = envelope.header;
        if phase != Phase::Hello || from == COORDINATOR {
            return Err(MachineError::OutOfPhase { phase });
        }
        let signed: Signed<Hello> = envelope.signed()?;
        let Hello { round, position, awaits, .. } = signed.body;
        if round > self.state.round {
            return Err(MachineError::SiteAhead { site: from, round, state: self.state.round });
        }
        if self.standing.hellos.get(&from).is_some_and(|newest| newest.body.round > round) {
            // An old one that came late.
            return Err(MachineError::Context);
        }
        self.standing.hellos.insert(from, signed);
        self.standing.offered.remove(&from);
        let mut effects = Vec::new();
        self.revoke(&mut effects);
        let missed = self.publication.as_ref().filter(|publication| awaits == Some(publication.ctx));
        if let Some(publication) = missed {
            let messages = publication.messages.iter();
            effects.extend(messages.map(|(phase, Bytes(bytes))| to_one(from, *phase, bytes.clone())));
        } else if position != self.position()? {
            self.offer(&mut effects)?;
            return Ok(effects);
        }
        if let Some(active) = self.active.as_ref().filter(|active| active.is_open_to(from)) {
            let own = active.sent.iter().filter(|(to, ..)| to.contains(from));
            effects.extend(own.map(|(_, phase, bytes)| to_one(from, *phase, bytes.clone())));
        }
        self.offer(&mut effects)?;
        Ok(effects)
    }

    /// Takes the last sum back if more sites refuse it than may lie.
    fn revoke(&mut self, effects: &mut Vec<CoordinatorEffect>) {
        let Some(publication) = &self.publication else { return };
        let refuses = |(_, hello): &(&SiteId, &Signed<Hello>)| hello.body.refused == Some(publication.ctx);
        let sites: SiteSet = self.standing.hellos.iter().filter(refuses).map(|(site, _)| *site).collect();
        if sites.len() < self.plan.refusals_min() {
            return;
        }
        let Some(previous) = self.previous.take() else { return };
        let round = publication.result.round;
        self.publication = None;
        if let Some(active) = self.active.take() {
            let error = Abort::Published { why: "sites refused the sum before" };
            effects.extend(self.end(&active.terms, false, error.into()));
        }
        // The numbers of attempts on the refused state never come again.
        self.state = ServerState { round: self.state.round, ..previous };
        self.next_number();
        self.standing = Standing::default();
        effects.push(CoordinatorEffect::Revoked { round, sites });
        self.revision += 1;
    }

    /// Sends the present state to the sites that stand elsewhere, if a quorum stands here.
    fn offer(&mut self, effects: &mut Vec<CoordinatorEffect>) -> Result<(), MachineError> {
        let here = self.position()?;
        let awaited = self.publication.as_ref().map(|publication| publication.ctx);
        let (there, behind): (Vec<_>, Vec<_>) =
            self.standing.hellos.iter().partition(|(_, hello)| hello.body.position == here);
        let proof: Vec<(SiteId, Signed<Hello>)> = there.into_iter().map(|(s, h)| (*s, h.clone())).collect();
        // Who waits for the publication needs no more than that.
        let needs = |(site, hello): &(&SiteId, &Signed<Hello>)| {
            !self.standing.offered.contains(site) && (awaited.is_none() || hello.body.awaits != awaited)
        };
        let behind: SiteSet = behind.into_iter().filter(needs).map(|(site, _)| *site).collect();
        if behind.is_empty() || proof.len() < self.plan.quorum_min() {
            return Ok(());
        }
        let Some(round) = proof.first().map(|(_, hello)| hello.body.round) else { return Ok(()) };
        let (chunks, root) = chunks(&self.state.to_words());
        let header = |phase| Header { ctx: self.plan.hello_ctx(), phase, from: COORDINATOR };
        for chunk in chunks {
            let bytes = Envelope::seal(header(Phase::CatchUpChunk), &chunk, &self.identity)?;
            effects.push(CoordinatorEffect::Send(behind.clone(), Phase::CatchUpChunk, bytes));
        }
        let close = CatchUpClose { root, round, proof };
        let bytes = Envelope::seal(header(Phase::CatchUpClose), &close, &self.identity)?;
        effects.push(CoordinatorEffect::Send(behind.clone(), Phase::CatchUpClose, bytes));
        self.standing.offered.extend(behind.iter());
        Ok(())
    }

    /// Digest of the present state; computed once per state.
    fn position(&mut self) -> Result<Hash, MachineError> {
        if let Some(position) = self.standing.position {
            return Ok(position);
        }
        let position = self.state.position(&self.plan)?;
        self.standing.position = Some(position);
        Ok(position)
    }
}

fn to_one(site: SiteId, phase: Phase, bytes: Vec<u8>) -> CoordinatorEffect {
    CoordinatorEffect::Send(std::iter::once(site).collect(), phase, bytes)
}
