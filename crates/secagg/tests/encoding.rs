//! Quantisation: error bounds, saturation, the overflow proof at its edge, unbiased rounding, refusals by
//! name.
#![allow(clippy::unwrap_used, reason = "a test")]

use fovea_secagg::encode::{DecodeError, EncodeError, RoundingKey, decode, decode_side, encode, encode_side};
use fovea_secagg::layout::{Layout, LayoutError, Proven};
use fovea_secagg::secret::Secret;
use proptest::prelude::*;

fn key(byte: u8) -> RoundingKey {
    RoundingKey(Secret::new([byte; 32]))
}

fn proven(tensors: &[(&str, usize, f32)], sites: usize) -> Proven {
    let tensors = tensors.iter().map(|&(name, len, clip)| (name.to_owned(), len, clip));
    Proven::new(Layout::with_largest_exponents(tensors, sites).unwrap(), sites, 128).unwrap()
}

/// The words of several sites, added modulo 2^32.
fn sum(encoded: &[Vec<u32>]) -> Vec<u32> {
    let mut sum = vec![0u32; encoded[0].len()];
    encoded.iter().for_each(|words| sum.iter_mut().zip(words).for_each(|(s, w)| *s = s.wrapping_add(*w)));
    sum
}

proptest! {
    #[test]
    fn the_average_is_within_a_few_steps_of_the_weighted_mean(
        deltas in proptest::collection::vec(-1.0f32..=1.0, 1..50),
        weights in proptest::collection::vec(1u32..=128, 2..6),
    ) {
        let proven = proven(&[("w", deltas.len(), 1.0)], weights.len());
        let global = vec![0.0; deltas.len()];
        let local = |site: usize| -> Vec<f32> { deltas.iter().map(|d| d / (site + 1) as f32).collect() };
        let encoded: Vec<Vec<u32>> = weights.iter().enumerate()
            .map(|(i, &w)| encode(&proven, &local(i), &global, w, &key(i as u8)).unwrap().words.clone())
            .collect();
        let average = decode(&proven, &sum(&encoded), weights.len()).unwrap();
        let total: u32 = weights.iter().sum();
        prop_assert_eq!(average.samples, total);
        let step = 2f64.powi(-i32::from(proven.layout().tensors[0].exponent));
        // One step of rounding per site, magnified by W_max / total weight, plus the rounding to f32.
        let bound = weights.len() as f64 * step * 128.0 / f64::from(total) + 1e-7;
        for j in 0..deltas.len() {
            let mean: f64 = weights.iter().enumerate()
                .map(|(i, &w)| f64::from(local(i)[j]) * f64::from(w)).sum::<f64>() / f64::from(total);
            prop_assert!((f64::from(average.update[j]) - mean).abs() <= bound);
        }
    }
}

#[test]
fn saturation_is_exact_and_counted() {
    let proven = proven(&[("a", 4, 0.5), ("b", 2, 2.0)], 3);
    let local = [0.5, -0.5, 7.0, f32::MIN, 2.0, -3.0];
    let encoded = encode(&proven, &local, &[0.0; 6], 128, &key(1)).unwrap();
    let [a, b] = [0, 1].map(|t| 1i32 << (proven.layout().tensors[t].exponent + [-1, 1][t]));
    let words: Vec<i32> = encoded.words[..6].iter().map(|&w| w as i32).collect();
    assert_eq!(words, [a, -a, a, -a, b, -b]);
    assert_eq!((encoded.words[6], encoded.words[7], encoded.clipped()), (128, 3, 3));
}

#[test]
fn the_largest_sum_fits_and_the_next_exponent_is_refused() {
    for sites in [2, 3, 5, 10, 100] {
        let proven = proven(&[("w", 2, 1.0)], sites);
        let words = encode(&proven, &[9.0, -9.0], &[0.0; 2], 128, &key(1)).unwrap().words.clone();
        let all = vec![words; sites];
        let average = decode(&proven, &sum(&all), sites).unwrap();
        assert_eq!((average.update, average.clipped), (vec![1.0, -1.0], 2 * sites as u32));
        let mut layout = proven.layout().clone();
        layout.tensors[0].exponent += 1;
        assert!(matches!(Proven::new(layout, sites, 128), Err(LayoutError::Overflow { .. })));
    }
}

#[test]
fn values_that_are_not_finite_are_refused_by_name() {
    let proven = proven(&[("conv", 2000, 1.0), ("bias", 3, 1.0)], 3);
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut local = vec![0.0; 2003];
        (local[2002], local[2001]) = (bad, bad);
        let error = encode(&proven, &local, &[0.0; 2003], 1, &key(1)).unwrap_err();
        assert!(matches!(error, EncodeError::NotFinite { name, index: 1, .. } if name == "bias"));
        (local[1999], local[1030]) = (bad, bad);
        let error = encode(&proven, &local, &[0.0; 2003], 1, &key(1)).unwrap_err();
        assert!(matches!(error, EncodeError::NotFinite { name, index: 1030, .. } if name == "conv"));
    }
    assert!(matches!(encode(&proven, &[0.0; 3], &[0.0; 2003], 1, &key(1)), Err(EncodeError::Length { .. })));
    for samples in [0, 129] {
        let refused = encode(&proven, &[0.0; 2003], &[0.0; 2003], samples, &key(1));
        assert!(matches!(refused, Err(EncodeError::Samples { .. })));
    }
}

#[test]
fn zeros_of_both_signs_and_denormals_are_ordinary_values() {
    let proven = proven(&[("w", 4, 1.0)], 3);
    let local = [0.0, -0.0, f32::MIN_POSITIVE / 8.0, -f32::MIN_POSITIVE / 8.0];
    let words = encode(&proven, &local, &[0.0; 4], 128, &key(1)).unwrap().words.clone();
    assert_eq!(words[..2], [0, 0]);
    assert!(words[2..4].iter().all(|&w| (w as i32).abs() <= 1));
}

#[test]
fn rounding_is_unbiased() {
    const N: usize = 1_000_000;
    for fraction in [0.125f32, 0.5, 0.9] {
        let proven = Proven::new(
            Layout {
                tensors: vec![fovea_secagg::layout::TensorSpec {
                    name: "w".into(),
                    len: N,
                    clip: 1024.0,
                    exponent: 0,
                }],
            },
            3,
            1,
        )
        .unwrap();
        let words = encode(&proven, &vec![fraction - 3.0; N], &vec![0.0; N], 1, &key(4)).unwrap();
        let p = f64::from(fraction - 3.0) + 3.0;
        let ups = words.words[..N].iter().filter(|&&w| w as i32 == -2).count() as f64;
        let z = (ups - p * N as f64) / (N as f64 * p * (1.0 - p)).sqrt();
        assert!(z.abs() < 5.0, "{fraction}: {z} deviations");
    }
}

#[test]
fn the_rounding_key_decides_and_the_number_of_threads_does_not() {
    let proven = proven(&[("a", 5000, 1.0), ("b", 4097, 1.0)], 3);
    let local: Vec<f32> = (0..9097).map(|i| (i as f32).sin()).collect();
    let run = |byte, threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| encode(&proven, &local, &vec![0.0; 9097], 77, &key(byte)).unwrap().words.clone())
    };
    assert_eq!(run(1, 1), run(1, 7));
    assert_ne!(run(1, 2), run(2, 2));
}

#[test]
fn sums_out_of_bounds_are_refused() {
    let proven = proven(&[("w", 2, 1.0)], 3);
    let most = (1u32 << 29) * 3 + 3;
    assert!(decode(&proven, &[most, 0, 3, 0], 3).is_ok());
    let refused = decode(&proven, &[0, most + 1, 3, 0], 3);
    assert!(matches!(refused, Err(DecodeError::Range { index: 1, .. })));
    assert!(matches!(decode(&proven, &[0, i32::MIN as u32, 3, 0], 3), Err(DecodeError::Range { .. })));
    assert!(matches!(decode(&proven, &[0; 3], 3), Err(DecodeError::Length { .. })));
    for (samples, sites) in [(0, 3), (2, 3), (3 * 128 + 1, 3), (1, 0), (4, 4)] {
        let refused = decode(&proven, &[0, 0, samples, 0], sites);
        assert!(matches!(refused, Err(DecodeError::Samples { .. })), "{samples} {sites}");
    }
}

#[test]
fn sidecar_values_come_back_as_weighted_means() {
    let a = encode_side(&[0.25, -3.0], 10, 2).unwrap();
    let b = encode_side(&[0.75, 1.0], 30, 2).unwrap();
    let sum: Vec<u64> = a.iter().zip(&b).map(|(x, y)| x.wrapping_add(*y)).collect();
    assert_eq!(decode_side(&sum, 40), [0.625, 0.0]);
    for bad in [f64::NAN, f64::INFINITY, 1e13] {
        assert!(matches!(encode_side(&[0.0, bad], 100, 3), Err(EncodeError::Side { index: 1, .. })));
    }
}
