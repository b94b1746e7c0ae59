//! What a UNet looks like: levels, widths, normalisation, activation, upsampling.

use crate::UNetError;
use fovea_graph::Activation;
use serde::{Deserialize, Serialize};

/// The most numbers that a model may have: 256 MiB of `f32`.
pub const PARAMETERS_MAX: usize = 1 << 26;
const LEVELS_MAX: usize = 7;
const WIDTH_MAX: usize = 4096;
const CHANNELS_MAX: usize = 64;
const CONVS_MAX: usize = 4;

/// Description of a UNet (Ronneberger et al., MICCAI 2015), with padded convolutions so that the output has the
/// input's extents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UNetConfig {
    /// Channels of the input image.
    pub in_channels: usize,
    /// Channels of the logits; 1 for a binary mask.
    pub out_channels: usize,
    /// Channels of each level, finest first; each further level halves the resolution.
    pub widths: Vec<usize>,
    /// Convolutions per level on each side.
    pub convs_per_level: usize,
    /// Kernel extent of those convolutions, pixels; odd.
    pub kernel: usize,
    /// Normalisation after each convolution.
    pub norm: Norm,
    /// Non-linearity after that.
    pub activation: ActivationKind,
    /// How the decoder doubles the resolution.
    pub upsampling: Upsampling,
    /// Probability of zeroing an activation at the end of the coarsest level while training.
    pub dropout: f32,
    /// Initial bias of the logits: `ln(p / (1 - p))` of the expected share p of positive pixels keeps the first
    /// steps of an unbalanced task from being spent on learning that share.
    pub head_bias: f32,
}

/// Normalisation after a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Norm {
    /// None; convolutions have a bias.
    None,
    /// GroupNorm (Wu and He, ECCV 2018): the same in training and inference, nothing to average in a federation.
    Group {
        /// Groups per image, a divisor of every width.
        groups: usize,
    },
    /// BatchNorm (Ioffe and Szegedy, ICML 2015): its running statistics are part of the model vector.
    Batch {
        /// Share of the new batch in the running statistics, in (0, 1].
        momentum: f32,
    },
}

/// The network's non-linearity.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum ActivationKind {
    /// max(x, 0).
    Relu,
    /// x for x > 0, else `slope` x.
    LeakyRelu {
        /// In (0, 1].
        slope: f32,
    },
    /// x sigmoid(x).
    Silu,
}

/// How the decoder doubles the resolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Upsampling {
    /// Bilinear, no parameters.
    Bilinear {
        /// Whether corner pixels' centres coincide.
        align_corners: bool,
    },
    /// Repeats pixels.
    Nearest,
    /// Transposed convolution, kernel 2, stride 2, to the finer level's width.
    Transpose,
}

impl UNetConfig {
    /// The network of the published experiment: 64-128-256-512, no normalisation, ReLU, bilinear upsampling with
    /// aligned corners; 7.78 million parameters.
    #[must_use]
    pub fn seed() -> Self {
        UNetConfig {
            in_channels: 3,
            out_channels: 1,
            widths: vec![64, 128, 256, 512],
            convs_per_level: 2,
            kernel: 3,
            norm: Norm::None,
            activation: ActivationKind::Relu,
            upsampling: Upsampling::Bilinear { align_corners: true },
            dropout: 0.0,
            head_bias: 0.0,
        }
    }

    /// The network of the default profile: 12-24-48 with GroupNorm and SiLU, less than 0.1 million parameters.
    #[must_use]
    pub fn small() -> Self {
        UNetConfig {
            widths: vec![12, 24, 48],
            norm: Norm::Group { groups: 4 },
            activation: ActivationKind::Silu,
            upsampling: Upsampling::Bilinear { align_corners: false },
            head_bias: -2.0,
            ..UNetConfig::seed()
        }
    }

    /// Input extents must be multiples of this: 2^(levels - 1).
    #[must_use]
    pub fn multiple(&self) -> usize {
        1 << (self.widths.len() - 1)
    }

    /// Checks every field.
    ///
    /// # Errors
    /// [`UNetError::Config`] for the first field out of its range.
    pub fn validate(&self) -> Result<(), UNetError> {
        check("in_channels", self.in_channels, 1..=CHANNELS_MAX, "must be 1 to 64")?;
        check("out_channels", self.out_channels, 1..=CHANNELS_MAX, "must be 1 to 64")?;
        check("widths", self.widths.len(), 1..=LEVELS_MAX, "must have 1 to 7 levels")?;
        for &width in &self.widths {
            check("widths", width, 1..=WIDTH_MAX, "each level must have 1 to 4096 channels")?;
        }
        check("convs_per_level", self.convs_per_level, 1..=CONVS_MAX, "must be 1 to 4")?;
        require([1, 3, 5, 7].contains(&self.kernel), "kernel", self.kernel, "must be 1, 3, 5 or 7")?;
        require((0.0..1.0).contains(&self.dropout), "dropout", self.dropout, "must be in [0, 1)")?;
        require(self.head_bias.abs() <= 20.0, "head_bias", self.head_bias, "must be -20 to 20")?;
        self.validate_norm()?;
        if let ActivationKind::LeakyRelu { slope } = self.activation {
            require(slope > 0.0 && slope <= 1.0, "activation.slope", slope, "must be in (0, 1]")?;
        }
        Ok(())
    }

    fn validate_norm(&self) -> Result<(), UNetError> {
        match self.norm {
            Norm::None => Ok(()),
            Norm::Group { groups } => {
                let fits = groups > 0 && self.widths.iter().all(|w| w % groups == 0);
                require(fits, "norm.groups", groups, "must divide every width")
            }
            Norm::Batch { momentum } => {
                require(momentum > 0.0 && momentum <= 1.0, "norm.momentum", momentum, "must be in (0, 1]")
            }
        }
    }
}

impl ActivationKind {
    /// The graph's function.
    #[must_use]
    pub fn function(self) -> Activation {
        match self {
            ActivationKind::Relu => Activation::Relu,
            ActivationKind::LeakyRelu { slope } => Activation::LeakyRelu { slope },
            ActivationKind::Silu => Activation::Silu,
        }
    }

    /// Factor on the weights' variance that keeps the signal's variance through the activation (He et al., ICCV
    /// 2015, eq. 10 and 15); for SiLU that of ReLU.
    #[must_use]
    pub fn variance_gain(self) -> f32 {
        match self {
            ActivationKind::Relu | ActivationKind::Silu => 2.0,
            ActivationKind::LeakyRelu { slope } => 2.0 / (1.0 + slope * slope),
        }
    }
}

fn check(
    field: &'static str,
    found: usize,
    allowed: std::ops::RangeInclusive<usize>,
    rule: &'static str,
) -> Result<(), UNetError> {
    require(allowed.contains(&found), field, found, rule)
}

fn require(
    holds: bool,
    field: &'static str,
    found: impl std::fmt::Display,
    rule: &'static str,
) -> Result<(), UNetError> {
    if holds {
        return Ok(());
    }
    Err(UNetError::Config { field, found: found.to_string(), rule })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_are_valid_and_survive_json() {
        for config in [UNetConfig::seed(), UNetConfig::small()] {
            config.validate().unwrap();
            let text = serde_json::to_string(&config).unwrap();
            assert_eq!(serde_json::from_str::<UNetConfig>(&text).unwrap(), config);
        }
        assert_eq!(UNetConfig::seed().multiple(), 8);
    }

    #[test]
    fn wrong_fields_are_named() {
        type Change = fn(&mut UNetConfig);
        let cases: [(&str, Change); 9] = [
            ("in_channels", |c| c.in_channels = 0),
            ("out_channels", |c| c.out_channels = 65),
            ("widths", |c| c.widths.clear()),
            ("widths", |c| c.widths = vec![8, usize::MAX]),
            ("convs_per_level", |c| c.convs_per_level = 0),
            ("kernel", |c| c.kernel = 2),
            ("dropout", |c| c.dropout = f32::NAN),
            ("norm.groups", |c| c.norm = Norm::Group { groups: 5 }),
            ("activation.slope", |c| c.activation = ActivationKind::LeakyRelu { slope: 0.0 }),
        ];
        for (wanted, change) in cases {
            let mut config = UNetConfig::small();
            change(&mut config);
            assert!(
                matches!(config.validate(), Err(UNetError::Config { field, .. }) if field == wanted),
                "{wanted}"
            );
        }
    }
}
