//! Two sites: phases A, M and P only.
//!
//! The sum hides the two updates from the coordinator. It cannot hide them from one another: each site
//! knows the sum and its own part. So both must have acknowledged that in the manifest. There is no self
//! mask and nothing to recover: both uploads arrive or there is no sum.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::commit::{self, Cohort};
use crate::encode::Encoded;
use crate::error::Abort;
use crate::group::GroupKey;
use crate::hash::Hash;
use crate::identity::{Identity, Roster, Signature};
use crate::keys::PrivateKey;
use crate::message::AdvertiseSet;
use crate::prg::Mask;
use crate::sets::SiteId;
use crate::site::upload::{Upload, UploadKey, pair_sign};
use crate::site::verify::{Cover, Verifier};
use crate::site::{Advertised, Seat};

/// Domain of an acknowledgement.
const LABEL: &str = "fovea/ack-two-party-disclosure/v1";

/// A site's signed statement, for one manifest, that it accepts to disclose its update to the other of two
/// sites.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    /// Who accepts.
    pub site: SiteId,
    /// Its signature.
    pub signature: Signature,
}

impl Acknowledgement {
    /// Signs the acknowledgement.
    pub fn sign(manifest: Hash, site: SiteId, identity: &Identity) -> Self {
        Self { site, signature: identity.sign(LABEL, &[&manifest.0, &site.0.to_le_bytes()]) }
    }

    fn holds(&self, manifest: Hash, roster: &Roster) -> bool {
        let parts: [&[u8]; 2] = [&manifest.0, &self.site.0.to_le_bytes()];
        roster.key_of(self.site).is_some_and(|key| key.verify(LABEL, &parts, &self.signature))
    }
}

/// Proof that both sites of a federation of two acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TwoPartyAcknowledged {
    manifest: Hash,
}

impl TwoPartyAcknowledged {
    /// Checks the signed acknowledgements of both sites of the roster.
    ///
    /// # Errors
    /// [`Abort::TwoPartyNotAcknowledged`] names the first site without a valid one; [`Abort::Set`] for a
    /// roster of more than two sites.
    pub fn by_both(manifest: Hash, roster: &Roster, signed: &[Acknowledgement]) -> Result<Self, Abort> {
        if roster.sites() != 2 {
            return Err(Abort::Set { phase: "open", why: "pair mode needs a roster of exactly two sites" });
        }
        let valid = |site| signed.iter().any(|ack| ack.site == site && ack.holds(manifest, roster));
        match [SiteId(0), SiteId(1)].into_iter().find(|&site| !valid(site)) {
            Some(site) => Err(Abort::TwoPartyNotAcknowledged { site }),
            None => Ok(Self { manifest }),
        }
    }
}

/// Knows its peer; waits for its own training to end.
#[derive(Debug)]
pub struct PairReady {
    seat: Seat,
    mask_key: PrivateKey,
    cohort: Cohort,
    peer: SiteId,
}

impl Advertised {
    /// Checks the two-party cohort.
    ///
    /// # Errors
    /// [`Abort::Set`] unless exactly two sites were invited and advertised, or for acknowledgements of another
    /// manifest.
    pub fn pair(self, set: &AdvertiseSet, acknowledged: &TwoPartyAcknowledged) -> Result<PairReady, Abort> {
        let cohort = self.cohort(set)?;
        let phase = "advertise";
        if cohort.sites.len() != 2 || self.seat.terms.attempt.invited.len() != 2 {
            return Err(Abort::Set { phase, why: "pair mode needs exactly two sites" });
        }
        if acknowledged.manifest != self.seat.terms.attempt.manifest {
            return Err(Abort::Set { phase, why: "acknowledgements of another manifest" });
        }
        let peer = cohort.sites.iter().find(|&site| site != self.seat.me).ok_or(Abort::OwnEntryChanged)?;
        let Self { seat, mask_key, .. } = self;
        Ok(PairReady { seat, mask_key, cohort, peer })
    }
}

impl PairReady {
    /// Phase M: adds or subtracts the one mask of the pair, and closes the sidecar with the tags.
    ///
    /// # Errors
    /// [`Abort::Length`], [`Abort::LowOrderKey`].
    pub fn mask(self, encoded: Encoded, side: Vec<u64>) -> Result<(PairMasked, Upload), Abort> {
        let Self { seat, mask_key, cohort, peer } = self;
        let keys = cohort.keys_of(peer).ok_or(Abort::OwnEntryChanged)?;
        let salt = commit::r2_of_pair(cohort.r1);
        let seed = mask_key
            .mask_seed(&keys.mask_key, salt, seat.terms.ctx(), seat.me, peer)
            .ok_or(Abort::LowOrderKey { site: peer })?;
        let group = GroupKey::of_pair(&seed, salt);
        let verifier = Verifier { terms: Arc::clone(&seat.terms), group, cover: Cover::Pair(cohort.sites) };
        let masks = vec![Mask { seed, sign: pair_sign(seat.me, peer) }];
        let state = PairMasked { seat, verifier, key: UploadKey { masks } };
        let upload = state.upload(encoded, side)?;
        Ok((state, upload))
    }
}

/// Has uploaded; waits for the sum.
#[derive(Debug)]
pub struct PairMasked {
    pub(super) seat: Seat,
    pub(super) verifier: Verifier,
    pub(super) key: UploadKey,
}

impl PairMasked {
    /// As [`Masked::upload`](crate::site::Masked::upload).
    ///
    /// # Errors
    /// [`Abort::Length`].
    pub fn upload(&self, encoded: Encoded, side: Vec<u64>) -> Result<Upload, Abort> {
        self.key.apply(&self.seat, &self.verifier, encoded, side)
    }

    /// What checks the published sum.
    pub fn into_verifier(self) -> Verifier {
        self.verifier
    }
}
