//! A site that has uploaded, as bytes for its journal: enough to send the same upload again, to confirm and
//! to reveal. All of it is secret; the journal seals it under a key that is forgotten with the attempt.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use fovea_wire::WireError;

use crate::encode::Encoded;
use crate::error::Abort;
use crate::group::GroupKey;
use crate::hash::Hash;
use crate::prg::{Mask, Sign};
use crate::secret::Secret;
use crate::sets::{SiteId, SiteSet};
use crate::site::pair::PairMasked;
use crate::site::release::Masked;
use crate::site::upload::{Upload, UploadKey};
use crate::site::verify::{Cover, Quorum, Verifier};
use crate::site::{Held, Seat};

/// More than the state of a site among 255.
const SAVED_MAX: usize = 1 << 16;

/// A site that has uploaded, in either mode.
#[derive(Debug)]
pub enum Uploaded {
    /// Three sites and more.
    Masked(Masked),
    /// One of two.
    Pair(PairMasked),
}

/// Saved bytes that do not belong to the attempt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// Not the state of a site.
    #[error("saved state: {0}")]
    Wire(#[from] WireError),
    /// A state whose parts contradict each other.
    #[error("saved state: {what}")]
    Content {
        /// What does not fit.
        what: &'static str,
    },
    /// Thresholds that the job no longer allows.
    #[error(transparent)]
    Abort(#[from] Abort),
}

#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
struct Saved {
    #[zeroize(skip)]
    r1: Hash,
    /// Sites that advertised, R2 and U2; none for a pair.
    #[zeroize(skip)]
    quorum: Option<(u16, Hash, SiteSet)>,
    held: Vec<SavedShares>,
    masks: Vec<([u8; 32], bool)>,
    group: [u8; 32],
}

#[derive(Serialize, Deserialize, Zeroize)]
struct SavedShares {
    self_mask: [u8; 32],
    mask_key: [u8; 32],
    salts: [[u8; 16]; 2],
}

impl Uploaded {
    /// The state as secret bytes.
    ///
    /// # Errors
    /// [`WireError::TooLong`], which cannot happen for up to 255 sites.
    pub fn save(&self) -> Result<Zeroizing<Vec<u8>>, WireError> {
        let saved = match self {
            Self::Masked(state) => Saved::of(state.r1, &state.verifier, &state.held, &state.key),
            Self::Pair(state) => Saved::of(Hash([0; 32]), &state.verifier, &[], &state.key),
        };
        // One reservation, so that no copy of the secrets stays behind in a smaller buffer.
        let out = Vec::with_capacity(SAVED_MAX);
        Ok(Zeroizing::new(fovea_wire::to_body_in(&saved, out, SAVED_MAX)?))
    }

    /// The state behind [`Self::save`].
    ///
    /// # Errors
    /// [`RestoreError`].
    pub fn restore(seat: Seat, bytes: &[u8]) -> Result<Self, RestoreError> {
        let saved: Saved = fovea_wire::from_body(bytes, SAVED_MAX)?;
        let group = GroupKey::from_secret(Secret::new(saved.group));
        let terms = Arc::clone(&seat.terms);
        let key = saved.upload_key();
        let Some((cohort, r2, dealers)) = saved.quorum.clone() else {
            let verifier = Verifier { group, cover: Cover::Pair(terms.attempt.invited.clone()), terms };
            return Ok(Self::Pair(PairMasked { seat, verifier, key }));
        };
        if saved.held.len() != dealers.len() || !dealers.contains(seat.me) {
            return Err(RestoreError::Content { what: "not one pair of shares per dealer" });
        }
        let held = dealers.iter().zip(&saved.held).map(|(dealer, shares)| shares.held(dealer)).collect();
        let thresholds = terms.thresholds(usize::from(cohort))?;
        let cover = Cover::Quorum(Quorum { dealers, r2, thresholds });
        let verifier = Verifier { terms, group, cover };
        Ok(Self::Masked(Masked { seat, r1: saved.r1, verifier, held, key }))
    }

    /// The upload of an update, byte for byte the one begun if the update is the same.
    ///
    /// # Errors
    /// [`Abort::Length`].
    pub fn upload(&self, encoded: Encoded, side: Vec<u64>) -> Result<Upload, Abort> {
        match self {
            Self::Masked(state) => state.upload(encoded, side),
            Self::Pair(state) => state.upload(encoded, side),
        }
    }

    /// What checks the published sum.
    pub fn into_verifier(self) -> Verifier {
        match self {
            Self::Masked(state) => state.into_verifier(),
            Self::Pair(state) => state.into_verifier(),
        }
    }
}

impl Saved {
    fn of(r1: Hash, verifier: &Verifier, held: &[Held], key: &UploadKey) -> Self {
        let quorum = match &verifier.cover {
            Cover::Quorum(Quorum { dealers, r2, thresholds }) => {
                Some((thresholds.cohort, *r2, dealers.clone()))
            }
            Cover::Pair(_) => None,
        };
        let shares = |held: &Held| SavedShares {
            self_mask: *held.self_mask.expose(),
            mask_key: *held.mask_key.expose(),
            salts: held.salts,
        };
        let masks = key.masks.iter().map(|mask| (*mask.seed.expose(), mask.sign == Sign::Plus)).collect();
        let group = *verifier.group.secret().expose();
        Self { r1, quorum, held: held.iter().map(shares).collect(), masks, group }
    }

    fn upload_key(&self) -> UploadKey {
        let sign = |plus| if plus { Sign::Plus } else { Sign::Minus };
        let mask = |&(seed, plus): &([u8; 32], bool)| Mask { seed: Secret::new(seed), sign: sign(plus) };
        UploadKey { masks: self.masks.iter().map(mask).collect() }
    }
}

impl SavedShares {
    fn held(&self, dealer: SiteId) -> Held {
        Held {
            dealer,
            self_mask: Secret::new(self.self_mask),
            mask_key: Secret::new(self.mask_key),
            salts: self.salts,
        }
    }
}
