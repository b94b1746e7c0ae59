//! One adjoint rule per op.

mod conv;
mod elementwise;
mod loss;
mod norm;
mod spatial;

use crate::{AutodiffError, reverse::Reverse};
use fovea_graph::{Node, Op, ValueId};

/// Appends the adjoint of `node` and gathers its contributions; `y` is the node's output, `dy` its gradient.
pub(crate) fn apply(r: &mut Reverse, node: &Node, y: ValueId, dy: ValueId) -> Result<(), AutodiffError> {
    match node.op {
        Op::Conv2d { window, activation } => conv::conv2d(r, node, window, activation, y, dy),
        Op::Conv2dPair { window, activation } => conv::pair(r, node, window, activation, y, dy),
        Op::ConvTranspose2x2 => conv::transpose(r, node, dy),
        Op::MaxPool2d { window } => spatial::max_pool(r, node, window, dy),
        Op::Upsample { mode, factor } => spatial::upsample(r, node, mode, factor, dy),
        Op::Concat => spatial::concat(r, node, dy),
        Op::Add => elementwise::add(r, node, dy),
        Op::Scale { factor } => elementwise::scale(r, node, factor, dy),
        Op::Activate { function } => elementwise::activate(r, node, function, y, dy),
        Op::Dropout { p, stream } => elementwise::dropout(r, node, p, stream, dy),
        Op::Normalise { epsilon, activation } => norm::normalise(r, node, epsilon, activation, dy),
        Op::DiceSums => loss::dice_sums(r, node, dy),
        Op::DiceLoss { smooth, pooled } => loss::dice_loss(r, node, smooth, pooled, dy),
        Op::BceLoss => loss::bce(r, node, dy),
        // A source: it has no input to contribute to.
        Op::Fill { .. } => Ok(()),
        // Statistics get their gradient inside NormaliseGradInput; any other reader of them has no adjoint.
        Op::NormStats { .. }
        // The adjoint would need a scatter into zeros, and no network slices in its forward pass.
        | Op::SliceChannels(_)
        // Parts of a backward pass: second derivatives are out of scope.
        | Op::AddProximal { .. }
        | Op::Conv2dGradInput { .. }
        | Op::Conv2dGradWeight { .. }
        | Op::Conv2dPairGradWeight { .. }
        | Op::SumChannels
        | Op::ConvTranspose2x2GradInput
        | Op::ConvTranspose2x2GradWeight
        | Op::MaxPool2dGrad { .. }
        | Op::UpsampleGrad { .. }
        | Op::ActivateGrad { .. }
        | Op::NormaliseGradSums { .. }
        | Op::NormaliseGradAffine { .. }
        | Op::NormaliseGradInput { .. }
        | Op::DiceSumsGrad
        | Op::DiceLossGrad { .. }
        | Op::BceLossGrad
        // Updates write no value, so none is ever between a value and the loss.
        | Op::UpdateRunning { .. }
        | Op::SgdUpdate { .. }
        | Op::AdamUpdate(_)
        | Op::AverageUpdate => {
            Err(AutodiffError::NotDifferentiable { op: node.op.name(), label: node.label.clone() })
        }
    }
}

/// Refuses a wanted gradient in an input that the rule treats as constant.
fn constant(r: &Reverse, node: &Node, i: usize, input: &'static str) -> Result<(), AutodiffError> {
    if r.wants(node, i) {
        let (op, label) = (node.op.name(), node.label.clone());
        return Err(AutodiffError::NotDifferentiableIn { op, label, input });
    }
    Ok(())
}
