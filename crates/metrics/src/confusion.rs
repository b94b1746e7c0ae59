//! Counts of a binary prediction against its label, and the ratios made of them.

use crate::{Mask, Pixels};
use serde::{Deserialize, Serialize};

/// Counts inside the field of view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Confusion {
    /// Vessel, predicted vessel.
    pub true_positives: u64,
    /// Background, predicted vessel.
    pub false_positives: u64,
    /// Vessel, predicted background.
    pub false_negatives: u64,
    /// Background, predicted background.
    pub true_negatives: u64,
}

impl Confusion {
    /// Counts of `probability >= threshold`.
    #[must_use]
    pub fn at(pixels: &Pixels, threshold: f32) -> Self {
        count(pixels.inside().map(|(p, label)| (p >= threshold, label)))
    }

    /// Counts of a binary prediction.
    #[must_use]
    pub fn of(mask: &Mask) -> Self {
        count(mask.inside())
    }

    /// Counts over several images together.
    #[must_use]
    pub fn pooled(images: &[Confusion]) -> Self {
        images.iter().fold(Confusion::default(), |a, b| Confusion {
            true_positives: a.true_positives + b.true_positives,
            false_positives: a.false_positives + b.false_positives,
            false_negatives: a.false_negatives + b.false_negatives,
            true_negatives: a.true_negatives + b.true_negatives,
        })
    }

    /// Dice (F1) `2 TP / (2 TP + FP + FN)`; `None` when nothing is vessel and nothing was predicted.
    #[must_use]
    pub fn dice(&self) -> Option<f64> {
        ratio(2 * self.true_positives, 2 * self.true_positives + self.false_positives + self.false_negatives)
    }

    /// Intersection over union `TP / (TP + FP + FN)`; `None` as for Dice.
    #[must_use]
    pub fn iou(&self) -> Option<f64> {
        ratio(self.true_positives, self.true_positives + self.false_positives + self.false_negatives)
    }

    /// Sensitivity (recall) `TP / (TP + FN)`; `None` when nothing is vessel.
    #[must_use]
    pub fn sensitivity(&self) -> Option<f64> {
        ratio(self.true_positives, self.true_positives + self.false_negatives)
    }

    /// Specificity `TN / (TN + FP)`; `None` when nothing is background.
    #[must_use]
    pub fn specificity(&self) -> Option<f64> {
        ratio(self.true_negatives, self.true_negatives + self.false_positives)
    }

    /// Precision `TP / (TP + FP)`; `None` when nothing was predicted.
    #[must_use]
    pub fn precision(&self) -> Option<f64> {
        ratio(self.true_positives, self.true_positives + self.false_positives)
    }

    /// Share of pixels predicted right; `None` when the field is empty.
    #[must_use]
    pub fn accuracy(&self) -> Option<f64> {
        let right = self.true_positives + self.true_negatives;
        ratio(right, right + self.false_positives + self.false_negatives)
    }

    /// Matthews correlation coefficient (Matthews 1975) in `[-1, 1]`; `None` when labels or predictions are all alike.
    #[must_use]
    pub fn mcc(&self) -> Option<f64> {
        let [tp, fp, fnn, tn] =
            [self.true_positives, self.false_positives, self.false_negatives, self.true_negatives]
                .map(|v| v as f64);
        let denominator = ((tp + fp) * (tp + fnn) * (tn + fp) * (tn + fnn)).sqrt();
        (denominator > 0.0).then(|| (tp * tn - fp * fnn) / denominator)
    }
}

/// The formula behind the originally published figures, kept only to stand beside them: the IoU of the whole batch
/// (all pixels of all images pooled) divided once more by the number of images, so that a perfect prediction of
/// `n` images scores `1 / n` (0.125 for eight). It is not an IoU; use [`Confusion::iou`] per image.
///
/// `None` for no images or an undefined batch IoU.
#[must_use]
pub fn batch_iou_divided_by_images(images: &[Confusion]) -> Option<f64> {
    Confusion::pooled(images).iou().map(|iou| iou / images.len() as f64)
}

fn count(pairs: impl Iterator<Item = (bool, bool)>) -> Confusion {
    let mut cells = [0u64; 4];
    for (predicted, label) in pairs {
        cells[usize::from(predicted) * 2 + usize::from(label)] += 1;
    }
    let [true_negatives, false_negatives, false_positives, true_positives] = cells;
    Confusion { true_positives, false_positives, false_negatives, true_negatives }
}

fn ratio(numerator: u64, denominator: u64) -> Option<f64> {
    (denominator > 0).then(|| numerator as f64 / denominator as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn undefined_cases_are_none() {
        let none = Confusion::default();
        assert_eq!((none.dice(), none.accuracy(), none.mcc()), (None, None, None));
        let background = Confusion { true_negatives: 9, ..none };
        assert_eq!((background.dice(), background.iou(), background.sensitivity()), (None, None, None));
        assert_eq!(
            (background.specificity(), background.accuracy(), background.mcc()),
            (Some(1.0), Some(1.0), None)
        );
        let missed = Confusion { true_negatives: 9, false_negatives: 1, ..none };
        assert_eq!((missed.dice(), missed.precision(), missed.mcc()), (Some(0.0), None, None));
        assert_eq!(batch_iou_divided_by_images(&[]), None);
    }

    #[test]
    fn a_perfect_batch_of_eight_scores_an_eighth() {
        let perfect = Confusion { true_positives: 5, true_negatives: 50, ..Confusion::default() };
        assert_eq!(batch_iou_divided_by_images(&[perfect; 8]), Some(0.125));
        assert_eq!((perfect.dice(), perfect.iou(), perfect.mcc()), (Some(1.0), Some(1.0), Some(1.0)));
    }

    proptest! {
        #[test]
        fn identities(tp in 0u64..1000, fp in 0u64..1000, f in 0u64..1000, tn in 0u64..1000) {
            let c = Confusion { true_positives: tp, false_positives: fp, false_negatives: f, true_negatives: tn };
            if let (Some(d), Some(j)) = (c.dice(), c.iou()) {
                prop_assert!((j - d / (2.0 - d)).abs() < 1e-12);
            }
            if let Some(mcc) = c.mcc() {
                prop_assert!((-1.0 - 1e-12..=1.0 + 1e-12).contains(&mcc));
                let flipped = Confusion { true_positives: f, false_negatives: tp, true_negatives: fp, false_positives: tn };
                prop_assert!((mcc + flipped.mcc().unwrap()).abs() < 1e-12);
            }
            let values = [c.dice(), c.iou(), c.sensitivity(), c.specificity(), c.precision(), c.accuracy()];
            prop_assert!(values.into_iter().flatten().all(|v| (0.0..=1.0).contains(&v)));
        }
    }
}
