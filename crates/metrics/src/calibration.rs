//! Whether a probability of 0.7 means vessel seven times in ten.

use crate::Pixels;
use serde::{Deserialize, Serialize};

/// Number of equal bins over `[0, 1]`.
pub const CALIBRATION_BINS: usize = 15;

/// The pixels of one bin of predicted probability.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct CalibrationBin {
    /// Pixels in the bin.
    pub pixels: u64,
    /// Sum of their predicted probabilities.
    pub probability_sum: f64,
    /// How many of them are vessel.
    pub positives: u64,
}

/// Predicted probability against observed frequency, in [`CALIBRATION_BINS`] bins; images may be added up.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Calibration {
    /// Bin `k` holds `k / 15 <= p < (k + 1) / 15`; the last also holds 1.
    pub bins: [CalibrationBin; CALIBRATION_BINS],
}

impl Calibration {
    /// Adds the pixels inside an image's field.
    pub fn add(&mut self, pixels: &Pixels) {
        for (p, label) in pixels.inside() {
            let bin = &mut self.bins[((p * CALIBRATION_BINS as f32) as usize).min(CALIBRATION_BINS - 1)];
            bin.pixels += 1;
            bin.probability_sum += f64::from(p);
            bin.positives += u64::from(label);
        }
    }

    /// Expected calibration error (Naeini et al., AAAI 2015, in its form for a binary outcome): over 15 equal bins of
    /// predicted vessel probability, the mean over pixels of |mean prediction - observed share of vessel| of their
    /// bin. `None` when there are no pixels.
    #[must_use]
    pub fn error(&self) -> Option<f64> {
        let total: u64 = self.bins.iter().map(|b| b.pixels).sum();
        let gap: f64 = self.bins.iter().map(|b| (b.probability_sum - b.positives as f64).abs()).sum();
        (total > 0).then(|| gap / total as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_is_the_weighted_gap() {
        let mut c = Calibration::default();
        assert_eq!(c.error(), None);
        // Bin 14: three at 1.0, two of them vessel (gap 1); bin 0: one at 0.0, vessel (gap 1); outside the field: ignored.
        let p = [1.0, 1.0, 1.0, 0.0, 0.5];
        c.add(&Pixels::new([1, 5], &p, &[1, 1, 0, 1, 1], &[1, 1, 1, 1, 0]).unwrap());
        assert_eq!(c.error(), Some(0.5));
        assert_eq!((c.bins[14].pixels, c.bins[0].pixels), (3, 1));
    }

    #[test]
    fn calibrated_predictions_have_no_error() {
        let mut c = Calibration::default();
        c.add(&Pixels::new([1, 4], &[0.25; 4], &[1, 0, 0, 0], &[1; 4]).unwrap());
        assert_eq!(c.error(), Some(0.0));
    }
}
