//! Key agreement and key derivation: X25519 (RFC 7748), HKDF-SHA256 (RFC 5869), ChaCha20-Poly1305 (RFC 8439).

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};
use hkdf::Hkdf;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use x25519_dalek::{PublicKey, StaticSecret};

use crate::hash::Hash;
use crate::secret::{Entropy, EntropyError, Secret};
use crate::sets::SiteId;

/// A private X25519 key, made for one attempt of one round.
pub struct PrivateKey(StaticSecret);

impl PrivateKey {
    /// Draws a fresh key.
    ///
    /// # Errors
    /// [`EntropyError`].
    pub fn draw(entropy: &mut dyn Entropy) -> Result<Self, EntropyError> {
        Ok(Self::from_secret(&Secret::draw(entropy)?))
    }

    /// The key with the given bytes (recovered from shares).
    pub fn from_secret(secret: &Secret) -> Self {
        Self(StaticSecret::from(*secret.expose()))
    }

    /// The bytes to be shared out.
    pub fn to_secret(&self) -> Secret {
        Secret::new(self.0.to_bytes())
    }

    /// The public key.
    pub fn public(&self) -> [u8; 32] {
        PublicKey::from(&self.0).to_bytes()
    }

    /// The shared point; `None` for a low-order public key, which would make it known to everyone.
    fn agree(&self, theirs: &[u8; 32]) -> Option<Secret> {
        let shared = self.0.diffie_hellman(&PublicKey::from(*theirs));
        shared.was_contributory().then(|| Secret::new(shared.to_bytes()))
    }

    /// The mask seed of the pair (`me`, `peer`):
    /// `HKDF(X25519, salt, "fovea/secagg/v1/mask" || min || max || ctx)`. `None` for a low-order key.
    pub fn mask_seed(
        &self,
        theirs: &[u8; 32],
        salt: Hash,
        ctx: Hash,
        me: SiteId,
        peer: SiteId,
    ) -> Option<Secret> {
        let (low, high) = (me.min(peer).0.to_le_bytes(), me.max(peer).0.to_le_bytes());
        let shared = self.agree(theirs)?;
        Some(derive(&shared, salt, &[b"fovea/secagg/v1/mask", &low, &high, &ctx.0]))
    }

    /// The key under which `dealer` seals shares for `recipient`:
    /// `HKDF(X25519, R1, "fovea/secagg/v1/share" || dealer || recipient)`. `None` for a low-order key.
    pub fn share_key(
        &self,
        theirs: &[u8; 32],
        r1: Hash,
        dealer: SiteId,
        recipient: SiteId,
    ) -> Option<Secret> {
        let (dealer, recipient) = (dealer.0.to_le_bytes(), recipient.0.to_le_bytes());
        let shared = self.agree(theirs)?;
        Some(derive(&shared, r1, &[b"fovea/secagg/v1/share", &dealer, &recipient]))
    }
}

impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PrivateKey(redacted)")
    }
}

/// The group key of pair mode: `HKDF(mask seed, salt, "fovea/secagg/v1/group")`. Both sites know the seed.
pub(crate) fn pair_group_key(mask_seed: &Secret, salt: Hash) -> Secret {
    derive(mask_seed, salt, &[b"fovea/secagg/v1/group"])
}

/// Whether two public values are the same, without an early exit.
pub fn same_bytes(a: &[u8; 32], b: &[u8; 32]) -> bool {
    a.ct_eq(b).into()
}

/// Encrypts under a key that is used once, hence the zero nonce. Output: ciphertext and 16-byte tag.
pub fn seal(key: &Secret, associated: &[u8], plain: &[u8]) -> Option<Vec<u8>> {
    cipher(key).encrypt(&Nonce::default(), Payload { msg: plain, aad: associated }).ok()
}

/// Opens what [`seal`] made; `None` when anything was changed.
pub fn open(key: &Secret, associated: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    cipher(key).decrypt(&Nonce::default(), Payload { msg: sealed, aad: associated }).ok()
}

fn cipher(key: &Secret) -> ChaCha20Poly1305 {
    ChaCha20Poly1305::new(&Key::from(*key.expose()))
}

fn derive(ikm: &Secret, salt: Hash, info: &[&[u8]]) -> Secret {
    let mut out = Secret::new([0; 32]);
    // Only an output above 255 hash lengths can be refused; this one is a single hash long.
    let expanded = Hkdf::<Sha256>::new(Some(&salt.0), ikm.expose()).expand_multi_info(info, out.expose_mut());
    debug_assert!(expanded.is_ok());
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prg::{Label, fill_stream};
    use sha2::Digest;

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len() / 2).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap()).collect()
    }

    fn array(hex: &str) -> [u8; 32] {
        bytes(hex).try_into().unwrap()
    }

    /// RFC 7748, section 5.2, first vector, and section 6.1.
    #[test]
    fn rfc_7748_vectors() {
        let scalar = array("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4");
        let point = array("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c");
        let product = PrivateKey::from_secret(&Secret::new(scalar)).agree(&point).unwrap();
        let expected = array("c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552");
        assert_eq!(product.expose()[..], expected);
        let alice = array("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
        let bob = array("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
        let [alice, bob] = [alice, bob].map(|key| PrivateKey::from_secret(&Secret::new(key)));
        let expected = array("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
        assert_eq!(alice.agree(&bob.public()).unwrap().expose()[..], expected);
        assert_eq!(bob.agree(&alice.public()).unwrap().expose()[..], expected);
    }

    /// RFC 8439, section 2.8.2 (its nonce is not zero, so the crate is called directly).
    #[test]
    fn rfc_8439_aead_vector() {
        let key: [u8; 32] = std::array::from_fn(|i| 0x80 + i as u8);
        let nonce = [7, 0, 0, 0, 0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47];
        let text = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for \
the future, sunscreen would be it.";
        let sealed = cipher(&Secret::new(key))
            .encrypt(&Nonce::from(nonce), Payload { msg: text, aad: &bytes("50515253c0c1c2c3c4c5c6c7") })
            .unwrap();
        assert_eq!(sealed[text.len()..], bytes("1ae10b594f09e26a7e902ecbd0600691")[..]);
    }

    /// RFC 5869, appendix A.1.
    #[test]
    fn hkdf_case_1() {
        let mut okm = [0u8; 42];
        Hkdf::<Sha256>::new(Some(&bytes("000102030405060708090a0b0c")), &[0x0b; 22])
            .expand(&bytes("f0f1f2f3f4f5f6f7f8f9"), &mut okm)
            .unwrap();
        assert_eq!(
            okm[..],
            bytes("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865")
        );
    }

    /// The golden seed of the protocol, made with an independent implementation (pyca/cryptography).
    #[test]
    fn golden_mask_seed() {
        let (a, b) =
            (PrivateKey::from_secret(&Secret::new([1; 32])), PrivateKey::from_secret(&Secret::new([2; 32])));
        assert_eq!(a.public()[..4], bytes("a4e09292")[..]);
        assert_eq!(a.public()[30..], bytes("a209")[..]);
        let shared = a.agree(&b.public()).unwrap();
        assert_eq!(shared.expose()[..4], bytes("2ed76ab5")[..]);
        assert_eq!(shared.expose()[30..], bytes("b953")[..]);
        let plain = |text: &[u8]| Hash(Sha256::digest(text).into());
        let (salt, ctx) = (plain(b"R2"), plain(b"ctx"));
        let seed = a.mask_seed(&b.public(), salt, ctx, SiteId(0), SiteId(1)).unwrap();
        assert_eq!(
            seed.expose()[..],
            array("cbd336461468abe56163325cb150ea38fe3ff81c5510418b6ef02dc87e98b829")
        );
        assert_eq!(seed, b.mask_seed(&a.public(), salt, ctx, SiteId(1), SiteId(0)).unwrap());
        let mut stream = [0; 16];
        fill_stream(&seed, Label::Vector, 0, &mut stream);
        let words: Vec<u32> = stream.chunks(4).map(|c| u32::from_le_bytes(c.try_into().unwrap())).collect();
        assert_eq!(words, [0xc14fd23c, 0xc3303c9a, 0xbea9753f, 0x2ab4f743]);
    }

    #[test]
    fn low_order_points_are_refused() {
        let key = PrivateKey::from_secret(&Secret::new([1; 32]));
        let mut one = [0; 32];
        one[0] = 1;
        for point in [[0; 32], one, array("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800")]
        {
            assert!(key.agree(&point).is_none());
        }
    }

    #[test]
    fn a_sealed_box_opens_only_whole_and_in_place() {
        let key = Secret::new([5; 32]);
        let sealed = seal(&key, b"here", b"share").unwrap();
        assert_eq!(open(&key, b"here", &sealed).unwrap(), b"share");
        assert!(open(&key, b"there", &sealed).is_none());
        assert!(open(&Secret::new([6; 32]), b"here", &sealed).is_none());
        for at in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[at] ^= 1;
            assert!(open(&key, b"here", &damaged).is_none());
        }
    }
}
