//! Named settings of the experiment.

use crate::learning::Recipe;
use anyhow::{Result, bail};
use clap::ValueEnum;
use fovea_fed::strategy::Strategy;
use fovea_train::TrainConfig;
use serde::{Deserialize, Serialize};

/// Which settings to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProfileName {
    /// A small network, crops, augmentation: the one to use on real images.
    Default,
    /// Minutes on two cores; taken when no data is given.
    Quick,
    /// The published experiment's settings, with a sound measure.
    Seed,
    /// As quick, with a third hospital, one of whose rounds is interrupted by a drop-out.
    ThreeSites,
}

/// The server's step, with the settings of its paper's experiments where it has any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StrategyName {
    /// Adds the weighted mean of the updates.
    FedAvg,
    /// With server momentum 0.9.
    FedAvgM,
    /// With Adam on the server: rate 0.01, tau 0.001.
    FedAdam,
}

impl StrategyName {
    fn strategy(self) -> Strategy {
        match self {
            StrategyName::FedAvg => Strategy::FedAvg,
            StrategyName::FedAvgM => Strategy::FedAvgM { learning_rate: 1.0, momentum: 0.9 },
            StrategyName::FedAdam => {
                Strategy::FedAdam { learning_rate: 1e-2, beta1: 0.9, beta2: 0.99, tau: 1e-3 }
            }
        }
    }
}

/// Everything that decides a run besides its images and its seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// Optimiser steps that each site makes per round.
    pub local_steps: u32,
    /// The server's step.
    pub strategy: Strategy,
    /// Bound on a coordinate of the first round's update.
    pub first_clip: f32,
    /// Synthetic hospitals, when no data is given.
    pub synthetic: Synthetic,
    /// A site that drops out once, after it has shared keys: `(site, round)`.
    pub drop_out: Option<(usize, u32)>,
    /// Limit on the memory of a training step, MiB; changes no result.
    pub memory_limit: Option<usize>,
    /// How each model is trained.
    pub train: TrainConfig,
}

/// How many synthetic hospitals there are, and how large their images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Synthetic {
    /// Number of hospitals, 2 or 3.
    pub sites: usize,
    /// Factor on the cameras' extents.
    pub scale: f32,
    /// Training images of each, as many as the real hospitals have.
    pub train: u32,
    /// Test images of each.
    pub test: u32,
}

impl Profile {
    /// The settings of a name.
    pub fn named(name: ProfileName) -> Self {
        let synthetic = Synthetic { sites: 2, scale: 0.4, train: 16, test: 4 };
        let quick = Profile {
            name: "quick".to_owned(),
            local_steps: 4,
            strategy: Strategy::FedAvg,
            first_clip: 1.0,
            synthetic,
            drop_out: None,
            memory_limit: None,
            train: TrainConfig::quick_profile(),
        };
        match name {
            ProfileName::Quick => quick,
            ProfileName::Default => {
                let synthetic = Synthetic { scale: 1.0, ..quick.synthetic };
                Profile {
                    name: "default".to_owned(),
                    synthetic,
                    train: TrainConfig::default_profile(),
                    ..quick
                }
            }
            ProfileName::Seed => {
                let train = TrainConfig::seed_profile();
                Profile { name: "seed".to_owned(), local_steps: 1, train, ..quick }
            }
            ProfileName::ThreeSites => {
                let synthetic = Synthetic { sites: 3, ..quick.synthetic };
                Profile { name: "three-sites".to_owned(), synthetic, drop_out: Some((2, 5)), ..quick }
            }
        }
    }

    /// Changes what happens in a round; an epoch goes once over as many crops as a site has images.
    pub fn with_rounds(
        mut self,
        local_epochs: Option<u32>,
        strategy: Option<StrategyName>,
        proximal_mu: Option<f32>,
    ) -> Result<Self> {
        if let Some(epochs) = local_epochs {
            self.local_steps = epochs * self.synthetic.train.div_ceil(self.train.batch as u32);
        }
        if let Some(name) = strategy {
            self.strategy = name.strategy();
        }
        self.train.proximal_mu = proximal_mu.unwrap_or(self.train.proximal_mu);
        self.train.validate()?;
        Ok(self)
    }

    /// Changes the number of steps.
    pub fn with_steps(mut self, steps: Option<u32>, epochs: Option<u32>) -> Result<Self> {
        if let Some(epochs) = epochs {
            let Some(steps) = epochs.checked_mul(self.train.steps_per_epoch) else {
                bail!("--epochs {epochs} is too large: an epoch has {} steps", self.train.steps_per_epoch);
            };
            self.train.steps = steps;
        }
        if let Some(steps) = steps {
            self.train.steps = steps;
        }
        // Rounds are whole.
        self.train.steps = self.train.steps.next_multiple_of(self.local_steps);
        self.train.validate()?;
        Ok(self)
    }

    /// What all sites of the federated model have in common.
    pub fn recipe(&self, config: &TrainConfig) -> Recipe {
        Recipe { local_steps: self.local_steps, first_clip: self.first_clip, train: config.clone() }
    }

    /// Epochs of a site in each round, for the job description.
    pub fn local_epochs(&self) -> u32 {
        (self.local_steps * self.train.batch as u32).div_ceil(self.synthetic.train)
    }

    /// Rounds of the federated model.
    pub fn rounds(&self) -> u32 {
        self.train.steps / self.local_steps
    }
}
