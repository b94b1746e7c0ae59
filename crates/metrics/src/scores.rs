//! All metrics of one image.

use crate::{Calibration, Confusion, Mask, Pixels, Ranking, cl_dice};
use serde::{Deserialize, Serialize};

/// The metrics of one image inside its field of view; an undefined one is `None` (`null` in JSON).
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct ImageScores {
    /// The counts behind the ratios.
    pub counts: Confusion,
    /// See [`Confusion::dice`].
    pub dice: Option<f64>,
    /// See [`Confusion::iou`].
    pub iou: Option<f64>,
    /// See [`Confusion::sensitivity`].
    pub sensitivity: Option<f64>,
    /// See [`Confusion::specificity`].
    pub specificity: Option<f64>,
    /// See [`Confusion::accuracy`].
    pub accuracy: Option<f64>,
    /// See [`Confusion::mcc`].
    pub mcc: Option<f64>,
    /// See [`Ranking::roc_auc`]; `None` for a binary prediction.
    pub roc_auc: Option<f64>,
    /// See [`Ranking::average_precision`]; `None` for a binary prediction.
    pub average_precision: Option<f64>,
    /// See [`cl_dice`].
    pub cl_dice: Option<f64>,
    /// See [`Calibration::error`]; `None` for a binary prediction.
    pub calibration_error: Option<f64>,
}

/// A column of [`ImageScores`].
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// The field's name, as in JSON and CSV.
    pub key: &'static str,
    /// For people.
    pub title: &'static str,
    /// Whether a larger value is better.
    pub higher_is_better: bool,
    /// Reads the value.
    pub of: fn(&ImageScores) -> Option<f64>,
}

/// Every metric, in the order in which tables show them.
pub const METRICS: [Metric; 10] = [
    metric("dice", "Dice", |s| s.dice),
    metric("iou", "IoU", |s| s.iou),
    metric("roc_auc", "ROC AUC", |s| s.roc_auc),
    metric("average_precision", "Average precision", |s| s.average_precision),
    metric("cl_dice", "clDice", |s| s.cl_dice),
    metric("mcc", "MCC", |s| s.mcc),
    metric("sensitivity", "Sensitivity", |s| s.sensitivity),
    metric("specificity", "Specificity", |s| s.specificity),
    metric("accuracy", "Accuracy", |s| s.accuracy),
    Metric {
        higher_is_better: false,
        ..metric("calibration_error", "Calibration error", |s| s.calibration_error)
    },
];

impl ImageScores {
    /// Scores probabilities at a threshold.
    #[must_use]
    pub fn of(pixels: &Pixels, threshold: f32) -> Self {
        let ranking = Ranking::new(std::slice::from_ref(pixels));
        let mut calibration = Calibration::default();
        calibration.add(pixels);
        let prediction = pixels.at(threshold);
        let binary = pixels.with_prediction(&prediction).map(|mask| ImageScores::of_mask(&mask));
        ImageScores {
            roc_auc: ranking.roc_auc(),
            average_precision: ranking.average_precision(),
            calibration_error: calibration.error(),
            ..binary.unwrap_or_default()
        }
    }

    /// Scores a binary prediction, such as a second observer's drawing.
    #[must_use]
    pub fn of_mask(mask: &Mask) -> Self {
        let counts = Confusion::of(mask);
        ImageScores {
            counts,
            dice: counts.dice(),
            iou: counts.iou(),
            sensitivity: counts.sensitivity(),
            specificity: counts.specificity(),
            accuracy: counts.accuracy(),
            mcc: counts.mcc(),
            cl_dice: cl_dice(mask),
            ..ImageScores::default()
        }
    }
}

const fn metric(key: &'static str, title: &'static str, of: fn(&ImageScores) -> Option<f64>) -> Metric {
    Metric { key, title, higher_is_better: true, of }
}
