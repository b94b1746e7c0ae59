//! Convolutions: linear in the input, the weights and the bias.

use super::elementwise::before_activation;
use crate::{AutodiffError, reverse::Reverse};
use fovea_graph::{Activation, Channels, Node, Op, ValueId};
use fovea_tensor::Window;

/// `y = f(x * w + b)`: first `dz = f'(y) dy`, then `dx = w^T * dz`, `dw = x^T * dz`, `db` = sum of `dz`.
pub(super) fn conv2d(
    r: &mut Reverse,
    node: &Node,
    window: Window,
    activation: Activation,
    y: ValueId,
    dy: ValueId,
) -> Result<(), AutodiffError> {
    let (x, w) = (node.inputs[0], node.inputs[1]);
    let dz = before_activation(r, activation, y, dy)?;
    let input = r.plane(x);
    let channels = Channels::first(r.channels(x));
    // The weights' gradient first: after it `x` need not live beside its own gradient.
    r.contribute(node, 1, Op::Conv2dGradWeight { window }, &[x, dz])?;
    r.contribute(node, 0, Op::Conv2dGradInput { window, input, channels }, &[w, dz])?;
    r.contribute(node, 2, Op::SumChannels, &[dz])
}

/// [`conv2d`] of `x = [a; b]`: each part's gradient is that in its channels of `x`.
pub(super) fn pair(
    r: &mut Reverse,
    node: &Node,
    window: Window,
    activation: Activation,
    y: ValueId,
    dy: ValueId,
) -> Result<(), AutodiffError> {
    let (a, b, w) = (node.inputs[0], node.inputs[1], node.inputs[2]);
    let dz = before_activation(r, activation, y, dy)?;
    let input = r.plane(a);
    let [of_a, of_b] = r.halves(a, b);
    r.contribute(node, 2, Op::Conv2dPairGradWeight { window }, &[a, b, dz])?;
    r.contribute(node, 0, Op::Conv2dGradInput { window, input, channels: of_a }, &[w, dz])?;
    r.contribute(node, 1, Op::Conv2dGradInput { window, input, channels: of_b }, &[w, dz])?;
    r.contribute(node, 3, Op::SumChannels, &[dz])
}

/// `y = x *^T w + b`: `dx` is a convolution of `dy` with `w`, `dw` correlates `x` with `dy`, `db` = sum of `dy`.
pub(super) fn transpose(r: &mut Reverse, node: &Node, dy: ValueId) -> Result<(), AutodiffError> {
    let (x, w) = (node.inputs[0], node.inputs[1]);
    r.contribute(node, 1, Op::ConvTranspose2x2GradWeight, &[x, dy])?;
    r.contribute(node, 0, Op::ConvTranspose2x2GradInput, &[w, dy])?;
    r.contribute(node, 2, Op::SumChannels, &[dy])
}
