//! The messages of protocol MSA1 and the envelope around them.
//!
//! The body of each phase is encoded by itself and travels in an [`Envelope`] beside the context digest, so a
//! message of another attempt is dropped before its body is parsed.

use fovea_wire::{Bytes, WireError};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::hash::Hash;
use crate::sets::{SiteId, SiteSet};

/// Kind of an [`Envelope`] in `fovea_wire`.
pub const ENVELOPE_KIND: u8 = 1;

/// Sender number of the coordinator.
pub const COORDINATOR: SiteId = SiteId(u16::MAX);

/// Bytes of vector in one chunk.
pub const CHUNK_BYTES: usize = 1 << 20;

/// Longest envelope: one chunk and its surroundings, or the shares of 255 sites.
pub const ENVELOPE_MAX: usize = CHUNK_BYTES + 256;

/// What a message is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Coordinator to sites: a new attempt.
    Open,
    /// Site: public keys and model digest.
    Advertise,
    /// Coordinator: everyone's public keys.
    AdvertiseSet,
    /// Site: sealed shares and commitments.
    Share,
    /// Coordinator: the shares for one site.
    ShareSet,
    /// Site: a piece of its masked vector.
    MaskedChunk,
    /// Site: sidecar and root of the masked vector.
    MaskedClose,
    /// Coordinator: which uploads are complete.
    Announce,
    /// Site: it agrees to that set.
    Confirm,
    /// Coordinator: who agreed.
    ConfirmSet,
    /// Site: one share per member.
    Unmask,
    /// Coordinator: a piece of the sum.
    PublishChunk,
    /// Coordinator: sidecar and root of the sum.
    PublishClose,
    /// Site: a dealer's shares are bad.
    Complaint,
    /// Coordinator: the attempt is over without a sum.
    Abandon,
}

/// The outer layer of every message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// Context digest of the attempt.
    pub ctx: Hash,
    /// What the body is.
    pub phase: Phase,
    /// Sender.
    pub from: SiteId,
    /// The body, encoded by itself.
    pub body: Bytes,
}

impl Envelope {
    /// Wraps and encodes a body.
    ///
    /// # Errors
    /// [`WireError::TooLong`] above [`ENVELOPE_MAX`].
    pub fn seal<T: Serialize>(ctx: Hash, phase: Phase, from: SiteId, body: &T) -> Result<Vec<u8>, WireError> {
        let body = Bytes(fovea_wire::to_body(body, ENVELOPE_MAX)?);
        fovea_wire::encode(ENVELOPE_KIND, &Self { ctx, phase, from, body }, ENVELOPE_MAX)
    }

    /// Decodes the outer layer.
    ///
    /// # Errors
    /// [`WireError`].
    pub fn open(bytes: &[u8]) -> Result<Self, WireError> {
        fovea_wire::decode(ENVELOPE_KIND, bytes, ENVELOPE_MAX)
    }

    /// Decodes the body.
    ///
    /// # Errors
    /// [`WireError`].
    pub fn body<T: DeserializeOwned>(&self) -> Result<T, WireError> {
        fovea_wire::from_body(&self.body.0, ENVELOPE_MAX)
    }
}

/// Opens an attempt; the site computes the context digest itself and compares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// Round number.
    pub round: u32,
    /// Attempt within the round.
    pub attempt: u16,
    /// Sites invited.
    pub invited: SiteSet,
}

/// Phase A: the public keys of one site for one attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advertise {
    /// X25519 key under which shares for this site are sealed.
    pub share_key: [u8; 32],
    /// X25519 key from which masks are made.
    pub mask_key: [u8; 32],
    /// Digest of the global model the site starts from.
    pub model: Hash,
}

/// Phase A, relayed: all sites that advertised, ascending.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdvertiseSet {
    /// Sites and their keys.
    pub sites: Vec<(SiteId, Advertise)>,
}

/// Commitments to the two seeds of a dealer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// B: digest of the self-mask seed b.
    pub self_mask: Hash,
    /// G: digest of the seed g of the group key.
    pub group: Hash,
}

/// What a dealer has for one recipient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leaf {
    /// Sealed shares; empty for the dealer itself.
    pub sealed: Bytes,
    /// h: commitment to both shares.
    pub commitment: Hash,
}

/// Phase S: one leaf per advertised site, ascending, and the root over head and leaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Commitments to the dealer's seeds.
    pub head: Head,
    /// Leaves in the order of the advertised sites.
    pub leaves: Vec<Leaf>,
    /// Merkle root over the head (leaf 0) and the leaves.
    pub root: Hash,
}

/// What one site is told about one dealer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dealt {
    /// The dealer.
    pub dealer: SiteId,
    /// Its commitments.
    pub head: Head,
    /// Its leaf for the receiving site.
    pub leaf: Leaf,
    /// Merkle path of the head.
    pub head_path: Vec<Hash>,
    /// Merkle path of the leaf.
    pub leaf_path: Vec<Hash>,
    /// Merkle root.
    pub root: Hash,
}

/// Phase S, relayed to one site: all dealers, ascending.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareSet {
    /// The dealers.
    pub dealers: Vec<Dealt>,
}

/// Phases M and P: a piece of a vector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// Position in units of [`CHUNK_BYTES`].
    pub index: u32,
    /// Little-endian words.
    pub bytes: Bytes,
}

/// Phase M: closes an upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaskedClose {
    /// Merkle root over the chunks.
    pub root: Hash,
    /// Masked sidecar, little-endian words of 64 bits.
    pub side: Bytes,
}

/// Phase C: the sites whose uploads are complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announce {
    /// U3.
    pub complete: SiteSet,
}

/// Phase C: agreement with the announced set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirm {
    /// R3.
    pub digest: Hash,
}

/// Phase C, relayed: who agreed to what, ascending.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfirmSet {
    /// Sites and the digests they sent.
    pub confirmations: Vec<(SiteId, Hash)>,
}

/// Phase U: what a site reveals about one dealer. Exactly one of two shares, by construction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reveal {
    /// The dealer.
    pub dealer: SiteId,
    /// The share of b (dealer in U3) or of the mask key (dealer dropped out); which one follows from U3.
    pub share: [u8; 32],
    /// Salt of its commitment.
    pub salt: [u8; 16],
    /// Commitment of the share that stays secret.
    pub sibling: Hash,
}

/// Phase U: one reveal per dealer, ascending.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unmask {
    /// The reveals.
    pub reveals: Vec<Reveal>,
}

/// Phase P: closes the publication.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishClose {
    /// Merkle root over the chunks.
    pub root: Hash,
    /// Sum of the sidecars.
    pub side: Bytes,
    /// U3.
    pub complete: SiteSet,
}

/// A site accuses a dealer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Complaint {
    /// The accused.
    pub dealer: SiteId,
}
