//! The verifiable sum: two linear tags per site, one-time padded, which add up beside the vectors.
//!
//! With rho^k (k = 1, 2) uniform vectors and kappa^k_u uniform pads from a key that all sites know and the
//! coordinator does not, site u sends tau^k_u = sum_j rho^k_j q_uj + kappa^k_u mod 2^64. Whoever knows the key
//! accepts a sum X over U3 only if sum_j rho^k_j X_j + sum_u kappa^k_u is the sum of the tags, for both k.
//!
//! X and every forgery of it are vectors of integers that differ by less than 2^32 per coordinate. A
//! difference e in one coordinate passes one tag with the probability that 2^64 divides rho e, which is
//! 2^(v - 64) for the v <= 31 factors of two in e: at most 2^-33, and 2^-66 for both tags. The pads make the
//! published tags independent of rho, so scaling a sum and its tags does not help. (A linear Carter-Wegman
//! code, Wegman and Carter 1981, modulo 2^64.)
//!
//! A coordinator that colludes with a site knows the key and can forge; it learns no more than before.

use rayon::prelude::*;
use zeroize::Zeroize;

use crate::hash::Hash;
use crate::keys::pair_group_key;
use crate::layout::CLOSING_WORDS;
use crate::prg::{BUFFER_BYTES, Label, fill_stream};
use crate::secret::Secret;
use crate::sets::{SiteId, SiteSet};

/// Tags, and so sidecar words, per site.
pub const TAGS: usize = 2;

/// Words whose coefficients fill one buffer.
const TILE: usize = BUFFER_BYTES / 8;

/// K_G: known to all sites of an attempt, not to the coordinator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupKey(Secret);

impl GroupKey {
    /// The key from the seeds g of all dealers, ascending by dealer. One honest dealer makes it uniform.
    pub fn of_seeds<'a>(r2: Hash, seeds: impl IntoIterator<Item = &'a Secret>) -> Self {
        let parts: Vec<&[u8]> =
            std::iter::once(&r2.0[..]).chain(seeds.into_iter().map(|seed| &seed.expose()[..])).collect();
        Self(Secret::new(Hash::of("fovea/secagg/group/v1", &parts).0))
    }

    /// The key of two sites, from the mask seed they share.
    pub fn of_pair(mask_seed: &Secret, salt: Hash) -> Self {
        Self(pair_group_key(mask_seed, salt))
    }

    pub(crate) fn secret(&self) -> &Secret {
        &self.0
    }

    pub(crate) fn from_secret(secret: Secret) -> Self {
        Self(secret)
    }

    /// The tags of one site's vector: coordinates in two's complement, then the unsigned closing words.
    pub fn tags(&self, site: SiteId, words: &[u32]) -> [u64; TAGS] {
        let (sums, pads) = (self.linear(words), self.pads(site));
        std::array::from_fn(|k| sums[k].wrapping_add(pads[k]))
    }

    /// Whether `tags` are the sum of the tags of `sites`, whose vectors add up to `words`.
    pub fn accepts(&self, words: &[u32], tags: &[u64], sites: &SiteSet) -> bool {
        let mut expected = self.linear(words);
        for site in sites.iter() {
            for (sum, pad) in expected.iter_mut().zip(self.pads(site)) {
                *sum = sum.wrapping_add(pad);
            }
        }
        tags == expected
    }

    fn pads(&self, site: SiteId) -> [u64; TAGS] {
        let mut bytes = [0; 8 * TAGS];
        fill_stream(&self.0, Label::Pads(site), 0, &mut bytes);
        let (words, _) = bytes.as_chunks();
        std::array::from_fn(|k| u64::from_le_bytes(words[k]))
    }

    /// sum_j rho^k_j X_j modulo 2^64 for both k. The order of addition cannot change it.
    fn linear(&self, words: &[u32]) -> [u64; TAGS] {
        let coordinates = words.len().saturating_sub(CLOSING_WORDS);
        words
            .par_chunks(TILE)
            .enumerate()
            .with_min_len(16)
            .map(|(tile, words)| self.tile(TILE * tile, coordinates, words))
            .reduce(|| [0; TAGS], |a, b| std::array::from_fn(|k| a[k].wrapping_add(b[k])))
    }

    fn tile(&self, first: usize, coordinates: usize, words: &[u32]) -> [u64; TAGS] {
        let mut buffer = [0u8; BUFFER_BYTES];
        let sums = std::array::from_fn(|k| {
            let stream = &mut buffer[..8 * words.len()];
            fill_stream(&self.0, Label::Coefficients(k as u8), 8 * first as u64, stream);
            let (coefficients, _) = stream.as_chunks();
            words.iter().zip(coefficients).enumerate().fold(0u64, |sum, (j, (&word, rho))| {
                let value =
                    if first + j < coordinates { i64::from(word as i32) as u64 } else { u64::from(word) };
                sum.wrapping_add(u64::from_le_bytes(*rho).wrapping_mul(value))
            })
        });
        buffer.zeroize();
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SITES: [SiteId; 3] = [SiteId(0), SiteId(2), SiteId(5)];

    fn key(byte: u8) -> GroupKey {
        GroupKey(Secret::new([byte; 32]))
    }

    /// Coordinates of both signs, then a sample count and a clip count.
    fn vector(site: SiteId, len: usize) -> Vec<u32> {
        let signed = |j: usize| ((j * 7919 + usize::from(site.0) * 104_729) % 200_003) as i32 - 100_000;
        let mut words: Vec<u32> = (0..len).map(|j| signed(j) as u32).collect();
        words.extend([u32::from(site.0) + 1, 3_000_000_000 / 3]);
        words
    }

    fn summed(len: usize, key: &GroupKey) -> (Vec<u32>, [u64; TAGS], SiteSet) {
        let (mut sum, mut tags) = (vec![0u32; len + CLOSING_WORDS], [0u64; TAGS]);
        for site in SITES {
            let words = vector(site, len);
            sum.iter_mut().zip(&words).for_each(|(s, w)| *s = s.wrapping_add(*w));
            tags.iter_mut().zip(key.tags(site, &words)).for_each(|(s, t)| *s = s.wrapping_add(t));
        }
        (sum, tags, SITES.into_iter().collect())
    }

    #[test]
    fn an_exact_sum_is_accepted_at_every_tile_seam() {
        for len in [0, 1, TILE - 3, TILE - 2, TILE - 1, TILE, 20 * TILE + 7] {
            let (sum, tags, sites) = summed(len, &key(1));
            assert!(key(1).accepts(&sum, &tags, &sites), "{len}");
            assert!(!key(2).accepts(&sum, &tags, &sites), "{len}, another key");
        }
    }

    #[test]
    fn every_change_of_one_word_is_refused() {
        let (sum, tags, sites) = summed(40, &key(1));
        for at in 0..sum.len() {
            for change in [1, u32::MAX, 1 << 16, 1 << 31] {
                let mut forged = sum.clone();
                forged[at] = forged[at].wrapping_add(change);
                assert!(!key(1).accepts(&forged, &tags, &sites), "word {at} + {change}");
            }
        }
        for tag in 0..TAGS {
            let mut forged = tags;
            forged[tag] ^= 1 << 63;
            assert!(!key(1).accepts(&sum, &forged, &sites));
        }
        assert!(!key(1).accepts(&sum, &tags[..1], &sites));
    }

    #[test]
    fn scaled_swapped_shortened_and_relabelled_sums_are_refused() {
        let (sum, tags, sites) = summed(40, &key(1));
        let scaled: Vec<u32> = sum.iter().map(|w| w.wrapping_mul(3)).collect();
        assert!(!key(1).accepts(&scaled, &tags.map(|t| t.wrapping_mul(3)), &sites));
        assert!(!key(1).accepts(&vec![0; sum.len()], &[0; TAGS], &sites));
        let mut swapped = sum.clone();
        swapped.swap(3, 17);
        assert!(!key(1).accepts(&swapped, &tags, &sites));
        assert!(!key(1).accepts(&sum[..sum.len() - 1], &tags, &sites));
        let others = SITES[..2].iter().copied().collect();
        assert!(!key(1).accepts(&sum, &tags, &others));
    }

    #[test]
    fn the_key_depends_on_every_seed_and_their_order() {
        let seeds = [1u8, 2, 3].map(|byte| Secret::new([byte; 32]));
        let of = |r2, order: [usize; 3]| GroupKey::of_seeds(Hash([r2; 32]), order.map(|i| &seeds[i]));
        let base = of(0, [0, 1, 2]);
        for other in [of(1, [0, 1, 2]), of(0, [1, 0, 2]), of(0, [0, 1, 1])] {
            assert_ne!(base, other);
        }
        assert_eq!(base, of(0, [0, 1, 2]));
    }
}
