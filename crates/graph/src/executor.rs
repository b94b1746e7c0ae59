//! What runs a graph.

use crate::{ExecuteError, Graph, NodeId, Storage, ValueId};
use std::ops::Range;

/// The randomness of one step: dropout masks are a function of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Step {
    /// The experiment's seed.
    pub seed: u64,
    /// Optimiser steps done before this one.
    pub index: u32,
}

/// What became of one optimiser step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// The step's loss.
    pub loss: f32,
    /// Whether loss and gradients were finite, so that the updates ran.
    pub updated: bool,
}

impl Graph {
    /// What every executor checks before it writes `count` numbers to a value.
    ///
    /// # Errors
    /// When the length differs or the value is temporary.
    pub fn check_write(&self, value: ValueId, count: usize) -> Result<(), ExecuteError> {
        self.check_access(value, count, self.value(value).storage != Storage::Temporary)
    }

    /// What every executor checks before it reads `count` numbers from a value.
    ///
    /// # Errors
    /// When the length differs or the value's memory may have been reused.
    pub fn check_read(&self, value: ValueId, count: usize) -> Result<(), ExecuteError> {
        let kept = self.value(value).storage != Storage::Temporary;
        self.check_access(value, count, kept || self.outputs().contains(&value))
    }

    fn check_access(&self, value: ValueId, found: usize, accessible: bool) -> Result<(), ExecuteError> {
        let (declared, expected) = (self.value(value), self.shape(value).count());
        if !accessible {
            return Err(ExecuteError::NotAccessible { value: declared.name.clone() });
        }
        if expected != found {
            return Err(ExecuteError::Length { value: declared.name.clone(), expected, found });
        }
        Ok(())
    }
}

/// Interprets one graph over memory that it owns. Object-safe, so that training takes `&mut dyn Executor`.
pub trait Executor: Send {
    /// The graph that it runs.
    fn graph(&self) -> &Graph;

    /// Sets an input or persistent value.
    ///
    /// # Errors
    /// When the length differs or the value is temporary.
    fn write(&mut self, value: ValueId, data: &[f32]) -> Result<(), ExecuteError>;

    /// Copies out an input, a persistent value or an output.
    ///
    /// # Errors
    /// When the length differs or the value's memory may have been reused.
    fn read(&self, value: ValueId, data: &mut [f32]) -> Result<(), ExecuteError>;

    /// Runs the nodes of a range in order. A temporary that crosses the end of one range is still there
    /// in the next call, as long as ranges are run in order.
    ///
    /// # Errors
    /// When the device fails.
    fn run(&mut self, step: Step, nodes: Range<usize>) -> Result<(), ExecuteError>;

    /// Runs one optimiser step: the nodes up to [`Graph::first_update`], then the updates if `loss` and all `gradients` (outputs of
    /// the graph) are finite. Returns the outcomes of the steps that are done by now, oldest first; an executor that runs
    /// behind its caller keeps the others until later calls. Once a step was not updated, none of those behind it is, until
    /// its outcome has been returned.
    ///
    /// # Errors
    /// When the device fails.
    fn step(
        &mut self,
        step: Step,
        loss: ValueId,
        gradients: &[ValueId],
    ) -> Result<Vec<Outcome>, ExecuteError> {
        let (updates, end) = (self.graph().first_update(), self.graph().nodes().len());
        self.run(step, 0..updates)?;
        let mut found = [0.0];
        self.read(loss, &mut found)?;
        let mut updated = found[0].is_finite();
        for &gradient in gradients {
            let mut numbers = vec![0.0; self.graph().shape(gradient).count()];
            self.read(gradient, &mut numbers)?;
            updated &= numbers.iter().all(|v| v.is_finite());
        }
        if updated {
            self.run(step, updates..end)?;
        }
        Ok(vec![Outcome { loss: found[0], updated }])
    }

    /// Waits for the steps whose outcomes have not been returned, and returns them.
    ///
    /// # Errors
    /// When the device fails.
    fn finish(&mut self) -> Result<Vec<Outcome>, ExecuteError> {
        Ok(Vec::new())
    }

    /// Runs the nodes of a range and returns the first whose result holds a NaN or an infinity, where it stops.
    ///
    /// # Errors
    /// When the device fails.
    fn run_until_non_finite(
        &mut self,
        step: Step,
        nodes: Range<usize>,
    ) -> Result<Option<NodeId>, ExecuteError>;
}
