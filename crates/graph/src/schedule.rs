//! Orders of a graph's nodes in which some are repeated: what [`recompute`](crate::recompute) chooses among.

use crate::{ALIGN, Graph, Node, Op, Storage, ValueId};
use std::collections::BTreeMap;

/// Products of a convolution that take as long as moving one float.
const PRODUCTS_PER_FLOAT: f64 = 8.0;

/// Where values are given up, by value and by the node whose use is served by a copy. True: a copy that another
/// value's copy asked for before that node stays until it; false: it is made a second time.
pub(crate) type Cuts = BTreeMap<(usize, usize), bool>;

/// A graph, and what the search needs to know of it.
pub(crate) struct Problem<'a> {
    graph: &'a Graph,
    /// Floats of each value, padded as the planner does.
    sizes: Vec<usize>,
    /// The nodes that read each value, in order.
    uses: Vec<Vec<usize>>,
    /// The node that wrote each value that may be made again.
    writers: Vec<Option<usize>>,
    /// Work of each node in floats moved; 0 for those that are never repeated.
    work: Vec<f64>,
}

/// One order, with its memory and work.
pub(crate) struct Schedule {
    entries: Vec<Entry>,
    /// The original of each copy; copies are numbered after the originals.
    copies: Vec<usize>,
    /// Where each node of the graph stands first.
    positions: Vec<usize>,
    /// Floats alive while each entry runs, over all temporaries.
    pub(crate) live: Vec<f64>,
    /// Work of the nodes that can be repeated.
    pub(crate) work: f64,
}

struct Entry {
    node: usize,
    inputs: Vec<usize>,
    output: Option<usize>,
}

impl<'a> Problem<'a> {
    pub(crate) fn new(graph: &'a Graph) -> Self {
        let mut uses = vec![Vec::new(); graph.values().len()];
        let mut writers = vec![None; graph.values().len()];
        let mut work = Vec::with_capacity(graph.nodes().len());
        for (n, node) in graph.nodes().iter().enumerate() {
            for v in &node.inputs {
                uses[v.index()].push(n);
            }
            let own = node_work(graph, node);
            work.push(own.unwrap_or(0.0));
            if let (Some(out), Some(_)) = (node.output, own)
                && !graph.outputs().contains(&out)
            {
                writers[out.index()] = Some(n);
            }
        }
        uses.iter_mut().for_each(Vec::dedup);
        let sizes = graph.values().iter().map(|v| v.shape.count().next_multiple_of(ALIGN)).collect();
        Problem { graph, sizes, uses, writers, work }
    }

    /// The order in which the cuts are made.
    pub(crate) fn schedule(&self, cuts: &Cuts) -> Schedule {
        let values = self.sizes.len();
        let mut builder = Builder {
            problem: self,
            cuts,
            current: (0..values).collect(),
            gone: vec![false; values],
            entries: Vec::with_capacity(2 * self.work.len()),
            copies: Vec::new(),
        };
        let mut positions = Vec::with_capacity(self.work.len());
        for (n, node) in self.graph.nodes().iter().enumerate() {
            for v in &node.inputs {
                builder.ensure(v.index(), n);
            }
            positions.push(builder.entries.len());
            builder.push(n, node.output.map(ValueId::index));
            for v in node.inputs.iter().chain(&node.output) {
                builder.gone[v.index()] = builder.is_given_up(v.index(), n + 1);
            }
        }
        let Builder { entries, copies, .. } = builder;
        let live = self.live(&entries, &copies);
        let work = entries.iter().map(|e| self.work[e.node]).sum();
        Schedule { entries, copies, positions, live, work }
    }

    /// Further cuts that would free memory while more than `level` floats are alive, in both kinds.
    pub(crate) fn candidates(&self, cuts: &Cuts, now: &Schedule, level: f64) -> Vec<((usize, usize), bool)> {
        let mut found = Vec::new();
        let first_update = self.graph.first_update();
        for (value, writer) in self.writers.iter().enumerate() {
            let Some(writer) = *writer else { continue };
            let mut before = writer;
            for &at in self.uses[value].iter().filter(|&&at| at < first_update) {
                let (from, to) = (now.positions[before] + 1, now.positions[at]);
                before = at;
                let high = now.live.get(from..to).is_some_and(|gap| gap.iter().any(|live| *live > level));
                if !high || cuts.contains_key(&(value, at)) {
                    continue;
                }
                found.extend([true, false].map(|kept| ((value, at), kept)));
            }
        }
        found
    }

    /// The schedule as a graph.
    pub(crate) fn graph(&self, schedule: &Schedule) -> Graph {
        let id = |v: usize| ValueId(v as u32);
        let node = |entry: &Entry| {
            let original = &self.graph.nodes()[entry.node];
            Node {
                op: original.op,
                inputs: entry.inputs.iter().copied().map(id).collect(),
                output: entry.output.map(id),
                label: original.label.clone(),
            }
        };
        let mut graph = self.graph.with_nodes(schedule.entries.iter().map(node).collect());
        for &original in &schedule.copies {
            let value = self.graph.value(id(original)).clone();
            graph.declare(format!("{} again", value.name), value.shape, Storage::Temporary);
        }
        graph
    }

    /// Floats of temporaries alive at each entry: from the writer to the last reader, or to the end for outputs.
    fn live(&self, entries: &[Entry], copies: &[usize]) -> Vec<f64> {
        let originals = self.sizes.len();
        let mut last = vec![0; originals + copies.len()];
        for (n, entry) in entries.iter().enumerate() {
            for &v in entry.inputs.iter().chain(&entry.output) {
                last[v] = n;
            }
        }
        for v in self.graph.outputs() {
            last[v.index()] = entries.len();
        }
        let size = |v: usize| self.sizes[if v < originals { v } else { copies[v - originals] }] as f64;
        let mut changes = vec![0.0; entries.len() + 2];
        for (n, entry) in entries.iter().enumerate() {
            if let Some(v) = entry.output {
                changes[n] += size(v);
                changes[last[v] + 1] -= size(v);
            }
        }
        let sum = |sum: &mut f64, change: &f64| {
            *sum += change;
            Some(*sum)
        };
        changes[..entries.len()].iter().scan(0.0, sum).collect()
    }
}

/// Lists nodes in order, with those that bring a value back before those that read it.
struct Builder<'a> {
    problem: &'a Problem<'a>,
    cuts: &'a Cuts,
    /// The latest copy of each value.
    current: Vec<usize>,
    /// Whether that copy's memory is given up.
    gone: Vec<bool>,
    entries: Vec<Entry>,
    copies: Vec<usize>,
}

impl Builder<'_> {
    /// Makes `value` again where it is gone, and before that what it is made from, for node `at`.
    fn ensure(&mut self, value: usize, at: usize) {
        let Some(writer) = self.problem.writers[value].filter(|_| self.gone[value]) else { return };
        let inputs = &self.problem.graph.nodes()[writer].inputs;
        for v in inputs {
            self.ensure(v.index(), at);
        }
        let copy = self.current.len() + self.copies.len();
        self.copies.push(value);
        self.push(writer, Some(copy));
        self.current[value] = copy;
        self.gone[value] = false;
        for v in inputs {
            let v = v.index();
            let next = self.problem.uses[v].iter().find(|&&n| n >= at);
            let kept = next.is_some_and(|&n| n == at || self.cuts.get(&(v, n)) != Some(&false));
            self.gone[v] = !kept && self.problem.writers[v].is_some();
        }
    }

    fn push(&mut self, node: usize, output: Option<usize>) {
        let inputs = &self.problem.graph.nodes()[node].inputs;
        let inputs = inputs.iter().map(|v| self.current[v.index()]).collect();
        self.entries.push(Entry { node, inputs, output });
    }

    /// Whether the value's memory is free before node `from`: its next use is cut, or there is none.
    fn is_given_up(&self, value: usize, from: usize) -> bool {
        let next = self.problem.uses[value].iter().find(|&&n| n >= from);
        self.problem.writers[value].is_some() && next.is_none_or(|&n| self.cuts.contains_key(&(value, n)))
    }
}

/// Work of a node that may be repeated, in floats moved; `None` for one that may not: its result is small, or belongs to the
/// backward pass and is read at once.
fn node_work(graph: &Graph, node: &Node) -> Option<f64> {
    let count = |v: &ValueId| graph.shape(*v).count() as f64;
    let moved: f64 = node.inputs.iter().chain(&node.output).map(count).sum();
    // Products per output: all weights of one output channel.
    let products = |weights: usize, channels: usize| {
        let weights = node.inputs[weights];
        let per_channel = count(&weights) / graph.shape(weights).dims()[channels] as f64;
        node.output.as_ref().map_or(0.0, count) * per_channel / PRODUCTS_PER_FLOAT
    };
    match node.op {
        Op::Concat
        | Op::SliceChannels(_)
        | Op::Upsample { .. }
        | Op::MaxPool2d { .. }
        | Op::Normalise { .. }
        | Op::Activate { .. }
        | Op::Dropout { .. }
        | Op::Add
        | Op::Scale { .. } => Some(moved),
        Op::Conv2d { .. } => Some(moved + products(1, 0)),
        Op::Conv2dPair { .. } => Some(moved + products(2, 0)),
        Op::ConvTranspose2x2 => Some(moved + products(1, 1) / 4.0),
        Op::Fill { .. }
        | Op::Conv2dGradInput { .. }
        | Op::Conv2dGradWeight { .. }
        | Op::Conv2dPairGradWeight { .. }
        | Op::SumChannels
        | Op::ConvTranspose2x2GradInput
        | Op::ConvTranspose2x2GradWeight
        | Op::MaxPool2dGrad { .. }
        | Op::UpsampleGrad { .. }
        | Op::AddProximal { .. }
        | Op::ActivateGrad { .. }
        | Op::NormStats { .. }
        | Op::NormaliseGradSums { .. }
        | Op::NormaliseGradAffine { .. }
        | Op::NormaliseGradInput { .. }
        | Op::DiceSums
        | Op::DiceSumsGrad
        | Op::DiceLoss { .. }
        | Op::DiceLossGrad { .. }
        | Op::BceLoss
        | Op::BceLossGrad
        | Op::UpdateRunning { .. }
        | Op::SgdUpdate { .. }
        | Op::AdamUpdate(_)
        | Op::AverageUpdate => None,
    }
}
