//! The digests that bind an attempt together: cohort R1, commitments h, B, G, share root S, R2 and R3.

use std::sync::Arc;

use crate::envelope::{Header, Signed};
use crate::error::Abort;
use crate::group::TAGS;
use crate::hash::{Hash, merkle_root};
use crate::identity::{Identity, Roster, Signature, SignatureError};
use crate::keys::same_bytes;
use crate::message::{Advertise, AdvertiseSet, Head, Leaf, Phase};
use crate::secret::Secret;
use crate::sets::{Attempt, SiteId, SiteSet, ThresholdRule, Thresholds};

/// What all parties of an attempt agree on before it starts.
#[derive(Debug, Clone)]
pub struct Terms {
    /// The attempt.
    pub attempt: Attempt,
    /// Rules for thresholds.
    pub rule: ThresholdRule,
    /// 32-bit words of the vector.
    pub words: usize,
    /// 64-bit words of the sidecar on the wire: the values, then the tags.
    pub side_words: usize,
    /// Public keys of all parties.
    pub roster: Arc<Roster>,
    ctx: Hash,
}

impl Terms {
    /// Fixes the terms and their context digest, for vectors of `words` and sidecars of `side_values`.
    pub fn new(
        attempt: Attempt,
        roster: Arc<Roster>,
        rule: ThresholdRule,
        words: usize,
        side_values: usize,
    ) -> Arc<Self> {
        let ctx = attempt.ctx();
        Arc::new(Self { attempt, rule, words, side_words: side_values + TAGS, roster, ctx })
    }

    /// Sidecar words before the tags.
    pub fn side_values(&self) -> usize {
        self.side_words - TAGS
    }

    /// Thresholds of a cohort of `sites`.
    ///
    /// # Errors
    /// As [`ThresholdRule::for_cohort`].
    pub fn thresholds(&self, sites: usize) -> Result<Thresholds, Abort> {
        self.rule.for_cohort(self.roster.sites(), sites)
    }

    /// What a signature of this attempt is bound to.
    pub fn header(&self, phase: Phase, from: SiteId) -> Header {
        Header { ctx: self.ctx, phase, from }
    }

    /// The context digest ctx.
    pub fn ctx(&self) -> Hash {
        self.ctx
    }
}

/// The sites that advertised keys (U1), with their keys and the digest R1 over both.
#[derive(Debug, Clone)]
pub struct Cohort {
    /// U1.
    pub sites: SiteSet,
    /// Keys, in the order of the sites.
    pub keys: Vec<Advertise>,
    /// R1.
    pub r1: Hash,
}

impl Cohort {
    /// Reads the relayed set: ascending, invited sites only, signed by each, one global model, no key used
    /// twice.
    ///
    /// # Errors
    /// [`Abort::Set`], [`Abort::Unsigned`], [`Abort::OtherModel`], [`Abort::RepeatedKey`].
    pub fn new(terms: &Terms, set: &AdvertiseSet) -> Result<Self, Abort> {
        let phase = "advertise";
        let sites = SiteSet::try_from(set.sites.iter().map(|(site, _)| *site).collect::<Vec<_>>())
            .map_err(|_| Abort::Set { phase, why: "not strictly ascending" })?;
        if !sites.is_subset(&terms.attempt.invited) {
            return Err(Abort::Set { phase, why: "a site that was not invited" });
        }
        for (site, signed) in &set.sites {
            signed.verify(terms.header(Phase::Advertise, *site), &terms.roster)?;
        }
        let keys: Vec<Advertise> = set.sites.iter().map(|(_, keys)| keys.body.clone()).collect();
        let mut parts = terms.ctx().0.to_vec();
        let mut seen = std::collections::BTreeSet::new();
        for (site, Signed { body: keys, .. }) in &set.sites {
            if !seen.insert(keys.share_key) || !seen.insert(keys.mask_key) {
                return Err(Abort::RepeatedKey { site: *site });
            }
            if keys.model != terms.attempt.model {
                return Err(Abort::OtherModel { site: *site });
            }
            parts.extend_from_slice(&site.0.to_le_bytes());
            parts.extend_from_slice(&keys.share_key);
            parts.extend_from_slice(&keys.mask_key);
        }
        Ok(Self { sites, keys, r1: Hash::of("fovea/secagg/r1/v1", &[&parts]) })
    }

    /// The keys of a member.
    pub fn keys_of(&self, site: SiteId) -> Option<&Advertise> {
        self.sites.index_of(site).map(|index| &self.keys[index])
    }

    /// Whether `keys` is exactly what `site` is listed with.
    pub fn lists(&self, site: SiteId, keys: &Advertise) -> bool {
        self.keys_of(site).is_some_and(|listed| {
            same_bytes(&listed.share_key, &keys.share_key) && same_bytes(&listed.mask_key, &keys.mask_key)
        })
    }
}

/// R2 over the dealers' roots, ascending by dealer.
pub fn r2(r1: Hash, roots: impl IntoIterator<Item = (SiteId, Hash)>) -> Hash {
    let parts: Vec<u8> =
        roots.into_iter().flat_map(|(site, root)| site.0.to_le_bytes().into_iter().chain(root.0)).collect();
    Hash::of("fovea/secagg/r2/v1", &[&r1.0, &parts])
}

/// The salt of mask seeds in pair mode, where no shares are dealt.
pub fn r2_of_pair(r1: Hash) -> Hash {
    Hash::of("fovea/secagg/r2-pair/v1", &[&r1.0])
}

/// R3 over the announced set.
pub fn r3(r2: Hash, complete: &SiteSet) -> Hash {
    Hash::of("fovea/secagg/confirm/v1", &[&r2.0, &complete.to_bytes()])
}

/// B and G for the seeds of `dealer`.
pub fn head(r1: Hash, dealer: SiteId, self_mask: &Secret, group: &Secret) -> Head {
    Head { self_mask: commit_self_mask(r1, dealer, self_mask), group: commit_group(r1, dealer, group) }
}

/// B: commitment to the self-mask seed.
pub fn commit_self_mask(r1: Hash, dealer: SiteId, seed: &Secret) -> Hash {
    Hash::of("fovea/secagg/b/v1", &[&r1.0, &dealer.0.to_le_bytes(), seed.expose()])
}

/// G: commitment to the group seed.
pub fn commit_group(r1: Hash, dealer: SiteId, seed: &Secret) -> Hash {
    Hash::of("fovea/secagg/g/v1", &[&r1.0, &dealer.0.to_le_bytes(), seed.expose()])
}

/// Which of the two secrets of a dealer a share belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Half {
    /// Share of the self-mask seed b.
    SelfMask,
    /// Share of the private mask key.
    MaskKey,
}

/// Commitment to one share.
pub fn commit_share(
    r1: Hash,
    dealer: SiteId,
    recipient: SiteId,
    half: Half,
    share: &[u8; 32],
    salt: &[u8; 16],
) -> Hash {
    let label = match half {
        Half::SelfMask => "fovea/secagg/share-b/v1",
        Half::MaskKey => "fovea/secagg/share-s/v1",
    };
    Hash::of(label, &[&r1.0, &dealer.0.to_le_bytes(), &recipient.0.to_le_bytes(), share, salt])
}

/// h: commitment to both shares of one recipient, so that either can be shown without the other.
pub fn commit_pair(self_mask: Hash, mask_key: Hash) -> Hash {
    Hash::of("fovea/secagg/sh/v1", &[&self_mask.0, &mask_key.0])
}

/// The Merkle leaves of a dealer: its head, then one leaf per site of the cohort.
pub fn leaves(cohort: &Cohort, dealer: SiteId, head: &Head, leaves: &[Leaf]) -> Vec<Hash> {
    std::iter::once(head_leaf(cohort.r1, dealer, head))
        .chain(cohort.sites.iter().zip(leaves).map(|(to, leaf)| share_leaf(cohort.r1, dealer, to, leaf)))
        .collect()
}

/// S: the root over [`leaves`].
pub fn share_root(cohort: &Cohort, dealer: SiteId, head: &Head, of: &[Leaf]) -> Hash {
    merkle_root(&leaves(cohort, dealer, head, of))
}

/// Domain of a dealer's signature on S.
const ROOT_LABEL: &str = "fovea/secagg/root/v1";

/// The dealer's signature on S.
pub fn sign_root(ctx: Hash, dealer: SiteId, root: Hash, identity: &Identity) -> Signature {
    identity.sign(ROOT_LABEL, &[&ctx.0, &dealer.0.to_le_bytes(), &root.0])
}

/// Checks a dealer's signature on S.
///
/// # Errors
/// [`SignatureError`] names the dealer.
pub fn verify_root(
    terms: &Terms,
    dealer: SiteId,
    root: Hash,
    signature: &Signature,
) -> Result<(), SignatureError> {
    let parts: [&[u8]; 3] = [&terms.ctx().0, &dealer.0.to_le_bytes(), &root.0];
    match terms.roster.key_of(dealer) {
        Some(key) if key.verify(ROOT_LABEL, &parts, signature) => Ok(()),
        _ => Err(SignatureError { phase: Phase::Share, from: dealer }),
    }
}

/// The Merkle leaf of a head.
pub fn head_leaf(r1: Hash, dealer: SiteId, head: &Head) -> Hash {
    Hash::of("fovea/secagg/head/v1", &[&r1.0, &dealer.0.to_le_bytes(), &head.self_mask.0, &head.group.0])
}

/// The Merkle leaf of one recipient.
pub fn share_leaf(r1: Hash, dealer: SiteId, to: SiteId, leaf: &Leaf) -> Hash {
    Hash::of(
        "fovea/secagg/leaf/v1",
        &[&r1.0, &dealer.0.to_le_bytes(), &to.0.to_le_bytes(), &leaf.sealed.0, &leaf.commitment.0],
    )
}
