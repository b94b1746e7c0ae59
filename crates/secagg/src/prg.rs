//! Mask streams: ChaCha20 (RFC 8439) key streams added to integer vectors, tile by tile.
//!
//! One key serves one pair of sites in one attempt of one round; the nonce is the number of the vector
//! ([`Label`]), so two vectors of a round never share a word of mask. A stream is read as little-endian
//! words. Any tile of it can be computed by itself from the block counter, so all streams of a tile are added
//! while the tile is in cache, tiles run in parallel, and no key stream longer than [`BUFFER_BYTES`] ever
//! exists. The sums are integers modulo 2^32 or 2^64, so the order of work cannot change them.

use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher, StreamCipherSeek};
use rayon::prelude::*;
use zeroize::Zeroize;

use crate::secret::Secret;
use crate::sets::SiteId;

/// Bytes of a vector that are masked as one piece of work.
pub const TILE_BYTES: usize = 1 << 16;

/// Bytes of key stream that exist at once per thread.
pub const BUFFER_BYTES: usize = 1 << 12;

/// Which vector of a round a stream belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Label {
    /// The model vector, words of 32 bits.
    Vector,
    /// The sidecar, words of 64 bits.
    Side,
    /// Random fractions of stochastic rounding (under a key of their own).
    Rounding,
    /// Coefficients of a linear tag, by its number, words of 64 bits (under the group key).
    Coefficients(u8),
    /// One-time pads of a site's tags, words of 64 bits (under the group key).
    Pads(SiteId),
}

impl Label {
    fn nonce(self) -> [u8; 12] {
        let mut nonce = [0; 12];
        nonce[0] = match self {
            Self::Vector => 0,
            Self::Side => 1,
            Self::Rounding => 2,
            Self::Coefficients(tag) => {
                nonce[1] = tag;
                3
            }
            Self::Pads(SiteId(site)) => {
                nonce[2..4].copy_from_slice(&site.to_le_bytes());
                4
            }
        };
        nonce
    }
}

/// Whether a stream is added or taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// Add the stream.
    Plus,
    /// Subtract the stream.
    Minus,
}

impl Sign {
    /// The other sign.
    pub fn flipped(self) -> Self {
        match self {
            Self::Plus => Self::Minus,
            Self::Minus => Self::Plus,
        }
    }
}

/// One stream to add to a vector.
#[derive(Debug, Clone)]
pub struct Mask {
    /// The key of the stream.
    pub seed: Secret,
    /// Added or subtracted.
    pub sign: Sign,
}

impl Mask {
    /// A stream to add.
    pub fn plus(seed: Secret) -> Self {
        Self { seed, sign: Sign::Plus }
    }
}

/// A word of a masked vector: `u32` or `u64`, added modulo 2^32 or 2^64.
pub trait Word: Copy + Send + Sync {
    /// Adds the little-endian words of `stream` to `words`, which are as many.
    fn add(words: &mut [Self], stream: &[u8]);
    /// Subtracts them.
    fn subtract(words: &mut [Self], stream: &[u8]);
}

macro_rules! word {
    ($word:ty) => {
        impl Word for $word {
            fn add(words: &mut [Self], stream: &[u8]) {
                let (stream, _) = stream.as_chunks();
                for (word, bytes) in words.iter_mut().zip(stream) {
                    *word = word.wrapping_add(Self::from_le_bytes(*bytes));
                }
            }

            fn subtract(words: &mut [Self], stream: &[u8]) {
                let (stream, _) = stream.as_chunks();
                for (word, bytes) in words.iter_mut().zip(stream) {
                    *word = word.wrapping_sub(Self::from_le_bytes(*bytes));
                }
            }
        }
    };
}

word!(u32);
word!(u64);

/// Adds all `masks` to `vector`, in place and on all threads.
///
/// At most 2^38 bytes (the counter of RFC 8439 has 32 bits): far above any vector that fits in memory here;
/// a longer one panics.
pub fn add_masks<W: Word>(vector: &mut [W], masks: &[Mask], label: Label) {
    let tile_words = TILE_BYTES / size_of::<W>();
    vector.par_chunks_mut(tile_words).enumerate().for_each(|(index, tile)| {
        let mut buffer = [0u8; BUFFER_BYTES];
        for mask in masks {
            let mut cipher = ChaCha20::new(&(*mask.seed.expose()).into(), &label.nonce().into());
            cipher.seek((index * TILE_BYTES) as u64);
            for words in tile.chunks_mut(BUFFER_BYTES / size_of::<W>()) {
                let stream = &mut buffer[..size_of_val(words)];
                cipher.write_keystream(stream);
                match mask.sign {
                    Sign::Plus => W::add(words, stream),
                    Sign::Minus => W::subtract(words, stream),
                }
            }
        }
        buffer.zeroize();
    });
}

/// Writes the bytes of one stream from byte `offset` on.
pub fn fill_stream(key: &Secret, label: Label, offset: u64, out: &mut [u8]) {
    let mut cipher = ChaCha20::new(&(*key.expose()).into(), &label.nonce().into());
    cipher.seek(offset);
    cipher.write_keystream(out);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole_stream(seed: [u8; 32], label: Label, len: usize) -> Vec<u8> {
        let mut out = vec![0; len];
        ChaCha20::new(&seed.into(), &label.nonce().into()).apply_keystream(&mut out);
        out
    }

    fn masked<W: Word + Default>(len: usize, label: Label, sign: Sign) -> Vec<W> {
        let mut vector = vec![W::default(); len];
        add_masks(&mut vector, &[Mask { seed: Secret::new([7; 32]), sign }], label);
        vector
    }

    #[test]
    fn the_mask_is_the_stream_of_the_cipher_for_all_short_lengths() {
        let stream = whole_stream([7; 32], Label::Vector, 4 * 1026);
        for len in 0..=1025 {
            let bytes: Vec<u8> =
                masked::<u32>(len, Label::Vector, Sign::Plus).iter().flat_map(|w| w.to_le_bytes()).collect();
            assert_eq!(bytes, stream[..4 * len], "{len} words");
        }
    }

    #[test]
    fn tiles_continue_the_stream_at_every_seam() {
        for tail in [0, 1, 15, 16, 17, 1023] {
            let len = 2 * TILE_BYTES / 4 + tail;
            let bytes: Vec<u8> =
                masked::<u32>(len, Label::Vector, Sign::Plus).iter().flat_map(|w| w.to_le_bytes()).collect();
            assert_eq!(bytes, whole_stream([7; 32], Label::Vector, 4 * len));
            let bytes: Vec<u8> =
                masked::<u64>(len, Label::Side, Sign::Plus).iter().flat_map(|w| w.to_le_bytes()).collect();
            assert_eq!(bytes, whole_stream([7; 32], Label::Side, 8 * len));
        }
    }

    #[test]
    fn random_access_reads_the_same_bytes_unaligned() {
        let stream = whole_stream([9; 32], Label::Rounding, 700);
        for offset in 0..300 {
            for len in [0, 1, 3, 63, 64, 65, 200] {
                let mut out = vec![0; len];
                fill_stream(&Secret::new([9; 32]), Label::Rounding, offset as u64, &mut out);
                assert_eq!(out, stream[offset..offset + len]);
            }
        }
    }

    #[test]
    fn a_stream_taken_away_cancels_itself() {
        let mask = |sign| Mask { seed: Secret::new([1; 32]), sign };
        let mut vector: Vec<u32> = (0..5000).collect();
        add_masks(&mut vector, &[mask(Sign::Plus), mask(Sign::Minus)], Label::Vector);
        assert_eq!(vector, (0..5000).collect::<Vec<u32>>());
    }

    #[test]
    fn labels_have_nonces_of_their_own() {
        let mut labels = vec![Label::Vector, Label::Side, Label::Rounding];
        labels.extend((0..=255).map(Label::Coefficients));
        labels.extend([0, 1, 255, 256, u16::MAX].map(|site| Label::Pads(SiteId(site))));
        let nonces: std::collections::BTreeSet<[u8; 12]> = labels.iter().map(|l| l.nonce()).collect();
        assert_eq!(nonces.len(), labels.len());
    }

    #[test]
    fn two_vectors_of_a_round_share_no_block_of_mask() {
        let blocks = |label| -> std::collections::HashSet<Vec<u8>> {
            whole_stream([3; 32], label, 1 << 16).chunks(8).map(<[u8]>::to_vec).collect()
        };
        assert!(blocks(Label::Vector).is_disjoint(&blocks(Label::Side)));
        // The control: the same label gives the same stream, which the test above would see.
        assert!(!blocks(Label::Vector).is_disjoint(&blocks(Label::Vector)));
    }

    /// RFC 8439, section 2.4.2: the key stream behind the "sunscreen" example, checked through the crate.
    #[test]
    fn rfc_8439_encryption_vector() {
        let key: [u8; 32] = std::array::from_fn(|i| i as u8);
        let nonce = [0, 0, 0, 0, 0, 0, 0, 0x4a, 0, 0, 0, 0];
        let mut text = *b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for \
the future, sunscreen would be it.";
        let mut cipher = ChaCha20::new(&key.into(), &nonce.into());
        cipher.seek(64u64);
        cipher.apply_keystream(&mut text);
        assert_eq!(text[..8], [0x6e, 0x2e, 0x35, 0x9a, 0x25, 0x68, 0xf9, 0x80]);
        assert_eq!(text[106..], [0xb4, 0x0b, 0x8e, 0xed, 0xf2, 0x78, 0x5e, 0x42, 0x87, 0x4d][2..]);
    }
}
