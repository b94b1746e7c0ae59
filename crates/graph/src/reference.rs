//! The slow, readable meaning of every op in float64: plain loops, one function per op.
//!
//! Fast kernels are checked against these functions, and these against PyTorch (`fixtures/ops`). Nothing here
//! is tuned; a reader should see the formula of the op's docs.

mod conv;
mod elementwise;
mod executor;
mod loss;
mod named;
mod norm;
mod optimise;
mod spatial;
mod view;

pub use executor::ReferenceExecutor;
pub use named::op_named;

use crate::{Op, Step};
use fovea_tensor::Shape;

/// The result of a pure op over float32 numbers, and for each number of it the magnitude that a float32 kernel's error is measured
/// by: for linear ops the op applied to absolute values, which gives the sum of its terms' magnitudes; else the result's largest number.
///
/// # Panics
/// As [`evaluate`].
#[must_use]
pub fn with_magnitudes(
    op: &Op,
    inputs: &[(Shape, &[f32])],
    output: Shape,
    step: Step,
    linear: bool,
) -> (Vec<f64>, Vec<f64>) {
    let over = |f: fn(f32) -> f64| {
        let wide: Vec<Vec<f64>> =
            inputs.iter().map(|(_, data)| data.iter().map(|&v| f(v)).collect()).collect();
        let views: Vec<(Shape, &[f64])> =
            inputs.iter().zip(&wide).map(|((shape, _), data)| (*shape, data.as_slice())).collect();
        evaluate(op, &views, output, step)
    };
    let expected = over(f64::from);
    let magnitudes = if linear {
        over(|v| f64::from(v.abs()))
    } else {
        let largest = expected.iter().fold(1e-3f64, |m, v| m.max(v.abs()));
        vec![largest; expected.len()]
    };
    (expected, magnitudes)
}

/// The result of a pure op. Inputs are `(shape, row-major numbers)` in the order of the op's docs and must be ones
/// that [`Op::infer`] accepts; `output` is the shape that it gives.
///
/// # Panics
/// When the inputs do not fit the op, or the op updates in place: see [`update`].
#[must_use]
pub fn evaluate(op: &Op, inputs: &[(Shape, &[f64])], output: Shape, step: Step) -> Vec<f64> {
    let x = inputs;
    match *op {
        Op::Fill { value } => vec![f64::from(value); output.count()],
        Op::Conv2d { window, activation } => {
            let bias = x.get(2).map(|b| b.1);
            let sums = conv::conv2d(x[0], x[1], bias, window, output);
            elementwise::activate(&sums, activation)
        }
        Op::Conv2dPair { window, activation } => {
            let (shape, joined) = spatial::concat(x[0], x[1]);
            let bias = x.get(3).map(|b| b.1);
            let sums = conv::conv2d((shape, &joined), x[2], bias, window, output);
            elementwise::activate(&sums, activation)
        }
        Op::Conv2dGradInput { window, channels, .. } => {
            conv::conv2d_grad_input(x[0], x[1], window, channels, output)
        }
        Op::Conv2dGradWeight { window } => conv::conv2d_grad_weight(x[0], x[1], window, output),
        Op::Conv2dPairGradWeight { window } => {
            let (shape, joined) = spatial::concat(x[0], x[1]);
            conv::conv2d_grad_weight((shape, &joined), x[2], window, output)
        }
        Op::SumChannels => conv::sum_channels(x[0]),
        Op::ConvTranspose2x2 => conv::transpose(x[0], x[1], x.get(2).map(|b| b.1), output),
        Op::ConvTranspose2x2GradInput => conv::transpose_grad_input(x[0], x[1], output),
        Op::ConvTranspose2x2GradWeight => conv::transpose_grad_weight(x[0], x[1], output),
        Op::MaxPool2d { window } => spatial::max_pool(x[0], window, output),
        Op::MaxPool2dGrad { window } => spatial::max_pool_grad(x[0], x[1], window),
        Op::Upsample { mode, factor } => spatial::upsample(x[0], mode, factor, output),
        Op::UpsampleGrad { mode, factor } => spatial::upsample_grad(x[0], mode, factor, output),
        Op::Concat => spatial::concat(x[0], x[1]).1,
        Op::SliceChannels(channels) => spatial::slice_channels(x[0], channels.start, output),
        Op::Add => elementwise::add(x[0].1, x[1].1),
        Op::Scale { factor } => elementwise::scale(x[0].1, factor),
        Op::AddProximal { factor } => elementwise::add_proximal(x[0].1, x[1].1, x[2].1, factor),
        Op::Activate { function } => elementwise::activate(x[0].1, function),
        Op::ActivateGrad { function } => elementwise::activate_grad(x[0].1, x[1].1, function),
        Op::NormStats { over, groups } => norm::stats(x[0], over, groups),
        Op::Normalise { epsilon, activation } => {
            elementwise::activate(&norm::affine(&norm::Site::new(x, epsilon)), activation)
        }
        Op::NormaliseGradSums { epsilon, activation } => {
            norm::grad_sums(&norm::Site::new(x, epsilon), x[4].1, activation)
        }
        Op::NormaliseGradAffine { which } => norm::grad_affine(x[0], which),
        Op::NormaliseGradInput { epsilon, activation } => {
            norm::grad_input(&norm::Site::new(x, epsilon), x[4].1, x[5].1, activation)
        }
        Op::Dropout { p, stream } => elementwise::dropout(x[0].1, p, stream, step),
        Op::DiceSums => loss::dice_sums(x[0], x[1].1, x[2].1),
        Op::DiceSumsGrad => loss::dice_sums_grad(x[0], x[1].1, x[2].1, x[3].1),
        Op::DiceLoss { smooth, pooled } => vec![loss::dice_loss(x[0].1, smooth, pooled)],
        Op::DiceLossGrad { smooth, pooled } => loss::dice_loss_grad(x[0].1, x[1].1[0], smooth, pooled),
        Op::BceLoss => vec![loss::bce(x[0].1, x[1].1, x[2].1)],
        Op::BceLossGrad => loss::bce_grad(x[0].1, x[1].1, x[2].1, x[3].1[0]),
        Op::UpdateRunning { .. } | Op::SgdUpdate { .. } | Op::AdamUpdate(_) | Op::AverageUpdate => {
            panic!("{} updates in place and has no result", op.name())
        }
    }
}

/// Runs an op that updates in place: the inputs at [`Op::updates`] change, the others are left alone.
///
/// # Panics
/// When the inputs do not fit the op, or the op is pure: see [`evaluate`].
pub fn update(op: &Op, inputs: &mut [Vec<f64>]) {
    assert!(!op.updates().is_empty(), "{} is pure and updates nothing", op.name());
    let (target, rest) = inputs.split_first_mut().expect("updates have inputs");
    if let Op::UpdateRunning { momentum, count } = *op {
        optimise::running(target, &rest[0], momentum, count);
    } else if let Op::SgdUpdate { momentum, weight_decay } = *op {
        let [g, velocity, hyper] = rest else { panic!("sgd_update takes 4 inputs") };
        optimise::sgd(target, g, velocity, hyper, [momentum, weight_decay]);
    } else if let Op::AdamUpdate(rule) = *op {
        let [g, m, v, hyper] = rest else { panic!("adam_update takes 5 inputs") };
        optimise::adam(target, g, [m, v], hyper, rule);
    } else {
        optimise::average(target, &rest[0], &rest[1]);
    }
}
