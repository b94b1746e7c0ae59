//! Rebuilds a graph in which nodes were merged.

use crate::{Graph, Node, Storage, ValueId};

/// A rewritten graph and where the values of the original went.
#[derive(Debug, Clone)]
pub struct Merged {
    /// The rewritten graph.
    pub graph: Graph,
    values: Vec<Option<ValueId>>,
}

impl Merged {
    /// The value of the rewritten graph that holds what `original` held; `None` for one that was merged away. Inputs and
    /// outputs never are.
    #[must_use]
    pub fn value(&self, original: ValueId) -> Option<ValueId> {
        self.values[original.index()]
    }
}

/// What each node reads and what writes each value: a pass merges along edges with a single reader.
pub(crate) struct Edges {
    readers: Vec<usize>,
    writers: Vec<Option<usize>>,
}

impl Edges {
    pub(crate) fn of(graph: &Graph) -> Self {
        let mut readers = vec![0; graph.values().len()];
        for id in graph.nodes().iter().flat_map(|n| &n.inputs).chain(graph.outputs()) {
            readers[id.index()] += 1;
        }
        let mut writers = vec![None; graph.values().len()];
        for (n, node) in graph.nodes().iter().enumerate() {
            if let Some(output) = node.output {
                writers[output.index()] = Some(n);
            }
        }
        Edges { readers, writers }
    }

    /// Whether one node reads the value and it is no output.
    pub(crate) fn read_once(&self, value: ValueId) -> bool {
        self.readers[value.index()] == 1
    }

    /// The node that writes a value which is read once.
    pub(crate) fn only_writer(&self, value: ValueId) -> Option<usize> {
        self.writers[value.index()].filter(|_| self.read_once(value))
    }
}

/// The graph with other nodes, which read and write the values of the original, without the persistent values of which `keep` says no.
/// The other persistent values and the inputs keep names and order.
pub(crate) fn rebuild(
    graph: &Graph,
    nodes: impl IntoIterator<Item = Node>,
    keep: impl Fn(ValueId) -> bool,
) -> Merged {
    let mut merged = Graph::new();
    let mut values = vec![None; graph.values().len()];
    for id in graph.value_ids().filter(|&id| keep(id)) {
        let value = graph.value(id);
        if value.storage != Storage::Temporary {
            values[id.index()] = Some(merged.declare(value.name.clone(), value.shape, value.storage));
        }
    }
    for node in nodes {
        let id = append(&mut merged, &node, &values);
        if let Some(output) = node.output {
            values[output.index()] = id;
        }
    }
    for id in graph.outputs() {
        merged.mark_output(values[id.index()].expect("outputs are not merged away"));
    }
    Merged { graph: merged, values }
}

fn append(merged: &mut Graph, node: &Node, values: &[Option<ValueId>]) -> Option<ValueId> {
    let inputs: Vec<ValueId> =
        node.inputs.iter().map(|v| values[v.index()].expect("a merged value has one reader")).collect();
    merged.set_label(&node.label);
    if node.output.is_some() {
        Some(merged.push(node.op, &inputs).expect("shapes are those of the checked original"))
    } else {
        merged.update(node.op, &inputs).expect("shapes are those of the checked original");
        None
    }
}
