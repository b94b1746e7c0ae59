//! The site's machine: takes message bytes and its own update, returns message bytes and events.
//!
//! It knows no socket and no clock; randomness is handed in. Rounding fractions and keys come from two
//! sources that never mix: an update carries its rounding key, keys are drawn from the given entropy.

use std::mem;
use std::sync::Arc;

use fovea_secagg::commit::Terms;
use fovea_secagg::encode::{RoundingKey, decode, decode_side, encode, encode_side};
use fovea_secagg::error::Abort;
use fovea_secagg::hash::Hash;
use fovea_secagg::history::History;
use fovea_secagg::layout::Proven;
use fovea_secagg::message::{
    AdvertiseSet, COORDINATOR, Complaint, Envelope, MaskedClose, Open, Phase, PublishClose, ShareSet,
};
use fovea_secagg::secret::Entropy;
use fovea_secagg::sets::{SiteId, SiteSet};
use fovea_secagg::site::pair::PairReady;
use fovea_secagg::site::{Advertised, Confirmed, Masked, Ready, Shared, Upload};
use fovea_secagg::vector::{Spool, chunks, side_from_bytes, side_to_bytes};

use crate::error::MachineError;
use crate::job::Plan;
use crate::state::ServerState;

/// What a site brings out of its training.
#[derive(Debug, Clone, PartialEq)]
pub struct LocalUpdate {
    /// The trained model, flat, in the order of the parameter table.
    pub model: Vec<f32>,
    /// Samples it was trained on: the weight of the update.
    pub samples: u32,
    /// Sidecar values, in the order of the job's `side_names`.
    pub side: Vec<f64>,
}

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
    /// The round is over and the model has changed.
    Finished(RoundResult),
}

/// What is known to everyone after a round.
#[derive(Debug, Clone, PartialEq)]
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
    plan: Arc<Plan>,
    me: SiteId,
    state: ServerState,
    history: History,
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
    Masked(Masked),
    Confirmed(Confirmed),
    /// The sum alone; over a known set, or any acceptable one after dropping out.
    Following(Option<SiteSet>),
}

impl SiteMachine {
    /// A site at the given state.
    pub fn new(plan: Arc<Plan>, me: SiteId, state: ServerState) -> Self {
        let history = History::new(plan.job().multi_round_policy);
        Self { plan, me, state, history, active: None }
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
    /// [`MachineError`]: [`MachineError::Abort`] and [`MachineError::Decode`] end the attempt at this site,
    /// all others leave it as it was. A [`SiteEffect::Send`] to be sent nonetheless (a complaint) is in
    /// `effects`.
    pub fn receive(
        &mut self,
        bytes: &[u8],
        entropy: &mut dyn Entropy,
        effects: &mut Vec<SiteEffect>,
    ) -> Result<(), MachineError> {
        let envelope = Envelope::open(bytes)?;
        if envelope.from != COORDINATOR {
            return Err(MachineError::OutOfPhase { phase: envelope.phase });
        }
        if envelope.phase == Phase::Open {
            return self.open(&envelope, entropy, effects);
        }
        let active = self.active.as_mut().ok_or(MachineError::Context)?;
        if envelope.ctx != active.terms.ctx() {
            return Err(MachineError::Context);
        }
        match envelope.phase {
            Phase::PublishChunk => active.publish_chunk(&envelope),
            Phase::PublishClose => self.publish_close(&envelope, effects),
            Phase::Abandon => {
                self.active = None;
                Ok(())
            }
            _ => self.advance(&envelope, entropy, effects),
        }
    }

    /// Hands in the trained model.
    ///
    /// # Errors
    /// [`MachineError::OutOfPhase`] unless the site is ready; [`MachineError::Encode`] when the update is
    /// refused: the site then drops out and follows the round.
    pub fn submit(
        &mut self,
        update: &LocalUpdate,
        rounding: &RoundingKey,
        effects: &mut Vec<SiteEffect>,
    ) -> Result<(), MachineError> {
        let out_of_phase = MachineError::OutOfPhase { phase: Phase::MaskedChunk };
        let Some(active) = self.active.as_mut() else { return Err(out_of_phase) };
        if !active.is_ready() {
            return Err(out_of_phase);
        }
        let phase = mem::replace(&mut active.phase, SitePhase::Following(None));
        let encoded = encode(&active.proven, &update.model, &self.state.model, update.samples, rounding)?;
        let side = encode_side(&update.side, update.samples, active.proven.sites())?;
        let (phase, upload) = match phase {
            SitePhase::Ready(ready) => {
                let (masked, upload) = ready.mask(encoded, side)?;
                (SitePhase::Masked(masked), upload)
            }
            SitePhase::PairReady(ready) => {
                let (masked, upload) = ready.mask(encoded, side)?;
                (SitePhase::Following(Some(masked.complete().clone())), upload)
            }
            _ => return Err(out_of_phase),
        };
        active.phase = phase;
        send_upload(active.terms.ctx(), self.me, &upload, effects)
    }

    /// Gives up this round's training: secrets are wiped, the site goes on following the round.
    pub fn drop_out(&mut self) {
        if let Some(active) = self.active.as_mut() {
            active.phase = SitePhase::Following(None);
        }
    }

    fn open(
        &mut self,
        envelope: &Envelope,
        entropy: &mut dyn Entropy,
        effects: &mut Vec<SiteEffect>,
    ) -> Result<(), MachineError> {
        let Open { round, attempt, invited } = envelope.body()?;
        let (terms, proven) = self.state.terms(&self.plan, round, attempt, invited.clone())?;
        if round < self.state.round || !invited.is_subset(&self.plan.roster()) || envelope.ctx != terms.ctx()
        {
            return Err(MachineError::Context);
        }
        if self.history.is_burned(round) {
            return Err(MachineError::Abort(Abort::SecondConfirmation { round }));
        }
        let (state, message) = Advertised::start(Arc::clone(&terms), self.me, entropy)?;
        effects.push(self.seal(terms.ctx(), Phase::Advertise, &message)?);
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
        let Some(active) = self.active.as_mut() else { return Err(MachineError::Context) };
        if !active.waits_for(envelope.phase) {
            return Err(MachineError::OutOfPhase { phase: envelope.phase });
        }
        let body = Announced::read(envelope)?;
        // From here on the state is consumed: any error ends the attempt and wipes its secrets.
        let Some(active) = self.active.take() else { return Err(MachineError::Context) };
        let (ctx, round) = (active.terms.ctx(), active.terms.attempt.round);
        let phase = match (active.phase, body) {
            (SitePhase::Advertised(state), Announced::Keys(set)) if self.plan.sites().len() == 2 => {
                effects.push(SiteEffect::Ready { round });
                SitePhase::PairReady(state.pair(&set, &self.plan.acknowledged())?)
            }
            (SitePhase::Advertised(state), Announced::Keys(set)) => {
                let (state, message) = state.share(&set, entropy)?;
                effects.push(self.seal(ctx, Phase::Share, &message)?);
                SitePhase::Shared(state)
            }
            (SitePhase::Shared(state), Announced::Shares(set)) => {
                let ready = self.received(ctx, state, &set, effects)?;
                effects.push(SiteEffect::Ready { round });
                SitePhase::Ready(ready)
            }
            (SitePhase::Masked(state), Announced::Complete(announce)) => {
                let (state, message) = state.confirm(&announce, &mut self.history)?;
                effects.push(self.seal(ctx, Phase::Confirm, &message)?);
                SitePhase::Confirmed(state)
            }
            (SitePhase::Confirmed(state), Announced::Quorum(set)) => {
                let (state, message) = state.unmask(&set)?;
                effects.push(self.seal(ctx, Phase::Unmask, &message)?);
                SitePhase::Following(Some(state.complete().clone()))
            }
            _ => return Err(MachineError::OutOfPhase { phase: envelope.phase }),
        };
        self.active = Some(Active { phase, ..active });
        Ok(())
    }

    /// Checks the dealt shares; a bad dealer is named to the coordinator.
    fn received(
        &self,
        ctx: Hash,
        state: Shared,
        set: &ShareSet,
        effects: &mut Vec<SiteEffect>,
    ) -> Result<Ready, MachineError> {
        match state.receive(set) {
            Ok(ready) => Ok(ready),
            Err(abort) => {
                if let Abort::BadDealer { dealer, .. } = abort {
                    effects.push(self.seal(ctx, Phase::Complaint, &Complaint { dealer })?);
                }
                Err(abort.into())
            }
        }
    }

    fn publish_close(
        &mut self,
        envelope: &Envelope,
        effects: &mut Vec<SiteEffect>,
    ) -> Result<(), MachineError> {
        let out_of_phase = MachineError::OutOfPhase { phase: envelope.phase };
        if !self.active.as_ref().is_some_and(Active::can_follow) {
            return Err(out_of_phase);
        }
        let close: PublishClose = envelope.body()?;
        let Some(active) = self.active.take() else { return Err(out_of_phase) };
        let refused = |why| MachineError::Abort(Abort::Published { why });
        let expected = matches!(&active.phase, SitePhase::Following(Some(set)) if *set != close.complete);
        if expected || !close.complete.is_subset(&active.terms.attempt.invited) {
            return Err(refused("another set than the confirmed one"));
        }
        if close.complete.len() < self.plan.sites().len().min(3) {
            return Err(refused("too few sites in the sum"));
        }
        let side = side_from_bytes(&close.side, active.terms.side_words)
            .ok_or(refused("sidecar of a wrong length"))?;
        let words = active.inbox.finish(close.root).map_err(|(_, why)| refused(why))?;
        let average = decode(&active.proven, &words, close.complete.len())?;
        let round = active.terms.attempt.round;
        self.state.apply(&self.plan, round, &average);
        effects.push(SiteEffect::Finished(RoundResult {
            round,
            complete: close.complete,
            samples: average.samples,
            clipped: average.clipped,
            means: decode_side(&side, average.samples),
            model: self.state.model_hash(),
        }));
        Ok(())
    }

    fn seal<T: serde::Serialize>(
        &self,
        ctx: Hash,
        phase: Phase,
        body: &T,
    ) -> Result<SiteEffect, MachineError> {
        Ok(SiteEffect::Send(phase, Envelope::seal(ctx, phase, self.me, body)?))
    }
}

impl Active {
    fn is_ready(&self) -> bool {
        matches!(self.phase, SitePhase::Ready(_) | SitePhase::PairReady(_))
    }

    /// A site that has uploaded or dropped out can follow the publication.
    fn can_follow(&self) -> bool {
        matches!(self.phase, SitePhase::Masked(_) | SitePhase::Confirmed(_) | SitePhase::Following(_))
    }

    fn waits_for(&self, phase: Phase) -> bool {
        matches!(
            (&self.phase, phase),
            (SitePhase::Advertised(_), Phase::AdvertiseSet)
                | (SitePhase::Shared(_), Phase::ShareSet)
                | (SitePhase::Masked(_), Phase::Announce)
                | (SitePhase::Confirmed(_), Phase::ConfirmSet)
        )
    }

    fn publish_chunk(&mut self, envelope: &Envelope) -> Result<(), MachineError> {
        if !self.can_follow() {
            return Err(MachineError::OutOfPhase { phase: envelope.phase });
        }
        self.inbox.accept(COORDINATOR, &envelope.body()?)?;
        Ok(())
    }
}

/// The body of a message that advances a site.
enum Announced {
    Keys(AdvertiseSet),
    Shares(ShareSet),
    Complete(fovea_secagg::message::Announce),
    Quorum(fovea_secagg::message::ConfirmSet),
}

impl Announced {
    fn read(envelope: &Envelope) -> Result<Self, MachineError> {
        match envelope.phase {
            Phase::AdvertiseSet => Ok(Self::Keys(envelope.body()?)),
            Phase::ShareSet => Ok(Self::Shares(envelope.body()?)),
            Phase::Announce => Ok(Self::Complete(envelope.body()?)),
            Phase::ConfirmSet => Ok(Self::Quorum(envelope.body()?)),
            phase => Err(MachineError::OutOfPhase { phase }),
        }
    }
}

fn send_upload(
    ctx: Hash,
    me: SiteId,
    upload: &Upload,
    effects: &mut Vec<SiteEffect>,
) -> Result<(), MachineError> {
    let (chunks, root) = chunks(&upload.words);
    for chunk in chunks {
        let bytes = Envelope::seal(ctx, Phase::MaskedChunk, me, &chunk)?;
        effects.push(SiteEffect::Send(Phase::MaskedChunk, bytes));
    }
    let close = MaskedClose { root, side: side_to_bytes(&upload.side) };
    let bytes = Envelope::seal(ctx, Phase::MaskedClose, me, &close)?;
    effects.push(SiteEffect::Send(Phase::MaskedClose, bytes));
    Ok(())
}
