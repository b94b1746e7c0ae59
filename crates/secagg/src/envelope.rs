//! The outer layer of every message: context, purpose, sender and the sender's signature.
//!
//! signature = Ed25519("fovea/secagg/v1", ctx, phase, from, SHA-256(body)), every piece preceded by its
//! length. The signature is on the body as encoded, so a coordinator can relay a statement beside its
//! signature and the receiver checks it against the roster, whoever brought it.

use fovea_wire::{Bytes, WireError};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use crate::hash::Hash;
use crate::identity::{Identity, Roster, Signature, SignatureError};
use crate::message::{CHUNK_BYTES, Phase};
use crate::sets::SiteId;

/// Kind of an [`Envelope`] in `fovea_wire`.
pub const ENVELOPE_KIND: u8 = 1;

/// Longest envelope: one chunk and its surroundings, or the shares of 255 sites.
pub const ENVELOPE_MAX: usize = CHUNK_BYTES + 512;

const LABEL: &str = "fovea/secagg/v1";

/// What a signature binds a body to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Context digest of the attempt.
    pub ctx: Hash,
    /// What the body is.
    pub phase: Phase,
    /// Sender.
    pub from: SiteId,
}

impl Header {
    fn sign(&self, digest: Hash, identity: &Identity) -> Signature {
        let (phase, from) = self.tail();
        identity.sign(LABEL, &[&self.ctx.0, &phase, &from, &digest.0])
    }

    /// Whether `signature` is the sender's over a body with the given SHA-256 digest.
    pub(crate) fn verify(
        &self,
        digest: Hash,
        signature: &Signature,
        roster: &Roster,
    ) -> Result<(), SignatureError> {
        let (phase, from) = self.tail();
        let parts: [&[u8]; 4] = [&self.ctx.0, &phase, &from, &digest.0];
        match roster.key_of(self.from) {
            Some(key) if key.verify(LABEL, &parts, signature) => Ok(()),
            _ => Err(SignatureError { phase: self.phase, from: self.from }),
        }
    }

    /// The phase's place in [`Phase`] is its code: the order of that list is part of the format.
    fn tail(&self) -> ([u8; 1], [u8; 2]) {
        ([self.phase as u8], self.from.0.to_le_bytes())
    }
}

fn body_digest(body: &[u8]) -> Hash {
    Hash(Sha256::digest(body).into())
}

/// A statement with its sender's signature, as it is relayed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed<T> {
    /// The statement.
    pub body: T,
    /// Signature over it, in the context it was made for.
    pub signature: Signature,
}

impl<T: Serialize> Signed<T> {
    /// Signs a statement.
    ///
    /// # Errors
    /// [`WireError`] for a body that cannot be written within [`ENVELOPE_MAX`].
    pub fn new(header: Header, body: T, identity: &Identity) -> Result<Self, WireError> {
        let digest = body_digest(&fovea_wire::to_body(&body, ENVELOPE_MAX)?);
        let signature = header.sign(digest, identity);
        Ok(Self { body, signature })
    }

    /// Checks the signature against the roster.
    ///
    /// # Errors
    /// [`SignatureError`].
    pub fn verify(&self, header: Header, roster: &Roster) -> Result<(), SignatureError> {
        let unsigned = SignatureError { phase: header.phase, from: header.from };
        let body = fovea_wire::to_body(&self.body, ENVELOPE_MAX).map_err(|_| unsigned)?;
        header.verify(body_digest(&body), &self.signature, roster)
    }
}

/// The outer layer of every message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// Context, purpose and sender.
    pub header: Header,
    /// The body, encoded by itself.
    pub body: Bytes,
    /// The sender's signature.
    pub signature: Signature,
}

impl Envelope {
    /// Wraps a statement that is signed for the same header.
    ///
    /// # Errors
    /// [`WireError::TooLong`] above [`ENVELOPE_MAX`].
    pub fn wrap<T: Serialize>(header: Header, signed: &Signed<T>) -> Result<Vec<u8>, WireError> {
        let body = Bytes(fovea_wire::to_body(&signed.body, ENVELOPE_MAX)?);
        Self { header, body, signature: signed.signature }.encode()
    }

    /// Signs, wraps and encodes a body.
    ///
    /// # Errors
    /// As [`Self::wrap`].
    pub fn seal<T: Serialize>(header: Header, body: &T, identity: &Identity) -> Result<Vec<u8>, WireError> {
        let body = Bytes(fovea_wire::to_body(body, ENVELOPE_MAX)?);
        let signature = header.sign(body_digest(&body.0), identity);
        Self { header, body, signature }.encode()
    }

    fn encode(&self) -> Result<Vec<u8>, WireError> {
        fovea_wire::encode(ENVELOPE_KIND, self, ENVELOPE_MAX)
    }

    /// Decodes the outer layer; nothing is verified yet.
    ///
    /// # Errors
    /// [`WireError`].
    pub fn open(bytes: &[u8]) -> Result<Self, WireError> {
        fovea_wire::decode(ENVELOPE_KIND, bytes, ENVELOPE_MAX)
    }

    /// Checks the signature against the roster. The body is hashed, not read.
    ///
    /// # Errors
    /// [`SignatureError`].
    pub fn verify(&self, roster: &Roster) -> Result<(), SignatureError> {
        self.header.verify(body_digest(&self.body.0), &self.signature, roster)
    }

    /// What is signed, and the signature: SHA-256 of the body, bound to the header.
    pub fn statement(&self) -> (Hash, Signature) {
        (body_digest(&self.body.0), self.signature)
    }

    /// Decodes the body.
    ///
    /// # Errors
    /// [`WireError`].
    pub fn body<T: DeserializeOwned>(&self) -> Result<T, WireError> {
        fovea_wire::from_body(&self.body.0, ENVELOPE_MAX)
    }

    /// Decodes the body as a statement to be relayed. It must be encoded in the one way in which receivers
    /// will encode it again, or they would find the signature wrong.
    ///
    /// # Errors
    /// [`WireError`], [`WireError::Body`] for another encoding of the same value.
    pub fn signed<T: Serialize + DeserializeOwned>(&self) -> Result<Signed<T>, WireError> {
        let body: T = self.body()?;
        if fovea_wire::to_body(&body, ENVELOPE_MAX)? != self.body.0 {
            return Err(WireError::Body);
        }
        Ok(Signed { body, signature: self.signature })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Announce, COORDINATOR, Confirm};
    use crate::secret::Secret;

    fn identity(seed: u8) -> Identity {
        Identity::from_secret(&Secret::new([seed; 32]))
    }

    fn roster() -> Roster {
        Roster::new(identity(9).public(), vec![identity(0).public(), identity(1).public()]).unwrap()
    }

    fn header(from: SiteId) -> Header {
        Header { ctx: Hash([5; 32]), phase: Phase::Confirm, from }
    }

    #[test]
    fn a_signature_is_bound_to_context_phase_sender_and_body() {
        let confirm = Confirm { digest: Hash([7; 32]) };
        let bytes = Envelope::seal(header(SiteId(1)), &confirm, &identity(1)).unwrap();
        let envelope = Envelope::open(&bytes).unwrap();
        assert_eq!(envelope.verify(&roster()), Ok(()));
        let refused = |change: &dyn Fn(&mut Envelope)| {
            let mut copy = envelope.clone();
            change(&mut copy);
            copy.verify(&roster()).is_err()
        };
        assert!(refused(&|e| e.header.ctx.0[0] ^= 1));
        assert!(refused(&|e| e.header.phase = Phase::Unmask));
        assert!(refused(&|e| e.header.from = SiteId(0)));
        assert!(refused(&|e| e.header.from = SiteId(2)));
        assert!(refused(&|e| e.header.from = COORDINATOR));
        assert!(refused(&|e| e.body.0[3] ^= 1));
        assert!(refused(&|e| e.signature.0[0] ^= 1));
    }

    #[test]
    fn a_relayed_statement_keeps_the_signature_of_its_envelope() {
        let confirm = Confirm { digest: Hash([7; 32]) };
        let signed = Signed::new(header(SiteId(0)), confirm, &identity(0)).unwrap();
        let envelope = Envelope::open(&Envelope::wrap(header(SiteId(0)), &signed).unwrap()).unwrap();
        assert_eq!(envelope.verify(&roster()), Ok(()));
        assert_eq!(envelope.signed::<Confirm>().unwrap(), signed);
        assert_eq!(signed.verify(header(SiteId(0)), &roster()), Ok(()));
        let other = SignatureError { phase: Phase::Confirm, from: SiteId(1) };
        assert_eq!(signed.verify(header(SiteId(1)), &roster()), Err(other));
    }

    #[test]
    fn a_second_encoding_of_one_value_is_not_relayed() {
        // A list of one site whose number is written with one byte too many.
        let body = Bytes(vec![1, 0x81, 0x00]);
        let signature = header(SiteId(0)).sign(body_digest(&body.0), &identity(0));
        let envelope = Envelope { header: header(SiteId(0)), body, signature };
        assert_eq!(envelope.verify(&roster()), Ok(()));
        assert!(envelope.body::<Announce>().is_ok());
        assert_eq!(envelope.signed::<Announce>(), Err(WireError::Body));
    }
}
