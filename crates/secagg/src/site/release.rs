//! A site's side after its upload: confirm one set, reveal one share per dealer.

use crate::commit::{self, Half};
use crate::encode::Encoded;
use crate::envelope::Signed;
use crate::error::Abort;
use crate::hash::Hash;
use crate::history::History;
use crate::message::{Announce, Confirm, ConfirmSet, Phase, Reveal, Unmask};
use crate::sets::{SiteId, SiteSet};
use crate::site::upload::{Upload, UploadKey};
use crate::site::verify::{Cover, Verifier};
use crate::site::{Held, Seat};

/// Has uploaded; waits for the set of complete uploads.
#[derive(Debug)]
pub struct Masked {
    pub(super) seat: Seat,
    pub(super) r1: Hash,
    pub(super) verifier: Verifier,
    pub(super) held: Vec<Held>,
    pub(super) key: UploadKey,
}

impl Masked {
    /// The upload of an update. The same update gives the same bytes again, for a sender that was
    /// interrupted; the caller sees to it that no other update is ever masked with this state.
    ///
    /// # Errors
    /// [`Abort::Length`].
    pub fn upload(&self, encoded: Encoded, side: Vec<u64>) -> Result<Upload, Abort> {
        self.key.apply(&self.seat, &self.verifier, encoded, side)
    }

    /// Phase C: agrees to the announced set U3, once per round over all attempts.
    ///
    /// # Errors
    /// [`Abort::Set`] and [`Abort::TooFewSites`] for a set that is too small or contains strangers,
    /// [`Abort::SecondConfirmation`], [`Abort::IsolatingSet`] and [`Abort::BrokenBatch`] from the history.
    pub fn confirm(
        self,
        announce: &Announce,
        history: &mut History,
    ) -> Result<(Confirmed, Signed<Confirm>), Abort> {
        let (phase, set) = ("confirm", &announce.complete);
        let terms = &self.seat.terms;
        if !set.contains(self.seat.me) {
            return Err(Abort::Set { phase, why: "this site's upload is missing" });
        }
        let Cover::Quorum(rule) = &self.verifier.cover else {
            return Err(Abort::Set { phase, why: "pair mode confirms nothing" });
        };
        rule.allows(phase, set)?;
        let message = self.seat.sign(Phase::Confirm, Confirm { digest: commit::r3(rule.r2, set) })?;
        history.admit(terms.attempt.round, set, terms.roster.sites(), rule.thresholds.sites_min)?;
        let partition = Partition::new(&rule.dealers, set.clone());
        let Self { seat, r1, verifier, held, .. } = self;
        Ok((Confirmed { seat, r1, verifier, held, partition }, message))
    }

    /// Gives up; what is left can check the published sum.
    pub fn into_verifier(self) -> Verifier {
        self.verifier
    }
}

/// Has agreed to a set; waits for proof that a quorum agreed to the same.
#[derive(Debug)]
pub struct Confirmed {
    seat: Seat,
    r1: Hash,
    verifier: Verifier,
    held: Vec<Held>,
    partition: Partition,
}

impl Confirmed {
    /// Phase U: reveals, for every dealer, the one share that the set calls for.
    ///
    /// # Errors
    /// [`Abort::Quorum`], [`Abort::Unsigned`].
    pub fn unmask(self, set: &ConfirmSet) -> Result<(Unmasked, Signed<Unmask>), Abort> {
        let Cover::Quorum(rule) = &self.verifier.cover else {
            return Err(Abort::Set { phase: "unmask", why: "pair mode reveals nothing" });
        };
        rule.proves(&self.seat.terms, &self.partition.survivors, set)?;
        let reveals = self.held.iter().map(|held| self.reveal(held)).collect();
        let message = self.seat.sign(Phase::Unmask, Unmask { reveals })?;
        Ok((Unmasked { complete: self.partition.survivors, verifier: self.verifier }, message))
    }

    /// Gives up; what is left can check the published sum.
    pub fn into_verifier(self) -> Verifier {
        self.verifier
    }

    fn reveal(&self, held: &Held) -> Reveal {
        let [self_mask, mask_key] = held.halves(self.r1, self.seat.me);
        let (share, salt, sibling) = match self.partition.half(held.dealer) {
            Half::SelfMask => (&held.self_mask, held.salts[0], mask_key),
            Half::MaskKey => (&held.mask_key, held.salts[1], self_mask),
        };
        Reveal { dealer: held.dealer, share: *share.expose(), salt, sibling }
    }
}

/// Has revealed its shares and holds no share or key any more, only what checks the sum.
#[derive(Debug)]
pub struct Unmasked {
    complete: SiteSet,
    verifier: Verifier,
}

impl Unmasked {
    /// The set whose sum will be published.
    pub fn complete(&self) -> &SiteSet {
        &self.complete
    }

    /// What checks the published sum.
    pub fn into_verifier(self) -> Verifier {
        self.verifier
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

    fn half(&self, dealer: SiteId) -> Half {
        if self.survivors.contains(dealer) { Half::SelfMask } else { Half::MaskKey }
    }
}
