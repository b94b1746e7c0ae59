//! Two sites: phases A, M and P only.
//!
//! The sum hides the two updates from the coordinator. It cannot hide them from one another: each site
//! knows the sum and its own part. So both must have acknowledged that in the manifest. There is no self
//! mask and nothing to recover: both uploads arrive or there is no sum.

use std::sync::Arc;

use crate::commit::{self, Cohort, Terms};
use crate::encode::Encoded;
use crate::error::Abort;
use crate::keys::PrivateKey;
use crate::message::AdvertiseSet;
use crate::prg::Mask;
use crate::sets::{SiteId, SiteSet};
use crate::site::{Advertised, Upload, apply, checked_upload, pair_sign};

/// The sites that set `ack_two_party_disclosure` in the manifest.
#[derive(Debug, Clone)]
pub struct TwoPartyAcknowledged(pub SiteSet);

impl TwoPartyAcknowledged {
    /// Whether all of `sites` acknowledged.
    ///
    /// # Errors
    /// [`Abort::TwoPartyNotAcknowledged`] names the first that has not.
    pub fn by_all(&self, sites: &SiteSet) -> Result<(), Abort> {
        match sites.iter().find(|&site| !self.0.contains(site)) {
            Some(site) => Err(Abort::TwoPartyNotAcknowledged { site }),
            None => Ok(()),
        }
    }
}

/// Knows its peer; waits for its own training to end.
#[derive(Debug)]
pub struct PairReady {
    terms: Arc<Terms>,
    me: SiteId,
    mask_key: PrivateKey,
    cohort: Cohort,
    peer: SiteId,
}

impl Advertised {
    /// Checks the two-party cohort.
    ///
    /// # Errors
    /// [`Abort::Set`] unless exactly two sites were invited and advertised,
    /// [`Abort::TwoPartyNotAcknowledged`] without both acknowledgements.
    pub fn pair(self, set: &AdvertiseSet, acknowledged: &TwoPartyAcknowledged) -> Result<PairReady, Abort> {
        let cohort = self.cohort(set)?;
        if cohort.sites.len() != 2 || self.terms.attempt.invited.len() != 2 {
            return Err(Abort::Set { phase: "advertise", why: "pair mode needs exactly two sites" });
        }
        acknowledged.by_all(&cohort.sites)?;
        let peer = cohort.sites.iter().find(|&site| site != self.me).ok_or(Abort::OwnEntryChanged)?;
        let Self { terms, me, mask_key, .. } = self;
        Ok(PairReady { terms, me, mask_key, cohort, peer })
    }
}

impl PairReady {
    /// Phase M: adds or subtracts the one mask of the pair.
    ///
    /// # Errors
    /// [`Abort::Length`], [`Abort::LowOrderKey`].
    pub fn mask(self, encoded: Encoded, side: Vec<u64>) -> Result<(PairMasked, Upload), Abort> {
        let upload = checked_upload(&self.terms, encoded, side)?;
        let keys = self.cohort.keys_of(self.peer).ok_or(Abort::OwnEntryChanged)?;
        let salt = commit::r2_of_pair(self.cohort.r1);
        let seed = self
            .mask_key
            .mask_seed(&keys.mask_key, salt, self.terms.ctx(), self.me, self.peer)
            .ok_or(Abort::LowOrderKey { site: self.peer })?;
        let upload = apply(upload, &[Mask { seed, sign: pair_sign(self.me, self.peer) }]);
        Ok((PairMasked { complete: self.cohort.sites }, upload))
    }
}

/// Has uploaded and holds no secret any more; waits for the sum.
#[derive(Debug)]
pub struct PairMasked {
    complete: SiteSet,
}

impl PairMasked {
    /// The set whose sum will be published: both sites.
    pub fn complete(&self) -> &SiteSet {
        &self.complete
    }
}
