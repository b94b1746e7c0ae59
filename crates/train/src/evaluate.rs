//! Predictions of labelled images, the threshold, and the scores at it.

use crate::{Predictor, TrainError};
use fovea_data::{Filter, Plane, Sample, resize, resize_mask};
use fovea_metrics::{BestThreshold, DiceObjective, ImageScores, Pixels, ThresholdSearch};

/// A labelled image and the probabilities predicted for it, both at native size. Predicting is slow and every
/// evaluation below needs the same probabilities, so they are made once.
#[derive(Debug, Clone)]
pub struct Predicted<'a> {
    /// The image.
    pub sample: &'a Sample,
    /// The probabilities.
    pub probabilities: Plane,
}

/// Predicts samples, in their order, in their own fields of view.
///
/// # Errors
/// As [`Predictor::predict`].
pub fn predict_all<'a>(
    predictor: &mut Predictor,
    samples: &'a [Sample],
) -> Result<Vec<Predicted<'a>>, TrainError> {
    let mut predict = |sample: &'a Sample| {
        let prediction = predictor.predict(&sample.image, Some(&sample.field))?;
        Ok(Predicted { sample, probabilities: prediction.probabilities })
    };
    samples.iter().map(&mut predict).collect()
}

/// The threshold with the highest mean Dice. Hand in training or validation images only: chosen on test images, it
/// would make the test score a training score.
///
/// # Errors
/// When a prediction does not fit its image.
pub fn choose_threshold(training: &[Predicted]) -> Result<Option<BestThreshold>, TrainError> {
    let mut search = ThresholdSearch::new();
    for predicted in training {
        let (sample, plane) = (predicted.sample, &predicted.probabilities);
        search.add(&Pixels::new(
            [plane.height, plane.width],
            &plane.data,
            &sample.label.data,
            &sample.field.data,
        )?);
    }
    Ok(search.best(DiceObjective::MeanOfImages))
}

/// Scores at native size inside the field of view, in the images' order.
///
/// # Errors
/// When a prediction does not fit its image.
pub fn evaluate(predicted: &[Predicted], threshold: f32) -> Result<Vec<ImageScores>, TrainError> {
    let score = |p: &Predicted| {
        let (sample, plane) = (p.sample, &p.probabilities);
        let extent = [plane.height, plane.width];
        let pixels = Pixels::new(extent, &plane.data, &sample.label.data, &sample.field.data)?;
        Ok(ImageScores::of(&pixels, threshold))
    };
    predicted.iter().map(score).collect()
}

/// Scores at a reduced size `(height, width)`, such as the 224x224 of the published experiment: probabilities are averaged over
/// areas; label and field are set where at least half of the area is.
///
/// # Errors
/// When a prediction does not fit its image.
pub fn evaluate_reduced(
    predicted: &[Predicted],
    threshold: f32,
    size: (usize, usize),
) -> Result<Vec<ImageScores>, TrainError> {
    let score = |p: &Predicted| {
        let (sample, plane) = (p.sample, &p.probabilities);
        let from = (plane.height, plane.width);
        let mut probabilities = resize(&plane.data, 1, from, size, Filter::Area);
        // The filter's weights add up to 1 only to within rounding.
        probabilities.iter_mut().for_each(|v| *v = v.clamp(0.0, 1.0));
        let label = resize_mask(&sample.label.data, from, size, Filter::Area);
        let field = resize_mask(&sample.field.data, from, size, Filter::Area);
        let pixels = Pixels::new([size.0, size.1], &probabilities, &label, &field)?;
        Ok(ImageScores::of(&pixels, threshold))
    };
    predicted.iter().map(score).collect()
}
