//! Losses: differentiable in the logits; target and field are data.

use super::constant;
use crate::{AutodiffError, reverse::Reverse};
use fovea_graph::{Node, Op, ValueId};

/// `(I, P, T)` per image; `dlogits = (dI f t + dP f) p (1 - p)`.
pub(super) fn dice_sums(r: &mut Reverse, node: &Node, dsums: ValueId) -> Result<(), AutodiffError> {
    let (logits, target, field) = data_inputs(r, node)?;
    r.contribute(node, 0, Op::DiceSumsGrad, &[logits, target, field, dsums])
}

/// `1 - (2 I + s) / (P + T + s)`: adjoint in the three sums.
pub(super) fn dice_loss(
    r: &mut Reverse,
    node: &Node,
    smooth: f32,
    pooled: bool,
    dloss: ValueId,
) -> Result<(), AutodiffError> {
    r.contribute(node, 0, Op::DiceLossGrad { smooth, pooled }, &[node.inputs[0], dloss])
}

/// Mean cross-entropy; `dlogits = dloss f (p - t) / sum f`.
pub(super) fn bce(r: &mut Reverse, node: &Node, dloss: ValueId) -> Result<(), AutodiffError> {
    let (logits, target, field) = data_inputs(r, node)?;
    r.contribute(node, 0, Op::BceLossGrad, &[logits, target, field, dloss])
}

fn data_inputs(r: &Reverse, node: &Node) -> Result<(ValueId, ValueId, ValueId), AutodiffError> {
    constant(r, node, 1, "target")?;
    constant(r, node, 2, "field")?;
    Ok((node.inputs[0], node.inputs[1], node.inputs[2]))
}
