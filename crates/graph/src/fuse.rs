//! Merges an activation into the convolution or normalisation that feeds it.
//!
//! A model is built from plain ops; this pass saves the fused ones a round trip through memory. It runs on the
//! forward graph, before differentiation, so that the backward pass is that of the fused ops.

use crate::merge::{Edges, Merge, Merged, merge};
use crate::{Activation, Graph, Op};

/// Merges `Conv2d` and `Normalise` without activation with the [`Op::Activate`] that reads their result, when it is the
/// only reader and the result is no output. `Conv2d` takes only activations whose adjoint needs the output alone.
/// Names and order of inputs and persistent values are kept.
#[must_use]
pub fn fuse(graph: &Graph) -> Merged {
    let edges = Edges::of(graph);
    let mut merges = vec![None; graph.nodes().len()];
    for node in graph.nodes() {
        let (Op::Activate { function }, Some(output)) = (node.op, node.output) else { continue };
        if let Some(w) = edges.only_writer(node.inputs[0])
            && let Some(op) = with_activation(graph.nodes()[w].op, function)
        {
            merges[w] = Some(Merge { op, inputs: graph.nodes()[w].inputs.clone(), output });
        }
    }
    merge(graph, &merges, |_| true)
}

/// The op followed by `function` as one op, where there is one.
fn with_activation(op: Op, function: Activation) -> Option<Op> {
    if let Op::Conv2d { window, activation: Activation::Identity } = op
        && function.saves_output()
    {
        return Some(Op::Conv2d { window, activation: function });
    }
    if let Op::Normalise { epsilon, activation: Activation::Identity } = op {
        return Some(Op::Normalise { epsilon, activation: function });
    }
    None
}
