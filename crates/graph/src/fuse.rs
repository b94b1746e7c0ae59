//! Merges plain ops into those that save a round trip through memory: an activation into the convolution or normalisation that
//! feeds it, a concatenation into the convolution that reads it.
//!
//! A model is built from plain ops. This pass runs on the forward graph, before differentiation, so that the backward pass is
//! that of the fused ops.

use crate::rewrite::{Rewritten, rewrite};
use crate::{Activation, Graph, Node, Op, Storage};

/// Merges a value's writer with its reader, when it is the only reader and the value is no output:
///
/// - `Conv2d`, `Conv2dPair` and `Normalise` without activation with the [`Op::Activate`] that reads their result. A
///   convolution takes only activations whose adjoint needs the output alone.
/// - [`Op::Concat`] of values that nothing overwrites with the `Conv2d` that reads it, to [`Op::Conv2dPair`].
///
/// Names and order of inputs and persistent values are kept.
#[must_use]
pub fn fuse(graph: &Graph) -> Rewritten {
    rewrite(graph, &merged(graph), |_| true)
}

/// The nodes after all merges, over the values of the original.
fn merged(graph: &Graph) -> Vec<Node> {
    let mut readers = vec![0usize; graph.values().len()];
    for id in graph.nodes().iter().flat_map(|n| &n.inputs).chain(graph.outputs()) {
        readers[id.index()] += 1;
    }
    // A node that was merged into its reader leaves an empty place.
    let mut nodes: Vec<Option<Node>> = Vec::with_capacity(graph.nodes().len());
    let mut writers: Vec<Option<usize>> = vec![None; graph.values().len()];
    for node in graph.nodes() {
        let mut node = node.clone();
        let sole = node.inputs.first().filter(|v| readers[v.index()] == 1).and_then(|v| writers[v.index()]);
        if let Some(w) = sole {
            let writer = &mut nodes[w];
            if let Some(joined) = writer.as_ref().and_then(|concat| with_parts(graph, concat, &node)) {
                *writer = None;
                node = joined;
            } else if let Some(active) = writer.as_ref().and_then(|plain| with_activation(plain, &node)) {
                *writer = Some(active);
                node.output.iter().for_each(|o| writers[o.index()] = Some(w));
                continue;
            }
        }
        node.output.iter().for_each(|o| writers[o.index()] = Some(nodes.len()));
        nodes.push(Some(node));
    }
    nodes.into_iter().flatten().collect()
}

/// A writer followed by the activation `reader` as one node, where there is one.
fn with_activation(writer: &Node, reader: &Node) -> Option<Node> {
    let Op::Activate { function: activation } = reader.op else { return None };
    let fuses = activation.saves_output();
    let op = if let Op::Conv2d { window, activation: Activation::Identity } = writer.op
        && fuses
    {
        Op::Conv2d { window, activation }
    } else if let Op::Conv2dPair { window, activation: Activation::Identity } = writer.op
        && fuses
    {
        Op::Conv2dPair { window, activation }
    } else if let Op::Normalise { epsilon, activation: Activation::Identity } = writer.op {
        Op::Normalise { epsilon, activation }
    } else {
        return None;
    };
    Some(Node { op, output: reader.output, ..writer.clone() })
}

/// The convolution `reader` of the concatenation `writer` as a convolution of its parts. Persistent parts are left alone: an
/// update between the two nodes would reach the convolution.
fn with_parts(graph: &Graph, writer: &Node, reader: &Node) -> Option<Node> {
    let (Op::Concat, Op::Conv2d { window, activation }) = (writer.op, reader.op) else { return None };
    if writer.inputs.iter().any(|&part| graph.value(part).storage == Storage::Persistent) {
        return None;
    }
    let inputs = writer.inputs.iter().chain(&reader.inputs[1..]).copied().collect();
    Some(Node { op: Op::Conv2dPair { window, activation }, inputs, ..reader.clone() })
}
