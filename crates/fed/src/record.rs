//! What a site writes into its journal, and what the records add up to after a restart.

use std::collections::BTreeMap;

use fovea_secagg::encode::RoundingKey;
use fovea_secagg::hash::Hash;
use fovea_secagg::history::History;
use fovea_secagg::journal::{Entry, JournalError};
use fovea_secagg::message::{Announce, ConfirmSet, MaskedClose};
use fovea_secagg::secret::Secret;
use fovea_secagg::sets::SiteSet;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use fovea_secagg::journal::RECORD_MAX;

/// One step of a site, written before anything of it is sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Record {
    /// Takes part in an attempt: no second pair of keys for it, ever.
    Joining { round: u32, attempt: u16 },
    /// Begins an upload; the state after it is kept with the record as a secret.
    Uploading { round: u32, attempt: u16, invited: SiteSet, ctx: Hash, close: MaskedClose },
    /// Confirms a set: the only one of this round.
    Confirming { round: u32, announce: Announce },
    /// Reveals shares against this proof.
    Revealing { quorum: ConfirmSet },
    /// The attempt is over at this site.
    Closed,
    /// The sum that was published for an attempt is refused, and the attempt over.
    Refused { ctx: Hash },
}

impl Record {
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, JournalError> {
        Ok(fovea_wire::to_body(self, RECORD_MAX)?)
    }
}

/// The secrets of an upload: the key of its rounding fractions, then the state after it.
pub(crate) fn pack(rounding: &RoundingKey, state: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut packed = Zeroizing::new(Vec::with_capacity(32 + state.len()));
    packed.extend_from_slice(rounding.0.expose());
    packed.extend_from_slice(state);
    packed
}

/// The inverse of [`pack`].
pub(crate) fn unpack(packed: &[u8]) -> Option<(RoundingKey, &[u8])> {
    let (rounding, state) = packed.split_first_chunk::<32>()?;
    Some((RoundingKey(Secret::new(*rounding)), state))
}

/// An attempt that was under way.
#[derive(Debug)]
pub(crate) struct Open {
    pub round: u32,
    pub attempt: u16,
    pub invited: SiteSet,
    pub ctx: Hash,
    pub close: MaskedClose,
    pub secrets: Option<Zeroizing<Vec<u8>>>,
    pub announce: Option<Announce>,
    pub quorum: Option<ConfirmSet>,
}

/// All records together.
#[derive(Debug, Default)]
pub(crate) struct Past {
    /// The newest attempt joined.
    pub joined: Option<(u32, u16)>,
    /// Sets confirmed, by round; without the one of the attempt that is still open.
    confirmed: BTreeMap<u32, SiteSet>,
    /// The attempt that was under way.
    pub open: Option<Open>,
    /// Context of the last publication refused.
    pub refused: Option<Hash>,
}

impl Past {
    pub(crate) fn read(entries: Vec<Entry>) -> Result<Self, JournalError> {
        let mut past = Self::default();
        for Entry { record, secrets } in entries {
            past.add(fovea_wire::from_body(&record, RECORD_MAX)?, secrets);
        }
        Ok(past)
    }

    pub(crate) fn fill(&self, history: &mut History) {
        for (&round, set) in &self.confirmed {
            history.remember(round, set.clone());
        }
    }

    fn add(&mut self, record: Record, secrets: Option<Zeroizing<Vec<u8>>>) {
        match record {
            Record::Joining { round, attempt } => {
                self.close();
                self.joined = self.joined.max(Some((round, attempt)));
            }
            Record::Uploading { round, attempt, invited, ctx, close } => {
                self.close();
                let (announce, quorum) = (None, None);
                self.open = Some(Open { round, attempt, invited, ctx, close, secrets, announce, quorum });
            }
            Record::Confirming { round, announce } => match &mut self.open {
                Some(open) => open.announce = Some(announce),
                None => drop(self.confirmed.insert(round, announce.complete)),
            },
            Record::Revealing { quorum } => {
                if let Some(open) = &mut self.open {
                    open.quorum = Some(quorum);
                }
            }
            Record::Closed => self.close(),
            Record::Refused { ctx } => {
                self.close();
                self.refused = Some(ctx);
            }
        }
    }

    fn close(&mut self) {
        if let Some(Open { round, announce: Some(announce), .. }) = self.open.take() {
            self.confirmed.insert(round, announce.complete);
        }
    }
}
