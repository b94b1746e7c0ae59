//! Elementwise ops.

use crate::{AutodiffError, reverse::Reverse};
use fovea_graph::{Activation, Node, Op, ValueId};

/// `y = a + b`: `da = db = dy`.
pub(super) fn add(r: &mut Reverse, node: &Node, dy: ValueId) -> Result<(), AutodiffError> {
    r.gather(node, 0, dy)?;
    r.gather(node, 1, dy)
}

/// `y = factor x`: `dx = factor dy`.
pub(super) fn scale(r: &mut Reverse, node: &Node, factor: f32, dy: ValueId) -> Result<(), AutodiffError> {
    r.contribute(node, 0, Op::Scale { factor }, &[dy])
}

/// `y = f(x)`: `dx = f'(x) dy`.
pub(super) fn activate(
    r: &mut Reverse,
    node: &Node,
    function: Activation,
    y: ValueId,
    dy: ValueId,
) -> Result<(), AutodiffError> {
    let saved = if function.saves_output() { y } else { node.inputs[0] };
    let dx = before_activation(r, function, saved, dy)?;
    r.gather(node, 0, dx)
}

/// `y = mask x / (1 - p)`: linear and diagonal, so its own adjoint with the same mask.
pub(super) fn dropout(
    r: &mut Reverse,
    node: &Node,
    p: f32,
    stream: u32,
    dy: ValueId,
) -> Result<(), AutodiffError> {
    r.contribute(node, 0, Op::Dropout { p, stream }, &[dy])
}

/// The gradient before an activation; nothing to do for the identity.
pub(super) fn before_activation(
    r: &mut Reverse,
    function: Activation,
    saved: ValueId,
    dy: ValueId,
) -> Result<ValueId, AutodiffError> {
    if function == Activation::Identity {
        return Ok(dy);
    }
    r.push(Op::ActivateGrad { function }, &[saved, dy])
}
