//! Bodies of requests and answers. Each is a message of crate `wire` with a kind of its own.

use crate::error::NetError;
use crate::limits::TRANSPORT_VERSION;
use fovea_secagg::hash::Hash;
use fovea_secagg::identity::PublicKey;
use fovea_wire::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// A body: its kind on the wire, and the call that carries it.
pub trait Body: Serialize + DeserializeOwned {
    /// Kind in `fovea_wire`.
    const KIND: u8;

    /// As bytes.
    ///
    /// # Errors
    /// [`fovea_wire::WireError::TooLong`] above `limit` bytes.
    fn to_bytes(&self, limit: usize) -> Result<Vec<u8>, NetError> {
        Ok(fovea_wire::encode(Self::KIND, self, limit)?)
    }

    /// From bytes.
    ///
    /// # Errors
    /// [`fovea_wire::WireError`].
    fn read(bytes: &[u8], limit: usize) -> Result<Self, NetError> {
        Ok(fovea_wire::decode(Self::KIND, bytes, limit)?)
    }
}

/// A request and what answers it.
pub trait Call: Body {
    /// Last part of the path.
    const NAME: &'static str;
    /// The answer.
    type Answer: Body;

    /// The path, with the version of the transport.
    fn path() -> String {
        format!("/v{TRANSPORT_VERSION}/{}", Self::NAME)
    }
}

macro_rules! body {
    ($type:ty, $kind:literal) => {
        impl Body for $type {
            const KIND: u8 = $kind;
        }
    };
}

macro_rules! call {
    ($type:ty, $name:literal, $answer:ty) => {
        impl Call for $type {
            const NAME: &'static str = $name;
            type Answer = $answer;
        }
    };
}

/// Why the coordinator refused a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refused {
    /// The body is not the message that the path asks for.
    Malformed,
    /// The body is larger than agreed.
    TooLarge,
    /// The signature is not the sender's over this request.
    Signature,
    /// The clocks differ too much; the answer's header has the coordinator's time.
    Clock,
    /// The request was made before, or before the coordinator started.
    Replay,
    /// No site with this key has joined.
    Stranger,
    /// The invitation is unknown, or not for this name.
    Invitation,
    /// The invitation is older than it may be.
    InvitationExpired,
    /// The invitation was used before.
    InvitationUsed,
    /// There is no such job, or not any more.
    NoJob,
    /// The message does not belong where it was sent.
    Unexpected,
    /// Too many requests, or too much stored for this site.
    TooMany,
    /// The coordinator cannot store anything at the moment.
    Unavailable,
}

/// The body of every answer that is not a success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Why.
    pub refused: Refused,
}
body!(Refusal, 16);

/// An answer that says nothing more than yes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done;
body!(Done, 17);

/// A site enrols under the name it was invited by; the request is signed with the key it brings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Join {
    /// Name of the site.
    pub name: String,
    /// Shows that the sender holds the invitation, for this name and key alone.
    pub proof: Hash,
}
body!(Join, 18);
call!(Join, "join", Joined);

/// The answer to [`Join`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joined {
    /// Name of the federation.
    pub federation: String,
}
body!(Joined, 19);

/// Asks for the job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskJob;
body!(AskJob, 20);
call!(AskJob, "job", Offer);

/// A job and who has consented to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// The job document, as text; empty where there is none.
    pub document: Bytes,
    /// Consents so far, each an encoded [`crate::document::SiteConsent`].
    pub consents: Vec<Bytes>,
}
body!(Offer, 21);

/// Brings a site's consent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GiveConsent {
    /// An encoded [`crate::document::SiteConsent`].
    pub consent: Bytes,
}
body!(GiveConsent, 22);
call!(GiveConsent, "consent", Done);

/// Asks for messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Poll {
    /// The job's digest.
    pub job: Hash,
    /// The coordinator's process that the number `after` is from; 0 at first.
    pub epoch: u64,
    /// Number of the last message received from that process; 0 for none.
    pub after: u64,
    /// Longest time to wait for one, milliseconds.
    pub wait_ms: u32,
    /// A number drawn when the site's process started.
    pub session: u64,
    /// Whether that process found no attempt in its journal to go on with.
    pub fresh: bool,
}
body!(Poll, 23);
call!(Poll, "poll", Mail);

/// Messages for a site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mail {
    /// A number drawn when the coordinator's process started. Another one than before: earlier messages that were
    /// not fetched are gone, and the site says where it stands.
    pub epoch: u64,
    /// Numbers and messages, ascending.
    pub messages: Vec<(u64, Bytes)>,
    /// Whether the job is over; no message follows then.
    pub over: bool,
}
body!(Mail, 24);

/// A piece of a message on its way to the coordinator. Without bytes it asks how much is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// SHA-256 of the whole message.
    pub digest: Hash,
    /// Length of the whole message, bytes.
    pub length: u32,
    /// Where these bytes belong.
    pub offset: u32,
    /// The bytes.
    pub bytes: Bytes,
}
body!(Piece, 25);
call!(Piece, "piece", Held);

/// How much of a message is on the coordinator's disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Bytes; all of them: the message is accepted.
    pub bytes: u32,
}
body!(Held, 26);

/// Asks who the coordinator is and how the job goes; any member may.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskStatus;
body!(AskStatus, 27);
call!(AskStatus, "status", StatusText);

/// The status as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusText {
    /// JSON.
    pub json: String,
}
body!(StatusText, 28);

/// Shows the holder of an invitation's secret to be the site that brings this key.
pub fn join_proof(verifier: Hash, name: &str, key: &PublicKey) -> Hash {
    Hash::of("fovea/net/join/v1", &[&verifier.0, name.as_bytes(), &key.to_bytes()])
}
