//! A site's side of an attempt, from advertising keys to a masked upload. Every state is consumed by
//! the transition out of it, so no key outlives its phase and no message can be answered twice.

use std::sync::Arc;

use fovea_wire::Bytes;
use serde::Serialize;
use zeroize::Zeroize;

use crate::commit::{self, Cohort, Terms};
use crate::encode::Encoded;
use crate::envelope::Signed;
use crate::error::Abort;
use crate::group::GroupKey;
use crate::hash::{Hash, merkle_verify};
use crate::identity::Identity;
use crate::keys::{self, PrivateKey};
use crate::message::{Advertise, AdvertiseSet, Dealt, Head, Leaf, Phase, Share, ShareSet};
use crate::prg::Mask;
use crate::secret::{Entropy, Secret};
use crate::sets::{SiteId, SiteSet, Thresholds};
use crate::shamir;

mod held;
pub mod pair;
mod release;
mod saved;
mod upload;
mod verify;

pub(crate) use held::Held;
pub use release::{Confirmed, Masked, Unmasked};
pub use saved::{RestoreError, Uploaded};
pub use upload::Upload;
use upload::UploadKey;
pub(crate) use upload::pair_sign;
use verify::{Cover, Quorum};
pub use verify::{Published, Verifier};

/// Bytes of a sealed box: two shares, the group seed, two salts and the tag.
pub const SEALED_LEN: usize = 3 * 32 + 2 * 16 + 16;

/// Who takes part, in which attempt.
#[derive(Debug, Clone)]
pub struct Seat {
    /// The attempt.
    pub terms: Arc<Terms>,
    /// This site.
    pub me: SiteId,
    identity: Arc<Identity>,
}

impl Seat {
    /// Takes a seat, if the site is invited and the roster knows its key.
    ///
    /// # Errors
    /// [`Abort::Set`] when this site is not invited, [`Abort::OtherIdentity`].
    pub fn new(terms: Arc<Terms>, me: SiteId, identity: Arc<Identity>) -> Result<Self, Abort> {
        if !terms.attempt.invited.contains(me) {
            return Err(Abort::Set { phase: "open", why: "this site is not invited" });
        }
        if terms.roster.key_of(me) != Some(&identity.public()) {
            return Err(Abort::OtherIdentity { site: me });
        }
        Ok(Self { terms, me, identity })
    }

    fn sign<T: Serialize>(&self, phase: Phase, body: T) -> Result<Signed<T>, Abort> {
        Ok(Signed::new(self.terms.header(phase, self.me), body, &self.identity)?)
    }
}

/// Waits for everyone's public keys.
#[derive(Debug)]
pub struct Advertised {
    seat: Seat,
    share_key: PrivateKey,
    mask_key: PrivateKey,
}

impl Advertised {
    /// Phase A: draws the two key pairs of this attempt.
    ///
    /// # Errors
    /// [`Abort::Entropy`].
    pub fn start(seat: Seat, entropy: &mut dyn Entropy) -> Result<(Self, Signed<Advertise>), Abort> {
        let (share_key, mask_key) = (PrivateKey::draw(entropy)?, PrivateKey::draw(entropy)?);
        let state = Self { seat, share_key, mask_key };
        let message = state.seat.sign(Phase::Advertise, state.message())?;
        Ok((state, message))
    }

    /// Phase S: checks the cohort and deals shares of the self-mask seed and of the mask key.
    ///
    /// # Errors
    /// Everything that [`Cohort::new`] and the thresholds refuse, [`Abort::OwnEntryChanged`],
    /// [`Abort::LowOrderKey`].
    pub fn share(
        self,
        set: &AdvertiseSet,
        entropy: &mut dyn Entropy,
    ) -> Result<(Shared, Signed<Share>), Abort> {
        let cohort = self.cohort(set)?;
        let (me, ctx) = (self.seat.me, self.seat.terms.ctx());
        let thresholds = self.seat.terms.thresholds(cohort.sites.len())?;
        let (self_mask, group) = (Secret::draw(entropy)?, Secret::draw(entropy)?);
        let (n, t) = (cohort.sites.len(), thresholds.quorum);
        let betas = shamir::split(&self_mask, t, n, entropy)?;
        let sigmas = shamir::split(&self.mask_key.to_secret(), t, n, entropy)?;
        let head = commit::head(cohort.r1, me, &self_mask, &group);
        let (mut leaves, mut own) = (Vec::with_capacity(n), None);
        for ((to, keys), (beta, sigma)) in
            cohort.sites.iter().zip(&cohort.keys).zip(betas.into_iter().zip(sigmas))
        {
            let mut salts = [0; 32];
            entropy.fill(&mut salts)?;
            let held = Held::new(me, beta, sigma, &salts);
            let commitment = held.commitment(cohort.r1, to);
            let sealed = if to == me {
                own = Some(held);
                Vec::new()
            } else {
                self.seal(cohort.r1, to, keys, &held, &group)?
            };
            leaves.push(Leaf { sealed: Bytes(sealed), commitment });
        }
        let own = own.ok_or(Abort::OwnEntryChanged)?;
        let root = commit::share_root(&cohort, me, &head, &leaves);
        let signature = commit::sign_root(ctx, me, root, &self.seat.identity);
        let message = self.seat.sign(Phase::Share, Share { head, leaves, root, signature })?;
        let Self { seat, share_key, mask_key } = self;
        let dealt = Own { held: own, self_mask, group, head, root };
        Ok((Shared { seat, cohort, thresholds, share_key, mask_key, dealt }, message))
    }

    fn message(&self) -> Advertise {
        Advertise {
            share_key: self.share_key.public(),
            mask_key: self.mask_key.public(),
            model: self.seat.terms.attempt.model,
        }
    }

    fn cohort(&self, set: &AdvertiseSet) -> Result<Cohort, Abort> {
        let cohort = Cohort::new(&self.seat.terms, set)?;
        if cohort.lists(self.seat.me, &self.message()) { Ok(cohort) } else { Err(Abort::OwnEntryChanged) }
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
        let me = self.seat.me;
        let key = self.share_key.share_key(&keys.share_key, r1, me, to).ok_or(low_order.clone())?;
        let mut plain = held.to_bytes(group);
        let sealed = keys::seal(&key, &associated(r1, me, to), &plain);
        plain.zeroize();
        sealed.ok_or(low_order)
    }
}

/// What a site has dealt and keeps.
#[derive(Debug)]
struct Own {
    held: Held,
    self_mask: Secret,
    group: Secret,
    head: Head,
    root: Hash,
}

/// Waits for the shares of the others; trains meanwhile.
#[derive(Debug)]
pub struct Shared {
    seat: Seat,
    cohort: Cohort,
    thresholds: Thresholds,
    share_key: PrivateKey,
    mask_key: PrivateKey,
    dealt: Own,
}

impl Shared {
    /// Takes the shares that the others dealt, after checking every one against its commitments.
    ///
    /// # Errors
    /// [`Abort::BadDealer`] names a dealer to complain about; [`Abort::Unsigned`], [`Abort::Set`],
    /// [`Abort::TooFewSites`], [`Abort::OwnEntryChanged`].
    pub fn receive(self, set: &ShareSet) -> Result<Ready, Abort> {
        let phase = "share";
        let dealers = SiteSet::try_from(set.dealers.iter().map(|d| d.dealer).collect::<Vec<_>>())
            .map_err(|_| Abort::Set { phase, why: "not strictly ascending" })?;
        if !dealers.is_subset(&self.cohort.sites) {
            return Err(Abort::Set { phase, why: "a dealer outside the cohort" });
        }
        if !dealers.contains(self.seat.me) {
            return Err(Abort::Set { phase, why: "this site's shares are missing" });
        }
        if dealers.len() < self.thresholds.sites_min {
            let (have, need) = (dealers.len(), self.thresholds.sites_min);
            return Err(Abort::TooFewSites { phase, have, need });
        }
        let (mut held, mut groups) = (Vec::with_capacity(dealers.len()), Vec::with_capacity(dealers.len()));
        for dealt in &set.dealers {
            let (shares, group) = if dealt.dealer != self.seat.me {
                self.open(dealt)?
            } else if dealt.root == self.dealt.root && dealt.head == self.dealt.head {
                (self.dealt.held.clone(), self.dealt.group.clone())
            } else {
                return Err(Abort::OwnEntryChanged);
            };
            held.push(shares);
            groups.push(group);
        }
        let r2 = commit::r2(self.cohort.r1, set.dealers.iter().map(|dealt| (dealt.dealer, dealt.root)));
        let Self { seat, cohort, thresholds, mask_key, dealt, .. } = self;
        let cover = Cover::Quorum(Quorum { dealers, r2, thresholds });
        let group = GroupKey::of_seeds(r2, &groups);
        let verifier = Verifier { terms: Arc::clone(&seat.terms), group, cover };
        Ok(Ready { seat, cohort, r2, verifier, mask_key, self_mask: dealt.self_mask, held })
    }

    fn open(&self, dealt: &Dealt) -> Result<(Held, Secret), Abort> {
        let (r1, dealer, me) = (self.cohort.r1, dealt.dealer, self.seat.me);
        let bad = |what| Abort::BadDealer { dealer, what };
        commit::verify_root(&self.seat.terms, dealer, dealt.root, &dealt.signature)?;
        let count = self.cohort.sites.len() + 1;
        let place = self.cohort.sites.index_of(me).ok_or(Abort::OwnEntryChanged)? + 1;
        let head_leaf = commit::head_leaf(r1, dealer, &dealt.head);
        let leaf = commit::share_leaf(r1, dealer, me, &dealt.leaf);
        if !merkle_verify(dealt.root, count, 0, head_leaf, &dealt.head_path)
            || !merkle_verify(dealt.root, count, place, leaf, &dealt.leaf_path)
        {
            // The dealer signed the root, so whoever took the leaf from under it is to blame.
            return Err(Abort::Set { phase: "share", why: "shares that are not under their signed root" });
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
        Ok((held, group))
    }
}

/// Holds a share of every dealer; waits for its own training to end.
#[derive(Debug)]
pub struct Ready {
    seat: Seat,
    cohort: Cohort,
    r2: Hash,
    verifier: Verifier,
    mask_key: PrivateKey,
    self_mask: Secret,
    held: Vec<Held>,
}

impl Ready {
    /// Phase M: adds the self mask and one mask per other dealer, and closes the sidecar with the tags.
    ///
    /// # Errors
    /// [`Abort::Length`] for a vector of another length than agreed, [`Abort::LowOrderKey`].
    pub fn mask(self, encoded: Encoded, side: Vec<u64>) -> Result<(Masked, Upload), Abort> {
        let (me, ctx) = (self.seat.me, self.seat.terms.ctx());
        let mut masks = vec![Mask::plus(self.self_mask.clone())];
        for peer in self.dealers().iter().filter(|&peer| peer != me) {
            let keys = self.cohort.keys_of(peer).ok_or(Abort::OwnEntryChanged)?;
            let seed = self
                .mask_key
                .mask_seed(&keys.mask_key, self.r2, ctx, me, peer)
                .ok_or(Abort::LowOrderKey { site: peer })?;
            masks.push(Mask { seed, sign: pair_sign(me, peer) });
        }
        let Self { seat, cohort, verifier, held, .. } = self;
        let state = Masked { seat, r1: cohort.r1, verifier, held, key: UploadKey { masks } };
        let upload = state.upload(encoded, side)?;
        Ok((state, upload))
    }

    /// U2: the sites whose shares this site holds.
    pub fn dealers(&self) -> &SiteSet {
        self.verifier.sites()
    }

    /// Gives up masking; what is left can check the published sum.
    pub fn into_verifier(self) -> Verifier {
        self.verifier
    }
}

/// The associated data of sealed shares: R1, dealer, recipient.
fn associated(r1: Hash, dealer: SiteId, recipient: SiteId) -> Vec<u8> {
    [&r1.0[..], &dealer.0.to_le_bytes(), &recipient.0.to_le_bytes()].concat()
}
