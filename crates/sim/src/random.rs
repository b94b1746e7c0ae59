//! The one source of chance of a run, and the key material derived from its seed.

use fovea_secagg::hash::Hash;
use fovea_secagg::secret::{Entropy, EntropyError};

/// The stream that every decision of a run is drawn from, in the order of its events (SplitMix64, Steele et al.
/// 2014). Not for keys.
#[derive(Debug, Clone)]
pub struct Stream(u64);

impl Stream {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`; zero when there is none.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.draw()) * u128::from(bound)) >> 64) as u64
    }

    /// A place in a list of `len` elements.
    pub fn place(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// True with the given probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        // Drawn even where the answer is certain, so that switching one fault off moves no other.
        let draw = (self.draw() >> 11) as f64 / (1u64 << 53) as f64;
        draw < probability
    }

    /// `len` bytes, for garbage.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.draw() as u8).collect()
    }
}

/// Reproducible key material of one party: a hash of seed, party and counter. Only a simulator may have this.
#[derive(Debug, Clone)]
pub struct Keys {
    seed: u64,
    party: u64,
    counter: u64,
}

impl Keys {
    /// The material of a party.
    pub fn new(seed: u64, party: u64) -> Self {
        Self { seed, party, counter: 0 }
    }
}

impl Entropy for Keys {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), EntropyError> {
        for piece in out.chunks_mut(32) {
            self.counter += 1;
            let place = [self.seed, self.party, self.counter].map(u64::to_le_bytes);
            let block = Hash::of("fovea/sim/keys", &[place.as_flattened()]);
            piece.copy_from_slice(&block.0[..piece.len()]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_stay_in_range_and_reach_its_ends() {
        let mut stream = Stream::new(1);
        let draws: Vec<u64> = (0..2000).map(|_| stream.between(3, 7)).collect();
        assert_eq!((draws.iter().min(), draws.iter().max()), (Some(&3), Some(&7)));
        assert_eq!(stream.below(0), 0);
        assert!((0..100).all(|_| !stream.chance(0.0) && stream.chance(1.0)));
        let hits = (0..10_000).filter(|_| stream.chance(0.25)).count();
        assert!((2200..2800).contains(&hits), "{hits}");
    }

    #[test]
    fn keys_never_repeat() {
        let mut keys = Keys::new(1, 0);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..100 {
            let mut block = [0; 40];
            keys.fill(&mut block).unwrap();
            assert!(seen.insert(block));
        }
        let mut other = [0; 40];
        Keys::new(1, 1).fill(&mut other).unwrap();
        assert!(!seen.contains(&other));
    }
}
