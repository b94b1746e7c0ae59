//! From a local model to integers, and from a sum of integers to an average.
//!
//! Coordinate j of tensor l becomes q = SR(w/W_max clamp(local - global, -c_l, c_l) 2^{f_l}). Stochastic
//! rounding (SR) keeps the expected value: with v the scaled value, q = floor(v) + [u < v - floor(v)], u
//! uniform in [0, 1) with 32 bits from a key stream addressed by coordinate, so the result does not depend on
//! the order of work. All scalings are by powers of two; the difference and the product are taken in f64.

use rayon::prelude::*;
use zeroize::Zeroize;

use crate::layout::{CLOSING_WORDS, Proven};
use crate::prg::{Label, fill_stream};
use crate::secret::Secret;

/// Fraction bits of a sidecar value.
pub const SIDE_FRACTION_BITS: u32 = 20;

/// Coordinates encoded as one piece of work.
const TILE: usize = 1024;

/// Why an update was not encoded.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum EncodeError {
    /// The local model has another length than the layout.
    #[error("model of {found} coordinates, the layout has {expected}")]
    Length {
        /// Coordinates of the layout.
        expected: usize,
        /// Coordinates found.
        found: usize,
    },
    /// A coordinate that is not a number, or infinite.
    #[error("tensor {name}, coordinate {index}: the update is {value}; training has diverged")]
    NotFinite {
        /// Tensor.
        name: String,
        /// Coordinate within the tensor.
        index: usize,
        /// The difference local - global.
        value: f64,
    },
    /// A sample count of zero or above the agreed maximum.
    #[error("{samples} samples: need 1..={weight_max}; raise weight_max in the job description")]
    Samples {
        /// Samples of the site.
        samples: u32,
        /// Agreed maximum.
        weight_max: u32,
    },
    /// A sidecar value that does not fit its fixed-point format.
    #[error("sidecar value {index} is {value}: not a finite number within range")]
    Side {
        /// Position.
        index: usize,
        /// Value.
        value: f64,
    },
}

/// The key of the random fractions of one site in one round. Independent of all mask keys.
#[derive(Debug, Clone)]
pub struct RoundingKey(pub Secret);

/// An update as integers modulo 2^32, not yet masked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// d coordinates in two's complement, then the sample count and the number of clipped coordinates.
    pub words: Vec<u32>,
}

impl Encoded {
    /// Coordinates that had to be clamped.
    pub fn clipped(&self) -> u32 {
        self.words.last().copied().unwrap_or(0)
    }
}

impl Drop for Encoded {
    fn drop(&mut self) {
        self.words.zeroize();
    }
}

/// Encodes the update of one site, weighted by its sample count.
///
/// # Errors
/// [`EncodeError`]; on an error nothing may be uploaded.
pub fn encode(
    proven: &Proven,
    local: &[f32],
    global: &[f32],
    samples: u32,
    rounding: &RoundingKey,
) -> Result<Encoded, EncodeError> {
    let (layout, weight_max) = (proven.layout(), proven.weight_max());
    let expected = layout.coordinates();
    for found in [local.len(), global.len()] {
        if found != expected {
            return Err(EncodeError::Length { expected, found });
        }
    }
    if samples == 0 || samples > weight_max {
        return Err(EncodeError::Samples { samples, weight_max });
    }
    let weight = f64::from(samples) / f64::from(weight_max);
    let mut words = vec![0u32; expected + CLOSING_WORDS];
    let (mut start, mut clipped) = (0, 0);
    for tensor in &layout.tensors {
        let range = start..start + tensor.len;
        let coding = Coding { clip: f64::from(tensor.clip), scale: weight * pow2(tensor.exponent), start };
        let count = coding
            .run(&mut words[range.clone()], &local[range.clone()], &global[range], rounding)
            .map_err(|(index, value)| EncodeError::NotFinite { name: tensor.name.clone(), index, value })?;
        clipped += count;
        start += tensor.len;
    }
    words[expected] = samples;
    words[expected + 1] = clipped;
    Ok(Encoded { words })
}

/// One tensor's coding rule.
struct Coding {
    clip: f64,
    scale: f64,
    /// First coordinate of the tensor within the vector: the position in the stream of random fractions.
    start: usize,
}

impl Coding {
    /// Encodes a tensor; the number of clipped coordinates, or the first coordinate that is not finite.
    fn run(
        &self,
        words: &mut [u32],
        local: &[f32],
        global: &[f32],
        rounding: &RoundingKey,
    ) -> Result<u32, (usize, f64)> {
        words
            .par_chunks_mut(TILE)
            .zip(local.par_chunks(TILE).zip(global.par_chunks(TILE)))
            .enumerate()
            .map(|(tile, (words, (local, global)))| self.tile(tile * TILE, words, local, global, rounding))
            .reduce(|| Ok(0), first_error_or_sum)
    }

    fn tile(
        &self,
        first: usize,
        words: &mut [u32],
        local: &[f32],
        global: &[f32],
        rounding: &RoundingKey,
    ) -> Result<u32, (usize, f64)> {
        let mut random = [0u8; 4 * TILE];
        let random = &mut random[..4 * words.len()];
        fill_stream(&rounding.0, Label::Rounding, 4 * (self.start + first) as u64, random);
        let delta = |i: usize| f64::from(local[i]) - f64::from(global[i]);
        if let Some(i) = (0..words.len()).find(|&i| !delta(i).is_finite()) {
            return Err((first + i, delta(i)));
        }
        let mut clipped = 0;
        let (fractions, _) = random.as_chunks();
        for (i, (word, fraction)) in words.iter_mut().zip(fractions).enumerate() {
            let kept = delta(i).max(-self.clip).min(self.clip);
            clipped += u32::from(kept != delta(i));
            *word = round_stochastically(kept * self.scale, u32::from_le_bytes(*fraction)) as u32;
        }
        random.zeroize();
        Ok(clipped)
    }
}

/// floor(v) + [u < v - floor(v)] with u = random 2^-32. The proof behind `Proven` keeps |v| + 1 below 2^31.
///
/// Adding 1.5 2^52 rounds v to the nearest integer n and leaves n in the low bits of the sum; floor(v) is n
/// or n - 1. This is exact and, unlike `f64::floor`, needs no call on processors without a rounding
/// instruction.
fn round_stochastically(value: f64, random: u32) -> i32 {
    let shifted = value + ROUNDER;
    let nearest = shifted - ROUNDER;
    let above = nearest > value;
    let floor = nearest - f64::from(u8::from(above));
    let up = f64::from(random) * pow2(-32) < value - floor;
    shifted.to_bits() as i32 - i32::from(above) + i32::from(up)
}

const ROUNDER: f64 = 1.5 * (1u64 << 52) as f64;

/// The lowest failing coordinate wins, so the error does not depend on the order of work.
fn first_error_or_sum(
    a: Result<u32, (usize, f64)>,
    b: Result<u32, (usize, f64)>,
) -> Result<u32, (usize, f64)> {
    match (a, b) {
        (Ok(a), Ok(b)) => Ok(a + b),
        (Err(a), Err(b)) => Err(if a.0 <= b.0 { a } else { b }),
        (Err(e), _) | (_, Err(e)) => Err(e),
    }
}

/// The weighted average that a sum stands for.
#[derive(Debug, Clone, PartialEq)]
pub struct Average {
    /// Average update, one value per coordinate.
    pub update: Vec<f32>,
    /// Sites in the sum.
    pub sites: usize,
    /// Samples of all sites in the sum.
    pub samples: u32,
    /// Coordinates clipped, over all sites in the sum.
    pub clipped: u32,
}

impl Average {
    /// Clipped coordinates as a fraction of all coordinates of all sites in the sum.
    pub fn clipped_fraction(&self) -> f64 {
        f64::from(self.clipped) / (self.sites as f64 * self.update.len() as f64)
    }
}

/// A sum that no honest sites can have produced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A vector of another length.
    #[error("sum of {found} words, the layout has {expected}")]
    Length {
        /// Words of the layout.
        expected: usize,
        /// Words found.
        found: usize,
    },
    /// A coordinate above what the sites together can reach.
    #[error("tensor {name}: coordinate {index} of the sum is outside its bound")]
    Range {
        /// Tensor.
        name: String,
        /// Coordinate within the tensor.
        index: usize,
    },
    /// A sample count outside 1..=n W_max per site.
    #[error("{samples} samples from {sites} sites")]
    Samples {
        /// Samples of the sum.
        samples: u32,
        /// Sites in the sum.
        sites: usize,
    },
}

/// Decodes the sum of `sites` encoded updates: X 2^-f / (samples / W_max) in f64, rounded once to f32.
///
/// # Errors
/// [`DecodeError`] for a sum out of bounds.
pub fn decode(proven: &Proven, sum: &[u32], sites: usize) -> Result<Average, DecodeError> {
    let (layout, weight_max) = (proven.layout(), proven.weight_max());
    let expected = layout.words();
    if sum.len() != expected {
        return Err(DecodeError::Length { expected, found: sum.len() });
    }
    let (samples, clipped) = (sum[expected - 2], sum[expected - 1]);
    let most = sites as u64 * u64::from(weight_max);
    if u64::from(samples) < sites as u64
        || u64::from(samples) > most
        || !(1..=proven.sites()).contains(&sites)
    {
        return Err(DecodeError::Samples { samples, sites });
    }
    let weight = f64::from(samples) / f64::from(weight_max);
    let mut update = vec![0f32; layout.coordinates()];
    let mut start = 0;
    for tensor in &layout.tensors {
        let bound = sites as u64 * (tensor.coordinate_max().unwrap_or(0) + 1);
        let scale = pow2(-tensor.exponent);
        let range = start..start + tensor.len;
        let outside = update[range.clone()]
            .par_iter_mut()
            .zip(sum[range].par_iter())
            .map(|(out, &word)| {
                *out = (f64::from(word as i32) * scale / weight) as f32;
                u64::from((word as i32).unsigned_abs()) > bound
            })
            .position_first(|outside| outside);
        if let Some(index) = outside {
            return Err(DecodeError::Range { name: tensor.name.clone(), index });
        }
        start += tensor.len;
    }
    Ok(Average { update, sites, samples, clipped })
}

/// Encodes sidecar values, each weighted by the sample count, as signed fixed point modulo 2^64.
///
/// # Errors
/// [`EncodeError::Side`] when a value is not finite or its sum over `sites` sites could overflow.
pub fn encode_side(values: &[f64], samples: u32, sites: usize) -> Result<Vec<u64>, EncodeError> {
    let limit = i64::MAX as f64 / (2.0 * sites as f64);
    values
        .iter()
        .enumerate()
        .map(|(index, &value)| {
            let scaled = (value * f64::from(samples) * pow2(SIDE_FRACTION_BITS as i16)).round();
            if scaled.abs() < limit {
                Ok(scaled as i64 as u64)
            } else {
                Err(EncodeError::Side { index, value })
            }
        })
        .collect()
}

/// The sample-weighted means behind a sum of sidecars.
pub fn decode_side(sum: &[u64], samples: u32) -> Vec<f64> {
    let unit = pow2(SIDE_FRACTION_BITS as i16) * f64::from(samples);
    sum.iter().map(|&word| word as i64 as f64 / unit).collect()
}

/// 2^exponent, exactly, for the range of exponents that a layout accepts.
fn pow2(exponent: i16) -> f64 {
    f64::from_bits(((1023 + i64::from(exponent)) as u64) << 52)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_is_floor_plus_a_draw() {
        let mut values =
            vec![0.0, -0.0, 0.5, -0.5, 1.5, 2.5, -1.5, 1e-300, -1e-300, 2147483646.5, -2147483646.5];
        values.extend((0..20_000).map(|i| f64::from(i * 104_729 % 65_537 - 30_000) * 0.123_456_789));
        for value in values {
            for random in [0, 1, 1 << 31, u32::MAX] {
                let (floor, u) = (value.floor(), f64::from(random) / 4_294_967_296.0);
                let expected = floor as i32 + i32::from(u < value - floor);
                assert_eq!(round_stochastically(value, random), expected, "{value} {random}");
            }
        }
    }
}
