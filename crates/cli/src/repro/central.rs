//! Training on images in one place: the local models and the pooled one.

use super::Interrupted;
use super::profile::Profile;
use super::trained::{Place, Trained};
use crate::common::{self, Progress};
use anyhow::Result;
use fovea_data::Sample;
use fovea_train::{RunEnd, TrainConfig, TrainState, Trainer, prepare};
use serde_json::Value;
use std::sync::Arc;

/// Trains, or goes on from the state that an interrupted call left.
pub fn train(
    place: &Place,
    profile: &Profile,
    config: &TrainConfig,
    fingerprint: Value,
    samples: &[&[Sample]],
) -> Result<Trained> {
    let mut prepared = Vec::new();
    for samples in samples {
        prepared.extend(prepare(samples, &config.preprocessing)?);
    }
    let (samples, limit) = (Arc::new(prepared), profile.memory_limit);
    let mut trainer =
        Trainer::within(config.clone(), samples, common::device::make_executor().as_ref(), limit)?;
    trainer.stop_on(Arc::clone(common::stop_flag()));
    let state = place.state();
    if state.exists() {
        trainer.restore(&TrainState::load(&state)?)?;
    }
    let mut progress = Progress::new(&place.key, trainer.step(), config.steps);
    loop {
        let stats = trainer.run_steps(config.steps_per_epoch, &mut progress)?;
        if stats.end == RunEnd::Finished {
            break;
        }
        trainer.state()?.save(&state)?;
        if stats.end == RunEnd::Stopped {
            progress.finish();
            return Err(Interrupted.into());
        }
    }
    progress.finish();
    let model = trainer.selected()?;
    Ok(Trained {
        fingerprint,
        losses: trainer.epoch_losses().into_iter().map(f64::from).collect(),
        seconds: trainer.seconds(),
        model_hash: trainer.hash(&model),
        federation: None,
        model,
    })
}
