//! Ops from their names and attributes as text, as golden cases give them.

use crate::{Activation, AdamRule, Affine, Channels, Op, Resize, StatsOver};
use fovea_tensor::Window;
use std::collections::HashMap;
use std::str::FromStr;

/// The op called `name` ([`Op::name`]) with attributes as `fixtures/ops/generate.py` writes them: the fields' names,
/// `kernel`, `stride` and `padding` for a window, `height` and `width` for an input plane, `start` and `count` for
/// channels. `None` when the name is unknown or an attribute is missing or malformed.
#[must_use]
pub fn op_named(name: &str, attributes: &HashMap<String, String>) -> Option<Op> {
    let a = Attributes(attributes);
    Some(match name {
        "fill" => Op::Fill { value: a.get("value")? },
        "conv2d" => Op::Conv2d { window: a.window()?, activation: a.activation()? },
        "conv2d_pair" => Op::Conv2dPair { window: a.window()?, activation: a.activation()? },
        "conv2d_grad_input" => Op::Conv2dGradInput {
            window: a.window()?,
            input: [a.get("height")?, a.get("width")?],
            channels: a.channels()?,
        },
        "conv2d_grad_weight" => Op::Conv2dGradWeight { window: a.window()? },
        "conv2d_pair_grad_weight" => Op::Conv2dPairGradWeight { window: a.window()? },
        "sum_channels" => Op::SumChannels,
        "conv_transpose2x2" => Op::ConvTranspose2x2,
        "conv_transpose2x2_grad_input" => Op::ConvTranspose2x2GradInput,
        "conv_transpose2x2_grad_weight" => Op::ConvTranspose2x2GradWeight,
        "max_pool2d" => Op::MaxPool2d { window: a.window()? },
        "max_pool2d_grad" => Op::MaxPool2dGrad { window: a.window()? },
        "upsample" => Op::Upsample { mode: a.resize()?, factor: a.get("factor")? },
        "upsample_grad" => Op::UpsampleGrad { mode: a.resize()?, factor: a.get("factor")? },
        "concat" => Op::Concat,
        "slice_channels" => Op::SliceChannels(a.channels()?),
        "add" => Op::Add,
        "scale" => Op::Scale { factor: a.get("factor")? },
        "add_proximal" => Op::AddProximal { factor: a.get("factor")? },
        "activate" => Op::Activate { function: a.activation()? },
        "activate_grad" => Op::ActivateGrad { function: a.activation()? },
        "dropout" => Op::Dropout { p: a.get("p")?, stream: a.get("stream")? },
        "bce_loss" => Op::BceLoss,
        "bce_loss_grad" => Op::BceLossGrad,
        "dice_sums" => Op::DiceSums,
        "dice_sums_grad" => Op::DiceSumsGrad,
        "dice_loss" => Op::DiceLoss { smooth: a.get("smooth")?, pooled: a.get("pooled")? },
        "dice_loss_grad" => Op::DiceLossGrad { smooth: a.get("smooth")?, pooled: a.get("pooled")? },
        "average_update" => Op::AverageUpdate,
        "update_running" => Op::UpdateRunning { momentum: a.get("momentum")?, count: a.get("count")? },
        "sgd_update" => Op::SgdUpdate { momentum: a.get("momentum")?, weight_decay: a.get("weight_decay")? },
        "adam_update" => Op::AdamUpdate(a.adam()?),
        _ => return a.normalisation(name),
    })
}

struct Attributes<'a>(&'a HashMap<String, String>);

impl Attributes<'_> {
    fn normalisation(&self, name: &str) -> Option<Op> {
        Some(match name {
            "norm_stats" => {
                let over = match self.text("over")? {
                    "image" => StatsOver::Image,
                    "batch" => StatsOver::Batch,
                    _ => return None,
                };
                Op::NormStats { over, groups: self.get("groups")? }
            }
            "normalise" => Op::Normalise { epsilon: self.get("epsilon")?, activation: self.activation()? },
            "normalise_grad_sums" => {
                Op::NormaliseGradSums { epsilon: self.get("epsilon")?, activation: self.activation()? }
            }
            "normalise_grad_affine" => {
                let which = match self.text("which")? {
                    "scale" => Affine::Scale,
                    "shift" => Affine::Shift,
                    _ => return None,
                };
                Op::NormaliseGradAffine { which }
            }
            "normalise_grad_input" => {
                Op::NormaliseGradInput { epsilon: self.get("epsilon")?, activation: self.activation()? }
            }
            _ => return None,
        })
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    fn get<T: FromStr>(&self, key: &str) -> Option<T> {
        self.text(key)?.parse().ok()
    }

    fn window(&self) -> Option<Window> {
        Some(Window {
            kernel: self.get("kernel")?,
            stride: self.get("stride")?,
            padding: self.get("padding")?,
        })
    }

    fn channels(&self) -> Option<Channels> {
        Some(Channels { start: self.get("start")?, count: self.get("count")? })
    }

    fn activation(&self) -> Option<Activation> {
        Some(match self.text("activation")? {
            "identity" => Activation::Identity,
            "relu" => Activation::Relu,
            "leaky_relu" => Activation::LeakyRelu { slope: self.get("slope")? },
            "silu" => Activation::Silu,
            "sigmoid" => Activation::Sigmoid,
            _ => return None,
        })
    }

    fn resize(&self) -> Option<Resize> {
        Some(match self.text("mode")? {
            "nearest" => Resize::Nearest,
            "bilinear" => Resize::Bilinear { align_corners: self.get("align_corners")? },
            _ => return None,
        })
    }

    fn adam(&self) -> Option<AdamRule> {
        Some(AdamRule {
            beta1: self.get("beta1")?,
            beta2: self.get("beta2")?,
            epsilon: self.get("epsilon")?,
            weight_decay: self.get("weight_decay")?,
            decoupled: self.get("decoupled")?,
        })
    }
}
