//! Clips that follow the updates.
//!
//! The next clip of a tensor is the power of two above 8 times the root mean square of the last average
//! update. Clips are public: they depend on published averages alone. Two guards keep clipping from hurting
//! training unseen: a clip at most halves from one round to the next (the average of a small tensor can pass
//! through zero while the sites' updates do not), and every round reports how many coordinates were clipped.

use serde::{Deserialize, Serialize};

use crate::job::Parameter;

/// How clips change from round to round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClipRule {
    /// They stay as in the first round.
    Fixed,
    /// They follow the last average update.
    FollowUpdate,
}

/// Clips never leave this range.
const CLIP_RANGE: (f64, f64) = (1.0 / (1 << 24) as f64, (1 << 20) as f64);

impl ClipRule {
    /// Clips of the next round, from those of this round and its average update.
    pub fn next(self, parameters: &[Parameter], clips: &[f32], update: &[f32]) -> Vec<f32> {
        match self {
            Self::Fixed => clips.to_vec(),
            Self::FollowUpdate => {
                let mut rest = update;
                parameters
                    .iter()
                    .zip(clips)
                    .map(|(parameter, &clip)| {
                        let (tensor, tail) = rest.split_at(parameter.len);
                        rest = tail;
                        next_clip(clip, tensor)
                    })
                    .collect()
            }
        }
    }
}

fn next_clip(clip: f32, update: &[f32]) -> f32 {
    let squares: f64 = update.iter().map(|&d| f64::from(d) * f64::from(d)).sum();
    let rms = (squares / update.len().max(1) as f64).sqrt();
    let wanted = power_of_two_above((8.0 * rms).clamp(CLIP_RANGE.0, CLIP_RANGE.1));
    wanted.max(f64::from(clip) / 2.0) as f32
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

    #[test]
    fn a_clip_at_most_halves_and_never_vanishes() {
        assert_eq!(next_clip(1.0, &[0.0; 4]), 0.5);
        assert_eq!(next_clip(1.0, &[]), 0.5);
        let mut clip = 1.0;
        (0..100).for_each(|_| clip = next_clip(clip, &[0.0]));
        assert_eq!(f64::from(clip), CLIP_RANGE.0);
        assert_eq!(f64::from(next_clip(1.0, &[1e30])), CLIP_RANGE.1);
    }

    #[test]
    fn each_tensor_has_its_own_clip() {
        let parameter = |len| Parameter { name: "w".into(), len, first_clip: 1.0 };
        let parameters = [parameter(1), parameter(2)];
        let update = [1.0, 0.125, 0.125];
        assert_eq!(ClipRule::FollowUpdate.next(&parameters, &[0.1, 0.1], &update), [8.0, 1.0]);
        assert_eq!(ClipRule::Fixed.next(&parameters, &[0.1, 0.2], &update), [0.1, 0.2]);
    }
}
