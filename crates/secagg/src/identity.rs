//! Long-term identities: Ed25519 (RFC 8032) keys, their roster, and signatures with one domain each.
//!
//! The roster is agreed on out of band and is part of the manifest; without it a coordinator could invent
//! sites. Signatures are verified by `verify_strict`, which refuses every malleable variant, and a roster
//! refuses keys of small order, under which one signature fits many messages.

use std::collections::BTreeSet;

use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Serialize, Serializer};

use crate::hash::Hash;
use crate::message::{COORDINATOR, Phase};
use crate::secret::{Entropy, EntropyError, Secret};
use crate::sets::SiteId;

/// A private Ed25519 key of a site or of the coordinator. The key is wiped when dropped.
pub struct Identity(SigningKey);

impl Identity {
    /// Draws a fresh key.
    ///
    /// # Errors
    /// [`EntropyError`].
    pub fn draw(entropy: &mut dyn Entropy) -> Result<Self, EntropyError> {
        Ok(Self::from_secret(&Secret::draw(entropy)?))
    }

    /// The key with the given seed.
    pub fn from_secret(seed: &Secret) -> Self {
        Self(SigningKey::from_bytes(seed.expose()))
    }

    /// The public key.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// Signs in the domain `label`. The same input gives the same signature.
    pub fn sign(&self, label: &str, parts: &[&[u8]]) -> Signature {
        Signature(self.0.sign(&statement(label, parts)).to_bytes())
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Identity({})", Hash(self.public().to_bytes()))
    }
}

/// What is signed: the label, then all parts, each preceded by its length.
fn statement(label: &str, parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in std::iter::once(label.as_bytes()).chain(parts.iter().copied()) {
        bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

/// A public Ed25519 key: a point of the curve. Hexadecimal in text formats, 32 raw bytes on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Reads a key; `None` for bytes that are no point of the curve, or one of small order.
    pub fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        VerifyingKey::from_bytes(bytes).ok().filter(|key| !key.is_weak()).map(Self)
    }

    /// The encoded point.
    pub fn to_bytes(self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// Whether `signature` is this key's over the same label and parts.
    pub fn verify(&self, label: &str, parts: &[&[u8]], signature: &Signature) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        self.0.verify_strict(&statement(label, parts), &signature).is_ok()
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Hash(self.to_bytes()).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Keys and digests have one textual form: 64 hexadecimal digits.
        let Hash(bytes) = Hash::deserialize(deserializer)?;
        Self::from_bytes(&bytes).ok_or_else(|| D::Error::custom("not a usable Ed25519 key"))
    }
}

/// An Ed25519 signature, 64 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Signature(pub [u8; 64]);

impl std::fmt::Debug for Signature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signature(")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}

impl Serialize for Signature {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // serde writes arrays up to 32 elements as they are; two halves are the same 64 bytes.
        let (halves, _) = self.0.as_chunks::<32>();
        (halves[0], halves[1]).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Signature {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let halves = <[[u8; 32]; 2]>::deserialize(deserializer)?;
        let mut bytes = [0; 64];
        bytes.copy_from_slice(halves.as_flattened());
        Ok(Self(bytes))
    }
}

/// The public keys of the federation. A site's number is its place.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Roster {
    coordinator: PublicKey,
    sites: Vec<PublicKey>,
}

/// A roster that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RosterError {
    /// Too few or too many sites.
    #[error("a roster of {found} sites: need 2..=255")]
    Sites {
        /// Sites given.
        found: usize,
    },
    /// Two parties with one key.
    #[error("site {place} has the key of another party; every party needs its own")]
    RepeatedKey {
        /// Place of the second copy.
        place: usize,
    },
}

impl Roster {
    /// A roster with a key of its own for every party.
    ///
    /// # Errors
    /// [`RosterError`].
    pub fn new(coordinator: PublicKey, sites: Vec<PublicKey>) -> Result<Self, RosterError> {
        if !(2..=255).contains(&sites.len()) {
            return Err(RosterError::Sites { found: sites.len() });
        }
        let mut seen = BTreeSet::from([coordinator.to_bytes()]);
        match sites.iter().position(|key| !seen.insert(key.to_bytes())) {
            Some(place) => Err(RosterError::RepeatedKey { place }),
            None => Ok(Self { coordinator, sites }),
        }
    }

    /// Number of sites.
    pub fn sites(&self) -> usize {
        self.sites.len()
    }

    /// The key of a site or of the coordinator; `None` for a stranger.
    pub fn key_of(&self, party: SiteId) -> Option<&PublicKey> {
        if party == COORDINATOR { Some(&self.coordinator) } else { self.sites.get(usize::from(party.0)) }
    }
}

/// A message that its alleged sender has not signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{phase:?} is not signed by {from} in this attempt")]
pub struct SignatureError {
    /// What the message claims to be.
    pub phase: Phase,
    /// Its alleged sender.
    pub from: SiteId,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes<const N: usize>(hex: &str) -> [u8; N] {
        std::array::from_fn(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap())
    }

    fn identity(seed: u8) -> Identity {
        Identity::from_secret(&Secret::new([seed; 32]))
    }

    /// RFC 8032, section 7.1, tests 1 and 2 (their messages carry no label, so the crate is called directly).
    #[test]
    fn rfc_8032_vectors() {
        let vectors: [(&str, &str, &[u8], &str); 2] = [
            (
                "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
                "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
                &[],
                "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
            ),
            (
                "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
                "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
                &[0x72],
                "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
            ),
        ];
        for (seed, public, message, signature) in vectors {
            let identity = Identity::from_secret(&Secret::new(bytes(seed)));
            assert_eq!(identity.public().to_bytes(), bytes(public));
            assert_eq!(identity.0.sign(message).to_bytes(), bytes::<64>(signature));
        }
    }

    #[test]
    fn a_signature_holds_for_its_label_its_parts_and_its_key_alone() {
        let (me, other) = (identity(1), identity(2));
        let signature = me.sign("a", &[b"bc", b"d"]);
        assert!(me.public().verify("a", &[b"bc", b"d"], &signature));
        assert!(!me.public().verify("b", &[b"bc", b"d"], &signature));
        assert!(!me.public().verify("a", &[b"b", b"cd"], &signature));
        assert!(!other.public().verify("a", &[b"bc", b"d"], &signature));
        for bit in 0..512 {
            let mut changed = signature;
            changed.0[bit / 8] ^= 1 << (bit % 8);
            assert!(!me.public().verify("a", &[b"bc", b"d"], &changed), "bit {bit}");
        }
    }

    /// S + L is the other solution of the verification equation: a signature nobody made.
    #[test]
    fn a_malleated_signature_is_refused() {
        let order: [u8; 32] = bytes("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
        let me = identity(1);
        let mut signature = me.sign("a", &[b"b"]);
        let mut carry = 0;
        for (byte, add) in signature.0[32..].iter_mut().zip(order) {
            let sum = u16::from(*byte) + u16::from(add) + carry;
            (*byte, carry) = (sum as u8, sum >> 8);
        }
        assert_eq!(carry, 0);
        assert!(!me.public().verify("a", &[b"b"], &signature));
    }

    #[test]
    fn keys_of_small_order_and_bytes_off_the_curve_are_refused() {
        let mut neutral = [0; 32];
        neutral[0] = 1;
        assert_eq!(PublicKey::from_bytes(&neutral), None);
        assert_eq!(PublicKey::from_bytes(&[0; 32]), None);
        let off_the_curve = (0..=255).filter(|&b| PublicKey::from_bytes(&[b; 32]).is_none()).count();
        assert!(off_the_curve > 64, "about half of all strings are no point: {off_the_curve}");
    }

    #[test]
    fn a_roster_gives_every_party_a_key_of_its_own() {
        let key = |seed| identity(seed).public();
        let roster = Roster::new(key(9), vec![key(0), key(1), key(2)]).unwrap();
        assert_eq!(roster.key_of(SiteId(2)), Some(&key(2)));
        assert_eq!(roster.key_of(COORDINATOR), Some(&key(9)));
        assert_eq!(roster.key_of(SiteId(3)), None);
        assert_eq!(Roster::new(key(9), vec![key(0)]), Err(RosterError::Sites { found: 1 }));
        let repeated = |place| Err(RosterError::RepeatedKey { place });
        assert_eq!(Roster::new(key(9), vec![key(0), key(9)]), repeated(1));
        assert_eq!(Roster::new(key(9), vec![key(0), key(1), key(0)]), repeated(2));
    }

    #[test]
    fn an_identity_does_not_print_its_key() {
        let me = identity(0xab);
        assert_eq!(format!("{me:?}"), format!("Identity({})", Hash(me.public().to_bytes())));
        assert!(!format!("{me:?}").contains("abababab"));
    }
}
