//! What a site trains in a federation: one home for the rehearsal in one process and for a site on a network.

use crate::common;
use anyhow::Result;
use fovea_data::Sample;
use fovea_fed::job::Parameter;
use fovea_fed::site::LocalUpdate;
use fovea_train::{Observer, TrainConfig, Trainer, average_decay, prepare};
use fovea_unet::UNet;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Largest number of images of a site, by which an update may be weighted.
pub const WEIGHT_MAX: u32 = 1024;

/// Everything about the training that all sites have in common.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Optimiser steps that each site makes per round.
    pub local_steps: u32,
    /// Bound on a coordinate of the first round's update.
    pub first_clip: f32,
    /// How each site trains.
    pub train: TrainConfig,
}

impl Recipe {
    /// The network.
    pub fn network(&self) -> Result<UNet> {
        Ok(UNet::new(self.train.model.clone())?)
    }

    /// The parameter table, as the federation knows it.
    pub fn parameters(&self) -> Result<Vec<Parameter>> {
        let network = self.network()?;
        let parameter = |e: &fovea_unet::ParamSpec| Parameter {
            name: e.name.clone(),
            len: e.range().len(),
            first_clip: self.first_clip,
        };
        Ok(network.parameters().entries().iter().map(parameter).collect())
    }

    /// The model before the first round.
    pub fn initial(&self) -> Result<Vec<f32>> {
        Ok(self.network()?.parameters().initialise(self.train.seed))
    }

    /// The trainer of a site. Sites draw their crops from streams of their own; the model that they start from is the
    /// round's.
    pub fn trainer(&self, site: usize, samples: &[Sample], memory_limit: Option<usize>) -> Result<Trainer> {
        let samples = Arc::new(prepare(samples, &self.train.preprocessing)?);
        let seed = self.train.seed ^ ((site as u64 + 1) << 32);
        let own = TrainConfig { seed, ..self.train.clone() };
        Ok(Trainer::within(own, samples, common::device::make_executor().as_ref(), memory_limit)?)
    }

    /// Trains one round from a global model.
    pub fn local_update(
        &self,
        trainer: &mut Trainer,
        global: &[f32],
        observer: &mut dyn Observer,
    ) -> Result<LocalUpdate> {
        trainer.set_model(global)?;
        trainer.set_anchor(global)?;
        let stats = trainer.run_steps(self.local_steps, observer)?;
        let loss = stats.mean_loss.map_or(0.0, f64::from);
        let samples = trainer.samples().len() as u32;
        Ok(LocalUpdate { model: trainer.model()?, samples, side: vec![loss] })
    }

    /// Moves the running average of the global models towards the one after `rounds_before` rounds and one more.
    pub fn follow(&self, average: &mut [f32], model: &[f32], rounds_before: u32) {
        let steps = rounds_before * self.local_steps;
        let decay = self.train.average_decay.map_or(0.0, |decay| {
            (0..self.local_steps).map(|k| average_decay(decay, steps + k)).product::<f32>()
        });
        for (average, w) in average.iter_mut().zip(model) {
            *average += (1.0 - decay) * (w - *average);
        }
    }
}
