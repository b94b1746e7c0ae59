//! Vectors in transit: cut into chunks, hashed as a tree, put together again.

use fovea_wire::Bytes;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::error::{Accepted, Reject};
use crate::hash::{Hash, merkle_root};
use crate::message::{CHUNK_BYTES, Chunk};
use crate::sets::SiteId;

const CHUNK_WORDS: usize = CHUNK_BYTES / 4;

/// The chunks of a vector and the root over them.
pub fn chunks(words: &[u32]) -> (Vec<Chunk>, Hash) {
    let (chunks, leaves): (Vec<Chunk>, Vec<Hash>) = words
        .par_chunks(CHUNK_WORDS)
        .enumerate()
        .map(|(index, words)| {
            let chunk = Chunk { index: index as u32, bytes: Bytes(to_bytes(words)) };
            let hash = leaf(&chunk);
            (chunk, hash)
        })
        .unzip();
    let root = merkle_root(&leaves);
    (chunks, root)
}

/// A vector of known length that arrives chunk by chunk, in order.
#[derive(Debug)]
pub struct Spool {
    words: Vec<u32>,
    expected: usize,
    leaves: Vec<Hash>,
}

impl Spool {
    /// An empty spool for `expected` words; memory grows with what arrives.
    pub fn new(expected: usize) -> Self {
        Self { words: Vec::new(), expected, leaves: Vec::new() }
    }

    /// Takes the next chunk; a repeated identical chunk is acknowledged and ignored.
    ///
    /// # Errors
    /// [`Reject::Content`] for a gap or a wrong length, [`Reject::Conflicting`] for a changed repetition.
    pub fn accept(&mut self, from: SiteId, chunk: &Chunk) -> Result<Accepted, Reject> {
        let hash = leaf(chunk);
        if let Some(earlier) = self.leaves.get(chunk.index as usize) {
            return if *earlier == hash {
                Ok(Accepted::Again)
            } else {
                Err(Reject::Conflicting { site: from })
            };
        }
        let missing = self.expected - self.words.len();
        let due = missing.min(CHUNK_WORDS);
        if chunk.index as usize != self.leaves.len() || due == 0 {
            return Err(Reject::Content { site: from, what: "chunk out of order" });
        }
        if chunk.bytes.0.len() != 4 * due {
            return Err(Reject::Content { site: from, what: "chunk of wrong length" });
        }
        let (words, _) = chunk.bytes.0.as_chunks();
        self.words.extend(words.iter().map(|bytes| u32::from_le_bytes(*bytes)));
        self.leaves.push(hash);
        Ok(Accepted::New)
    }

    /// Whether all words have arrived.
    pub fn is_complete(&self) -> bool {
        self.words.len() == self.expected
    }

    /// The whole vector, once it is complete and matches `root`.
    ///
    /// # Errors
    /// The spool itself and the reason; a sender may go on or give up.
    pub fn finish(self, root: Hash) -> Result<Vec<u32>, (Self, &'static str)> {
        if !self.is_complete() {
            return Err((self, "incomplete vector"));
        }
        if merkle_root(&self.leaves) != root {
            return Err((self, "vector does not match its root"));
        }
        Ok(self.words)
    }
}

/// The sidecar as bytes.
pub fn side_to_bytes(words: &[u64]) -> Bytes {
    Bytes(words.iter().flat_map(|word| word.to_le_bytes()).collect())
}

/// The sidecar from bytes; `None` when it does not have `expected` words.
pub fn side_from_bytes(bytes: &Bytes, expected: usize) -> Option<Vec<u64>> {
    let (words, rest) = bytes.0.as_chunks();
    (words.len() == expected && rest.is_empty())
        .then(|| words.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect())
}

fn to_bytes(words: &[u32]) -> Vec<u8> {
    let mut bytes = vec![0; 4 * words.len()];
    let (slots, _) = bytes.as_chunks_mut();
    for (slot, word) in slots.iter_mut().zip(words) {
        *slot = word.to_le_bytes();
    }
    bytes
}

fn leaf(chunk: &Chunk) -> Hash {
    let mut state = Sha256::new();
    state.update(b"fovea/chunk/v1");
    state.update(chunk.index.to_le_bytes());
    state.update(&chunk.bytes.0);
    Hash(state.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FROM: SiteId = SiteId(1);

    #[test]
    fn a_vector_survives_the_journey() {
        for len in [1, CHUNK_WORDS - 1, CHUNK_WORDS, 2 * CHUNK_WORDS + 5] {
            let words: Vec<u32> = (0..len as u32).map(|i| i.wrapping_mul(2_654_435_761)).collect();
            let (chunks, root) = chunks(&words);
            let mut spool = Spool::new(len);
            for chunk in &chunks {
                assert_eq!(spool.accept(FROM, chunk), Ok(Accepted::New));
                assert_eq!(spool.accept(FROM, chunk), Ok(Accepted::Again));
            }
            assert_eq!(spool.finish(root).unwrap(), words);
        }
    }

    #[test]
    fn damage_is_refused_and_leaves_the_spool_usable() {
        let words: Vec<u32> = (0..CHUNK_WORDS as u32 + 3).collect();
        let (chunks, root) = chunks(&words);
        let mut spool = Spool::new(words.len());
        assert!(matches!(spool.accept(FROM, &chunks[1]), Err(Reject::Content { .. })));
        let mut short = chunks[0].clone();
        short.bytes.0.pop();
        assert!(matches!(spool.accept(FROM, &short), Err(Reject::Content { .. })));
        spool.accept(FROM, &chunks[0]).unwrap();
        let mut changed = chunks[0].clone();
        changed.bytes.0[0] ^= 1;
        assert_eq!(spool.accept(FROM, &changed), Err(Reject::Conflicting { site: FROM }));
        let (mut spool, why) = spool.finish(root).unwrap_err();
        assert_eq!(why, "incomplete vector");
        spool.accept(FROM, &chunks[1]).unwrap();
        let extra = Chunk { index: 2, bytes: Bytes(vec![0; 4]) };
        assert!(matches!(spool.accept(FROM, &extra), Err(Reject::Content { .. })));
        let (spool, why) = spool.finish(Hash([0; 32])).unwrap_err();
        assert_eq!(why, "vector does not match its root");
        assert_eq!(spool.finish(root).unwrap(), words);
    }

    #[test]
    fn a_sidecar_of_another_length_is_refused() {
        let bytes = side_to_bytes(&[1, u64::MAX]);
        assert_eq!(side_from_bytes(&bytes, 2), Some(vec![1, u64::MAX]));
        assert_eq!(side_from_bytes(&bytes, 1), None);
        assert_eq!(side_from_bytes(&Bytes(vec![0; 15]), 2), None);
    }
}
