//! Confirmations, revealed shares, and the sum without its masks.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::commit::{self, Cohort, Half, Terms};
use crate::coordinator::{Commitments, once};
use crate::envelope::Signed;
use crate::error::{Abort, Accepted, Reject};
use crate::hash::Hash;
use crate::keys::PrivateKey;
use crate::message::{Confirm, ConfirmSet, Reveal, Unmask};
use crate::prg::{Label, Mask, Sign, add_masks};
use crate::secret::Secret;
use crate::sets::{SiteId, SiteSet, Thresholds};
use crate::shamir::Weights;
use crate::site::pair_sign;

/// The sum over a set of sites.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sum {
    /// Words of the vector, modulo 2^32.
    pub words: Vec<u32>,
    /// Words of the sidecar, modulo 2^64.
    pub side: Vec<u64>,
    /// The set, U3.
    pub complete: SiteSet,
    /// The signed confirmations of the set; empty in pair mode.
    pub quorum: ConfirmSet,
    /// Sites that revealed shares which do not match their commitments; their reveals were not used.
    pub blamed: Vec<SiteId>,
}

/// What is fixed once U3 is.
#[derive(Debug)]
pub(super) struct Fixed {
    pub terms: Arc<Terms>,
    pub cohort: Cohort,
    pub thresholds: Thresholds,
    pub dealers: SiteSet,
    pub r2: Hash,
    pub r3: Hash,
    pub commitments: BTreeMap<SiteId, Commitments>,
    pub sum: Sum,
}

/// Collects agreement with U3 (phase C).
#[derive(Debug)]
pub struct CollectC {
    fixed: Fixed,
    arrived: BTreeMap<SiteId, Signed<Confirm>>,
}

impl CollectC {
    pub(super) fn new(fixed: Fixed) -> Self {
        Self { fixed, arrived: BTreeMap::new() }
    }

    /// Takes the confirmation of one site. The envelope around it has been verified.
    ///
    /// # Errors
    /// [`Reject`] for a site outside U3 or another digest.
    pub fn accept(&mut self, from: SiteId, message: &Signed<Confirm>) -> Result<Accepted, Reject> {
        if !self.fixed.sum.complete.contains(from) {
            return Err(Reject::Unexpected { site: from });
        }
        if message.body.digest != self.fixed.r3 {
            return Err(Reject::Content { site: from, what: "confirms another set" });
        }
        once(&mut self.arrived, from, message)
    }

    /// Sites that are still missing.
    pub fn missing(&self) -> SiteSet {
        self.fixed.sum.complete.iter().filter(|site| !self.arrived.contains_key(site)).collect()
    }

    /// Closes the phase.
    ///
    /// # Errors
    /// [`Abort::TooFewSites`] below the quorum; the round is burned for the sites that confirmed.
    pub fn close(self) -> Result<(CollectU, ConfirmSet), Abort> {
        let (have, need) = (self.arrived.len(), self.fixed.thresholds.quorum);
        if have < need {
            return Err(Abort::TooFewSites { phase: "confirm", have, need });
        }
        let quorum = ConfirmSet { confirmations: self.arrived.into_iter().collect() };
        let sum = Sum { quorum: quorum.clone(), ..self.fixed.sum };
        let fixed = Fixed { sum, ..self.fixed };
        Ok((CollectU { fixed, arrived: BTreeMap::new(), blamed: Vec::new() }, quorum))
    }
}

/// Collects revealed shares (phase U).
#[derive(Debug)]
pub struct CollectU {
    fixed: Fixed,
    arrived: BTreeMap<SiteId, Unmask>,
    blamed: Vec<SiteId>,
}

impl CollectU {
    /// Takes the shares that one site reveals, after checking each against its commitment.
    ///
    /// # Errors
    /// [`Reject`]; a site whose share does not match is blamed and left out.
    pub fn accept(&mut self, from: SiteId, message: &Unmask) -> Result<Accepted, Reject> {
        let place = self.fixed.cohort.sites.index_of(from);
        let (true, Some(place)) = (self.fixed.sum.complete.contains(from), place) else {
            return Err(Reject::Unexpected { site: from });
        };
        if !message.reveals.iter().map(|reveal| reveal.dealer).eq(self.fixed.dealers.iter()) {
            return Err(Reject::Content { site: from, what: "does not reveal one share per dealer" });
        }
        if !message.reveals.iter().all(|reveal| self.fixed.matches(from, place, reveal)) {
            if !self.blamed.contains(&from) {
                self.blamed.push(from);
            }
            return Err(Reject::Content { site: from, what: "a share does not match its commitment" });
        }
        once(&mut self.arrived, from, message)
    }

    /// Sites that are still missing.
    pub fn missing(&self) -> SiteSet {
        let pending = |site: &SiteId| !self.arrived.contains_key(site) && !self.blamed.contains(site);
        self.fixed.sum.complete.iter().filter(pending).collect()
    }

    /// Reconstructs the seeds and takes all masks away.
    ///
    /// # Errors
    /// [`Abort::TooFewSites`] below the quorum; [`Abort::BadDealer`] when verified shares give a secret that
    /// does not match its dealer's commitment.
    pub fn close(self) -> Result<Sum, Abort> {
        let Self { fixed, arrived, blamed } = self;
        let (have, need) = (arrived.len(), fixed.thresholds.quorum);
        if have < need {
            return Err(Abort::TooFewSites { phase: "unmask", have, need });
        }
        let masks = fixed.masks(&arrived.into_iter().take(need).collect::<Vec<_>>())?;
        let mut sum = Sum { blamed, ..fixed.sum };
        add_masks(&mut sum.words, &masks, Label::Vector);
        add_masks(&mut sum.side, &masks, Label::Side);
        Ok(sum)
    }
}

impl Fixed {
    fn half(&self, dealer: SiteId) -> Half {
        if self.sum.complete.contains(dealer) { Half::SelfMask } else { Half::MaskKey }
    }

    fn matches(&self, from: SiteId, place: usize, reveal: &Reveal) -> bool {
        let half = self.half(reveal.dealer);
        let shown =
            commit::commit_share(self.cohort.r1, reveal.dealer, from, half, &reveal.share, &reveal.salt);
        let commitment = match half {
            Half::SelfMask => commit::commit_pair(shown, reveal.sibling),
            Half::MaskKey => commit::commit_pair(reveal.sibling, shown),
        };
        self.commitments.get(&reveal.dealer).is_some_and(|dealer| dealer.leaves[place] == commitment)
    }

    /// What has to be added to the sum so that no mask is left.
    fn masks(&self, responders: &[(SiteId, Unmask)]) -> Result<Vec<Mask>, Abort> {
        // A share's x is its recipient's place in the cohort plus one; cohorts have at most 255 sites.
        let points: Vec<u8> = responders
            .iter()
            .filter_map(|(site, _)| self.cohort.sites.index_of(*site))
            .map(|place| (place + 1) as u8)
            .collect();
        let weights = Weights::at_zero(&points)?;
        let mut masks = Vec::new();
        for (index, dealer) in self.dealers.iter().enumerate() {
            let shares: Vec<Secret> =
                responders.iter().map(|(_, unmask)| Secret::new(unmask.reveals[index].share)).collect();
            let secret = weights.combine(&shares.iter().collect::<Vec<_>>())?;
            match self.half(dealer) {
                Half::SelfMask => masks.push(self.self_mask(dealer, secret)?),
                Half::MaskKey => self.pair_masks(dealer, &secret, &mut masks)?,
            }
        }
        Ok(masks)
    }

    fn self_mask(&self, dealer: SiteId, seed: Secret) -> Result<Mask, Abort> {
        let committed = self.commitments.get(&dealer).map(|dealer| dealer.head.self_mask);
        if committed != Some(commit::commit_self_mask(self.cohort.r1, dealer, &seed)) {
            return Err(Abort::BadDealer { dealer, what: "self-mask seed does not match B" });
        }
        Ok(Mask { seed, sign: Sign::Minus })
    }

    fn pair_masks(&self, dropped: SiteId, secret: &Secret, masks: &mut Vec<Mask>) -> Result<(), Abort> {
        let bad = |what| Abort::BadDealer { dealer: dropped, what };
        let key = PrivateKey::from_secret(secret);
        let keys = self.cohort.keys_of(dropped).ok_or(bad("no keys"))?;
        if key.public() != keys.mask_key {
            return Err(bad("mask key does not match its public key"));
        }
        for survivor in self.sum.complete.iter() {
            let theirs = self.cohort.keys_of(survivor).ok_or(bad("no keys"))?;
            let seed = key
                .mask_seed(&theirs.mask_key, self.r2, self.terms.ctx(), dropped, survivor)
                .ok_or(Abort::LowOrderKey { site: survivor })?;
            masks.push(Mask { seed, sign: pair_sign(survivor, dropped).flipped() });
        }
        Ok(())
    }
}
