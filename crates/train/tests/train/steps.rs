//! What single steps do: learning, averaging, anchors, refusals, stopping.

use crate::toy;
use fovea_graph::reference::ReferenceExecutor;
use fovea_graph::{ExecuteError, Executor};
use fovea_train::{
    InputMode, Optimiser, RunEnd, RunRecord, Schedule, Selection, StepReport, TrainConfig, TrainError,
    Trainer,
};
use fovea_unet::{Norm, Scale, UNetConfig};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[test]
fn the_loss_falls_for_every_optimiser_and_norm() {
    let adam = Schedule::Constant { rate: 1e-2 };
    let sgd = Optimiser::Sgd { momentum: 0.9, weight_decay: 0.0 };
    let runs = [
        (Optimiser::adam(), adam, Norm::None),
        (toy::config().optimiser, adam, Norm::Batch { momentum: 0.1 }),
        (sgd, Schedule::Constant { rate: 0.05 }, Norm::Group { groups: 2 }),
    ];
    for (optimiser, schedule, norm) in runs {
        let model = UNetConfig { norm, ..toy::config().model };
        let config =
            TrainConfig { steps: 60, steps_per_epoch: 10, optimiser, schedule, model, ..toy::config() };
        let mut trainer = toy::trainer(&config);
        trainer.run_steps(60, &mut ()).unwrap();
        let losses = trainer.epoch_losses();
        assert!(losses[5] < 0.7 * losses[0], "{optimiser:?} {norm:?}: {losses:?}");
    }
}

#[test]
fn the_fast_executor_follows_the_reference() {
    let config = toy::config();
    let reference =
        |graph| -> Result<Box<dyn Executor>, ExecuteError> { Ok(Box::new(ReferenceExecutor::new(graph))) };
    let mut slow = Trainer::new(config.clone(), toy::prepared(&config, 3), &reference).unwrap();
    let mut fast = toy::trainer(&config);
    slow.run_steps(3, &mut ()).unwrap();
    fast.run_steps(3, &mut ()).unwrap();
    for (a, b) in slow.losses().iter().zip(fast.losses()) {
        assert!((a - b).abs() < 1e-4, "{a} {b}");
    }
}

#[test]
fn whole_stretched_images_train_without_crops() {
    let mut config = TrainConfig { input: InputMode::Whole, ..toy::config() };
    config.preprocessing.scale = Scale::Stretch { height: 16, width: 24 };
    config.augmentation = fovea_data::Augmentation::none();
    let mut trainer = toy::trainer(&config);
    assert_eq!(trainer.run_steps(2, &mut ()).unwrap().steps, 2);
}

#[test]
fn the_average_follows_its_rule() {
    let mut trainer = toy::trainer(&toy::config());
    let start = trainer.model().unwrap();
    assert_eq!(trainer.average().unwrap().unwrap(), start);
    trainer.run_steps(1, &mut ()).unwrap();
    let (after, average) = (trainer.model().unwrap(), trainer.average().unwrap().unwrap());
    assert_ne!(after, start);
    for ((a, w), s) in average.iter().zip(&after).zip(&start) {
        // The first step's decay is (1 + 0) / (10 + 0).
        assert!((a - (0.1 * s + 0.9 * w)).abs() < 1e-6, "{a} {w} {s}");
    }
}

#[test]
fn a_strong_anchor_holds_the_model_back() {
    let distance = |mu: f32| {
        let optimiser = Optimiser::Sgd { momentum: 0.0, weight_decay: 0.0 };
        let schedule = Schedule::Constant { rate: 0.05 };
        let config = TrainConfig { proximal_mu: mu, optimiser, schedule, ..toy::config() };
        let mut trainer = toy::trainer(&config);
        let start = trainer.model().unwrap();
        trainer.set_anchor(&start).unwrap();
        trainer.run_steps(10, &mut ()).unwrap();
        let end = trainer.model().unwrap();
        start.iter().zip(&end).map(|(a, b)| (a - b).powi(2)).sum::<f32>().sqrt()
    };
    let (free, held) = (distance(0.0), distance(10.0));
    assert!(held < 0.7 * free, "{held} {free}");
}

#[test]
fn a_number_that_is_not_finite_is_traced_to_its_layer_and_changes_nothing() {
    let mut trainer = toy::trainer(&toy::config());
    trainer.run_steps(2, &mut ()).unwrap();
    let table = trainer.unet().parameters().clone();
    let mut broken = trainer.model().unwrap();
    let at = table.entries().iter().find(|e| e.name == "encoder.1.conv2.weight").unwrap().range();
    broken[at.start] = f32::INFINITY;
    trainer.set_model(&broken).unwrap();
    let before = trainer.state().unwrap();
    let error = trainer.run_steps(1, &mut ()).unwrap_err();
    let named = matches!(&error, TrainError::NonFinite { step: 2, layer, .. } if layer == "encoder.1.conv2");
    assert!(named, "{error}");
    assert_eq!(trainer.state().unwrap(), before);
}

#[test]
fn the_stop_flag_ends_a_run_between_steps() {
    let flag = Arc::new(AtomicBool::new(false));
    let mut trainer = toy::trainer(&toy::config());
    trainer.stop_on(flag.clone());
    let mut seen = Vec::new();
    let mut observer = |report: &StepReport| {
        seen.push(report.done);
        flag.store(report.done == 4, Ordering::Relaxed);
    };
    let stats = trainer.run_steps(12, &mut observer).unwrap();
    assert_eq!((stats.end, stats.steps, trainer.step()), (RunEnd::Stopped, 4, 4));
    assert_eq!(seen, [1, 2, 3, 4]);
    flag.store(false, Ordering::Relaxed);
    assert_eq!(trainer.run_steps(3, &mut ()).unwrap().end, RunEnd::Done);
    let rest = trainer.run_steps(100, &mut ()).unwrap();
    assert_eq!((rest.end, rest.steps), (RunEnd::Finished, 5));
    assert_eq!(trainer.run_steps(1, &mut ()).unwrap().mean_loss, None);
}

#[test]
fn the_best_weights_are_kept_on_request() {
    let mut trainer = toy::trainer(&TrainConfig { selection: Selection::BestValidation, ..toy::config() });
    trainer.run_steps(2, &mut ()).unwrap();
    let second = trainer.current().unwrap();
    trainer.consider(0.8).unwrap();
    trainer.run_steps(2, &mut ()).unwrap();
    trainer.consider(0.7).unwrap();
    trainer.consider(f32::NAN).unwrap();
    assert_eq!(trainer.selected().unwrap(), second);
    assert_ne!(trainer.current().unwrap(), second);

    let mut trainer = toy::trainer(&TrainConfig { selection: Selection::BestTrainingLoss, ..toy::config() });
    trainer.run_steps(12, &mut ()).unwrap();
    let losses = trainer.epoch_losses();
    let best = trainer.state().unwrap().best.unwrap();
    let lowest = losses.iter().copied().fold(f32::INFINITY, f32::min);
    assert_eq!(best.score, -lowest, "{losses:?}");
    assert_eq!(losses[best.step as usize / 3 - 1], lowest);
}

#[test]
fn a_site_keeps_its_moments_when_the_model_is_replaced() {
    let mut trainer = toy::trainer(&toy::config());
    trainer.run_steps(2, &mut ()).unwrap();
    let before = trainer.state().unwrap();
    let global = trainer.unet().parameters().initialise(77);
    trainer.set_model(&global).unwrap();
    trainer.set_step(6);
    let after = trainer.state().unwrap();
    assert_eq!((after.moments, after.step), (before.moments, 6));
    assert_eq!(trainer.model().unwrap(), global);
    assert!(trainer.set_model(&global[1..]).is_err());
}

#[test]
fn the_record_says_what_was_done() {
    let mut trainer = toy::trainer(&toy::config());
    trainer.run_steps(12, &mut ()).unwrap();
    let record = RunRecord::of(&trainer, "abc", &[]).unwrap();
    assert_eq!((record.steps, record.epoch_losses.len(), record.train.len()), (12, 4, 3));
    let text = serde_json::to_string(&record).unwrap();
    assert_eq!(serde_json::from_str::<RunRecord>(&text).unwrap().model_hash, record.model_hash);
}

#[test]
fn runs_without_images_or_with_unequal_ones_are_refused() {
    let none = Trainer::new(toy::config(), Arc::default(), &toy::cpu);
    assert!(matches!(none, Err(TrainError::NoSamples)));
    let mut config = TrainConfig { input: InputMode::Whole, ..toy::config() };
    config.preprocessing.scale = Scale::Stretch { height: 16, width: 24 };
    config.augmentation = fovea_data::Augmentation::none();
    let mut unequal = toy::prepared(&config, 2).to_vec();
    unequal[1] = toy::prepared(&toy::config(), 1)[0].clone();
    let refused = Trainer::new(config, Arc::new(unequal), &toy::cpu);
    assert!(matches!(refused, Err(TrainError::SampleSize { expected: (16, 24), .. })));
}
