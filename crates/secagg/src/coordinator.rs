//! The coordinator's side of an attempt: collect, close, relay. It holds no secret; what it can compute is
//! the sum over one set. A message that does not fit is refused and the state goes on; closing a phase
//! consumes the state.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::commit::{self, Cohort, Terms};
use crate::envelope::Signed;
use crate::error::{Abort, Accepted, Reject};
use crate::hash::{Hash, merkle_path};
use crate::message::{Advertise, AdvertiseSet, Dealt, Head, Share, ShareSet};
use crate::sets::{SiteId, SiteSet, Thresholds};
use crate::site::SEALED_LEN;

mod intake;
mod release;

pub use intake::{CollectM, CollectPair};
pub use release::{CollectC, CollectU, Sum};

/// Collects public keys (phase A).
#[derive(Debug)]
pub struct CollectA {
    terms: Arc<Terms>,
    arrived: BTreeMap<SiteId, Signed<Advertise>>,
}

impl CollectA {
    /// Opens an attempt.
    pub fn open(terms: Arc<Terms>) -> Self {
        Self { terms, arrived: BTreeMap::new() }
    }

    /// Takes the keys of one site. The envelope around them has been verified.
    ///
    /// # Errors
    /// [`Reject`] for a site that is not invited, starts from another model, or repeats a key.
    pub fn accept(&mut self, from: SiteId, signed: &Signed<Advertise>) -> Result<Accepted, Reject> {
        let message = &signed.body;
        if !self.terms.attempt.invited.contains(from) {
            return Err(Reject::Unexpected { site: from });
        }
        if message.model != self.terms.attempt.model {
            return Err(Reject::Content { site: from, what: "starts from another global model" });
        }
        let taken = |key: &[u8; 32]| {
            self.arrived
                .iter()
                .filter(|(site, _)| **site != from)
                .any(|(_, keys)| keys.body.share_key == *key || keys.body.mask_key == *key)
        };
        let repeated = message.share_key == message.mask_key;
        if repeated || taken(&message.share_key) || taken(&message.mask_key) {
            return Err(Reject::Content { site: from, what: "key already in use" });
        }
        once(&mut self.arrived, from, signed)
    }

    /// Sites that are still missing.
    pub fn missing(&self) -> SiteSet {
        self.terms.attempt.invited.iter().filter(|site| !self.arrived.contains_key(site)).collect()
    }

    /// Closes the phase for three sites and more.
    ///
    /// # Errors
    /// [`Abort::TooFewSites`], [`Abort::Thresholds`].
    pub fn close(self) -> Result<(CollectS, AdvertiseSet), Abort> {
        let (terms, cohort, set) = self.cohort()?;
        let thresholds = terms.thresholds(cohort.sites.len())?;
        Ok((CollectS { terms, cohort, thresholds, arrived: BTreeMap::new() }, set))
    }

    /// Closes the phase for exactly two sites.
    ///
    /// # Errors
    /// [`Abort::TooFewSites`] unless both are there.
    pub fn close_pair(self) -> Result<(CollectPair, AdvertiseSet), Abort> {
        let (terms, cohort, set) = self.cohort()?;
        if cohort.sites.len() != 2 {
            return Err(Abort::TooFewSites { phase: "advertise", have: cohort.sites.len(), need: 2 });
        }
        Ok((CollectPair::new(&terms, cohort.sites), set))
    }

    fn cohort(self) -> Result<(Arc<Terms>, Cohort, AdvertiseSet), Abort> {
        let set = AdvertiseSet { sites: self.arrived.into_iter().collect() };
        let cohort = Cohort::new(&self.terms, &set)?;
        Ok((self.terms, cohort, set))
    }
}

/// Collects sealed shares (phase S).
#[derive(Debug)]
pub struct CollectS {
    terms: Arc<Terms>,
    cohort: Cohort,
    thresholds: Thresholds,
    arrived: BTreeMap<SiteId, Share>,
}

impl CollectS {
    /// Takes the shares that one site deals.
    ///
    /// # Errors
    /// [`Reject`] for a stranger, leaves of a wrong number or length, a wrong root or an unsigned one.
    pub fn accept(&mut self, from: SiteId, message: &Share) -> Result<Accepted, Reject> {
        if !self.cohort.sites.contains(from) {
            return Err(Reject::Unexpected { site: from });
        }
        if message.leaves.len() != self.cohort.sites.len() {
            return Err(Reject::Content { site: from, what: "wrong number of shares" });
        }
        let well_formed = self
            .cohort
            .sites
            .iter()
            .zip(&message.leaves)
            .all(|(to, leaf)| leaf.sealed.0.len() == if to == from { 0 } else { SEALED_LEN });
        if !well_formed {
            return Err(Reject::Content { site: from, what: "sealed shares of a wrong length" });
        }
        if commit::share_root(&self.cohort, from, &message.head, &message.leaves) != message.root {
            return Err(Reject::Content { site: from, what: "shares do not match their root" });
        }
        if commit::verify_root(&self.terms, from, message.root, &message.signature).is_err() {
            return Err(Reject::Content { site: from, what: "the root of the shares is not signed" });
        }
        once(&mut self.arrived, from, message)
    }

    /// Sites that are still missing.
    pub fn missing(&self) -> SiteSet {
        self.cohort.sites.iter().filter(|site| !self.arrived.contains_key(site)).collect()
    }

    /// Closes the phase: what to relay to each dealer.
    ///
    /// # Errors
    /// [`Abort::TooFewSites`].
    pub fn close(self) -> Result<(CollectM, Vec<(SiteId, ShareSet)>), Abort> {
        let Self { terms, cohort, thresholds, arrived } = self;
        if arrived.len() < thresholds.sites_min {
            let (have, need) = (arrived.len(), thresholds.sites_min);
            return Err(Abort::TooFewSites { phase: "share", have, need });
        }
        let dealers: SiteSet = arrived.keys().copied().collect();
        let trees: Vec<(SiteId, &Share, Vec<Hash>)> = arrived
            .iter()
            .map(|(&site, share)| (site, share, commit::leaves(&cohort, site, &share.head, &share.leaves)))
            .collect();
        let relayed = dealers
            .iter()
            .filter_map(|to| {
                let place = cohort.sites.index_of(to)?;
                let dealers = trees.iter().map(|tree| dealt(tree, place)).collect();
                Some((to, ShareSet { dealers }))
            })
            .collect();
        let r2 = commit::r2(cohort.r1, arrived.iter().map(|(&site, share)| (site, share.root)));
        let commitments = arrived
            .iter()
            .map(|(&site, share)| {
                let leaves = share.leaves.iter().map(|leaf| leaf.commitment).collect();
                (site, Commitments { head: share.head, leaves })
            })
            .collect();
        Ok((CollectM::new(terms, cohort, thresholds, dealers, r2, commitments), relayed))
    }
}

/// What stays of a dealer's shares once they are relayed.
#[derive(Debug)]
struct Commitments {
    head: Head,
    /// h per site of the cohort.
    leaves: Vec<Hash>,
}

fn dealt((dealer, share, leaves): &(SiteId, &Share, Vec<Hash>), place: usize) -> Dealt {
    Dealt {
        dealer: *dealer,
        head: share.head,
        leaf: share.leaves[place].clone(),
        head_path: merkle_path(leaves, 0),
        leaf_path: merkle_path(leaves, place + 1),
        root: share.root,
        signature: share.signature,
    }
}

/// Takes one message per site: an identical copy is ignored, a different one refused.
fn once<T: Clone + PartialEq>(
    arrived: &mut BTreeMap<SiteId, T>,
    from: SiteId,
    message: &T,
) -> Result<Accepted, Reject> {
    match arrived.get(&from) {
        None => {
            arrived.insert(from, message.clone());
            Ok(Accepted::New)
        }
        Some(earlier) if earlier == message => Ok(Accepted::Again),
        Some(_) => Err(Reject::Conflicting { site: from }),
    }
}
