//! Handing in an update, and giving up.

use std::mem;

use fovea_secagg::encode::{Encoded, RoundingKey, encode, encode_side};
use fovea_secagg::error::Abort;
use fovea_secagg::journal::Attempt;
use fovea_secagg::message::{Chunk, MaskedClose, Phase};
use fovea_secagg::secret::Entropy;
use fovea_secagg::site::{Upload, Uploaded};

use crate::error::MachineError;
use crate::record::{Record, pack};
use crate::site::{Active, Resend, SiteEffect, SiteMachine, SitePhase};

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

impl SiteMachine {
    /// Hands in the trained model; after a restart in the middle of an upload, the same one again (the
    /// rounding key is then the journal's).
    ///
    /// # Errors
    /// [`MachineError::OutOfPhase`] unless the site is ready; [`MachineError::Encode`] when the update is
    /// refused and [`Abort::OtherUpload`] when it is not the one whose upload had begun: the site then drops
    /// out and follows the round. [`MachineError::Journal`] ends the attempt.
    pub fn submit(
        &mut self,
        update: &LocalUpdate,
        rounding: &RoundingKey,
        entropy: &mut dyn Entropy,
        effects: &mut Vec<SiteEffect>,
    ) -> Result<(), MachineError> {
        let out_of_phase = MachineError::OutOfPhase { phase: Phase::MaskedChunk };
        let Some(mut active) = self.active.take_if(|active| active.takes_update()) else {
            return Err(out_of_phase);
        };
        let phase = mem::replace(&mut active.phase, SitePhase::Out);
        let result = match phase {
            SitePhase::Uploaded(state, Some(resend)) => self.again(&mut active, *state, &resend, update),
            phase => self.first(&mut active, phase, update, rounding, entropy),
        };
        let messages = match result {
            Ok(messages) => messages,
            Err(error) => {
                // A journal that cannot be written ends everything; a bad update leaves a follower.
                self.active = (!matches!(error, MachineError::Journal(_))).then_some(active);
                return Err(error);
            }
        };
        let (chunks, close) = messages;
        for chunk in &chunks {
            effects.push(self.seal(&active.terms, Phase::MaskedChunk, chunk)?);
        }
        effects.push(self.seal(&active.terms, Phase::MaskedClose, &close)?);
        self.active = Some(active);
        Ok(())
    }

    /// Gives up this round's training: secrets are wiped; if the site can check the sum, it follows the round.
    pub fn drop_out(&mut self) {
        if let Some(active) = self.active.as_mut() {
            let phase = mem::replace(&mut active.phase, SitePhase::Out);
            active.phase = phase.dropped_out();
        }
    }

    fn first(
        &mut self,
        active: &mut Active,
        phase: SitePhase,
        update: &LocalUpdate,
        rounding: &RoundingKey,
        entropy: &mut dyn Entropy,
    ) -> Result<(Vec<Chunk>, MaskedClose), MachineError> {
        let (encoded, side) = match self.encoded(active, update, rounding) {
            Ok(encoded) => encoded,
            Err(error) => {
                active.phase = phase.dropped_out();
                return Err(error);
            }
        };
        let (state, upload) = masked(phase, encoded, side)?;
        let (chunks, close) = upload.messages();
        let attempt = &active.terms.attempt;
        let record = Record::Uploading {
            round: attempt.round,
            attempt: attempt.attempt,
            invited: attempt.invited.clone(),
            ctx: active.terms.ctx(),
            close: close.clone(),
        };
        let secrets = pack(rounding, &state.save()?);
        self.journal.append(&record.to_bytes()?, Attempt::Begin(&secrets), entropy)?;
        self.journaled = true;
        active.phase = SitePhase::Uploaded(Box::new(state), None);
        Ok((chunks, close))
    }

    /// The upload once more: the same bytes or none.
    fn again(
        &self,
        active: &mut Active,
        state: Uploaded,
        resend: &Resend,
        update: &LocalUpdate,
    ) -> Result<(Vec<Chunk>, MaskedClose), MachineError> {
        let uploaded = self
            .encoded(active, update, &resend.rounding)
            .and_then(|(encoded, side)| Ok(state.upload(encoded, side)?));
        let messages = uploaded.map(|upload| upload.messages());
        match messages {
            Ok((chunks, close)) if close == resend.close => {
                active.phase = SitePhase::Uploaded(Box::new(state), None);
                Ok((chunks, close))
            }
            other => {
                let round = active.terms.attempt.round;
                active.phase = SitePhase::Following(state.into_verifier(), None);
                Err(other.err().unwrap_or(Abort::OtherUpload { round }.into()))
            }
        }
    }

    fn encoded(
        &self,
        active: &Active,
        update: &LocalUpdate,
        rounding: &RoundingKey,
    ) -> Result<(Encoded, Vec<u64>), MachineError> {
        let encoded = encode(&active.proven, &update.model, &self.state.model, update.samples, rounding)?;
        Ok((encoded, encode_side(&update.side, update.samples, active.proven.sites())?))
    }
}

impl Active {
    fn takes_update(&self) -> bool {
        matches!(self.phase, SitePhase::Ready(_) | SitePhase::PairReady(_) | SitePhase::Uploaded(_, Some(_)))
    }
}

impl SitePhase {
    fn dropped_out(self) -> Self {
        match self {
            Self::Ready(state) => Self::Following(state.into_verifier(), None),
            Self::Uploaded(state, _) => Self::Following(state.into_verifier(), None),
            Self::Confirmed(state) => Self::Following(state.into_verifier(), None),
            following @ Self::Following(..) => following,
            Self::Advertised(_) | Self::Shared(_) | Self::PairReady(_) | Self::Out => Self::Out,
        }
    }
}

fn masked(phase: SitePhase, encoded: Encoded, side: Vec<u64>) -> Result<(Uploaded, Upload), MachineError> {
    match phase {
        SitePhase::Ready(ready) => {
            let (state, upload) = ready.mask(encoded, side)?;
            Ok((Uploaded::Masked(state), upload))
        }
        SitePhase::PairReady(ready) => {
            let (state, upload) = ready.mask(encoded, side)?;
            Ok((Uploaded::Pair(state), upload))
        }
        _ => Err(MachineError::OutOfPhase { phase: Phase::MaskedChunk }),
    }
}
