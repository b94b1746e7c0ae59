//! Ops that move pixels and channels.

use crate::{AutodiffError, reverse::Reverse};
use fovea_graph::{Node, Op, Resize, ValueId};
use fovea_tensor::Window;

/// Each output's gradient goes to the pixel that won its window.
pub(super) fn max_pool(
    r: &mut Reverse,
    node: &Node,
    window: Window,
    dy: ValueId,
) -> Result<(), AutodiffError> {
    r.contribute(node, 0, Op::MaxPool2dGrad { window }, &[node.inputs[0], dy])
}

/// The transposed interpolation.
pub(super) fn upsample(
    r: &mut Reverse,
    node: &Node,
    mode: Resize,
    factor: usize,
    dy: ValueId,
) -> Result<(), AutodiffError> {
    r.contribute(node, 0, Op::UpsampleGrad { mode, factor }, &[dy])
}

/// `y = [a; b]`: each part's gradient is its slice of channels.
pub(super) fn concat(r: &mut Reverse, node: &Node, dy: ValueId) -> Result<(), AutodiffError> {
    let [of_a, of_b] = r.halves(node.inputs[0], node.inputs[1]);
    r.contribute(node, 0, Op::SliceChannels(of_a), &[dy])?;
    r.contribute(node, 1, Op::SliceChannels(of_b), &[dy])
}
