//! A graph rebuilt from other nodes over the same values: how passes that merge nodes end.

use crate::{Graph, Node, Storage, ValueId};

/// A rewritten graph and where the values of the original went.
#[derive(Debug, Clone)]
pub struct Rewritten {
    /// The rewritten graph.
    pub graph: Graph,
    values: Vec<Option<ValueId>>,
}

impl Rewritten {
    /// The value of the rewritten graph that holds what `original` held; `None` for one that was merged away. Inputs and
    /// outputs never are.
    #[must_use]
    pub fn value(&self, original: ValueId) -> Option<ValueId> {
        self.values[original.index()]
    }
}

/// Rebuilds the graph with `nodes` over its values, and with those of its inputs and persistent values that `keep` names, in
/// their order. Nodes must be valid there and write every output.
pub(crate) fn rewrite(graph: &Graph, nodes: &[Node], keep: impl Fn(ValueId) -> bool) -> Rewritten {
    let mut rewritten = Graph::new();
    let mut values = vec![None; graph.values().len()];
    for id in graph.value_ids().filter(|&id| keep(id)) {
        let value = graph.value(id);
        if value.storage != Storage::Temporary {
            values[id.index()] = Some(rewritten.declare(value.name.clone(), value.shape, value.storage));
        }
    }
    for node in nodes {
        let id = append(&mut rewritten, node, &values);
        if let Some(output) = node.output {
            values[output.index()] = id;
        }
    }
    for id in graph.outputs() {
        rewritten.mark_output(values[id.index()].expect("outputs are not merged away"));
    }
    Rewritten { graph: rewritten, values }
}

fn append(rewritten: &mut Graph, node: &Node, values: &[Option<ValueId>]) -> Option<ValueId> {
    let inputs: Vec<ValueId> =
        node.inputs.iter().map(|v| values[v.index()].expect("a merged value has one reader")).collect();
    rewritten.set_label(&node.label);
    if node.output.is_some() {
        Some(rewritten.push(node.op, &inputs).expect("shapes are those of the checked original"))
    } else {
        rewritten.update(node.op, &inputs).expect("shapes are those of the checked original");
        None
    }
}
