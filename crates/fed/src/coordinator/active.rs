//! The coordinator's side of the attempt under way.

use std::collections::BTreeMap;
use std::sync::Arc;

use fovea_secagg::commit::Terms;
use fovea_secagg::coordinator::{CollectA, CollectC, CollectM, CollectPair, CollectS, CollectU};
use fovea_secagg::envelope::Envelope;
use fovea_secagg::error::Accepted;
use fovea_secagg::evidence::Equivocation;
use fovea_secagg::hash::Hash;
use fovea_secagg::identity::Signature;
use fovea_secagg::layout::Proven;
use fovea_secagg::message::Phase;
use fovea_secagg::sets::{SiteId, SiteSet};

use crate::coordinator::CoordinatorEffect;
use crate::error::MachineError;

#[derive(Debug)]
pub(super) struct Active {
    pub terms: Arc<Terms>,
    pub proven: Proven,
    pub deadline_ms: u64,
    pub phase: Collecting,
    /// What each site has signed for each phase in which it may speak once.
    pub said: BTreeMap<(SiteId, Phase), (Hash, Signature)>,
    /// What was sent, for sites that connect again.
    pub sent: Vec<(SiteSet, Phase, Vec<u8>)>,
}

#[derive(Debug)]
pub(super) enum Collecting {
    Keys(CollectA),
    Shares(CollectS),
    Uploads(CollectM),
    PairUploads(CollectPair),
    Confirmations(CollectC),
    Reveals(CollectU),
}

impl Active {
    /// Whether U3 is fixed.
    pub fn is_fixed(&self) -> bool {
        matches!(self.phase, Collecting::Confirmations(_) | Collecting::Reveals(_))
    }

    /// Whether a site can still take part: by advertising keys, or because it has.
    pub fn is_open_to(&self, site: SiteId) -> bool {
        matches!(self.phase, Collecting::Keys(_)) || self.said.contains_key(&(site, Phase::Advertise))
    }

    /// Remembers what a site says; evidence if it said something else before.
    pub fn contradiction(&mut self, envelope: &Envelope) -> Option<Equivocation> {
        let (header, statement) = (envelope.header, envelope.statement());
        if !Equivocation::is_once(header.phase) {
            return None;
        }
        let first = *self.said.entry((header.from, header.phase)).or_insert(statement);
        Equivocation::between(header, first, statement)
    }

    pub fn accept(&mut self, envelope: &Envelope) -> Result<Accepted, MachineError> {
        let from = envelope.header.from;
        let accepted = match (&mut self.phase, envelope.header.phase) {
            (Collecting::Keys(state), Phase::Advertise) => state.accept(from, &envelope.signed()?)?,
            (Collecting::Shares(state), Phase::Share) => state.accept(from, &envelope.body()?)?,
            (Collecting::Uploads(state), Phase::MaskedChunk) => state.chunk(from, &envelope.body()?)?,
            (Collecting::Uploads(state), Phase::MaskedClose) => state.finish(from, &envelope.body()?)?,
            (Collecting::PairUploads(state), Phase::MaskedChunk) => state.chunk(from, &envelope.body()?)?,
            (Collecting::PairUploads(state), Phase::MaskedClose) => state.finish(from, &envelope.body()?)?,
            (Collecting::Confirmations(state), Phase::Confirm) => state.accept(from, &envelope.signed()?)?,
            (Collecting::Reveals(state), Phase::Unmask) => state.accept(from, &envelope.body()?)?,
            (_, phase) => return Err(MachineError::OutOfPhase { phase }),
        };
        Ok(accepted)
    }

    pub fn missing(&self) -> SiteSet {
        match &self.phase {
            Collecting::Keys(state) => state.missing(),
            Collecting::Shares(state) => state.missing(),
            Collecting::Uploads(state) => state.missing(),
            Collecting::PairUploads(state) => state.missing(),
            Collecting::Confirmations(state) => state.missing(),
            Collecting::Reveals(state) => state.missing(),
        }
    }
}

/// The messages among some effects.
pub(super) fn sent(effects: &[CoordinatorEffect]) -> Vec<(SiteSet, Phase, Vec<u8>)> {
    let message = |effect: &CoordinatorEffect| match effect {
        CoordinatorEffect::Send(to, phase, bytes) => Some((to.clone(), *phase, bytes.clone())),
        _ => None,
    };
    effects.iter().filter_map(message).collect()
}
