//! The closed list of operations.
//!
//! Letters: N images, C channels, H rows, W columns, G groups. Every op writes one value, except the updates, which
//! write into persistent inputs. Names of inputs are those of the `(..)` list in each item's docs, in order.

use crate::{Activation, AdamRule, Affine, Channels, Resize, StatsOver};
use fovea_tensor::Window;

/// One operation. See [`Op::name`] for the name under which its kernel, shader and fixtures are found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Op {
    /// `() -> (1)`: a constant.
    Fill {
        /// The number.
        value: f32,
    },
    /// `(x: N,Cin,H,W; w: Cout,Cin,K,K; [b: Cout]) -> N,Cout,Ho,Wo`: cross-correlation, as in every framework,
    /// plus bias, then `activation` (one whose adjoint needs only the output).
    Conv2d {
        /// Kernel, stride and zero padding.
        window: Window,
        /// Applied to the sum.
        activation: Activation,
    },
    /// `(a: N,Ca,H,W; b: N,Cb,H,W; w: Cout,Ca+Cb,K,K; [bias: Cout]) -> N,Cout,Ho,Wo`: [`Op::Conv2d`] of the
    /// concatenation of `a` and `b`, which is never written.
    Conv2dPair {
        /// Kernel, stride and zero padding.
        window: Window,
        /// Applied to the sum.
        activation: Activation,
    },
    /// `(w; dy: N,Cout,Ho,Wo) -> N,count,H,W`: adjoint of [`Op::Conv2d`] in some or all `channels` of its `x`, and so
    /// of [`Op::Conv2dPair`] in `a` or `b`.
    Conv2dGradInput {
        /// Of the forward op.
        window: Window,
        /// `[H, W]` of the forward input.
        input: [usize; 2],
        /// Which of the Cin channels.
        channels: Channels,
    },
    /// `(x; dy) -> Cout,Cin,K,K`: adjoint of [`Op::Conv2d`] in `w`.
    Conv2dGradWeight {
        /// Of the forward op.
        window: Window,
    },
    /// `(a; b; dy) -> Cout,Ca+Cb,K,K`: adjoint of [`Op::Conv2dPair`] in `w`.
    Conv2dPairGradWeight {
        /// Of the forward op.
        window: Window,
    },
    /// `(x: N,C,H,W) -> C`: sum over images and pixels; the adjoint of a bias.
    SumChannels,
    /// `(x: N,Cin,H,W; w: Cin,Cout,2,2; [b: Cout]) -> N,Cout,2H,2W`: transposed convolution, kernel 2, stride 2, so
    /// that windows do not overlap.
    ConvTranspose2x2,
    /// `(w; dy: N,Cout,2H,2W) -> N,Cin,H,W`: adjoint of [`Op::ConvTranspose2x2`] in `x`.
    ConvTranspose2x2GradInput,
    /// `(x; dy) -> Cin,Cout,2,2`: adjoint of [`Op::ConvTranspose2x2`] in `w`.
    ConvTranspose2x2GradWeight,
    /// `(x: N,C,H,W) -> N,C,Ho,Wo`: largest value of each window; padding never wins, a NaN always does.
    MaxPool2d {
        /// Kernel, stride and padding.
        window: Window,
    },
    /// `(x; dy) -> like x`: adjoint of [`Op::MaxPool2d`]; the first largest pixel in row order gets the gradient.
    MaxPool2dGrad {
        /// Of the forward op.
        window: Window,
    },
    /// `(x: N,C,H,W) -> N,C,fH,fW`: enlarges by an integer factor.
    Upsample {
        /// How pixels in between are filled.
        mode: Resize,
        /// Integer factor f, at least 2.
        factor: usize,
    },
    /// `(dy: N,C,fH,fW) -> N,C,H,W`: adjoint of [`Op::Upsample`].
    UpsampleGrad {
        /// Of the forward op.
        mode: Resize,
        /// Of the forward op.
        factor: usize,
    },
    /// `(a: N,Ca,H,W; b: N,Cb,H,W) -> N,Ca+Cb,H,W`.
    Concat,
    /// `(x: N,C,H,W) -> N,count,H,W`: some channels; the adjoint of [`Op::Concat`].
    SliceChannels(Channels),
    /// `(a; b) -> like a`: sum of equal shapes.
    Add,
    /// `(x) -> like x`: `factor * x`.
    Scale {
        /// The factor.
        factor: f32,
    },
    /// `(g; w; anchor) -> like g`: `g + factor (w - anchor)`, the gradient of FedProx's proximal term
    /// (Li et al., "Federated optimization in heterogeneous networks", MLSys 2020, eq. 2).
    AddProximal {
        /// mu of the paper.
        factor: f32,
    },
    /// `(x) -> like x`.
    Activate {
        /// Which function.
        function: Activation,
    },
    /// `(saved; dy) -> like dy`: adjoint of [`Op::Activate`]; `saved` is the output where
    /// [`Activation::saves_output`] says so, else the input.
    ActivateGrad {
        /// Of the forward op.
        function: Activation,
    },
    /// `(x: N,C,H,W) -> (N or 1),G,2`: mean and biased variance of each group of C/G neighbouring channels. Over
    /// single images with G groups this serves GroupNorm (Wu and He, ECCV 2018, eq. 2-3); over the batch with
    /// G = C it serves BatchNorm (Ioffe and Szegedy, ICML 2015, algorithm 1).
    NormStats {
        /// One statistic per image, or one for the batch.
        over: StatsOver,
        /// G, a divisor of C.
        groups: usize,
    },
    /// `(x; stats: (N or 1),G,2; gamma: C; beta: C) -> like x`: `f(gamma (x - mean) / sqrt(var + epsilon) + beta)`.
    Normalise {
        /// Added to the variance.
        epsilon: f32,
        /// f: applied to the result; its adjoint is taken from recomputed pre-activations.
        activation: Activation,
    },
    /// `(x; stats; gamma; beta; dy) -> N,C,2`: with `dz` the gradient before the activation and `xh` the normalised
    /// input, the sums over pixels of `dz` and of `dz xh`.
    NormaliseGradSums {
        /// Of the forward op.
        epsilon: f32,
        /// Of the forward op.
        activation: Activation,
    },
    /// `(sums: N,C,2) -> C`: adjoint of [`Op::Normalise`] in gamma or beta.
    NormaliseGradAffine {
        /// Which of the two.
        which: Affine,
    },
    /// `(x; stats; gamma; beta; dy; sums) -> like x`: adjoint in `x`, through the statistics too. With `dxh = gamma dz` and
    /// means over everything that one statistic covers (taken from `sums` and `gamma`):
    /// `(dxh - mean(dxh) - xh mean(dxh xh)) / sqrt(var + epsilon)`.
    NormaliseGradInput {
        /// Of the forward op.
        epsilon: f32,
        /// Of the forward op.
        activation: Activation,
    },
    /// `(x) -> like x`: zeroes with probability `p`, scales the rest by 1/(1-p). The mask is a function of (seed, step,
    /// `stream`, element), so the op is its own adjoint. Element `i` (row-major over the whole value) uses word `i % 4` of
    /// block `i / 4` of `Stream::new(step.seed, "dropout", [step.index, stream])` and is kept when
    /// `(word >> 8) as f32 / 2^24 >= p`.
    Dropout {
        /// Probability of zero, below 1.
        p: f32,
        /// Distinguishes the dropouts of one graph.
        stream: u32,
    },
    /// `(logits: N,1,H,W; target; field) -> N,3`: per image the sums of `f p t`, `f p` and `f t` with `p = sigmoid(logits)`.
    DiceSums,
    /// `(logits; target; field; dsums: N,3) -> like logits`: adjoint of [`Op::DiceSums`] in the logits.
    DiceSumsGrad,
    /// `(sums: N,3) -> (1)`: soft Dice loss `1 - (2 I + smooth) / (P + T + smooth)` (Milletari et al., V-Net, 3DV 2016, with
    /// plain sums in the denominator), the mean over images, or of the pooled sums.
    DiceLoss {
        /// Keeps empty images defined; pixels.
        smooth: f32,
        /// Pool the batch before dividing.
        pooled: bool,
    },
    /// `(sums; dloss: (1)) -> N,3`: adjoint of [`Op::DiceLoss`].
    DiceLossGrad {
        /// Of the forward op.
        smooth: f32,
        /// Of the forward op.
        pooled: bool,
    },
    /// `(logits; target; field) -> (1)`: binary cross-entropy, mean over the field's pixels of the whole batch (0 for an
    /// empty field), in the form that cannot overflow: `max(x, 0) - x t + ln(1 + exp(-|x|))`.
    BceLoss,
    /// `(logits; target; field; dloss: (1)) -> like logits`: adjoint of [`Op::BceLoss`].
    BceLossGrad,
    /// `(running: 1,C,2; stats: 1,C,2)`, in place: `running += momentum (stats - running)`, the variance
    /// made unbiased with `count / (count - 1)`.
    UpdateRunning {
        /// Share of the new statistics.
        momentum: f32,
        /// Pixels behind each statistic (N H W).
        count: usize,
    },
    /// `(w; g; velocity; hyper: 4)`, in place: SGD with momentum and L2 weight decay
    /// (Sutskever et al., ICML 2013, in PyTorch's form): `v = momentum v + g + decay w; w -= lr v`.
    SgdUpdate {
        /// Share of the old velocity.
        momentum: f32,
        /// L2 factor.
        weight_decay: f32,
    },
    /// `(w; g; m; v; hyper: 4)`, in place: Adam (Kingma and Ba, ICLR 2015, algorithm 1) or AdamW
    /// (Loshchilov and Hutter, ICLR 2019, algorithm 2), in PyTorch's order: decoupled decay acts first,
    /// `w -= lr decay w`, while the L2 form adds `decay w` to `g`; then `m = beta1 m + (1 - beta1) g`,
    /// `v = beta2 v + (1 - beta2) g^2`, `w -= lr (m / c1) / (sqrt(v / c2) + epsilon)` with the corrections of [`Hyper`].
    AdamUpdate(AdamRule),
    /// `(average; w; hyper: 4)`, in place: `average += (1 - decay) (w - average)`.
    AverageUpdate,
}

impl Op {
    /// The name used for kernel, shader and fixture files.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Op::Fill { .. } => "fill",
            Op::Conv2d { .. } => "conv2d",
            Op::Conv2dPair { .. } => "conv2d_pair",
            Op::Conv2dGradInput { .. } => "conv2d_grad_input",
            Op::Conv2dGradWeight { .. } => "conv2d_grad_weight",
            Op::Conv2dPairGradWeight { .. } => "conv2d_pair_grad_weight",
            Op::SumChannels => "sum_channels",
            Op::ConvTranspose2x2 => "conv_transpose2x2",
            Op::ConvTranspose2x2GradInput => "conv_transpose2x2_grad_input",
            Op::ConvTranspose2x2GradWeight => "conv_transpose2x2_grad_weight",
            Op::MaxPool2d { .. } => "max_pool2d",
            Op::MaxPool2dGrad { .. } => "max_pool2d_grad",
            Op::Upsample { .. } => "upsample",
            Op::UpsampleGrad { .. } => "upsample_grad",
            Op::Concat => "concat",
            Op::SliceChannels(_) => "slice_channels",
            Op::Add => "add",
            Op::Scale { .. } => "scale",
            Op::AddProximal { .. } => "add_proximal",
            Op::Activate { .. } => "activate",
            Op::ActivateGrad { .. } => "activate_grad",
            Op::NormStats { .. } => "norm_stats",
            Op::Normalise { .. } => "normalise",
            Op::NormaliseGradSums { .. } => "normalise_grad_sums",
            Op::NormaliseGradAffine { .. } => "normalise_grad_affine",
            Op::NormaliseGradInput { .. } => "normalise_grad_input",
            Op::Dropout { .. } => "dropout",
            Op::DiceSums => "dice_sums",
            Op::DiceSumsGrad => "dice_sums_grad",
            Op::DiceLoss { .. } => "dice_loss",
            Op::DiceLossGrad { .. } => "dice_loss_grad",
            Op::BceLoss => "bce_loss",
            Op::BceLossGrad => "bce_loss_grad",
            Op::UpdateRunning { .. } => "update_running",
            Op::SgdUpdate { .. } => "sgd_update",
            Op::AdamUpdate(_) => "adam_update",
            Op::AverageUpdate => "average_update",
        }
    }

    /// Positions of the inputs that the op overwrites; empty for pure ops.
    #[must_use]
    pub fn updates(&self) -> &'static [usize] {
        match self {
            Op::UpdateRunning { .. } | Op::AverageUpdate => &[0],
            Op::SgdUpdate { .. } => &[0, 2],
            Op::AdamUpdate(_) => &[0, 2, 3],
            Op::Fill { .. }
            | Op::Conv2d { .. }
            | Op::Conv2dPair { .. }
            | Op::Conv2dGradInput { .. }
            | Op::Conv2dGradWeight { .. }
            | Op::Conv2dPairGradWeight { .. }
            | Op::SumChannels
            | Op::ConvTranspose2x2
            | Op::ConvTranspose2x2GradInput
            | Op::ConvTranspose2x2GradWeight
            | Op::MaxPool2d { .. }
            | Op::MaxPool2dGrad { .. }
            | Op::Upsample { .. }
            | Op::UpsampleGrad { .. }
            | Op::Concat
            | Op::SliceChannels(_)
            | Op::Add
            | Op::Scale { .. }
            | Op::AddProximal { .. }
            | Op::Activate { .. }
            | Op::ActivateGrad { .. }
            | Op::NormStats { .. }
            | Op::Normalise { .. }
            | Op::NormaliseGradSums { .. }
            | Op::NormaliseGradAffine { .. }
            | Op::NormaliseGradInput { .. }
            | Op::Dropout { .. }
            | Op::DiceSums
            | Op::DiceSumsGrad
            | Op::DiceLoss { .. }
            | Op::DiceLossGrad { .. }
            | Op::BceLoss
            | Op::BceLossGrad => &[],
        }
    }
}
