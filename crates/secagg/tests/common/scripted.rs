//! A site whose keys the test knows and which can deal faulty shares.
#![allow(dead_code, clippy::unwrap_used, reason = "each test binary uses its own part")]

use fovea_secagg::commit::{self, Cohort, Half, Terms};
use fovea_secagg::envelope::Signed;
use fovea_secagg::keys::{self, PrivateKey};
use fovea_secagg::message::{Advertise, Leaf, Share};
use fovea_secagg::secret::Secret;
use fovea_secagg::sets::SiteId;
use fovea_secagg::shamir;
use fovea_wire::Bytes;

use super::parties::{Seeded, identity, signed_keys};

/// What is wrong with the shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None,
    /// Shares that were never on one polynomial, properly committed to.
    OffPolynomial,
    /// A self-mask share that differs from the committed one.
    NotCommitted,
    /// A group seed that differs between recipients.
    GroupEquivocation,
    /// A commitment B to another seed.
    OtherSelfMask,
    /// Shares of a key that is not the advertised one.
    OtherMaskKey,
    /// A box that does not open.
    Garbage,
    /// The shares of two recipients, one in the other's box.
    Swapped,
}

pub struct Scripted {
    pub id: SiteId,
    pub share: PrivateKey,
    pub mask: PrivateKey,
}

impl Scripted {
    pub fn new(id: SiteId, entropy: &mut Seeded) -> Self {
        Self { id, share: PrivateKey::draw(entropy).unwrap(), mask: PrivateKey::draw(entropy).unwrap() }
    }

    pub fn advertise(&self, terms: &Terms) -> Signed<Advertise> {
        let model = terms.attempt.model;
        let keys = Advertise { share_key: self.share.public(), mask_key: self.mask.public(), model };
        signed_keys(terms, self.id, keys)
    }

    pub fn deal(&self, terms: &Terms, cohort: &Cohort, fault: Fault, entropy: &mut Seeded) -> Share {
        let threshold = terms.thresholds(cohort.sites.len()).unwrap().quorum;
        let mut draw = || Secret::draw(entropy).unwrap();
        let (self_mask, group, other) = (draw(), draw(), draw());
        let committed = if fault == Fault::OtherSelfMask { &other } else { &self_mask };
        let head = commit::head(cohort.r1, self.id, committed, &group);
        let dealt_key = if fault == Fault::OtherMaskKey { other.clone() } else { self.mask.to_secret() };
        let n = cohort.sites.len();
        let betas = shamir::split(&self_mask, threshold, n, entropy).unwrap();
        let sigmas = shamir::split(&dealt_key, threshold, n, entropy).unwrap();
        let leaves: Vec<Leaf> = cohort
            .sites
            .iter()
            .enumerate()
            .map(|(i, to)| {
                let beta = if fault == Fault::OffPolynomial {
                    Secret::draw(entropy).unwrap()
                } else {
                    betas[i].clone()
                };
                self.leaf(cohort, to, [&beta, &sigmas[i], &group], fault)
            })
            .collect();
        let mut leaves = leaves;
        if fault == Fault::Swapped {
            let (first, second) = leaves.split_at_mut(1);
            std::mem::swap(&mut first[0].sealed, &mut second[0].sealed);
        }
        let root = commit::share_root(cohort, self.id, &head, &leaves);
        let signature = commit::sign_root(terms.ctx(), self.id, root, &identity(self.id.0));
        Share { head, leaves, root, signature }
    }

    fn leaf(&self, cohort: &Cohort, to: SiteId, [beta, sigma, group]: [&Secret; 3], fault: Fault) -> Leaf {
        let salt = [to.0 as u8; 16];
        let half =
            |half, share: &Secret| commit::commit_share(cohort.r1, self.id, to, half, share.expose(), &salt);
        let commitment = commit::commit_pair(half(Half::SelfMask, beta), half(Half::MaskKey, sigma));
        let mut plain = [&beta.expose()[..], sigma.expose(), group.expose(), &salt, &salt].concat();
        match fault {
            Fault::NotCommitted => plain[3] ^= 1,
            Fault::GroupEquivocation => plain[64] ^= to.0 as u8 + 1,
            _ => {}
        }
        let mut sealed = Vec::new();
        if to != self.id {
            sealed =
                keys::seal(&self.key_with(cohort, to, self.id, to), &associated(cohort, self.id, to), &plain)
                    .unwrap();
        }
        if fault == Fault::Garbage && to != self.id {
            sealed[0] ^= 1;
        }
        Leaf { sealed: Bytes(sealed), commitment }
    }

    /// The share of `dealer`'s self-mask seed that was sealed for this site.
    pub fn open_self_mask_share(&self, cohort: &Cohort, dealer: SiteId, dealt: &Share) -> Secret {
        let place = cohort.sites.index_of(self.id).unwrap();
        let key = self.key_with(cohort, dealer, dealer, self.id);
        let sealed = &dealt.leaves[place].sealed.0;
        let plain = keys::open(&key, &associated(cohort, dealer, self.id), sealed).unwrap();
        Secret::new(plain[..32].try_into().unwrap())
    }

    fn key_with(&self, cohort: &Cohort, peer: SiteId, dealer: SiteId, recipient: SiteId) -> Secret {
        let theirs = cohort.keys_of(peer).unwrap().share_key;
        self.share.share_key(&theirs, cohort.r1, dealer, recipient).unwrap()
    }
}

fn associated(cohort: &Cohort, dealer: SiteId, recipient: SiteId) -> Vec<u8> {
    [&cohort.r1.0[..], &dealer.0.to_le_bytes(), &recipient.0.to_le_bytes()].concat()
}
