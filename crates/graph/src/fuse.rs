//! Merges an activation into the convolution or normalisation that feeds it.
//!
//! A model is built from plain ops; this pass saves the fused ones a round trip through memory. It runs on the
//! forward graph, before differentiation, so that the backward pass is that of the fused ops.

use crate::{Activation, Graph, Node, Op, Storage, ValueId};

/// A fused graph and where the values of the original went.
#[derive(Debug, Clone)]
pub struct Fused {
    /// The fused graph.
    pub graph: Graph,
    values: Vec<Option<ValueId>>,
}

impl Fused {
    /// The value of the fused graph that holds what `original` held; `None` for a pre-activation that was merged away.
    /// Inputs, persistent values and outputs are never merged away.
    #[must_use]
    pub fn value(&self, original: ValueId) -> Option<ValueId> {
        self.values[original.index()]
    }
}

/// Merges `Conv2d` and `Normalise` without activation with the [`Op::Activate`] that reads their result, when it is the
/// only reader and the result is no output. `Conv2d` takes only activations whose adjoint needs the output alone.
/// Names and order of inputs and persistent values are kept.
#[must_use]
pub fn fuse(graph: &Graph) -> Fused {
    let merges = merges(graph);
    let mut fused = Graph::new();
    let mut values = vec![None; graph.values().len()];
    for id in graph.value_ids() {
        let value = graph.value(id);
        if value.storage != Storage::Temporary {
            values[id.index()] = Some(fused.declare(value.name.clone(), value.shape, value.storage));
        }
    }
    for (n, node) in graph.nodes().iter().enumerate() {
        // The activation of an earlier node: its value was mapped there.
        if node.output.is_some_and(|o| values[o.index()].is_some()) {
            continue;
        }
        let merge = merges[n];
        let written = merge.map_or(node.output, |m| Some(m.output));
        let id = append(&mut fused, node, merge.map_or(node.op, |m| m.op), &values);
        if let Some(written) = written {
            values[written.index()] = id;
        }
    }
    for id in graph.outputs() {
        fused.mark_output(values[id.index()].expect("outputs are not merged away"));
    }
    Fused { graph: fused, values }
}

/// A node's replacement: the fused op and the activation's value that it writes.
#[derive(Clone, Copy)]
struct Merge {
    op: Op,
    output: ValueId,
}

/// For each node the merge that starts there.
fn merges(graph: &Graph) -> Vec<Option<Merge>> {
    let mut readers = vec![0usize; graph.values().len()];
    for id in graph.nodes().iter().flat_map(|n| &n.inputs).chain(graph.outputs()) {
        readers[id.index()] += 1;
    }
    let mut writers = vec![None; graph.values().len()];
    let mut merges = vec![None; graph.nodes().len()];
    for (n, node) in graph.nodes().iter().enumerate() {
        let Some(output) = node.output else { continue };
        writers[output.index()] = Some(n);
        if let Op::Activate { function } = node.op {
            let source = node.inputs[0].index();
            if let (1, Some(w)) = (readers[source], writers[source])
                && let Some(op) = with_activation(graph.nodes()[w].op, function)
            {
                merges[w] = Some(Merge { op, output });
            }
        }
    }
    merges
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

fn append(fused: &mut Graph, node: &Node, op: Op, values: &[Option<ValueId>]) -> Option<ValueId> {
    let inputs: Vec<ValueId> =
        node.inputs.iter().map(|v| values[v.index()].expect("a merged value has one reader")).collect();
    fused.set_label(&node.label);
    if node.output.is_some() {
        Some(fused.push(op, &inputs).expect("shapes are those of the checked original"))
    } else {
        fused.update(op, &inputs).expect("shapes are those of the checked original");
        None
    }
}
