//! Everything that a training run depends on besides its images.

use crate::{Optimiser, Schedule, TrainError};
use fovea_data::Augmentation;
use fovea_unet::{Preprocessing, Scale, UNetConfig};
use serde::{Deserialize, Serialize};

/// The largest crop or stretched side, pixels.
const SIDE_MAX: usize = 8192;

/// A training run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// The seed of initialisation, order, crops and dropout.
    pub seed: u64,
    /// Images per optimiser step.
    pub batch: usize,
    /// Optimiser steps in all.
    pub steps: u32,
    /// Steps whose mean loss is one point of the curve.
    pub steps_per_epoch: u32,
    /// Decay of the weight average that is used as the model; none when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average_decay: Option<f32>,
    /// Pull towards the anchor, FedProx's mu; 0 for none.
    pub proximal_mu: f32,
    /// Which weights become the model.
    pub selection: Selection,
    /// Whether predictions are averaged over four mirror images.
    pub flips: bool,
    /// What the network sees of an image.
    pub input: InputMode,
    /// What is minimised.
    pub loss: LossConfig,
    /// How a gradient changes its parameter.
    pub optimiser: Optimiser,
    /// Learning rate by step.
    pub schedule: Schedule,
    /// What is done to an image before the network sees it, in training and prediction alike.
    pub preprocessing: Preprocessing,
    /// Random changes to crops.
    pub augmentation: Augmentation,
    /// The network.
    pub model: UNetConfig,
}

/// Which weights become the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selection {
    /// The last step's.
    Last,
    /// Those at the end of the epoch with the lowest mean training loss.
    BestTrainingLoss,
    /// Those with the highest score handed to [`crate::Trainer::consider`], which must come from validation images.
    BestValidation,
}

/// What the network sees of an image at working scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum InputMode {
    /// Square crops centred inside the field of view.
    Crops {
        /// Side, pixels; a multiple of the network's.
        size: usize,
    },
    /// All of it, unchanged; needs [`Scale::Stretch`].
    Whole,
}

/// `dice_weight` times soft Dice loss plus `bce_weight` times binary cross-entropy, both inside the field of view.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossConfig {
    /// Weight of the Dice loss.
    pub dice_weight: f32,
    /// Weight of the cross-entropy.
    pub bce_weight: f32,
    /// Added to the Dice loss's numerator and denominator; pixels.
    pub smooth: f32,
    /// Dice of the whole batch instead of the mean over images.
    pub pooled: bool,
}

impl TrainConfig {
    /// The default profile: under 0.1 million parameters, crops at a field diameter of 512 pixels.
    #[must_use]
    pub fn default_profile() -> Self {
        TrainConfig {
            seed: 1,
            batch: 4,
            steps: 12_000,
            steps_per_epoch: 120,
            average_decay: Some(0.998),
            proximal_mu: 0.0,
            selection: Selection::Last,
            flips: true,
            input: InputMode::Crops { size: 96 },
            loss: LossConfig { dice_weight: 1.0, bce_weight: 1.0, smooth: 1.0, pooled: true },
            optimiser: Optimiser::AdamW { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 1e-4 },
            schedule: Schedule::CosineWarmup { peak: 1e-2, warmup_steps: 100, final_rate: 1e-5 },
            preprocessing: Preprocessing { scale: Scale::FieldDiameter { pixels: 512 }, standardise: true },
            augmentation: Augmentation {
                flip: true,
                rotation_deg: 45.0,
                scale: [0.95, 1.2],
                brightness: 0.15,
                contrast: 0.15,
                saturation: 0.15,
                gamma: 0.0,
                hard_label: false,
            },
            model: UNetConfig::small(),
        }
    }

    /// The published experiment: images stretched to 224x224, soft Dice loss with smooth 1, Adam at 1e-4, batches of 16,
    /// 100 epochs of one step, no augmentation.
    #[must_use]
    pub fn seed_profile() -> Self {
        TrainConfig {
            batch: 16,
            steps: 100,
            steps_per_epoch: 1,
            average_decay: None,
            flips: false,
            input: InputMode::Whole,
            loss: LossConfig { dice_weight: 1.0, bce_weight: 0.0, smooth: 1.0, pooled: false },
            optimiser: Optimiser::adam(),
            schedule: Schedule::Constant { rate: 1e-4 },
            preprocessing: Preprocessing {
                scale: Scale::Stretch { height: 224, width: 224 },
                standardise: false,
            },
            augmentation: Augmentation::none(),
            model: UNetConfig::seed(),
            ..TrainConfig::default_profile()
        }
    }

    /// A run of a minute or so for synthetic images: a smaller network at a field diameter of 256 pixels.
    #[must_use]
    pub fn quick_profile() -> Self {
        TrainConfig {
            steps: 800,
            steps_per_epoch: 20,
            average_decay: Some(0.98),
            flips: false,
            schedule: Schedule::CosineWarmup { peak: 1e-2, warmup_steps: 20, final_rate: 1e-5 },
            preprocessing: Preprocessing { scale: Scale::FieldDiameter { pixels: 256 }, standardise: true },
            model: UNetConfig { widths: vec![8, 16, 32], ..UNetConfig::small() },
            ..TrainConfig::default_profile()
        }
    }

    /// Checks every field.
    ///
    /// # Errors
    /// [`TrainError::Config`], [`TrainError::UNet`] or [`TrainError::Augment`] for the first field out of its range.
    pub fn validate(&self) -> Result<(), TrainError> {
        self.model.validate()?;
        self.augmentation.validate()?;
        let single = (self.model.in_channels, self.model.out_channels) == (3, 1);
        require(single, "model", "", "training takes RGB images and one mask: 3 channels in, 1 out")?;
        require((1..=1024).contains(&self.batch), "batch", self.batch, "must be 1 to 1024")?;
        require(self.steps > 0, "steps", self.steps, "must be at least 1")?;
        require(self.steps_per_epoch > 0, "steps_per_epoch", self.steps_per_epoch, "must be at least 1")?;
        let decay = self.average_decay.unwrap_or(0.0);
        require((0.0..1.0).contains(&decay), "average_decay", decay, "must be in [0, 1)")?;
        let mu = self.proximal_mu;
        require((0.0..=100.0).contains(&mu), "proximal_mu", mu, "must be 0 to 100")?;
        let optimiser = format!("{:?}", self.optimiser);
        require(self.optimiser.is_valid(), "optimiser", optimiser, "shares in [0, 1), epsilon in (0, 1)")?;
        let schedule = format!("{:?}", self.schedule);
        require(self.schedule.is_valid(), "schedule", schedule, "rates above 0, final at most the peak")?;
        self.validate_loss()?;
        self.validate_input()
    }

    fn validate_loss(&self) -> Result<(), TrainError> {
        let LossConfig { dice_weight, bce_weight, smooth, .. } = self.loss;
        let weights = [dice_weight, bce_weight];
        let fits = weights.iter().all(|w| (0.0..=1000.0).contains(w)) && weights.iter().any(|&w| w > 0.0);
        require(fits, "loss", format!("{weights:?}"), "weights must be 0 to 1000, one of them above 0")?;
        require(smooth > 0.0 && smooth <= 1e6, "loss.smooth", smooth, "must be in (0, 1e6]")
    }

    fn validate_input(&self) -> Result<(), TrainError> {
        let multiple = self.model.multiple();
        let fits = |side: usize| (1..=SIDE_MAX).contains(&side) && side.is_multiple_of(multiple);
        match (self.input, self.preprocessing.scale) {
            (InputMode::Crops { size }, _) => {
                let rule = "must be a multiple of 2^(levels - 1), at most 8192";
                require(fits(size), "input.size", size, rule)
            }
            (InputMode::Whole, Scale::Stretch { height, width }) => {
                let rule = "whole images must be multiples of 2^(levels - 1), at most 8192";
                let found = format!("{height}x{width}");
                require(fits(height) && fits(width), "preprocessing.scale", found, rule)?;
                let plain = self.augmentation == Augmentation::none();
                require(plain, "augmentation", "not none", "whole images are not augmented: take crops")
            }
            (InputMode::Whole, scale) => {
                let rule = "training on whole images needs kind = \"stretch\"";
                require(false, "preprocessing.scale", format!("{scale:?}"), rule)
            }
        }
    }
}

fn require(
    holds: bool,
    field: &'static str,
    found: impl std::fmt::Display,
    rule: &'static str,
) -> Result<(), TrainError> {
    if holds {
        return Ok(());
    }
    Err(TrainError::Config { field, found: found.to_string(), rule })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_are_valid_and_survive_toml() {
        for config in
            [TrainConfig::default_profile(), TrainConfig::seed_profile(), TrainConfig::quick_profile()]
        {
            config.validate().unwrap();
            let text = toml::to_string(&config).unwrap();
            assert_eq!(toml::from_str::<TrainConfig>(&text).unwrap(), config, "{text}");
        }
    }

    #[test]
    fn wrong_fields_are_named() {
        type Change = fn(&mut TrainConfig);
        let cases: [(&str, Change); 10] = [
            ("batch", |c| c.batch = 0),
            ("steps", |c| c.steps = 0),
            ("steps_per_epoch", |c| c.steps_per_epoch = 0),
            ("average_decay", |c| c.average_decay = Some(1.0)),
            ("proximal_mu", |c| c.proximal_mu = -1.0),
            ("optimiser", |c| c.optimiser = Optimiser::Sgd { momentum: 2.0, weight_decay: 0.0 }),
            ("schedule", |c| c.schedule = Schedule::Constant { rate: 0.0 }),
            ("loss", |c| (c.loss.dice_weight, c.loss.bce_weight) = (0.0, 0.0)),
            ("input.size", |c| c.input = InputMode::Crops { size: 130 }),
            ("preprocessing.scale", |c| c.input = InputMode::Whole),
        ];
        for (wanted, change) in cases {
            let mut config = TrainConfig::default_profile();
            change(&mut config);
            let found = config.validate();
            assert!(matches!(found, Err(TrainError::Config { field, .. }) if field == wanted), "{wanted}");
        }
        let mut typo = toml::to_string(&TrainConfig::quick_profile()).unwrap();
        typo.insert_str(0, "stepz = 3\n");
        assert!(toml::from_str::<TrainConfig>(&typo).unwrap_err().to_string().contains("stepz"));
    }
}
