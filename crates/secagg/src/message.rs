//! The messages of protocol MSA1.
//!
//! The body of each phase is encoded by itself and travels in an [`Envelope`](crate::envelope::Envelope) beside
//! the context digest, so a message of another attempt is dropped before its body is parsed.

use fovea_wire::Bytes;
use serde::{Deserialize, Serialize};

use crate::envelope::Signed;
use crate::hash::Hash;
use crate::identity::Signature;
use crate::sets::{SiteId, SiteSet};

/// Sender number of the coordinator.
pub const COORDINATOR: SiteId = SiteId(u16::MAX);

/// Bytes of vector in one chunk.
pub const CHUNK_BYTES: usize = 1 << 20;

/// What a message is for. Signatures cover a phase by its place in this list: new ones go to the end.
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
    /// Site, outside attempts: what it has, and what it waits for.
    Hello,
    /// Coordinator, outside attempts: a piece of the state for a site that was away.
    CatchUpChunk,
    /// Coordinator, outside attempts: root of that state, and proof that a quorum of sites stands there.
    CatchUpClose,
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
    /// Sites and their keys, each signed by the site.
    pub sites: Vec<(SiteId, Signed<Advertise>)>,
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
    /// S: Merkle root over the head (leaf 0) and the leaves.
    pub root: Hash,
    /// The dealer's signature on the root. Recipients see the root and their own leaf, not this whole
    /// message, so the envelope's signature is of no use to them.
    pub signature: Signature,
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
    /// S.
    pub root: Hash,
    /// The dealer's signature on S.
    pub signature: Signature,
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
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ConfirmSet {
    /// Sites and what they signed.
    pub confirmations: Vec<(SiteId, Signed<Confirm>)>,
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
    /// The signed confirmations of U3; empty in pair mode, which has no phase C.
    pub quorum: ConfirmSet,
}

/// A site accuses a dealer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Complaint {
    /// The accused.
    pub dealer: SiteId,
}

/// What a site says after every connection and every change of its state: where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Number of the round it would take part in next.
    pub round: u32,
    /// Digest of the state that round starts from.
    pub position: Hash,
    /// Context of an attempt whose publication it still waits for.
    pub awaits: Option<Hash>,
    /// Context of the last attempt whose publication it refused.
    pub refused: Option<Hash>,
}

/// Closes a state for a site that was away. Its words travel in [`Chunk`]s.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatchUpClose {
    /// Merkle root over the chunks.
    pub root: Hash,
    /// Number of the next round at this state.
    pub round: u32,
    /// What a quorum of sites said that stands there, ascending.
    pub proof: Vec<(SiteId, Signed<Hello>)>,
}
