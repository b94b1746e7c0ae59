//! The site's machine: takes message bytes and its own update, returns message bytes and events.
//!
//! It knows no socket, no file and no clock; randomness is handed in, and what it must never forget goes to a
//! journal whose storage it does not see. Rounding fractions and keys come from two sources that never mix: an
//! update carries its rounding key, keys are drawn from the given entropy.

use std::sync::Arc;

use fovea_secagg::commit::Terms;
use fovea_secagg::encode::RoundingKey;
use fovea_secagg::envelope::{Envelope, Signed};
use fovea_secagg::error::Abort;
use fovea_secagg::hash::Hash;
use fovea_secagg::history::History;
use fovea_secagg::identity::Identity;
use fovea_secagg::journal::{Attempt, Entry, Journal};
use fovea_secagg::layout::Proven;
use fovea_secagg::message::{COORDINATOR, Complaint, MaskedClose, Open, Phase, ShareSet};
use fovea_secagg::secret::Entropy;
use fovea_secagg::sets::{SiteId, SiteSet};
use fovea_secagg::site::pair::PairReady;
use fovea_secagg::site::{Advertised, Confirmed, Ready, Seat, Shared, Uploaded, Verifier};
use fovea_secagg::vector::Spool;
use serde::{Deserialize, Serialize};

use crate::error::MachineError;
use crate::manifest::SignedPlan;
use crate::record::{Past, Record};
use crate::site::announced::Announced;
use crate::state::ServerState;

mod announced;
mod publish;
mod rejoin;
mod resume;
mod submit;

pub use submit::LocalUpdate;

/// What the site's surroundings have to do.
#[derive(Debug, Clone, PartialEq)]
pub enum SiteEffect {
    /// Send these bytes to the coordinator.
    Send(Phase, Vec<u8>),
    /// An attempt has opened: training may begin.
    Train {
        /// Round.
        round: u32,
    },
    /// Keys and shares are in place: the update can be handed in.
    Ready {
        /// Round.
        round: u32,
    },
    /// The round is over and the model has changed: save the state, then call [`SiteMachine::state_saved`].
    Finished(RoundResult),
    /// This site was away and has taken the state that a quorum of sites stands at: save it, then call
    /// [`SiteMachine::state_saved`].
    CaughtUp {
        /// The first round it can take part in.
        round: u32,
        /// Digest of the model.
        model: Hash,
    },
}

/// What is known to everyone after a round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RoundResult {
    /// Round.
    pub round: u32,
    /// Sites in the sum.
    pub complete: SiteSet,
    /// Samples of all of them.
    pub samples: u32,
    /// Coordinates that were clipped, over all of them.
    pub clipped: u32,
    /// Sample-weighted means of the sidecar values.
    pub means: Vec<f64>,
    /// Digest of the new model.
    pub model: Hash,
}

/// A site of the federation.
#[derive(Debug)]
pub struct SiteMachine {
    plan: Arc<SignedPlan>,
    me: SiteId,
    identity: Arc<Identity>,
    state: ServerState,
    history: History,
    journal: Journal,
    /// The newest attempt this site has taken part in.
    joined: Option<(u32, u16)>,
    /// Whether the journal keeps secrets of an attempt under way.
    journaled: bool,
    /// Whether the state has changed and was not said to be saved.
    unsaved: bool,
    /// Context of the last attempt whose publication was refused.
    refused: Option<Hash>,
    /// A state that is being sent to this site.
    offered: Option<Spool>,
    active: Option<Active>,
}

/// The attempt under way.
#[derive(Debug)]
struct Active {
    terms: Arc<Terms>,
    proven: Proven,
    phase: SitePhase,
    inbox: Spool,
}

/// What the site waits for.
#[derive(Debug)]
enum SitePhase {
    Advertised(Advertised),
    Shared(Shared),
    Ready(Ready),
    PairReady(PairReady),
    /// The set of complete uploads; after a restart perhaps also its own update again.
    Uploaded(Box<Uploaded>, Option<Resend>),
    Confirmed(Box<Confirmed>),
    /// The sum alone; over a known set, or any acceptable one after dropping out.
    Following(Verifier, Option<SiteSet>),
    /// The end of the attempt: dropped out before it could check a sum.
    Out,
}

/// An upload that a restart may have interrupted.
#[derive(Debug)]
struct Resend {
    close: MaskedClose,
    rounding: RoundingKey,
}

impl SiteMachine {
    /// A site at the given state, going on where its journal ends. The effects are to be carried out: what the
    /// journal says was about to be sent is sent again, byte for byte.
    ///
    /// # Errors
    /// [`MachineError::Journal`], [`MachineError::OtherState`] when an attempt under way started from another
    /// model, [`MachineError::Restore`], [`MachineError::Abort`].
    pub fn new(
        plan: Arc<SignedPlan>,
        me: SiteId,
        identity: Arc<Identity>,
        state: ServerState,
        (journal, entries): (Journal, Vec<Entry>),
        entropy: &mut dyn Entropy,
    ) -> Result<(Self, Vec<SiteEffect>), MachineError> {
        let past = Past::read(entries)?;
        let mut history = History::new(plan.job().multi_round_policy);
        past.fill(&mut history);
        let mut site = Self {
            plan,
            me,
            identity,
            state,
            history,
            journal,
            joined: past.joined,
            journaled: false,
            unsaved: false,
            refused: past.refused,
            offered: None,
            active: None,
        };
        let mut effects = Vec::new();
        if let Some(open) = past.open {
            site.journaled = true;
            site.resume(open, &mut effects)?;
            site.settle(entropy)?;
        }
        Ok((site, effects))
    }

    /// The replicated state.
    pub fn state(&self) -> &ServerState {
        &self.state
    }

    /// The sets this site confirmed, with warnings.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Takes one message from the coordinator.
    ///
    /// # Errors
    /// [`MachineError`]: [`MachineError::Abort`], [`MachineError::Journal`] and [`MachineError::Decode`] end the
    /// attempt at this site, all others leave it as it was. A [`SiteEffect::Send`] to be sent nonetheless (a
    /// complaint) is in `effects`.
    pub fn receive(
        &mut self,
        bytes: &[u8],
        entropy: &mut dyn Entropy,
        effects: &mut Vec<SiteEffect>,
    ) -> Result<(), MachineError> {
        let result = self.handle(bytes, entropy, effects);
        let settled = self.settle(entropy);
        result.and(settled)
    }

    fn handle(
        &mut self,
        bytes: &[u8],
        entropy: &mut dyn Entropy,
        effects: &mut Vec<SiteEffect>,
    ) -> Result<(), MachineError> {
        let envelope = Envelope::open(bytes)?;
        let phase = envelope.header.phase;
        if envelope.header.from != COORDINATOR {
            return Err(MachineError::OutOfPhase { phase });
        }
        if phase == Phase::Open {
            envelope.verify(self.plan.keys())?;
            return self.open(&envelope, entropy, effects);
        }
        if envelope.header.ctx == self.plan.hello_ctx() {
            envelope.verify(self.plan.keys())?;
            return self.catch_up(&envelope, effects);
        }
        let active = self.active.as_mut().ok_or(MachineError::Context)?;
        if envelope.header.ctx != active.terms.ctx() {
            return Err(MachineError::Context);
        }
        envelope.verify(self.plan.keys())?;
        match phase {
            Phase::PublishChunk => active.publish_chunk(&envelope),
            Phase::PublishClose => self.publish_close(&envelope, entropy, effects),
            Phase::Abandon => {
                self.active = None;
                Ok(())
            }
            _ => self.advance(&envelope, entropy, effects),
        }
    }

    /// Forgets the secrets in the journal once their attempt is over and the state after it is safe.
    fn settle(&mut self, entropy: &mut dyn Entropy) -> Result<(), MachineError> {
        if self.active.is_none() && self.journaled && !self.unsaved {
            self.journaled = false;
            self.journal.append(&Record::Closed.to_bytes()?, Attempt::End, entropy)?;
        }
        Ok(())
    }

    fn open(
        &mut self,
        envelope: &Envelope,
        entropy: &mut dyn Entropy,
        effects: &mut Vec<SiteEffect>,
    ) -> Result<(), MachineError> {
        let Open { round, attempt, invited } = envelope.body()?;
        let (terms, proven) = self.state.terms(&self.plan, round, attempt, invited.clone())?;
        if round < self.state.round
            || !invited.is_subset(&self.plan.roster())
            || envelope.header.ctx != terms.ctx()
        {
            if round >= self.state.round {
                effects.push(self.hello()?);
            }
            return Err(MachineError::Context);
        }
        if self.history.is_burned(round) {
            return Err(Abort::SecondConfirmation { round }.into());
        }
        if self.joined >= Some((round, attempt)) {
            return Err(Abort::OldAttempt { round, attempt }.into());
        }
        let seat = Seat::new(Arc::clone(&terms), self.me, Arc::clone(&self.identity))?;
        let record = Record::Joining { round, attempt }.to_bytes()?;
        self.journal.append(&record, Attempt::End, entropy)?;
        self.joined = Some((round, attempt));
        (self.journaled, self.unsaved) = (false, false);
        let (state, message) = Advertised::start(seat, entropy)?;
        effects.push(self.wrap(&terms, Phase::Advertise, &message)?);
        effects.push(SiteEffect::Train { round });
        let inbox = Spool::new(terms.words);
        self.active = Some(Active { terms, proven, phase: SitePhase::Advertised(state), inbox });
        Ok(())
    }

    fn advance(
        &mut self,
        envelope: &Envelope,
        entropy: &mut dyn Entropy,
        effects: &mut Vec<SiteEffect>,
    ) -> Result<(), MachineError> {
        let phase = envelope.header.phase;
        if !self.active.as_ref().is_some_and(|active| active.waits_for(phase)) {
            return Err(MachineError::OutOfPhase { phase });
        }
        let body = Announced::read(envelope)?;
        // From here on the state is consumed: any error ends the attempt and wipes its secrets.
        let Some(active) = self.active.take() else { return Err(MachineError::Context) };
        let (terms, round) = (Arc::clone(&active.terms), active.terms.attempt.round);
        let next = match (active.phase, body) {
            (SitePhase::Advertised(state), Announced::Keys(set)) if self.plan.two_party().is_some() => {
                effects.push(SiteEffect::Ready { round });
                let missing = MachineError::OutOfPhase { phase };
                SitePhase::PairReady(state.pair(&set, self.plan.two_party().ok_or(missing)?)?)
            }
            (SitePhase::Advertised(state), Announced::Keys(set)) => {
                let (state, message) = state.share(&set, entropy)?;
                effects.push(self.wrap(&terms, Phase::Share, &message)?);
                SitePhase::Shared(state)
            }
            (SitePhase::Shared(state), Announced::Shares(set)) => {
                let ready = self.received(&terms, state, &set, effects)?;
                effects.push(SiteEffect::Ready { round });
                SitePhase::Ready(ready)
            }
            (SitePhase::Uploaded(state, _), Announced::Complete(announce)) => {
                let Uploaded::Masked(state) = *state else { return Err(MachineError::OutOfPhase { phase }) };
                let (state, message) = state.confirm(&announce, &mut self.history)?;
                self.note(&Record::Confirming { round, announce }, entropy)?;
                effects.push(self.wrap(&terms, Phase::Confirm, &message)?);
                SitePhase::Confirmed(Box::new(state))
            }
            (SitePhase::Confirmed(state), Announced::Quorum(quorum)) => {
                let (state, message) = state.unmask(&quorum)?;
                self.note(&Record::Revealing { quorum }, entropy)?;
                effects.push(self.wrap(&terms, Phase::Unmask, &message)?);
                let complete = state.complete().clone();
                SitePhase::Following(state.into_verifier(), Some(complete))
            }
            _ => return Err(MachineError::OutOfPhase { phase }),
        };
        self.active = Some(Active { phase: next, ..active });
        Ok(())
    }

    /// Writes a step of the attempt under way. Nothing of it is sent unless this succeeds.
    fn note(&mut self, record: &Record, entropy: &mut dyn Entropy) -> Result<(), MachineError> {
        Ok(self.journal.append(&record.to_bytes()?, Attempt::Keep, entropy)?)
    }

    /// Checks the dealt shares; a bad dealer is named to the coordinator.
    fn received(
        &self,
        terms: &Terms,
        state: Shared,
        set: &ShareSet,
        effects: &mut Vec<SiteEffect>,
    ) -> Result<Ready, MachineError> {
        match state.receive(set) {
            Ok(ready) => Ok(ready),
            Err(abort) => {
                if let Abort::BadDealer { dealer, .. } = abort {
                    effects.push(self.seal(terms, Phase::Complaint, &Complaint { dealer })?);
                }
                Err(abort.into())
            }
        }
    }

    fn seal<T: Serialize>(&self, terms: &Terms, phase: Phase, body: &T) -> Result<SiteEffect, MachineError> {
        let bytes = Envelope::seal(terms.header(phase, self.me), body, &self.identity)?;
        Ok(SiteEffect::Send(phase, bytes))
    }

    fn wrap<T: Serialize>(
        &self,
        terms: &Terms,
        phase: Phase,
        signed: &Signed<T>,
    ) -> Result<SiteEffect, MachineError> {
        Ok(SiteEffect::Send(phase, Envelope::wrap(terms.header(phase, self.me), signed)?))
    }
}

impl Active {
    fn waits_for(&self, phase: Phase) -> bool {
        match &self.phase {
            SitePhase::Advertised(_) => phase == Phase::AdvertiseSet,
            SitePhase::Shared(_) => phase == Phase::ShareSet,
            SitePhase::Uploaded(state, _) => {
                phase == Phase::Announce && matches!(**state, Uploaded::Masked(_))
            }
            SitePhase::Confirmed(_) => phase == Phase::ConfirmSet,
            SitePhase::Ready(_) | SitePhase::PairReady(_) | SitePhase::Following(..) | SitePhase::Out => {
                false
            }
        }
    }
}
