//! Normalisation.

use crate::{AutodiffError, reverse::Reverse};
use fovea_graph::{Activation, Affine, Node, Op, ValueId};

/// `y = f(gamma xh + beta)`, `xh = (x - mean(x)) / sqrt(var(x) + epsilon)`. The whole of `dx`, also what flows
/// through the statistics, is [`Op::NormaliseGradInput`]; so nothing is contributed to `stats`, and they must be
/// those of this `x`.
pub(super) fn normalise(
    r: &mut Reverse,
    node: &Node,
    epsilon: f32,
    activation: Activation,
    dy: ValueId,
) -> Result<(), AutodiffError> {
    let (x, stats, gamma, beta) = (node.inputs[0], node.inputs[1], node.inputs[2], node.inputs[3]);
    if r.wants(node, 0) || r.wants(node, 1) {
        let own = r
            .writer(stats)
            .is_some_and(|writer| matches!(writer.op, Op::NormStats { .. }) && writer.inputs == [x]);
        if !own {
            let (label, stats) = (node.label.clone(), r.name(stats));
            return Err(AutodiffError::ForeignStatistics { label, stats });
        }
    }
    let forward = [x, stats, gamma, beta, dy];
    let sums = r.push(Op::NormaliseGradSums { epsilon, activation }, &forward)?;
    r.contribute(node, 2, Op::NormaliseGradAffine { which: Affine::Scale }, &[sums])?;
    r.contribute(node, 3, Op::NormaliseGradAffine { which: Affine::Shift }, &[sums])?;
    let with_sums = [x, stats, gamma, beta, dy, sums];
    r.contribute(node, 0, Op::NormaliseGradInput { epsilon, activation }, &with_sums)
}
