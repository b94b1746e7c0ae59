//! Predictions at native size, their thresholds and scores.

use crate::toy;
use fovea_data::{Image, Mask};
use fovea_train::{
    Predicted, Predictor, TrainConfig, TrainError, choose_threshold, evaluate, evaluate_reduced, predict_all,
};
use std::sync::Arc;

fn predictor(config: &TrainConfig, steps: u32) -> Predictor {
    let mut trainer = toy::trainer(config);
    trainer.run_steps(steps, &mut ()).unwrap();
    let model = trainer.selected().unwrap();
    Predictor::new(trainer.unet().clone(), &model, config.preprocessing, config.flips, Arc::new(toy::cpu))
        .unwrap()
}

#[test]
fn a_trained_model_finds_the_strokes_of_new_images() {
    let config = TrainConfig { steps: 150, steps_per_epoch: 50, ..toy::config() };
    let mut predictor = predictor(&config, 150);
    let samples = toy::samples(6);
    let training = predict_all(&mut predictor, &samples[..3]).unwrap();
    let best = choose_threshold(&training).unwrap().unwrap();
    let unseen = predict_all(&mut predictor, &samples[3..]).unwrap();
    for (p, sample) in unseen.iter().zip(&samples[3..]) {
        assert_eq!((p.probabilities.height, p.probabilities.width), toy::SIDES);
        let outside = p.probabilities.data.iter().zip(&sample.field.data).filter(|(_, f)| **f == 0);
        assert!(outside.into_iter().all(|(v, _)| *v == 0.0));
    }
    for scores in evaluate(&unseen, best.threshold).unwrap() {
        assert!(scores.dice.unwrap() > 0.8, "{scores:?}");
    }
    for scores in evaluate_reduced(&unseen, best.threshold, (15, 17)).unwrap() {
        assert!(scores.iou.unwrap() > 0.5, "{scores:?}");
    }
}

#[test]
fn averaged_mirror_images_make_predictions_mirror_symmetric() {
    let mut config = toy::config();
    // Native scale, and sides that are no multiples of the network's, so that padding is exercised.
    config.preprocessing.scale = fovea_unet::Scale::Native;
    let mut predictor = predictor(&config, 2);
    let (height, width) = (21, 27);
    let data: Vec<f32> = (0..3 * height * width).map(|i| (i * 7919 % 101) as f32 / 101.0).collect();
    let mirrored = (0..3 * height * width).map(|i| data[i / width * width + width - 1 - i % width]).collect();
    let field = Mask::filled(height, width, true).unwrap();
    let image = Image::new(height, width, data).unwrap();
    let straight = predictor.predict(&image, Some(&field)).unwrap().probabilities.data;
    let mirrored = Image::new(height, width, mirrored).unwrap();
    let flipped = predictor.predict(&mirrored, Some(&field)).unwrap().probabilities.data;
    for (i, p) in straight.iter().enumerate() {
        let q = flipped[i / width * width + width - 1 - i % width];
        assert!((p - q).abs() < 1e-5, "{i}: {p} {q}");
    }
}

#[test]
fn perfect_predictions_score_one() {
    let samples = toy::samples(2);
    let perfect: Vec<Predicted> =
        samples.iter().map(|s| Predicted { sample: s, probabilities: s.label.to_plane() }).collect();
    let scores = evaluate(&perfect, 0.5).unwrap();
    assert!(scores.iter().all(|s| s.dice == Some(1.0) && s.roc_auc == Some(1.0)));
    assert_eq!(choose_threshold(&perfect).unwrap().unwrap().dice, 1.0);
    assert_eq!(choose_threshold(&[]).unwrap(), None);
}

#[test]
fn a_missing_field_is_found_or_refused() {
    let mut predictor = predictor(&toy::config(), 0);
    let sample = &toy::samples(1)[0];
    let found = predictor.predict(&sample.image, None).unwrap();
    let agree = found.field.data.iter().zip(&sample.field.data).filter(|(a, b)| a == b).count();
    assert!(agree as f64 > 0.97 * sample.field.data.len() as f64, "{agree}");
    let dark = Image::new(8, 8, vec![0.0; 192]).unwrap();
    assert!(matches!(predictor.predict(&dark, None), Err(TrainError::NoField)));
    let other = Mask::filled(5, 5, true).unwrap();
    assert!(predictor.predict(&sample.image, Some(&other)).is_err());
}

#[test]
fn a_model_that_asks_for_a_huge_scale_is_refused() {
    let mut config = toy::config();
    config.preprocessing.scale = fovea_unet::Scale::FieldDiameter { pixels: 5000 };
    let trainer = toy::trainer(&toy::config());
    let model = trainer.model().unwrap();
    let mut predictor =
        Predictor::new(trainer.unet().clone(), &model, config.preprocessing, false, Arc::new(toy::cpu))
            .unwrap();
    let found = predictor.predict(&toy::samples(1)[0].image, None);
    assert!(matches!(found, Err(TrainError::WorkingSize { .. })));
}
