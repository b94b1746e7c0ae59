//! Labelled SHA-256 digests and Merkle trees over them.

use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Serialize, Serializer};
use sha2::{Digest, Sha256};

/// A SHA-256 digest. Printed, and written to text formats, as hexadecimal; 32 raw bytes on the wire.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// `SHA-256(len(label) || label || len(part_1) || part_1 || ...)`: every piece carries its length, so
    /// no two lists of pieces give the same input.
    pub fn of(label: &str, parts: &[&[u8]]) -> Self {
        let mut state = Sha256::new();
        for part in std::iter::once(label.as_bytes()).chain(parts.iter().copied()) {
            state.update((part.len() as u64).to_le_bytes());
            state.update(part);
        }
        Self(state.finalize().into())
    }

    /// Reads 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        let (digits, rest) = text.as_bytes().as_chunks::<2>();
        let mut bytes = [0; 32];
        if digits.len() != bytes.len() || !rest.is_empty() {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(digits) {
            let [high, low] = pair.map(|digit| char::from(digit).to_digit(16));
            *byte = (high? << 4 | low?) as u8;
        }
        Some(Self(bytes))
    }

    /// The digest of a float vector: its IEEE-754 bit patterns, little-endian, in order.
    pub fn of_floats(label: &str, values: &[f32]) -> Self {
        let mut state = Sha256::new();
        state.update((label.len() as u64).to_le_bytes());
        state.update(label.as_bytes());
        state.update((values.len() as u64).to_le_bytes());
        let mut buffer = [0u8; 4096];
        for tile in values.chunks(buffer.len() / 4) {
            for (bytes, value) in buffer.chunks_exact_mut(4).zip(tile) {
                bytes.copy_from_slice(&value.to_le_bytes());
            }
            state.update(&buffer[..4 * tile.len()]);
        }
        Self(state.finalize().into())
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return Ok(Self(<[u8; 32]>::deserialize(deserializer)?));
        }
        let text = String::deserialize(deserializer)?;
        Self::from_hex(&text).ok_or_else(|| D::Error::custom("expected 64 hexadecimal digits"))
    }
}

impl AsRef<[u8]> for Hash {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Display for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

/// The root of the Merkle tree over `leaves`; it binds their number too.
pub fn merkle_root(leaves: &[Hash]) -> Hash {
    let mut level = leaves.to_vec();
    while level.len() > 1 {
        level = next_level(&level);
    }
    let top = level.first().copied().unwrap_or_else(|| Hash::of("empty tree", &[]));
    bind_count(leaves.len(), top)
}

/// The siblings from leaf `index` up to the root. Empty when `index` is not a leaf.
pub fn merkle_path(leaves: &[Hash], index: usize) -> Vec<Hash> {
    let (mut level, mut index, mut path) = (leaves.to_vec(), index, Vec::new());
    while level.len() > 1 {
        if let Some(sibling) = level.get(index ^ 1) {
            path.push(*sibling);
        }
        level = next_level(&level);
        index /= 2;
    }
    path
}

/// Whether `leaf` is leaf `index` of a tree of `count` leaves with the given root.
pub fn merkle_verify(root: Hash, count: usize, index: usize, leaf: Hash, path: &[Hash]) -> bool {
    if index >= count {
        return false;
    }
    let (mut width, mut index, mut node, mut path) = (count, index, leaf, path.iter());
    while width > 1 {
        // The last node of an odd level has no sibling and moves up unchanged.
        if (index ^ 1) < width {
            let Some(sibling) = path.next() else { return false };
            node = if index % 2 == 0 { parent(node, *sibling) } else { parent(*sibling, node) };
        }
        width = width.div_ceil(2);
        index /= 2;
    }
    path.next().is_none() && bind_count(count, node) == root
}

fn next_level(level: &[Hash]) -> Vec<Hash> {
    level
        .chunks(2)
        .map(|pair| match pair {
            [left, right] => parent(*left, *right),
            rest => rest[0],
        })
        .collect()
}

fn parent(left: Hash, right: Hash) -> Hash {
    Hash::of("fovea/tree/node/v1", &[&left.0, &right.0])
}

fn bind_count(count: usize, top: Hash) -> Hash {
    Hash::of("fovea/tree/root/v1", &[&(count as u64).to_le_bytes(), &top.0])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(hash: impl AsRef<[u8]>) -> String {
        hash.as_ref().iter().map(|b| format!("{b:02x}")).collect()
    }

    #[test]
    fn sha256_of_abc_is_the_nist_value() {
        assert_eq!(
            hex(<[u8; 32]>::from(Sha256::digest(b"abc"))),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn hexadecimal_comes_back() {
        let hash = Hash::of("a", &[]);
        assert_eq!(Hash::from_hex(&hash.to_string()), Some(hash));
        for bad in ["", "00", &"0g".repeat(32), &"00".repeat(33)] {
            assert_eq!(Hash::from_hex(bad), None);
        }
    }

    #[test]
    fn pieces_cannot_be_moved_between_parts() {
        assert_ne!(Hash::of("a", &[b"bc", b""]), Hash::of("a", &[b"b", b"c"]));
        assert_ne!(Hash::of("ab", &[b"c"]), Hash::of("a", &[b"bc"]));
    }

    #[test]
    fn every_leaf_of_every_small_tree_proves_itself_and_nothing_else() {
        for count in 1..=17usize {
            let leaves: Vec<Hash> = (0..count).map(|i| Hash::of("leaf", &[&[i as u8]])).collect();
            let root = merkle_root(&leaves);
            for index in 0..count {
                let path = merkle_path(&leaves, index);
                assert!(merkle_verify(root, count, index, leaves[index], &path));
                for other in (0..count).filter(|&o| o != index) {
                    assert!(
                        !merkle_verify(root, count, other, leaves[index], &path),
                        "{count} {index} {other}"
                    );
                }
                assert!(!merkle_verify(root, count + 1, index, leaves[index], &path));
                let mut longer = path.clone();
                longer.push(root);
                assert!(!merkle_verify(root, count, index, leaves[index], &longer));
            }
        }
    }

    #[test]
    fn the_float_digest_sees_signs_of_zero_and_length() {
        assert_ne!(Hash::of_floats("m", &[0.0]), Hash::of_floats("m", &[-0.0]));
        assert_ne!(Hash::of_floats("m", &[0.0]), Hash::of_floats("m", &[0.0, 0.0]));
    }
}
