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
