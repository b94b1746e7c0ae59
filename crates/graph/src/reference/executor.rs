//! Runs a graph with the reference functions, every value in memory of its own.

use super::{evaluate, update};
use crate::{ExecuteError, Executor, Graph, Node, NodeId, Step, ValueId};
use fovea_tensor::Shape;
use std::ops::Range;

/// The executor in float64 that others are compared with: nothing is reused, so every value can be looked at.
#[derive(Debug, Clone)]
pub struct ReferenceExecutor {
    graph: Graph,
    values: Vec<Vec<f64>>,
}

impl ReferenceExecutor {
    /// All values zero.
    #[must_use]
    pub fn new(graph: Graph) -> Self {
        let values = graph.values().iter().map(|v| vec![0.0; v.shape.count()]).collect();
        ReferenceExecutor { graph, values }
    }

    /// Any value, temporaries too, in full precision.
    #[must_use]
    pub fn value(&self, id: ValueId) -> &[f64] {
        &self.values[id.index()]
    }

    /// Any value, to write in full precision.
    pub fn value_mut(&mut self, id: ValueId) -> &mut [f64] {
        &mut self.values[id.index()]
    }

    fn run_node(&mut self, node: &Node, step: Step) {
        if let Some(output) = node.output {
            let operand = |v: &ValueId| (self.graph.shape(*v), self.values[v.index()].as_slice());
            let inputs: Vec<(Shape, &[f64])> = node.inputs.iter().map(operand).collect();
            self.values[output.index()] = evaluate(&node.op, &inputs, self.graph.shape(output), step);
            return;
        }
        let mut inputs: Vec<Vec<f64>> = node.inputs.iter().map(|v| self.values[v.index()].clone()).collect();
        update(&node.op, &mut inputs);
        for &i in node.op.updates() {
            self.values[node.inputs[i].index()] = std::mem::take(&mut inputs[i]);
        }
    }

    fn is_finite(&self, node: &Node) -> bool {
        let updated = node.op.updates().iter().map(|&i| node.inputs[i]);
        node.output.into_iter().chain(updated).all(|v| self.value(v).iter().all(|x| x.is_finite()))
    }
}

impl Executor for ReferenceExecutor {
    fn graph(&self) -> &Graph {
        &self.graph
    }

    fn write(&mut self, value: ValueId, data: &[f32]) -> Result<(), ExecuteError> {
        self.graph.check_write(value, data.len())?;
        self.values[value.index()] = data.iter().map(|&x| f64::from(x)).collect();
        Ok(())
    }

    fn read(&self, value: ValueId, data: &mut [f32]) -> Result<(), ExecuteError> {
        self.graph.check_read(value, data.len())?;
        for (to, from) in data.iter_mut().zip(self.value(value)) {
            *to = *from as f32;
        }
        Ok(())
    }

    fn run(&mut self, step: Step, nodes: Range<usize>) -> Result<(), ExecuteError> {
        for n in nodes {
            let node = self.graph.nodes()[n].clone();
            self.run_node(&node, step);
        }
        Ok(())
    }

    fn run_until_non_finite(
        &mut self,
        step: Step,
        nodes: Range<usize>,
    ) -> Result<Option<NodeId>, ExecuteError> {
        for n in nodes {
            let node = self.graph.nodes()[n].clone();
            self.run_node(&node, step);
            if !self.is_finite(&node) {
                return Ok(Some(NodeId(n)));
            }
        }
        Ok(None)
    }
}
