//! Parties that lie: what leaves an honest machine is changed on its way out, and signed again with the party's
//! own key.

mod coordinator;
mod site;
mod split;

pub use coordinator::{Cheat, CoordinatorTrick};
pub use site::{Liar, SiteTrick};

use fovea_secagg::envelope::{Envelope, Header};
use fovea_secagg::hash::Hash;
use fovea_secagg::identity::Identity;
use fovea_secagg::message::Chunk;
use fovea_secagg::vector::chunks;
use serde::de::DeserializeOwned;
use serde::ser::{Serialize, SerializeTuple, Serializer};

use crate::random::Stream;

/// A body that is already encoded.
struct Raw<'a>(&'a [u8]);

impl Serialize for Raw<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tuple = serializer.serialize_tuple(self.0.len())?;
        self.0.iter().try_for_each(|byte| tuple.serialize_element(byte))?;
        tuple.end()
    }
}

/// Signs a body as it is.
fn sign(header: Header, body: &[u8], identity: &Identity) -> Option<Vec<u8>> {
    Envelope::seal(header, &Raw(body), identity).ok()
}

/// A statement for the same attempt and phase that differs in its last byte, properly signed.
pub fn other_statement(bytes: &[u8], identity: &Identity) -> Option<Vec<u8>> {
    let envelope = Envelope::open(bytes).ok()?;
    let mut body = envelope.body.0;
    *body.last_mut()? ^= 1;
    sign(envelope.header, &body, identity)
}

/// Changes the body of a message and signs it.
fn change<T: Serialize + DeserializeOwned>(
    bytes: &[u8],
    identity: &Identity,
    with: impl FnOnce(&mut T),
) -> Option<Vec<u8>> {
    let envelope = Envelope::open(bytes).ok()?;
    let mut body = envelope.body().ok()?;
    with(&mut body);
    Envelope::seal(envelope.header, &body, identity).ok()
}

/// Changes one word of a vector in one piece; the root that is right for it.
fn change_word(chunk: &mut Chunk, stream: &mut Stream) -> Hash {
    let (words, _) = chunk.bytes.0.as_chunks();
    let mut words: Vec<u32> = words.iter().map(|word| u32::from_le_bytes(*word)).collect();
    if !words.is_empty() {
        let place = stream.place(words.len());
        words[place] = words[place].wrapping_add(1 << stream.below(32));
    }
    let (mut pieces, root) = chunks(&words);
    *chunk = pieces.swap_remove(0);
    root
}

#[cfg(test)]
mod tests {
    use super::*;
    use fovea_secagg::hash::Hash;
    use fovea_secagg::message::{Confirm, Phase};
    use fovea_secagg::secret::Secret;
    use fovea_secagg::sets::SiteId;

    #[test]
    fn another_statement_is_a_message_of_its_own() {
        let identity = Identity::from_secret(&Secret::new([1; 32]));
        let header = Header { ctx: Hash([2; 32]), phase: Phase::Confirm, from: SiteId(0) };
        let bytes = Envelope::seal(header, &Confirm { digest: Hash([0; 32]) }, &identity).unwrap();
        let other = Envelope::open(&other_statement(&bytes, &identity).unwrap()).unwrap();
        let mut expected = [0; 32];
        expected[31] = 1;
        assert_eq!((other.header, other.body()), (header, Ok(Confirm { digest: Hash(expected) })));
        // Signing the same body again gives the same bytes.
        let body = Envelope::open(&bytes).unwrap().body.0;
        assert_eq!(sign(header, &body, &identity), Some(bytes));
    }
}
