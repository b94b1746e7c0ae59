//! Rebuilds a graph in which some nodes take over the result of a later one.

use crate::{Graph, Node, Op, Storage, ValueId};

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

/// A node's replacement.
#[derive(Debug, Clone)]
pub(crate) struct Merge {
    /// What it computes now.
    pub(crate) op: Op,
    /// From what.
    pub(crate) inputs: Vec<ValueId>,
    /// The later node's result, which it writes; that node goes away.
    pub(crate) output: ValueId,
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

/// The graph with the merge of each node that has one, without the persistent values of which `keep` says no. The others and
/// the inputs keep names and order.
pub(crate) fn merge(graph: &Graph, merges: &[Option<Merge>], keep: impl Fn(ValueId) -> bool) -> Merged {
    let mut merged = Graph::new();
    let mut values = vec![None; graph.values().len()];
    for id in graph.value_ids().filter(|&id| keep(id)) {
        let value = graph.value(id);
        if value.storage != Storage::Temporary {
            values[id.index()] = Some(merged.declare(value.name.clone(), value.shape, value.storage));
        }
    }
    for (node, merge) in graph.nodes().iter().zip(merges) {
        // The later node of a merge: its value was mapped there.
        if node.output.is_some_and(|o| values[o.index()].is_some()) {
            continue;
        }
        let id = match merge {
            Some(merge) => append(&mut merged, node, merge.op, &merge.inputs, &values),
            None => append(&mut merged, node, node.op, &node.inputs, &values),
        };
        if let Some(written) = merge.as_ref().map(|m| m.output).or(node.output) {
            values[written.index()] = id;
        }
    }
    for id in graph.outputs() {
        merged.mark_output(values[id.index()].expect("outputs are not merged away"));
    }
    Merged { graph: merged, values }
}

fn append(
    merged: &mut Graph,
    node: &Node,
    op: Op,
    inputs: &[ValueId],
    values: &[Option<ValueId>],
) -> Option<ValueId> {
    let inputs: Vec<ValueId> =
        inputs.iter().map(|v| values[v.index()].expect("a merged value has one reader")).collect();
    merged.set_label(&node.label);
    if node.output.is_some() {
        Some(merged.push(op, &inputs).expect("shapes are those of the checked original"))
    } else {
        merged.update(op, &inputs).expect("shapes are those of the checked original");
        None
    }
}
