//! The two shares that a site holds of one dealer.

use crate::commit::{self, Half};
use crate::hash::Hash;
use crate::secret::Secret;
use crate::sets::SiteId;

/// Shares of one dealer's two secrets, with the salts of their commitments.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub dealer: SiteId,
    pub self_mask: Secret,
    pub mask_key: Secret,
    pub salts: [[u8; 16]; 2],
}

impl Held {
    pub(super) fn new(dealer: SiteId, self_mask: Secret, mask_key: Secret, salts: &[u8; 32]) -> Self {
        let (mut first, mut second) = ([0; 16], [0; 16]);
        first.copy_from_slice(&salts[..16]);
        second.copy_from_slice(&salts[16..]);
        Self { dealer, self_mask, mask_key, salts: [first, second] }
    }

    /// Commitments to the share of the self mask and to that of the mask key.
    pub(super) fn halves(&self, r1: Hash, recipient: SiteId) -> [Hash; 2] {
        let commit = |half, share: &Secret, salt| {
            commit::commit_share(r1, self.dealer, recipient, half, share.expose(), salt)
        };
        [
            commit(Half::SelfMask, &self.self_mask, &self.salts[0]),
            commit(Half::MaskKey, &self.mask_key, &self.salts[1]),
        ]
    }

    pub(super) fn commitment(&self, r1: Hash, recipient: SiteId) -> Hash {
        let [self_mask, mask_key] = self.halves(r1, recipient);
        commit::commit_pair(self_mask, mask_key)
    }

    pub(super) fn to_bytes(&self, group: &Secret) -> Vec<u8> {
        [&self.self_mask.expose()[..], self.mask_key.expose(), group.expose(), &self.salts[0], &self.salts[1]]
            .concat()
    }

    pub(super) fn from_bytes(dealer: SiteId, bytes: &[u8]) -> Option<(Self, Secret)> {
        let ([self_mask, mask_key, group, salts], []) = bytes.as_chunks::<32>() else { return None };
        let held = Self::new(dealer, Secret::new(*self_mask), Secret::new(*mask_key), salts);
        Some((held, Secret::new(*group)))
    }
}
