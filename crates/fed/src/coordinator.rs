//! The coordinator's machine: takes message bytes and the time, returns message bytes and events.
//!
//! A phase ends when everything expected is in, or at its deadline if enough is there. A message that does
//! not fit is refused without any effect. The machine holds no secret.

use std::collections::BTreeMap;
use std::sync::Arc;

use fovea_secagg::commit::Terms;
use fovea_secagg::coordinator::{CollectA, Sum};
use fovea_secagg::encode::{decode, decode_side};
use fovea_secagg::envelope::Envelope;
use fovea_secagg::error::{Abort, Accepted};
use fovea_secagg::evidence::Equivocation;
use fovea_secagg::identity::Identity;
use fovea_secagg::layout::Proven;
use fovea_secagg::message::{COORDINATOR, Complaint, Open, Phase, PublishClose};
use fovea_secagg::sets::{SiteId, SiteSet};
use fovea_secagg::vector::{chunks, side_to_bytes};
use fovea_wire::Bytes;
use serde::Serialize;

use crate::coordinator::active::{Active, Collecting, sent};
use crate::coordinator::rejoin::{Publication, Standing};
use crate::error::MachineError;
use crate::manifest::SignedPlan;
use crate::site::RoundResult;
use crate::state::ServerState;

mod active;
mod rejoin;
mod snapshot;

/// What the coordinator's surroundings have to do.
#[derive(Debug, Clone, PartialEq)]
pub enum CoordinatorEffect {
    /// Send these bytes to these sites.
    Send(SiteSet, Phase, Vec<u8>),
    /// The round is over; sites whose shares did not match their commitments are named.
    Finished(RoundResult, Vec<SiteId>),
    /// A site signed two different statements for one phase: proof to be kept, and shown to the others.
    Equivocated(Equivocation),
    /// More sites than may lie refused the last sum: a site had uploaded another vector than its tags are for.
    /// The state is again the one before that round; an attempt under way was ended.
    Revoked {
        /// The round whose result does not hold.
        round: u32,
        /// Who refused.
        sites: SiteSet,
    },
    /// The attempt is over without a sum, and the model unchanged.
    Ended {
        /// Round.
        round: u32,
        /// Attempt.
        attempt: u16,
        /// Why.
        error: MachineError,
    },
}

/// The coordinator of the federation.
#[derive(Debug)]
pub struct CoordinatorMachine {
    plan: Arc<SignedPlan>,
    identity: Identity,
    state: ServerState,
    /// The state before the last sum, in case sites refuse that.
    previous: Option<ServerState>,
    /// Where sites stand.
    standing: Standing,
    /// Proof against the sites that equivocated, one each; they are not invited any more.
    evidence: Vec<Equivocation>,
    /// Attempts opened so far in the round `state.round`.
    attempts: u16,
    /// The last sum, for sites that missed it.
    publication: Option<Publication>,
    active: Option<Active>,
    /// Counts the changes of what a restart has to bring back.
    revision: u64,
}

impl CoordinatorMachine {
    /// A coordinator at the given state.
    pub fn new(plan: Arc<SignedPlan>, identity: Identity, state: ServerState) -> Self {
        Self {
            plan,
            identity,
            state,
            previous: None,
            standing: Standing::default(),
            evidence: Vec::new(),
            attempts: 0,
            publication: None,
            active: None,
            revision: 0,
        }
    }

    /// The replicated state.
    pub fn state(&self) -> &ServerState {
        &self.state
    }

    /// Whether an attempt is under way.
    pub fn is_active(&self) -> bool {
        self.active.is_some()
    }

    /// The result of the last round that gave a sum.
    pub fn last_result(&self) -> Option<&RoundResult> {
        self.publication.as_ref().map(|publication| &publication.result)
    }

    /// Proof against the sites that are no longer invited.
    pub fn evidence(&self) -> &[Equivocation] {
        &self.evidence
    }

    /// A number that changes whenever something changes that a restart has to bring back.
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// When [`Self::tick`] will act, in the caller's milliseconds.
    pub fn deadline_ms(&self) -> Option<u64> {
        self.active.as_ref().map(|active| active.deadline_ms)
    }

    /// Opens the next attempt with all sites of the plan but those that equivocated; one under way is given
    /// up.
    ///
    /// # Errors
    /// [`MachineError::Layout`] when the clips have grown beyond what can be encoded.
    pub fn open(&mut self, now_ms: u64) -> Result<Vec<CoordinatorEffect>, MachineError> {
        let (round, attempt) = (self.state.round, self.attempts);
        let invited: SiteSet = self.plan.roster().iter().filter(|&site| !self.is_excluded(site)).collect();
        let (terms, proven) = self.state.terms(&self.plan, round, attempt, invited.clone())?;
        let body = Open { round, attempt, invited };
        let mut effects = Vec::new();
        self.send_all(&terms, Phase::Open, &body, &mut effects)?;
        let phase = Collecting::Keys(CollectA::open(Arc::clone(&terms)));
        match self.attempts.checked_add(1) {
            Some(attempts) => self.attempts = attempts,
            None => self.next_number(),
        }
        let (deadline_ms, said, sent) = (self.deadline(now_ms), BTreeMap::new(), sent(&effects));
        self.active = Some(Active { terms, proven, deadline_ms, phase, said, sent });
        self.revision += 1;
        Ok(effects)
    }

    /// Takes one message from a site.
    ///
    /// # Errors
    /// [`MachineError`]; the message is dropped and nothing changes.
    pub fn receive(&mut self, bytes: &[u8], now_ms: u64) -> Result<Vec<CoordinatorEffect>, MachineError> {
        let envelope = Envelope::open(bytes)?;
        if envelope.header.ctx == self.plan.hello_ctx() {
            return self.hello(&envelope);
        }
        let active = self.active.as_mut().ok_or(MachineError::Context)?;
        if envelope.header.ctx != active.terms.ctx() {
            return Err(MachineError::Context);
        }
        envelope.verify(self.plan.keys())?;
        let statements = active.said.len();
        let contradiction = active.contradiction(&envelope);
        self.revision += u64::from(active.said.len() > statements);
        if let Some(evidence) = contradiction {
            return Ok(self.exclude(evidence));
        }
        if envelope.header.phase == Phase::Complaint {
            return self.complaint(&envelope);
        }
        self.revision += u64::from(active.accept(&envelope)? == Accepted::New);
        if active.missing().is_empty() { Ok(self.advance(now_ms)) } else { Ok(Vec::new()) }
    }

    /// Lets time pass: at the deadline the phase closes with what is there.
    pub fn tick(&mut self, now_ms: u64) -> Vec<CoordinatorEffect> {
        let due = self.active.as_ref().is_some_and(|active| now_ms >= active.deadline_ms);
        if due { self.advance(now_ms) } else { Vec::new() }
    }

    /// Closes the current phase, whatever the time: a deadline passed before a restart.
    pub(crate) fn close_phase(&mut self, now_ms: u64) -> Vec<CoordinatorEffect> {
        self.advance(now_ms)
    }

    fn is_excluded(&self, site: SiteId) -> bool {
        self.evidence.iter().any(|evidence| evidence.header.from == site)
    }

    /// The round gets another number and goes on from the same state.
    fn next_number(&mut self) {
        self.state.round += 1;
        self.attempts = 0;
    }

    fn send_all<T: Serialize>(
        &self,
        terms: &Terms,
        phase: Phase,
        body: &T,
        effects: &mut Vec<CoordinatorEffect>,
    ) -> Result<(), MachineError> {
        let bytes = Envelope::seal(terms.header(phase, COORDINATOR), body, &self.identity)?;
        effects.push(CoordinatorEffect::Send(terms.attempt.invited.clone(), phase, bytes));
        Ok(())
    }

    fn deadline(&self, now_ms: u64) -> u64 {
        now_ms.saturating_add(self.plan.job().phase_timeout_ms)
    }

    /// Keeps the evidence, invites the site no more, and ends the attempt unless U3 is fixed already.
    fn exclude(&mut self, evidence: Equivocation) -> Vec<CoordinatorEffect> {
        let site = evidence.header.from;
        if !self.is_excluded(site) {
            self.evidence.push(evidence.clone());
            self.revision += 1;
        }
        let mut effects = vec![CoordinatorEffect::Equivocated(evidence)];
        if let Some(active) = self.active.take_if(|active| !active.is_fixed()) {
            effects.extend(self.end(&active.terms, false, Abort::Equivocation { site }.into()));
        }
        effects
    }

    fn complaint(&mut self, envelope: &Envelope) -> Result<Vec<CoordinatorEffect>, MachineError> {
        let Complaint { dealer } = envelope.body()?;
        let waits = matches!(&self.active, Some(Active { phase: Collecting::Uploads(state), .. })
            if state.missing().contains(envelope.header.from));
        let Some(active) = self.active.take_if(|_| waits) else {
            return Err(MachineError::OutOfPhase { phase: envelope.header.phase });
        };
        let accuser = envelope.header.from;
        Ok(self.end(&active.terms, false, Abort::Complaint { accuser, dealer }.into()))
    }

    /// Closes the current phase and opens the next.
    fn advance(&mut self, now_ms: u64) -> Vec<CoordinatorEffect> {
        let Some(active) = self.active.take() else { return Vec::new() };
        self.revision += 1;
        let terms = Arc::clone(&active.terms);
        let confirming = active.is_fixed();
        let mut effects = Vec::new();
        match self.close(active, now_ms, &mut effects) {
            Ok(()) => effects,
            Err(error) => self.end(&terms, confirming, error),
        }
    }

    fn close(
        &mut self,
        active: Active,
        now_ms: u64,
        effects: &mut Vec<CoordinatorEffect>,
    ) -> Result<(), MachineError> {
        let terms = &active.terms;
        let phase = match active.phase {
            Collecting::Keys(state) if terms.attempt.invited.len() == 2 => {
                let (next, set) = state.close_pair()?;
                self.send_all(terms, Phase::AdvertiseSet, &set, effects)?;
                Collecting::PairUploads(next)
            }
            Collecting::Keys(state) => {
                let (next, set) = state.close()?;
                self.send_all(terms, Phase::AdvertiseSet, &set, effects)?;
                Collecting::Shares(next)
            }
            Collecting::Shares(state) => {
                let (next, relayed) = state.close()?;
                for (to, set) in relayed {
                    let header = terms.header(Phase::ShareSet, COORDINATOR);
                    let bytes = Envelope::seal(header, &set, &self.identity)?;
                    let to = std::iter::once(to).collect();
                    effects.push(CoordinatorEffect::Send(to, Phase::ShareSet, bytes));
                }
                Collecting::Uploads(next)
            }
            Collecting::Uploads(state) => {
                let (next, announce) = state.close()?;
                self.send_all(terms, Phase::Announce, &announce, effects)?;
                Collecting::Confirmations(next)
            }
            Collecting::Confirmations(state) => {
                let (next, set) = state.close()?;
                self.send_all(terms, Phase::ConfirmSet, &set, effects)?;
                Collecting::Reveals(next)
            }
            Collecting::PairUploads(state) => {
                return self.publish(terms, &active.proven, &state.close()?, effects);
            }
            Collecting::Reveals(state) => {
                return self.publish(terms, &active.proven, &state.close()?, effects);
            }
        };
        let deadline_ms = self.deadline(now_ms);
        let sent = [active.sent, sent(effects)].concat();
        self.active = Some(Active { phase, deadline_ms, sent, ..active });
        Ok(())
    }

    /// Phase P: sends the sum to all sites and takes the server step on the own replica.
    fn publish(
        &mut self,
        terms: &Terms,
        proven: &Proven,
        sum: &Sum,
        effects: &mut Vec<CoordinatorEffect>,
    ) -> Result<(), MachineError> {
        let average = decode(proven, &sum.words, sum.complete.len())?;
        let (chunks, root) = chunks(&sum.words);
        for chunk in chunks {
            self.send_all(terms, Phase::PublishChunk, &chunk, effects)?;
        }
        let (side, complete, quorum) = (side_to_bytes(&sum.side), sum.complete.clone(), sum.quorum.clone());
        let close = PublishClose { root, side, complete, quorum };
        self.send_all(terms, Phase::PublishClose, &close, effects)?;
        self.previous = Some(self.state.clone());
        self.state.apply(&self.plan, terms.attempt.round, &average);
        (self.attempts, self.standing) = (0, Standing::default());
        let result = RoundResult {
            round: terms.attempt.round,
            complete: sum.complete.clone(),
            samples: average.samples,
            clipped: average.clipped,
            means: decode_side(&sum.side[..terms.side_values()], average.samples),
            model: self.state.model_hash(),
        };
        let messages = sent(effects).into_iter().map(|(_, phase, bytes)| (phase, Bytes(bytes))).collect();
        self.publication = Some(Publication { ctx: terms.ctx(), messages, result: result.clone() });
        effects.push(CoordinatorEffect::Finished(result, sum.blamed.clone()));
        Ok(())
    }

    /// Ends an attempt. Once sites were asked to confirm, its round is burned and the next attempt gets a new
    /// number.
    fn end(&mut self, terms: &Terms, burned: bool, error: MachineError) -> Vec<CoordinatorEffect> {
        let (round, attempt) = (terms.attempt.round, terms.attempt.attempt);
        self.revision += 1;
        if burned {
            self.next_number();
        }
        let mut effects = Vec::new();
        if self.send_all(terms, Phase::Abandon, &(), &mut effects).is_err() {
            effects.clear();
        }
        effects.push(CoordinatorEffect::Ended { round, attempt, error });
        effects
    }
}
