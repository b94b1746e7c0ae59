//! Scores of a trained model on every test set of the cohort, at a threshold from its own training images.

use super::cohort::{Cohort, Hospital};
use super::trained::network;
use crate::common;
use anyhow::{Context, Result};
use fovea_data::Sample;
use fovea_metrics::{ImageScores, Mask, Pixels, Ranking};
use fovea_report::{ImageRow, ModelCurves, SetScores};
use fovea_train::{
    Predicted, Predictor, TrainConfig, choose_threshold, evaluate, evaluate_reduced, predict_all,
};

/// Key of the set of all hospitals' test images.
pub const TEST: &str = "test";
/// Key of the same images reduced to the published experiment's size.
pub const REDUCED: &str = "test-224";
/// That size, pixels.
const REDUCED_SIZE: (usize, usize) = (224, 224);
/// Points of a curve on the page.
const CURVE_POINTS: usize = 200;

/// What a model scored.
pub struct Judged {
    /// Chosen on the model's training images.
    pub threshold: f32,
    /// Scores on each set.
    pub sets: Vec<SetScores>,
    /// Curves on the first set.
    pub curves: ModelCurves,
    /// Predictions for the first set's images, `(H, W)`.
    pub masks: Vec<Vec<u8>>,
}

/// Scores a model; `seen` are the hospitals on whose training images it was trained.
pub fn judge(
    key: &str,
    model: &[f32],
    config: &TrainConfig,
    seen: &[&Hospital],
    cohort: &Cohort,
) -> Result<Judged> {
    let mut predictor = predictor(model, config)?;
    let threshold = threshold(&mut predictor, seen)?;
    let mut all: Vec<Predicted> = Vec::new();
    let mut sets = Vec::new();
    for hospital in &cohort.hospitals {
        let predicted = predict_all(&mut predictor, &hospital.test)?;
        sets.push(set(&hospital_set(hospital), &predicted, evaluate(&predicted, threshold)?));
        all.extend(predicted);
    }
    sets.insert(0, set(TEST, &all, evaluate(&all, threshold)?));
    sets.insert(1, set(REDUCED, &all, evaluate_reduced(&all, threshold, REDUCED_SIZE)?));
    for unseen in &cohort.unseen {
        let predicted = predict_all(&mut predictor, &unseen.samples)?;
        sets.push(set(&unseen.key, &predicted, evaluate(&predicted, threshold)?));
    }
    let pixels = all.iter().map(pixels).collect::<Result<Vec<_>>>()?;
    let ranking = Ranking::new(&pixels);
    let curves = ModelCurves {
        model: key.to_owned(),
        roc: ranking.roc_curve(CURVE_POINTS),
        pr: ranking.pr_curve(CURVE_POINTS),
    };
    let masks = all.iter().map(|p| p.probabilities.threshold(threshold).data).collect();
    Ok(Judged { threshold, sets, curves, masks })
}

/// Scores of one fold's model on that fold's test images.
pub fn judge_fold(
    model: &[f32],
    config: &TrainConfig,
    seen: &[&Hospital],
    tested: &Hospital,
) -> Result<Vec<ImageRow>> {
    let mut predictor = predictor(model, config)?;
    let threshold = threshold(&mut predictor, seen)?;
    let predicted = predict_all(&mut predictor, &tested.test)?;
    Ok(rows(&predicted, evaluate(&predicted, threshold)?))
}

/// The second observer's drawings scored like a model, on the images that have one.
pub fn observer(key: &str, samples: &[&Sample]) -> Result<Option<SetScores>> {
    let mut images = Vec::new();
    for sample in samples {
        let Some(second) = &sample.second_label else { continue };
        let extent = [second.height, second.width];
        let mask = Mask::new(extent, &second.data, &sample.label.data, &sample.field.data)?;
        images.push(ImageRow { image: sample.name.clone(), scores: ImageScores::of_mask(&mask) });
    }
    Ok((!images.is_empty()).then(|| SetScores::new(key, images)))
}

/// Key of one hospital's own test images.
pub fn hospital_set(hospital: &Hospital) -> String {
    format!("test-{}", hospital.key)
}

fn predictor(model: &[f32], config: &TrainConfig) -> Result<Predictor> {
    let unet = network(config)?;
    Ok(Predictor::new(unet, model, config.preprocessing, config.flips, common::device::make_executor())?)
}

fn threshold(predictor: &mut Predictor, seen: &[&Hospital]) -> Result<f32> {
    let mut training = Vec::new();
    for hospital in seen {
        training.extend(predict_all(predictor, &hospital.train)?);
    }
    let best =
        choose_threshold(&training)?.context("no training image has a vessel to choose a threshold by")?;
    Ok(best.threshold)
}

fn pixels<'a>(p: &'a Predicted) -> Result<Pixels<'a>> {
    let extent = [p.probabilities.height, p.probabilities.width];
    Ok(Pixels::new(extent, &p.probabilities.data, &p.sample.label.data, &p.sample.field.data)?)
}

fn rows(predicted: &[Predicted], scores: Vec<ImageScores>) -> Vec<ImageRow> {
    predicted
        .iter()
        .zip(scores)
        .map(|(p, scores)| ImageRow { image: p.sample.name.clone(), scores })
        .collect()
}

fn set(key: &str, predicted: &[Predicted], scores: Vec<ImageScores>) -> SetScores {
    SetScores::new(key, rows(predicted, scores))
}
