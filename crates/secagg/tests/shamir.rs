//! Shamir's sharing: reconstruction, secrecy below the threshold, unbiased coefficients.
#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "common/parties.rs"]
mod parties;

use fovea_secagg::secret::{Entropy, EntropyError, Secret};
use fovea_secagg::shamir::{ShamirError, Weights, split};
use parties::Seeded;

/// Gives out chosen bytes.
struct Fixed(Vec<u8>);

impl Entropy for Fixed {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), EntropyError> {
        if self.0.len() < out.len() {
            return Err(EntropyError);
        }
        out.copy_from_slice(&self.0[..out.len()]);
        self.0.drain(..out.len());
        Ok(())
    }
}

fn combine(shares: &[Secret], points: &[u8]) -> Secret {
    let chosen: Vec<&Secret> = points.iter().map(|&x| &shares[usize::from(x) - 1]).collect();
    Weights::at_zero(points).unwrap().combine(&chosen).unwrap()
}

#[test]
fn any_threshold_of_shares_gives_the_secret_back() {
    let mut entropy = Seeded::new(1);
    for n in 1..=7usize {
        for t in 1..=n {
            let secret = Secret::draw(&mut entropy).unwrap();
            let shares = split(&secret, t, n, &mut entropy).unwrap();
            for subset in 1u32..1 << n {
                let points: Vec<u8> = (0..n as u8).filter(|x| subset >> x & 1 == 1).map(|x| x + 1).collect();
                let same = combine(&shares, &points) == secret;
                assert_eq!(same, points.len() >= t, "{t} of {n}: {points:?}");
            }
        }
    }
}

#[test]
fn a_hundred_sites_reconstruct() {
    let mut entropy = Seeded::new(2);
    let secret = Secret::draw(&mut entropy).unwrap();
    let shares = split(&secret, 67, 100, &mut entropy).unwrap();
    assert_eq!(combine(&shares, &(20..=86).collect::<Vec<u8>>()), secret);
    assert_eq!(combine(&shares, &(34..=100).rev().collect::<Vec<u8>>()), secret);
    assert_ne!(combine(&shares, &(21..=86).collect::<Vec<u8>>()), secret);
}

/// For a fixed secret byte, one share below the threshold takes each of the 256 values for exactly one
/// coefficient (t = 2), and two shares take each of the 65,536 pairs exactly once (t = 3): they say nothing
/// about it.
#[test]
fn shares_below_the_threshold_are_consistent_with_every_secret() {
    for secret in [0u8, 1, 0x80, 0xff] {
        for x in [0usize, 4] {
            let mut seen = [false; 256];
            for a in 0..=255u8 {
                let shares = split(&Secret::new([secret; 32]), 2, 5, &mut Fixed(vec![a; 32])).unwrap();
                seen[usize::from(shares[x].expose()[0])] = true;
            }
            assert!(seen.iter().all(|&s| s));
        }
        let mut seen = vec![false; 1 << 16];
        for a in 0..=255u8 {
            for block in 0..8u8 {
                // The 32 bytes of a secret are 32 independent sharings: 32 coefficients at once.
                let b: Vec<u8> = (0..32).map(|i| block * 32 + i).collect();
                let bytes = [vec![a; 32], b].concat();
                let shares = split(&Secret::new([secret; 32]), 3, 3, &mut Fixed(bytes)).unwrap();
                for i in 0..32 {
                    let pair = [shares[0].expose()[i], shares[2].expose()[i]];
                    seen[usize::from(u16::from_le_bytes(pair))] = true;
                }
            }
        }
        assert!(seen.iter().all(|&s| s));
    }
}

#[test]
fn coefficients_are_uniform_zero_included() {
    // With secret 0, t = 2 and x = 1 the share is the leading coefficient itself.
    let mut entropy = Seeded::new(3);
    let mut counts = [0u32; 256];
    let draws = 8000;
    for _ in 0..draws {
        let shares = split(&Secret::new([0; 32]), 2, 2, &mut entropy).unwrap();
        shares[0].expose().iter().for_each(|&byte| counts[usize::from(byte)] += 1);
    }
    let expected = f64::from(draws * 32) / 256.0;
    let chi_square: f64 = counts.iter().map(|&c| (f64::from(c) - expected).powi(2) / expected).sum();
    // 255 degrees of freedom: mean 255, standard deviation 22.6; the bound is about six deviations up.
    assert!(chi_square < 390.0, "{chi_square}");
    let z = (f64::from(counts[0]) - expected) / expected.sqrt();
    assert!(z.abs() < 5.0, "zero coefficients: {z} deviations");
}

#[test]
fn impossible_shapes_and_points_are_refused() {
    let secret = Secret::new([1; 32]);
    for (threshold, count) in [(0, 3), (4, 3), (2, 256)] {
        let refused = split(&secret, threshold, count, &mut Seeded::new(1));
        assert!(matches!(refused, Err(ShamirError::Shape { .. })));
    }
    assert!(matches!(Weights::at_zero(&[1, 0]), Err(ShamirError::Point { x: 0 })));
    assert!(matches!(Weights::at_zero(&[1, 2, 1]), Err(ShamirError::Point { x: 1 })));
    let weights = Weights::at_zero(&[1, 2]).unwrap();
    assert!(matches!(weights.combine(&[&secret]), Err(ShamirError::Count { points: 2, shares: 1 })));
    assert!(matches!(split(&secret, 2, 3, &mut Fixed(vec![])), Err(ShamirError::Entropy(_))));
}
