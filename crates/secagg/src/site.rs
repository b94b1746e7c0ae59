//! A site's side of an attempt, from advertising keys to a masked upload. Every state is consumed by
//! the transition out of it, so no key outlives its phase and no message can be answered twice.

use std::sync::Arc;

use fovea_wire::Bytes;
use zeroize::Zeroize;

use crate::commit::{self, Cohort, Half, Terms};
use crate::encode::Encoded;
use crate::error::Abort;
use crate::hash::{Hash, merkle_verify};
use crate::keys::{self, PrivateKey};
use crate::message::{Advertise, AdvertiseSet, Dealt, Head, Leaf, Share, ShareSet};
use crate::prg::{Label, Mask, Sign, add_masks};
use crate::secret::{Entropy, Secret};
use crate::sets::{SiteId, SiteSet, Thresholds};
use crate::shamir;

pub mod pair;
mod release;

pub use release::{Confirmed, Masked, Unmasked};

/// Bytes of a sealed box: two shares, the group seed, two salts and the tag.
pub const SEALED_LEN: usize = 3 * 32 + 2 * 16 + 16;

/// Waits for everyone's public keys.
#[derive(Debug)]
pub struct Advertised {
    terms: Arc<Terms>,
    me: SiteId,
    share_key: PrivateKey,
    mask_key: PrivateKey,
}

impl Advertised {
    /// Phase A: draws the two key pairs of this attempt.
    ///
    /// # Errors
    /// [`Abort::Set`] when this site is not invited, [`Abort::Entropy`].
    pub fn start(
        terms: Arc<Terms>,
        me: SiteId,
        entropy: &mut dyn Entropy,
    ) -> Result<(Self, Advertise), Abort> {
        if !terms.attempt.invited.contains(me) {
            return Err(Abort::Set { phase: "open", why: "this site is not invited" });
        }
        let (share_key, mask_key) = (PrivateKey::draw(entropy)?, PrivateKey::draw(entropy)?);
        let state = Self { terms, me, share_key, mask_key };
        let message = state.message();
        Ok((state, message))
    }

    /// Phase S: checks the cohort and deals shares of the self-mask seed and of the mask key.
    ///
    /// # Errors
    /// Everything that [`Cohort::new`] and the thresholds refuse, [`Abort::OwnEntryChanged`],
    /// [`Abort::LowOrderKey`].
    pub fn share(self, set: &AdvertiseSet, entropy: &mut dyn Entropy) -> Result<(Shared, Share), Abort> {
        let cohort = self.cohort(set)?;
        let thresholds = self.terms.rule.for_sites(cohort.sites.len())?;
        let (self_mask, group) = (Secret::draw(entropy)?, Secret::draw(entropy)?);
        let (n, t) = (cohort.sites.len(), thresholds.quorum);
        let betas = shamir::split(&self_mask, t, n, entropy)?;
        let sigmas = shamir::split(&self.mask_key.to_secret(), t, n, entropy)?;
        let head = commit::head(cohort.r1, self.me, &self_mask, &group);
        let (mut leaves, mut own) = (Vec::with_capacity(n), None);
        for ((to, keys), (beta, sigma)) in
            cohort.sites.iter().zip(&cohort.keys).zip(betas.into_iter().zip(sigmas))
        {
            let mut salts = [0; 32];
            entropy.fill(&mut salts)?;
            let held = Held::new(self.me, beta, sigma, &salts);
            let commitment = held.commitment(cohort.r1, to);
            let sealed = if to == self.me {
                own = Some(held);
                Vec::new()
            } else {
                self.seal(cohort.r1, to, keys, &held, &group)?
            };
            leaves.push(Leaf { sealed: Bytes(sealed), commitment });
        }
        let own = own.ok_or(Abort::OwnEntryChanged)?;
        let root = commit::share_root(&cohort, self.me, &head, &leaves);
        let Self { terms, me, share_key, mask_key } = self;
        let state = Shared { terms, me, cohort, thresholds, share_key, mask_key, self_mask, own, head, root };
        Ok((state, Share { head, leaves, root }))
    }

    fn message(&self) -> Advertise {
        Advertise {
            share_key: self.share_key.public(),
            mask_key: self.mask_key.public(),
            model: self.terms.attempt.model,
        }
    }

    fn cohort(&self, set: &AdvertiseSet) -> Result<Cohort, Abort> {
        let cohort = Cohort::new(&self.terms, set)?;
        if cohort.lists(self.me, &self.message()) { Ok(cohort) } else { Err(Abort::OwnEntryChanged) }
    }

    fn seal(
        &self,
        r1: Hash,
        to: SiteId,
        keys: &Advertise,
        held: &Held,
        group: &Secret,
    ) -> Result<Vec<u8>, Abort> {
        let low_order = Abort::LowOrderKey { site: to };
        let key = self.share_key.share_key(&keys.share_key, r1, self.me, to).ok_or(low_order.clone())?;
        let mut plain = held.to_bytes(group);
        let sealed = keys::seal(&key, &associated(r1, self.me, to), &plain);
        plain.zeroize();
        sealed.ok_or(low_order)
    }
}

/// Waits for the shares of the others; trains meanwhile.
#[derive(Debug)]
pub struct Shared {
    terms: Arc<Terms>,
    me: SiteId,
    cohort: Cohort,
    thresholds: Thresholds,
    share_key: PrivateKey,
    mask_key: PrivateKey,
    self_mask: Secret,
    own: Held,
    head: Head,
    root: Hash,
}

impl Shared {
    /// Takes the shares that the others dealt, after checking every one against its commitments.
    ///
    /// # Errors
    /// [`Abort::BadDealer`] names a dealer to complain about; [`Abort::Set`], [`Abort::TooFewSites`],
    /// [`Abort::OwnEntryChanged`].
    pub fn receive(self, set: &ShareSet) -> Result<Ready, Abort> {
        let phase = "share";
        let dealers = SiteSet::try_from(set.dealers.iter().map(|d| d.dealer).collect::<Vec<_>>())
            .map_err(|_| Abort::Set { phase, why: "not strictly ascending" })?;
        if !dealers.is_subset(&self.cohort.sites) {
            return Err(Abort::Set { phase, why: "a dealer outside the cohort" });
        }
        if !dealers.contains(self.me) {
            return Err(Abort::Set { phase, why: "this site's shares are missing" });
        }
        if dealers.len() < self.thresholds.sites_min {
            let (have, need) = (dealers.len(), self.thresholds.sites_min);
            return Err(Abort::TooFewSites { phase, have, need });
        }
        let mut held = Vec::with_capacity(dealers.len());
        for dealt in &set.dealers {
            if dealt.dealer != self.me {
                held.push(self.open(dealt)?);
            } else if dealt.root == self.root && dealt.head == self.head {
                held.push(self.own.clone());
            } else {
                return Err(Abort::OwnEntryChanged);
            }
        }
        let r2 = commit::r2(self.cohort.r1, set.dealers.iter().map(|dealt| (dealt.dealer, dealt.root)));
        let Self { terms, me, cohort, thresholds, mask_key, self_mask, .. } = self;
        Ok(Ready { terms, me, cohort, thresholds, dealers, r2, mask_key, self_mask, held })
    }

    fn open(&self, dealt: &Dealt) -> Result<Held, Abort> {
        let (r1, dealer, me) = (self.cohort.r1, dealt.dealer, self.me);
        let bad = |what| Abort::BadDealer { dealer, what };
        let count = self.cohort.sites.len() + 1;
        let place = self.cohort.sites.index_of(me).ok_or(Abort::OwnEntryChanged)? + 1;
        let head_leaf = commit::head_leaf(r1, dealer, &dealt.head);
        let leaf = commit::share_leaf(r1, dealer, me, &dealt.leaf);
        if !merkle_verify(dealt.root, count, 0, head_leaf, &dealt.head_path)
            || !merkle_verify(dealt.root, count, place, leaf, &dealt.leaf_path)
        {
            return Err(bad("Merkle path"));
        }
        let keys = self.cohort.keys_of(dealer).ok_or(bad("no keys"))?;
        let key = self
            .share_key
            .share_key(&keys.share_key, r1, dealer, me)
            .ok_or(Abort::LowOrderKey { site: dealer })?;
        let mut plain = keys::open(&key, &associated(r1, dealer, me), &dealt.leaf.sealed.0)
            .ok_or(bad("sealed shares do not open"))?;
        let parsed = Held::from_bytes(dealer, &plain);
        plain.zeroize();
        let (held, group) = parsed.ok_or(bad("sealed shares have a wrong length"))?;
        if held.commitment(r1, me) != dealt.leaf.commitment {
            return Err(bad("shares do not match their commitment"));
        }
        if commit::commit_group(r1, dealer, &group) != dealt.head.group {
            return Err(bad("group seed does not match its commitment"));
        }
        Ok(held)
    }
}

/// Holds a share of every dealer; waits for its own training to end.
#[derive(Debug)]
pub struct Ready {
    terms: Arc<Terms>,
    me: SiteId,
    cohort: Cohort,
    thresholds: Thresholds,
    dealers: SiteSet,
    r2: Hash,
    mask_key: PrivateKey,
    self_mask: Secret,
    held: Vec<Held>,
}

/// A masked vector and sidecar: uniform words to everyone who does not hold the masks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// Words of the vector.
    pub words: Vec<u32>,
    /// Words of the sidecar.
    pub side: Vec<u64>,
}

impl Ready {
    /// Phase M: adds the self mask and one mask per other dealer.
    ///
    /// # Errors
    /// [`Abort::Length`] for a vector of another length than agreed, [`Abort::LowOrderKey`].
    pub fn mask(self, encoded: Encoded, side: Vec<u64>) -> Result<(Masked, Upload), Abort> {
        let upload = checked_upload(&self.terms, encoded, side)?;
        let mut masks = vec![Mask { seed: self.self_mask.clone(), sign: Sign::Plus }];
        for peer in self.dealers.iter().filter(|&peer| peer != self.me) {
            let keys = self.cohort.keys_of(peer).ok_or(Abort::OwnEntryChanged)?;
            let seed = self
                .mask_key
                .mask_seed(&keys.mask_key, self.r2, self.terms.ctx(), self.me, peer)
                .ok_or(Abort::LowOrderKey { site: peer })?;
            masks.push(Mask { seed, sign: pair_sign(self.me, peer) });
        }
        let upload = apply(upload, &masks);
        let Self { terms, me, cohort, thresholds, dealers, r2, held, .. } = self;
        Ok((Masked { terms, me, r1: cohort.r1, thresholds, dealers, r2, held }, upload))
    }

    /// U2: the sites whose shares this site holds.
    pub fn dealers(&self) -> &SiteSet {
        &self.dealers
    }
}

/// The two shares that a site holds of one dealer, with the salts of their commitments.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub dealer: SiteId,
    pub self_mask: Secret,
    pub mask_key: Secret,
    pub salts: [[u8; 16]; 2],
}

impl Held {
    fn new(dealer: SiteId, self_mask: Secret, mask_key: Secret, salts: &[u8; 32]) -> Self {
        let (mut first, mut second) = ([0; 16], [0; 16]);
        first.copy_from_slice(&salts[..16]);
        second.copy_from_slice(&salts[16..]);
        Self { dealer, self_mask, mask_key, salts: [first, second] }
    }

    /// Commitments to the share of the self mask and to that of the mask key.
    pub(crate) fn halves(&self, r1: Hash, recipient: SiteId) -> [Hash; 2] {
        let commit = |half, share: &Secret, salt| {
            commit::commit_share(r1, self.dealer, recipient, half, share.expose(), salt)
        };
        [
            commit(Half::SelfMask, &self.self_mask, &self.salts[0]),
            commit(Half::MaskKey, &self.mask_key, &self.salts[1]),
        ]
    }

    fn commitment(&self, r1: Hash, recipient: SiteId) -> Hash {
        let [self_mask, mask_key] = self.halves(r1, recipient);
        commit::commit_pair(self_mask, mask_key)
    }

    fn to_bytes(&self, group: &Secret) -> Vec<u8> {
        [&self.self_mask.expose()[..], self.mask_key.expose(), group.expose(), &self.salts[0], &self.salts[1]]
            .concat()
    }

    fn from_bytes(dealer: SiteId, bytes: &[u8]) -> Option<(Self, Secret)> {
        let ([self_mask, mask_key, group, salts], []) = bytes.as_chunks::<32>() else { return None };
        let held = Self::new(dealer, Secret::new(*self_mask), Secret::new(*mask_key), salts);
        Some((held, Secret::new(*group)))
    }
}

/// The sign with which `me` adds the mask it shares with `peer`: the lower number adds, the higher subtracts.
pub(crate) fn pair_sign(me: SiteId, peer: SiteId) -> Sign {
    if me < peer { Sign::Plus } else { Sign::Minus }
}

fn checked_upload(terms: &Terms, mut encoded: Encoded, side: Vec<u64>) -> Result<Upload, Abort> {
    let lengths = [("vector", terms.words, encoded.words.len()), ("sidecar", terms.side_words, side.len())];
    for (what, expected, found) in lengths {
        if expected != found {
            return Err(Abort::Length { what, expected, found });
        }
    }
    Ok(Upload { words: std::mem::take(&mut encoded.words), side })
}

fn apply(mut upload: Upload, masks: &[Mask]) -> Upload {
    add_masks(&mut upload.words, masks, Label::Vector);
    add_masks(&mut upload.side, masks, Label::Side);
    upload
}

/// The associated data of sealed shares: R1, dealer, recipient.
fn associated(r1: Hash, dealer: SiteId, recipient: SiteId) -> Vec<u8> {
    [&r1.0[..], &dealer.0.to_le_bytes(), &recipient.0.to_le_bytes()].concat()
}
