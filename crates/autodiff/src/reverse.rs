//! The reverse sweep: visits nodes from the loss back and gathers what their rules contribute.

use crate::{AutodiffError, rules};
use fovea_graph::{Channels, Graph, Node, Op, ValueId};

/// The graph under construction and the gradient gathered so far for each forward value.
pub(crate) struct Reverse {
    graph: Graph,
    loss: ValueId,
    forward_nodes: usize,
    /// Whether a value can change when an entry of `wrt` changes.
    depends: Vec<bool>,
    gradients: Vec<Option<ValueId>>,
}

impl Reverse {
    pub(crate) fn new(graph: &Graph, loss: ValueId, wrt: &[ValueId]) -> Result<Self, AutodiffError> {
        let value = graph.value(loss);
        if value.shape.dims() != [1] {
            return Err(AutodiffError::LossNotScalar { value: value.name.clone(), shape: value.shape });
        }
        let depends = dependents(graph, wrt);
        refuse_overwritten(graph, &depends)?;
        Ok(Reverse {
            graph: graph.clone(),
            loss,
            forward_nodes: graph.nodes().len(),
            gradients: vec![None; graph.values().len()],
            depends,
        })
    }

    pub(crate) fn run(mut self, wrt: &[ValueId]) -> Result<(Graph, Vec<ValueId>), AutodiffError> {
        self.graph.set_label("loss adjoint");
        self.gradients[self.loss.index()] = Some(self.graph.push(Op::Fill { value: 1.0 }, &[])?);
        for n in (0..self.forward_nodes).rev() {
            let node = self.graph.nodes()[n].clone();
            let Some(output) = node.output.filter(|o| self.depends[o.index()]) else { continue };
            if let Some(dy) = self.gradients[output.index()] {
                self.graph.set_label(format!("{} adjoint", node.label).trim_start());
                rules::apply(&mut self, &node, output, dy)?;
            }
        }
        self.graph.set_label("");
        let gradients = wrt.iter().map(|&v| self.finished(v)).collect::<Result<_, _>>()?;
        Ok((self.graph, gradients))
    }

    /// Whether the gradient of the node's `i`th input leads to a wanted one.
    pub(crate) fn wants(&self, node: &Node, i: usize) -> bool {
        node.inputs.get(i).is_some_and(|v| self.depends[v.index()])
    }

    /// Appends an adjoint node.
    pub(crate) fn push(&mut self, op: Op, inputs: &[ValueId]) -> Result<ValueId, AutodiffError> {
        Ok(self.graph.push(op, inputs)?)
    }

    /// Appends an adjoint node whose result is a contribution to the node's `i`th input, if that is wanted.
    pub(crate) fn contribute(
        &mut self,
        node: &Node,
        i: usize,
        op: Op,
        inputs: &[ValueId],
    ) -> Result<(), AutodiffError> {
        if !self.wants(node, i) {
            return Ok(());
        }
        let gradient = self.push(op, inputs)?;
        self.gather(node, i, gradient)
    }

    /// Adds `gradient` to what the node's `i`th input has gathered, if that is wanted.
    pub(crate) fn gather(&mut self, node: &Node, i: usize, gradient: ValueId) -> Result<(), AutodiffError> {
        if !self.wants(node, i) {
            return Ok(());
        }
        let slot = node.inputs[i].index();
        let sum = match self.gradients[slot] {
            Some(before) => self.push(Op::Add, &[before, gradient])?,
            None => gradient,
        };
        self.gradients[slot] = Some(sum);
        Ok(())
    }

    /// The node that wrote a value.
    pub(crate) fn writer(&self, value: ValueId) -> Option<&Node> {
        self.graph.nodes()[..self.forward_nodes].iter().find(|n| n.output == Some(value))
    }

    /// `[H, W]` of an image batch.
    pub(crate) fn plane(&self, value: ValueId) -> [usize; 2] {
        let [_, _, h, w] = self.nchw(value);
        [h, w]
    }

    /// Number of channels of an image batch.
    pub(crate) fn channels(&self, value: ValueId) -> usize {
        self.nchw(value)[1]
    }

    /// The channels that two image batches have in their concatenation.
    pub(crate) fn halves(&self, a: ValueId, b: ValueId) -> [Channels; 2] {
        let count = self.channels(a);
        [Channels::first(count), Channels { start: count, count: self.channels(b) }]
    }

    /// A value's name, for messages.
    pub(crate) fn name(&self, value: ValueId) -> String {
        self.graph.value(value).name.clone()
    }

    fn nchw(&self, value: ValueId) -> [usize; 4] {
        self.graph.shape(value).nchw().expect("the op that reads it was checked when added")
    }

    fn finished(&self, value: ValueId) -> Result<ValueId, AutodiffError> {
        self.gradients[value.index()].ok_or_else(|| AutodiffError::Independent { value: self.name(value) })
    }
}

/// Which values depend on an entry of `wrt`.
fn dependents(graph: &Graph, wrt: &[ValueId]) -> Vec<bool> {
    let mut depends = vec![false; graph.values().len()];
    for v in wrt {
        depends[v.index()] = true;
    }
    for node in graph.nodes() {
        if let Some(output) = node.output {
            depends[output.index()] |= node.inputs.iter().any(|v| depends[v.index()]);
        }
    }
    depends
}

/// An update in the forward graph must leave alone what nodes on the path read: adjoints read it again, after.
fn refuse_overwritten(graph: &Graph, depends: &[bool]) -> Result<(), AutodiffError> {
    let mut read_on_path = vec![false; graph.values().len()];
    for node in graph.nodes().iter().filter(|n| n.output.is_some_and(|o| depends[o.index()])) {
        for v in &node.inputs {
            read_on_path[v.index()] = true;
        }
    }
    for node in graph.nodes() {
        for &i in node.op.updates() {
            let value = node.inputs[i];
            if read_on_path[value.index()] {
                let value = graph.value(value).name.clone();
                return Err(AutodiffError::Overwritten { op: node.op.name(), value });
            }
        }
    }
    Ok(())
}
