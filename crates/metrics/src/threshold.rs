//! The threshold that gives the best Dice over a set of training images.

use crate::Pixels;
use serde::{Deserialize, Serialize};

/// Histogram levels of probability; candidates are `k / 256` for `k` in `1..256`.
pub const DICE_LEVELS: usize = 256;

/// What to maximise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiceObjective {
    /// Mean of the images' Dice (images without a defined Dice left out).
    MeanOfImages,
    /// Dice of all pixels of all images together.
    Pooled,
}

/// A chosen threshold.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BestThreshold {
    /// Positive is `probability >= threshold`.
    pub threshold: f32,
    /// The objective reached with it.
    pub dice: f64,
}

/// Collects one histogram per image. Feed it training or validation images only: a threshold chosen on test images
/// makes the test score a training score.
#[derive(Debug, Clone, Default)]
pub struct ThresholdSearch {
    /// Per image, level and class (background, vessel): pixels at or above the level.
    images: Vec<Vec<[u64; 2]>>,
}

impl ThresholdSearch {
    /// A search without images.
    #[must_use]
    pub fn new() -> Self {
        ThresholdSearch::default()
    }

    /// Adds an image.
    pub fn add(&mut self, pixels: &Pixels) {
        let mut levels = vec![[0u64; 2]; DICE_LEVELS];
        for (p, label) in pixels.inside() {
            // Scaling by a power of two is exact, so level >= k means p >= k / 256 to the bit.
            let level = ((p * DICE_LEVELS as f32) as usize).min(DICE_LEVELS - 1);
            levels[level][usize::from(label)] += 1;
        }
        for k in (0..DICE_LEVELS - 1).rev() {
            levels[k] = [levels[k][0] + levels[k + 1][0], levels[k][1] + levels[k + 1][1]];
        }
        self.images.push(levels);
    }

    /// The best threshold; among equals the one nearest 0.5, then the lower. `None` when no candidate has a defined
    /// Dice (no images, or no vessels and no predictions).
    #[must_use]
    pub fn best(&self, objective: DiceObjective) -> Option<BestThreshold> {
        let scored = (1..DICE_LEVELS).filter_map(|k| Some((k, self.dice_at(k, objective)?)));
        let better = |a: (usize, f64), b: (usize, f64)| {
            let off = |k: usize| k.abs_diff(DICE_LEVELS / 2);
            if b.1 > a.1 || (b.1 == a.1 && off(b.0) < off(a.0)) { b } else { a }
        };
        scored
            .reduce(better)
            .map(|(k, dice)| BestThreshold { threshold: k as f32 / DICE_LEVELS as f32, dice })
    }

    fn dice_at(&self, k: usize, objective: DiceObjective) -> Option<f64> {
        let counts =
            self.images.iter().map(|levels| (levels[k][1], levels[k][0] + levels[k][1] + levels[0][1]));
        let dice = |(hits, sizes): (u64, u64)| (sizes > 0).then(|| 2.0 * hits as f64 / sizes as f64);
        match objective {
            DiceObjective::Pooled => dice(counts.fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1))),
            DiceObjective::MeanOfImages => {
                let (mut sum, mut n) = (0.0, 0u32);
                for d in counts.filter_map(dice) {
                    sum += d;
                    n += 1;
                }
                (n > 0).then(|| sum / f64::from(n))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Confusion;
    use proptest::prelude::*;

    #[test]
    fn nothing_to_choose_from() {
        let mut search = ThresholdSearch::new();
        assert_eq!(search.best(DiceObjective::Pooled), None);
        search.add(&Pixels::new([1, 2], &[0.0, 0.0], &[0, 0], &[1, 1]).unwrap());
        assert_eq!(search.best(DiceObjective::MeanOfImages), None);
    }

    #[test]
    fn a_separable_image_takes_the_candidate_nearest_one_half() {
        let mut search = ThresholdSearch::new();
        search.add(&Pixels::new([1, 3], &[0.1, 0.2, 1.0], &[0, 0, 1], &[1; 3]).unwrap());
        assert_eq!(search.best(DiceObjective::Pooled), Some(BestThreshold { threshold: 0.5, dice: 1.0 }));
    }

    proptest! {
        #[test]
        fn agrees_with_trying_every_candidate(
            images in prop::collection::vec(prop::collection::vec((0.0f32..=1.0, any::<bool>()), 1..40), 1..4),
        ) {
            let split: Vec<(Vec<f32>, Vec<u8>)> = images.iter()
                .map(|i| (i.iter().map(|v| v.0).collect(), i.iter().map(|v| u8::from(v.1)).collect())).collect();
            let ones = [1u8; 40];
            let pixels: Vec<Pixels> = split.iter()
                .map(|(p, l)| Pixels::new([1, p.len()], p, l, &ones[..p.len()]).unwrap()).collect();
            let mut search = ThresholdSearch::new();
            pixels.iter().for_each(|p| search.add(p));
            for objective in [DiceObjective::Pooled, DiceObjective::MeanOfImages] {
                let at = |t: f32| {
                    let counts: Vec<Confusion> = pixels.iter().map(|p| Confusion::at(p, t)).collect();
                    match objective {
                        DiceObjective::Pooled => Confusion::pooled(&counts).dice(),
                        DiceObjective::MeanOfImages => crate::summarise(counts.iter().map(Confusion::dice)).mean,
                    }
                };
                let best = (1..256u16).filter_map(|k| at(f32::from(k) / 256.0)).reduce(f64::max);
                let found = search.best(objective);
                prop_assert_eq!(found.is_some(), best.is_some());
                if let (Some(found), Some(best)) = (found, best) {
                    prop_assert!((found.dice - best).abs() < 1e-12);
                    prop_assert!((at(found.threshold).unwrap() - best).abs() < 1e-12);
                }
            }
        }
    }
}
