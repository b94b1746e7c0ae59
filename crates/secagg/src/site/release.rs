//! A site's side after its upload: confirm one set, reveal one share per dealer.

use std::sync::Arc;

use crate::commit::{self, Terms};
use crate::error::Abort;
use crate::hash::Hash;
use crate::history::History;
use crate::message::{Announce, Confirm, ConfirmSet, Reveal, Unmask};
use crate::sets::{SiteId, SiteSet, Thresholds};
use crate::site::Held;

/// Has uploaded; waits for the set of complete uploads.
#[derive(Debug)]
pub struct Masked {
    pub(super) terms: Arc<Terms>,
    pub(super) me: SiteId,
    pub(super) r1: Hash,
    pub(super) thresholds: Thresholds,
    pub(super) dealers: SiteSet,
    pub(super) r2: Hash,
    pub(super) held: Vec<Held>,
}

impl Masked {
    /// Phase C: agrees to the announced set U3, once per round over all attempts.
    ///
    /// # Errors
    /// [`Abort::Set`] and [`Abort::TooFewSites`] for a set that is too small or contains strangers,
    /// [`Abort::SecondConfirmation`] and [`Abort::IsolatingSet`] from the history.
    pub fn confirm(self, announce: &Announce, history: &mut History) -> Result<(Confirmed, Confirm), Abort> {
        let (phase, set) = ("confirm", &announce.complete);
        if !set.contains(self.me) {
            return Err(Abort::Set { phase, why: "this site's upload is missing" });
        }
        if !set.is_subset(&self.dealers) {
            return Err(Abort::Set { phase, why: "a site that dealt no shares" });
        }
        let need = self.thresholds.sites_min.max(self.thresholds.colluders_max + 2);
        if set.len() < need {
            return Err(Abort::TooFewSites { phase, have: set.len(), need });
        }
        let digest = commit::r3(self.r2, set);
        history.admit(self.terms.attempt.round, set, self.thresholds.sites_min)?;
        let partition = Partition::new(&self.dealers, set.clone());
        let Self { me, r1, thresholds, held, .. } = self;
        Ok((Confirmed { me, r1, thresholds, held, partition, r3: digest }, Confirm { digest }))
    }
}

/// Has agreed to a set; waits for proof that a quorum agreed to the same.
#[derive(Debug)]
pub struct Confirmed {
    me: SiteId,
    r1: Hash,
    thresholds: Thresholds,
    held: Vec<Held>,
    partition: Partition,
    r3: Hash,
}

impl Confirmed {
    /// Phase U: reveals, for every dealer, the one share that the set calls for.
    ///
    /// # Errors
    /// [`Abort::Quorum`].
    pub fn unmask(self, set: &ConfirmSet) -> Result<(Unmasked, Unmask), Abort> {
        let refused = |why| Abort::Quorum { why };
        let sites = SiteSet::try_from(set.confirmations.iter().map(|(site, _)| *site).collect::<Vec<_>>())
            .map_err(|_| refused("not strictly ascending"))?;
        if !sites.is_subset(&self.partition.survivors) {
            return Err(refused("a confirmation from outside the set"));
        }
        if set.confirmations.iter().any(|(_, digest)| *digest != self.r3) {
            return Err(refused("sites confirmed different sets"));
        }
        if sites.len() < self.thresholds.quorum {
            return Err(refused("too few confirmations"));
        }
        let reveals = self.held.iter().map(|held| self.reveal(held)).collect();
        Ok((Unmasked { complete: self.partition.survivors }, Unmask { reveals }))
    }

    fn reveal(&self, held: &Held) -> Reveal {
        let [self_mask, mask_key] = held.halves(self.r1, self.me);
        let (share, salt, sibling) = match self.partition.half(held.dealer) {
            commit::Half::SelfMask => (&held.self_mask, held.salts[0], mask_key),
            commit::Half::MaskKey => (&held.mask_key, held.salts[1], self_mask),
        };
        Reveal { dealer: held.dealer, share: *share.expose(), salt, sibling }
    }
}

/// Has revealed its shares and holds no secret any more; waits for the sum.
#[derive(Debug)]
pub struct Unmasked {
    complete: SiteSet,
}

impl Unmasked {
    /// The set whose sum will be published.
    pub fn complete(&self) -> &SiteSet {
        &self.complete
    }
}

/// U2 split into survivors (self mask revealed) and drop-outs (mask key revealed). Built from the
/// two sets alone, so one dealer cannot be on both sides.
#[derive(Debug)]
struct Partition {
    survivors: SiteSet,
}

impl Partition {
    fn new(dealers: &SiteSet, survivors: SiteSet) -> Self {
        debug_assert!(survivors.is_subset(dealers));
        Self { survivors }
    }

    fn half(&self, dealer: SiteId) -> commit::Half {
        if self.survivors.contains(dealer) { commit::Half::SelfMask } else { commit::Half::MaskKey }
    }
}
