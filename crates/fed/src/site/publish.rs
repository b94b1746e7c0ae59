//! Following the publication of a sum: believed only with the proofs of its set, its tags and its bounds.

use fovea_secagg::encode::{decode, decode_side};
use fovea_secagg::envelope::Envelope;
use fovea_secagg::error::{Abort, Reject};
use fovea_secagg::journal::Attempt;
use fovea_secagg::message::{COORDINATOR, Phase, PublishClose};
use fovea_secagg::secret::Entropy;
use fovea_secagg::sets::SiteSet;
use fovea_secagg::site::{Published, Verifier};
use fovea_secagg::vector::side_from_bytes;

use crate::error::MachineError;
use crate::record::Record;
use crate::site::{Active, RoundResult, SiteEffect, SiteMachine, SitePhase};

impl SiteMachine {
    pub(super) fn publish_close(
        &mut self,
        envelope: &Envelope,
        entropy: &mut dyn Entropy,
        effects: &mut Vec<SiteEffect>,
    ) -> Result<(), MachineError> {
        let out_of_phase = MachineError::OutOfPhase { phase: envelope.header.phase };
        match self.active.as_ref().filter(|active| active.can_follow()) {
            None => return Err(out_of_phase),
            // A piece was lost on the way: the publication can come again.
            Some(active) if !active.inbox.is_complete() => {
                return Err(Reject::Content { site: COORDINATOR, what: "incomplete publication" }.into());
            }
            Some(_) => {}
        }
        let close = envelope.body()?;
        let Some(active) = self.active.take() else { return Err(out_of_phase) };
        let ctx = active.terms.ctx();
        let taken = self.take_sum(active, close, effects);
        if taken.is_err() {
            // The coordinator cannot see that the tags are wrong, and has to be told so, whatever happens.
            self.journal.append(&Record::Refused { ctx }.to_bytes()?, Attempt::End, entropy)?;
            (self.refused, self.journaled) = (Some(ctx), false);
            effects.push(self.hello()?);
        }
        taken
    }

    /// Checks a whole publication and takes the server step.
    fn take_sum(
        &mut self,
        Active { terms, proven, phase, inbox }: Active,
        PublishClose { root, side, complete, quorum }: PublishClose,
        effects: &mut Vec<SiteEffect>,
    ) -> Result<(), MachineError> {
        let out_of_phase = MachineError::OutOfPhase { phase: Phase::PublishClose };
        let refused = |why| MachineError::Abort(Abort::Published { why });
        let (verifier, expected) = phase.into_verifier().ok_or(out_of_phase)?;
        if expected.is_some_and(|set| set != complete) {
            return Err(refused("another set than the confirmed one"));
        }
        let side = side_from_bytes(&side, terms.side_words).ok_or(refused("sidecar of a wrong length"))?;
        let words = inbox.finish(root).map_err(|(_, why)| refused(why))?;
        let published = Published { words: &words, side: &side, complete: &complete, quorum: &quorum };
        verifier.check(published)?;
        let average = decode(&proven, &words, complete.len())?;
        let round = terms.attempt.round;
        self.state.apply(&self.plan, round, &average);
        effects.push(SiteEffect::Finished(RoundResult {
            round,
            complete,
            samples: average.samples,
            clipped: average.clipped,
            means: decode_side(&side[..terms.side_values()], average.samples),
            model: self.state.model_hash(),
        }));
        self.moved(effects)
    }
}

impl Active {
    pub(super) fn publish_chunk(&mut self, envelope: &Envelope) -> Result<(), MachineError> {
        if !self.can_follow() {
            return Err(MachineError::OutOfPhase { phase: envelope.header.phase });
        }
        self.inbox.accept(COORDINATOR, &envelope.body()?)?;
        Ok(())
    }
}

impl SitePhase {
    fn into_verifier(self) -> Option<(Verifier, Option<SiteSet>)> {
        match self {
            Self::Uploaded(state, _) => Some((state.into_verifier(), None)),
            Self::Confirmed(state) => Some((state.into_verifier(), None)),
            Self::Following(verifier, expected) => Some((verifier, expected)),
            Self::Advertised(_) | Self::Shared(_) | Self::Ready(_) | Self::PairReady(_) | Self::Out => None,
        }
    }
}
