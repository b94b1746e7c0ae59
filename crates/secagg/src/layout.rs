//! The public description of the model vector, and the proof that its sum cannot overflow.

use serde::{Deserialize, Serialize};

use crate::hash::Hash;

/// Words after the model coordinates: the sample count and the number of clipped coordinates.
pub const CLOSING_WORDS: usize = 2;

/// Largest magnitude of an encoded sum.
pub const SUM_MAX: u64 = i32::MAX as u64;

/// Exponents are searched and accepted within this range.
const EXPONENTS: std::ops::RangeInclusive<i16> = -64..=64;

/// One tensor of the model vector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TensorSpec {
    /// Name, as in the parameter table; errors quote it.
    pub name: String,
    /// Number of coordinates.
    pub len: usize,
    /// Coordinates of an update are clamped to +/- this value.
    pub clip: f32,
    /// Binary exponent f: an update x is encoded as about x 2^f.
    pub exponent: i16,
}

impl TensorSpec {
    /// ceil(clip 2^exponent): no encoded coordinate is larger (the weight is at most 1 and a rounded value
    /// never passes the next integer). `None` when it does not fit 31 bits.
    pub fn coordinate_max(&self) -> Option<u64> {
        scaled_ceil(self.clip, self.exponent)
    }
}

/// The model vector: tensors in order, each with its public clip and exponent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Layout {
    /// The tensors.
    pub tensors: Vec<TensorSpec>,
}

/// A layout that cannot be used; refused before anything is encoded.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum LayoutError {
    /// A clip that is not a positive finite number.
    #[error("tensor {name}: clip {clip} must be positive and finite")]
    Clip {
        /// Tensor.
        name: String,
        /// Its clip.
        clip: f32,
    },
    /// The sum over all sites could leave 32 bits.
    #[error(
        "tensor {name}: {sites} sites x clip {clip} x 2^{exponent} can overflow 32 bits; lower the exponent"
    )]
    Overflow {
        /// Tensor.
        name: String,
        /// Sites.
        sites: usize,
        /// Its clip.
        clip: f32,
        /// Its exponent.
        exponent: i16,
    },
    /// Counts of samples or clipped coordinates could leave 32 bits.
    #[error("{what} of {sites} sites can overflow 32 bits")]
    Count {
        /// Which count.
        what: &'static str,
        /// Sites.
        sites: usize,
    },
    /// The largest weight must be a power of two, so that scaling by it is exact.
    #[error("weight_max {found} must be a power of two of at most 2^24")]
    WeightMax {
        /// Value found.
        found: u32,
    },
    /// No coordinate at all.
    #[error("the layout has no coordinates")]
    Empty,
}

impl Layout {
    /// A layout of (name, length, clip), each with the largest exponent that is safe for `sites` sites.
    ///
    /// # Errors
    /// [`LayoutError::Clip`], or [`LayoutError::Overflow`] when no exponent is safe.
    pub fn with_largest_exponents(
        tensors: impl IntoIterator<Item = (String, usize, f32)>,
        sites: usize,
    ) -> Result<Self, LayoutError> {
        let tensors = tensors
            .into_iter()
            .map(|(name, len, clip)| {
                let exponent = largest_exponent(&name, clip, sites)?;
                Ok(TensorSpec { name, len, clip, exponent })
            })
            .collect::<Result<_, LayoutError>>()?;
        Ok(Self { tensors })
    }

    /// Number of model coordinates d.
    pub fn coordinates(&self) -> usize {
        self.tensors.iter().map(|tensor| tensor.len).sum()
    }

    /// Number of 32-bit words on the wire, d + 2.
    pub fn words(&self) -> usize {
        self.coordinates() + CLOSING_WORDS
    }

    /// Proves with exact integers that no sum over `sites` sites leaves 32 bits.
    ///
    /// Per tensor n (ceil(c 2^f) + 1) <= 2^31 - 1; for the closing words n W_max <= 2^31 - 1 and
    /// n d <= 2^32 - 1.
    ///
    /// # Errors
    /// [`LayoutError`].
    pub fn prove_no_overflow(&self, sites: usize, weight_max: u32) -> Result<(), LayoutError> {
        if self.coordinates() == 0 {
            return Err(LayoutError::Empty);
        }
        if !weight_max.is_power_of_two() || weight_max > 1 << 24 {
            return Err(LayoutError::WeightMax { found: weight_max });
        }
        for tensor in &self.tensors {
            if !(tensor.clip.is_finite() && tensor.clip > 0.0) {
                return Err(LayoutError::Clip { name: tensor.name.clone(), clip: tensor.clip });
            }
            let safe = EXPONENTS.contains(&tensor.exponent)
                && tensor.coordinate_max().is_some_and(|max| fits(max, sites));
            if !safe {
                let TensorSpec { ref name, clip, exponent, .. } = *tensor;
                return Err(LayoutError::Overflow { name: name.clone(), sites, clip, exponent });
            }
        }
        if sites as u64 * u64::from(weight_max) > SUM_MAX {
            return Err(LayoutError::Count { what: "sample counts", sites });
        }
        if sites as u128 * self.coordinates() as u128 > u128::from(u32::MAX) {
            return Err(LayoutError::Count { what: "clipped coordinates", sites });
        }
        Ok(())
    }

    /// Digest of everything above, for the context of a round.
    pub fn digest(&self) -> Hash {
        let mut bytes = Vec::new();
        for tensor in &self.tensors {
            bytes.extend_from_slice(&(tensor.name.len() as u64).to_le_bytes());
            bytes.extend_from_slice(tensor.name.as_bytes());
            bytes.extend_from_slice(&(tensor.len as u64).to_le_bytes());
            bytes.extend_from_slice(&tensor.clip.to_le_bytes());
            bytes.extend_from_slice(&tensor.exponent.to_le_bytes());
        }
        Hash::of("fovea/layout/v1", &[&bytes])
    }
}

/// A layout whose sums are proven not to overflow; encoding and decoding ask for this proof.
#[derive(Debug, Clone, PartialEq)]
pub struct Proven {
    layout: Layout,
    sites: usize,
    weight_max: u32,
}

impl Proven {
    /// Runs [`Layout::prove_no_overflow`].
    ///
    /// # Errors
    /// [`LayoutError`].
    pub fn new(layout: Layout, sites: usize, weight_max: u32) -> Result<Self, LayoutError> {
        layout.prove_no_overflow(sites, weight_max)?;
        Ok(Self { layout, sites, weight_max })
    }

    /// The layout.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The most sites in a sum.
    pub fn sites(&self) -> usize {
        self.sites
    }

    /// The largest sample count of a site.
    pub fn weight_max(&self) -> u32 {
        self.weight_max
    }
}

/// The largest exponent with which `sites` updates clipped to `clip` are safe to sum.
///
/// # Errors
/// [`LayoutError::Clip`] and [`LayoutError::Overflow`].
pub fn largest_exponent(name: &str, clip: f32, sites: usize) -> Result<i16, LayoutError> {
    if !(clip.is_finite() && clip > 0.0) {
        return Err(LayoutError::Clip { name: name.to_owned(), clip });
    }
    EXPONENTS
        .rev()
        .find(|&exponent| scaled_ceil(clip, exponent).is_some_and(|max| fits(max, sites)))
        .ok_or(LayoutError::Overflow { name: name.to_owned(), sites, clip, exponent: *EXPONENTS.start() })
}

fn fits(coordinate_max: u64, sites: usize) -> bool {
    (coordinate_max + 1).checked_mul(sites as u64).is_some_and(|sum| sum <= SUM_MAX)
}

/// ceil(clip 2^exponent) from the bits of the float, without rounding; `None` above 2^31.
fn scaled_ceil(clip: f32, exponent: i16) -> Option<u64> {
    let bits = clip.to_bits();
    let (biased, fraction) = ((bits >> 23) & 0xff, u64::from(bits & 0x7f_ffff));
    // clip = mantissa 2^(power - 150), denormals included.
    let (mantissa, power) = if biased == 0 { (fraction, 1) } else { (fraction | 0x80_0000, biased as i32) };
    let shift = power - 150 + i32::from(exponent);
    let scaled = match shift {
        8.. => return None,
        0..8 => mantissa << shift,
        -63..0 => mantissa.div_ceil(1 << -shift),
        _ => 1,
    };
    (scaled <= SUM_MAX).then_some(scaled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(clip: f32, exponent: i16) -> Layout {
        Layout { tensors: vec![TensorSpec { name: "w".into(), len: 4, clip, exponent }] }
    }

    #[test]
    fn largest_exponents_are_those_of_the_protocol() {
        for (sites, exponent) in [(2, 29), (3, 29), (5, 28), (10, 27), (20, 26), (50, 25), (100, 24)] {
            assert_eq!(largest_exponent("w", 1.0, sites).unwrap(), exponent, "{sites} sites");
            assert!(layout(1.0, exponent).prove_no_overflow(sites, 128).is_ok());
            assert!(matches!(
                layout(1.0, exponent + 1).prove_no_overflow(sites, 128),
                Err(LayoutError::Overflow { .. })
            ));
        }
    }

    #[test]
    fn scaling_is_exact_for_any_float() {
        assert_eq!(scaled_ceil(1.0, 0), Some(1));
        assert_eq!(scaled_ceil(0.3, 0), Some(1));
        assert_eq!(scaled_ceil(0.75, 2), Some(3));
        assert_eq!(scaled_ceil(3.0, -1), Some(2));
        assert_eq!(scaled_ceil(f32::MIN_POSITIVE / 4.0, 64), Some(1));
        assert_eq!(scaled_ceil(f32::MAX, -64), None);
        assert_eq!(scaled_ceil(2_147_483_520.0, 0), Some(2_147_483_520));
        assert_eq!(scaled_ceil(2_147_483_648.0, 0), None);
    }

    #[test]
    fn the_bound_is_met_exactly_and_not_exceeded() {
        // 3 (ceil(c) + 1) = 2^31 - 1 has no integer solution; 715827881 is the largest clip that fits.
        let at = |clip: u64| fits(clip, 3);
        assert!(at(715_827_881));
        assert!(!at(715_827_882));
    }

    #[test]
    fn unusable_layouts_are_named() {
        for clip in [0.0, -1.0, f32::NAN, f32::INFINITY] {
            assert!(matches!(layout(clip, 1).prove_no_overflow(3, 128), Err(LayoutError::Clip { .. })));
            assert!(largest_exponent("w", clip, 3).is_err());
        }
        assert_eq!(layout(1.0, 1).prove_no_overflow(3, 100), Err(LayoutError::WeightMax { found: 100 }));
        let empty = Layout { tensors: vec![] };
        assert_eq!(empty.prove_no_overflow(3, 128), Err(LayoutError::Empty));
        let long =
            Layout { tensors: vec![TensorSpec { name: "w".into(), len: 1 << 31, clip: 1.0, exponent: 20 }] };
        assert!(matches!(long.prove_no_overflow(3, 128), Err(LayoutError::Count { .. })));
    }

    #[test]
    fn the_digest_sees_every_field() {
        let base = layout(1.0, 20);
        let mut renamed = base.clone();
        renamed.tensors[0].name = "v".into();
        let mut longer = base.clone();
        longer.tensors[0].len = 5;
        for other in [layout(2.0, 20), layout(1.0, 21), renamed, longer] {
            assert_ne!(other.digest(), base.digest());
        }
    }
}
