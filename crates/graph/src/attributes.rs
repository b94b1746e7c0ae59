//! What ops are parameterised by.

/// Some neighbouring channels of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Channels {
    /// First channel.
    pub start: usize,
    /// Number of channels, at least 1.
    pub count: usize,
}

impl Channels {
    /// The first `count` channels.
    #[must_use]
    pub fn first(count: usize) -> Self {
        Channels { start: 0, count }
    }
}

/// Constants of [`Op::AdamUpdate`](crate::Op::AdamUpdate).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamRule {
    /// Decay of the first moment.
    pub beta1: f32,
    /// Decay of the second moment.
    pub beta2: f32,
    /// Added to the root of the second moment.
    pub epsilon: f32,
    /// Weight decay factor.
    pub weight_decay: f32,
    /// True: decay acts on the weight, not through the moments (AdamW).
    pub decoupled: bool,
}

/// Positions in the `hyper` input: numbers that change from step to step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Hyper {
    /// Learning rate.
    LearningRate = 0,
    /// `1 - beta1^t`, t counted from 1.
    Correction1 = 1,
    /// `1 - beta2^t`.
    Correction2 = 2,
    /// Decay of the weight average.
    AverageDecay = 3,
}

impl Hyper {
    /// Length of the `hyper` input.
    pub const COUNT: usize = 4;
}

/// Elementwise functions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Activation {
    /// x.
    Identity,
    /// max(x, 0); derivative 0 at 0.
    Relu,
    /// x for x > 0, else `slope` x; the slope is positive.
    LeakyRelu {
        /// Slope left of zero.
        slope: f32,
    },
    /// x sigmoid(x) (Elfwing et al., 2018).
    Silu,
    /// 1 / (1 + exp(-x)).
    Sigmoid,
}

impl Activation {
    /// Whether the derivative can be had from the output alone.
    #[must_use]
    pub fn saves_output(self) -> bool {
        match self {
            Activation::Identity | Activation::Relu | Activation::LeakyRelu { .. } | Activation::Sigmoid => {
                true
            }
            Activation::Silu => false,
        }
    }
}

/// How [`Op::Upsample`](crate::Op::Upsample) fills pixels in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resize {
    /// Repeats the pixel.
    Nearest,
    /// Linear in both axes.
    Bilinear {
        /// True: corner pixels' centres coincide, source = y (H-1)/(fH-1). False: pixel areas coincide (half-pixel
        /// centres), source = max((y + 0.5) / f - 0.5, 0). Then rows floor(source) and the next, at most H-1.
        align_corners: bool,
    },
}

/// What one normalisation statistic covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatsOver {
    /// Each image by itself.
    Image,
    /// All images of the batch.
    Batch,
}

/// The two affine parameters of a normalisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Affine {
    /// gamma.
    Scale,
    /// beta.
    Shift,
}
