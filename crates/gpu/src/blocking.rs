//! The executor for callers that wait: the one place that blocks on a device, and so not part of a build for browsers.

use crate::executor::STEPS_IN_FLIGHT;
use crate::{Checks, Description, Device, GpuError, GpuExecutor, Tuning};
use fovea_graph::{ExecuteError, Executor, Graph, NodeId, Outcome, Step, ValueId};
use std::future::Future;
use std::ops::Range;
use std::sync::Arc;

impl Device {
    /// [`Device::open`], waited for.
    ///
    /// # Errors
    /// As [`Device::open`].
    pub fn open_blocking(index: Option<usize>, checks: Checks) -> Result<Self, GpuError> {
        pollster::block_on(Device::open(index, checks))
    }

    /// [`adapters`](crate::adapters), waited for.
    #[must_use]
    pub fn list_blocking() -> Vec<Description> {
        pollster::block_on(crate::adapters())
    }

    /// Waits until everything submitted is done.
    ///
    /// # Errors
    /// [`GpuError::Failed`].
    pub fn wait(&self) -> Result<(), GpuError> {
        let polled = self.device.poll(wgpu::PollType::wait_indefinitely());
        self.healthy()?;
        polled.map(|_| ()).map_err(|error| GpuError::Failed { what: error.to_string() })
    }
}

impl GpuExecutor {
    /// [`GpuExecutor::new`], waited for.
    ///
    /// # Errors
    /// As [`GpuExecutor::new`].
    pub fn new_blocking(device: Arc<Device>, graph: Graph, tuning: &Tuning) -> Result<Self, GpuError> {
        pollster::block_on(GpuExecutor::new(device, graph, tuning))
    }

    /// Every word of the arena, waited for.
    ///
    /// # Errors
    /// [`ExecuteError::Device`].
    pub fn snapshot(&self) -> Result<Vec<f32>, ExecuteError> {
        self.wait_for(self.fetch_arena()?)
    }

    fn wait_for(
        &self,
        future: impl Future<Output = Result<Vec<f32>, String>>,
    ) -> Result<Vec<f32>, ExecuteError> {
        self.device().wait()?;
        pollster::block_on(future).map_err(|what| self.failed(what))
    }

    /// The first node of a range without updates whose result is not finite.
    fn first_non_finite(&mut self, step: Step, nodes: Range<usize>) -> Result<Option<NodeId>, ExecuteError> {
        self.submit_checked(step, nodes)?;
        let guard = self.wait_for(self.fetch_guard()?)?;
        let word = guard.first().map_or(0, |bits| bits.to_bits());
        if word == 0 {
            return Ok(None);
        }
        self.clear_guard();
        Ok(Some(NodeId(word as usize - 1)))
    }
}

impl Executor for GpuExecutor {
    fn graph(&self) -> &Graph {
        self.program()
    }

    fn write(&mut self, value: ValueId, data: &[f32]) -> Result<(), ExecuteError> {
        self.upload(value, data)
    }

    fn read(&self, value: ValueId, data: &mut [f32]) -> Result<(), ExecuteError> {
        self.program().check_read(value, data.len())?;
        data.copy_from_slice(&self.wait_for(self.fetch(value)?)?);
        Ok(())
    }

    fn run(&mut self, step: Step, nodes: Range<usize>) -> Result<(), ExecuteError> {
        self.submit(step, nodes)
    }

    fn run_until_non_finite(
        &mut self,
        step: Step,
        nodes: Range<usize>,
    ) -> Result<Option<NodeId>, ExecuteError> {
        // Updates must not follow a value that is not finite, so each stretch between them is looked at before the next begins.
        let updates: Vec<bool> = self.program().nodes().iter().map(|node| node.output.is_none()).collect();
        let mut start = nodes.start;
        while start < nodes.end {
            let end = (start..nodes.end).find(|&n| updates[n]).unwrap_or(nodes.end);
            if let Some(found) = self.first_non_finite(step, start..end)? {
                return Ok(Some(found));
            }
            let next = (end..nodes.end).find(|&n| !updates[n]).unwrap_or(nodes.end);
            self.submit(step, end..next)?;
            start = next;
        }
        Ok(None)
    }

    fn step(
        &mut self,
        step: Step,
        loss: ValueId,
        gradients: &[ValueId],
    ) -> Result<Vec<Outcome>, ExecuteError> {
        self.submit_step(step, loss, gradients)?;
        if self.in_flight() < STEPS_IN_FLIGHT { Ok(Vec::new()) } else { self.finish() }
    }

    fn finish(&mut self) -> Result<Vec<Outcome>, ExecuteError> {
        if self.in_flight() == 0 {
            return Ok(Vec::new());
        }
        let words = self.wait_for(self.read_outcomes()?)?;
        Ok(self.settled(&words))
    }
}
