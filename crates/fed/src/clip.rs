//! Clips that follow the updates.
//!
//! The next clip of a tensor is the power of two above 8 times the root mean square of the last average update.
//! Clips are public: they depend on published averages and counts alone. Three guards keep clipping from
//! hurting training unseen: a clip at most halves from one round to the next (the average of a small tensor can
//! pass through zero while the sites' updates do not); it at least doubles after a round in which more than
//! [`CLIPPED_FRACTION_MAX`] of all coordinates were clipped (updates with heavy tails); and every round reports
//! how many were. Wide clips cost little: 29 bits below the clip are finer than what a float32 weight resolves.

use fovea_secagg::encode::Average;
use serde::{Deserialize, Serialize};

use crate::job::Parameter;

/// How clips change from round to round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClipRule {
    /// They stay as in the first round.
    Fixed,
    /// They follow the last average update and the share of clipped coordinates.
    FollowUpdate,
}

/// Above this fraction of clipped coordinates all clips at least double.
pub const CLIPPED_FRACTION_MAX: f64 = 1e-4;

/// Clips never leave this range.
const CLIP_RANGE: (f64, f64) = (1.0 / (1 << 24) as f64, (1 << 20) as f64);

impl ClipRule {
    /// Clips of the next round, from those of this round and its average.
    pub fn next(self, parameters: &[Parameter], clips: &[f32], average: &Average) -> Vec<f32> {
        match self {
            Self::Fixed => clips.to_vec(),
            Self::FollowUpdate => {
                let least = if average.clipped_fraction() > CLIPPED_FRACTION_MAX { 2.0 } else { 0.5 };
                let mut rest = average.update.as_slice();
                parameters
                    .iter()
                    .zip(clips)
                    .map(|(parameter, &clip)| {
                        let (tensor, tail) = rest.split_at(parameter.len);
                        rest = tail;
                        next_clip(f64::from(clip) * least, tensor)
                    })
                    .collect()
            }
        }
    }
}

/// The power of two above 8 rms of `update`, but not below `least`.
fn next_clip(least: f64, update: &[f32]) -> f32 {
    let squares: f64 = update.iter().map(|&d| f64::from(d) * f64::from(d)).sum();
    let rms = (squares / update.len().max(1) as f64).sqrt();
    let wanted = power_of_two_above((8.0 * rms).clamp(CLIP_RANGE.0, CLIP_RANGE.1));
    wanted.max(least.min(CLIP_RANGE.1)) as f32
}

/// The least power of two that is not below a positive normal `value`.
fn power_of_two_above(value: f64) -> f64 {
    let power = f64::from_bits(value.to_bits() & !((1 << 52) - 1));
    if power < value { 2.0 * power } else { power }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clip_is_the_power_of_two_above_eight_rms() {
        assert_eq!(next_clip(0.01, &[0.25, -0.25]), 2.0);
        assert_eq!(next_clip(0.01, &[0.26, -0.26]), 4.0);
    }

    fn average(update: &[f32], clipped: u32) -> Average {
        Average { update: update.to_vec(), sites: 2, samples: 2, clipped }
    }

    fn next(clips: &[f32], lens: &[usize], average: &Average) -> Vec<f32> {
        let parameter = |&len: &usize| Parameter { name: "w".into(), len, first_clip: 1.0 };
        let parameters: Vec<Parameter> = lens.iter().map(parameter).collect();
        ClipRule::FollowUpdate.next(&parameters, clips, average)
    }

    #[test]
    fn a_clip_at_most_halves_and_never_vanishes() {
        assert_eq!(next(&[1.0, 1.0], &[4, 0], &average(&[0.0; 4], 0)), [0.5, 0.5]);
        let mut clips = vec![1.0];
        (0..100).for_each(|_| clips = next(&clips, &[1], &average(&[0.0], 0)));
        assert_eq!(f64::from(clips[0]), CLIP_RANGE.0);
        assert_eq!(f64::from(next(&[1.0], &[1], &average(&[1e30], 0))[0]), CLIP_RANGE.1);
    }

    #[test]
    fn clips_double_when_too_much_was_clipped() {
        // 2 sites x 10,000 coordinates: two clipped are the allowed fraction, three are above.
        let update = [1e-3; 10_000];
        assert_eq!(next(&[1.0], &[10_000], &average(&update, 2)), [0.5]);
        assert_eq!(next(&[1.0], &[10_000], &average(&update, 3)), [2.0]);
        assert_eq!(f64::from(next(&[1e6], &[10_000], &average(&update, 3))[0]), CLIP_RANGE.1);
    }

    #[test]
    fn each_tensor_has_its_own_clip() {
        let average = average(&[1.0, 0.125, 0.125], 0);
        assert_eq!(next(&[0.1, 0.1], &[1, 2], &average), [8.0, 1.0]);
        let parameters = [Parameter { name: "w".into(), len: 3, first_clip: 1.0 }];
        assert_eq!(ClipRule::Fixed.next(&parameters, &[0.1], &average), [0.1]);
    }
}
