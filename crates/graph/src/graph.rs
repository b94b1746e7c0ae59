//! Values, nodes and the builder that checks every node when it is added.

use crate::{GraphError, Op};
use fovea_tensor::Shape;

/// A value's index in its graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(pub(crate) u32);

/// A node's index in its graph; nodes run in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub usize);

impl ValueId {
    /// The index.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// How long a value lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// Written from outside before a step.
    Input,
    /// Kept from step to step: parameters, moments, averages, running statistics.
    Persistent,
    /// Written by one node, dead after its last reader.
    Temporary,
}

/// A value's declaration.
#[derive(Debug, Clone, PartialEq)]
pub struct Value {
    /// Its extents.
    pub shape: Shape,
    /// How long it lives.
    pub storage: Storage,
    /// For people: `encoder.0.conv1.weight`, or the op's name and node number.
    pub name: String,
}

/// One step of the program.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// What it computes.
    pub op: Op,
    /// Its operands, in the order of the op's docs.
    pub inputs: Vec<ValueId>,
    /// The value it writes; `None` for updates in place.
    pub output: Option<ValueId>,
    /// The layer it belongs to, for messages: the label that was set when it was added.
    pub label: String,
}

/// A program over values: nodes in order, each checked when it was added.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Graph {
    values: Vec<Value>,
    nodes: Vec<Node>,
    outputs: Vec<ValueId>,
    label: String,
}

impl Graph {
    /// An empty graph.
    #[must_use]
    pub fn new() -> Self {
        Graph::default()
    }

    /// Declares a value that is written from outside.
    ///
    /// # Errors
    /// When `dims` is no shape.
    pub fn input(&mut self, name: &str, dims: &[usize]) -> Result<ValueId, GraphError> {
        Ok(self.declare(name.to_owned(), Shape::new(dims)?, Storage::Input))
    }

    /// Declares a value that is kept from step to step.
    ///
    /// # Errors
    /// When `dims` is no shape.
    pub fn persistent(&mut self, name: &str, dims: &[usize]) -> Result<ValueId, GraphError> {
        Ok(self.declare(name.to_owned(), Shape::new(dims)?, Storage::Persistent))
    }

    /// Names the layer of the nodes added from now on.
    pub fn set_label(&mut self, label: &str) {
        label.clone_into(&mut self.label);
    }

    /// Adds an op with one result.
    ///
    /// # Errors
    /// When the inputs' number, shapes or the op's attributes are wrong.
    ///
    /// # Panics
    /// When the op updates in place: those go through [`Graph::update`].
    pub fn push(&mut self, op: Op, inputs: &[ValueId]) -> Result<ValueId, GraphError> {
        let shape = self.infer(&op, inputs)?.expect("ops that update in place go through Graph::update");
        let name = format!("{}.{}", op.name(), self.nodes.len());
        let output = self.declare(name, shape, Storage::Temporary);
        self.nodes.push(Node {
            op,
            inputs: inputs.to_vec(),
            output: Some(output),
            label: self.label.clone(),
        });
        Ok(output)
    }

    /// Adds an op that updates persistent inputs in place.
    ///
    /// # Errors
    /// As [`Graph::push`], and when an updated input is not persistent.
    pub fn update(&mut self, op: Op, inputs: &[ValueId]) -> Result<NodeId, GraphError> {
        self.infer(&op, inputs)?;
        for &i in op.updates() {
            let value = self.value(inputs[i]);
            if value.storage != Storage::Persistent {
                return Err(GraphError::NotPersistent { op: op.name(), value: value.name.clone() });
            }
        }
        self.nodes.push(Node { op, inputs: inputs.to_vec(), output: None, label: self.label.clone() });
        Ok(NodeId(self.nodes.len() - 1))
    }

    /// Keeps a value readable after the run.
    pub fn mark_output(&mut self, value: ValueId) {
        if !self.outputs.contains(&value) {
            self.outputs.push(value);
        }
    }

    /// A value's declaration.
    #[must_use]
    pub fn value(&self, id: ValueId) -> &Value {
        &self.values[id.index()]
    }

    /// A value's extents.
    #[must_use]
    pub fn shape(&self, id: ValueId) -> Shape {
        self.values[id.index()].shape
    }

    /// All values in order of declaration.
    #[must_use]
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// All value ids in order of declaration.
    pub fn value_ids(&self) -> impl Iterator<Item = ValueId> + use<> {
        (0..self.values.len() as u32).map(ValueId)
    }

    /// All nodes in order of execution.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Values that stay readable after a run.
    #[must_use]
    pub fn outputs(&self) -> &[ValueId] {
        &self.outputs
    }

    /// The input or persistent value of that name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<ValueId> {
        self.value_ids().find(|&id| {
            let v = self.value(id);
            v.storage != Storage::Temporary && v.name == name
        })
    }

    /// Number of nodes before the first update in place: running `0..this` computes without changing any
    /// persistent value.
    #[must_use]
    pub fn first_update(&self) -> usize {
        self.nodes.iter().position(|n| n.output.is_none()).unwrap_or(self.nodes.len())
    }

    fn infer(&self, op: &Op, inputs: &[ValueId]) -> Result<Option<Shape>, GraphError> {
        let shapes: Vec<Shape> = inputs.iter().map(|&i| self.shape(i)).collect();
        op.infer(&shapes)
    }

    /// The same values and outputs with other nodes, each of which the caller knows to be valid.
    pub(crate) fn with_nodes(&self, nodes: Vec<Node>) -> Graph {
        Graph { values: self.values.clone(), nodes, outputs: self.outputs.clone(), label: self.label.clone() }
    }

    /// The same graph with one output.
    pub(crate) fn with_output(mut self, output: ValueId) -> Graph {
        self.outputs = vec![output];
        self
    }

    pub(crate) fn set_storage(&mut self, id: ValueId, storage: Storage) {
        self.values[id.index()].storage = storage;
    }

    pub(crate) fn declare(&mut self, name: String, shape: Shape, storage: Storage) -> ValueId {
        self.values.push(Value { shape, storage, name });
        ValueId(self.values.len() as u32 - 1)
    }
}
