//! The executor for callers that wait: the one place that blocks on a device, and so not part of a build for browsers.

use crate::executor::STEPS_IN_FLIGHT;
use crate::{Checks, Description, Device, GpuError, GpuExecutor, Tuning};
use fovea_graph::{ExecuteError, Executor, Graph, NodeId, Outcome, Step, ValueId};
use std::future::Future;
use std::ops::Range;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

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

    /// [`GpuExecutor::snapshot`], waited for.
    ///
    /// # Errors
    /// [`ExecuteError::Device`].
    pub fn snapshot_blocking(&self) -> Result<Vec<f32>, ExecuteError> {
        drive(self.device(), self.snapshot())
    }
}

/// Polls a future to its end, and the device whenever it waits for that.
fn drive<T>(
    device: &Device,
    future: impl Future<Output = Result<T, ExecuteError>>,
) -> Result<T, ExecuteError> {
    let mut future = std::pin::pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(result) = future.as_mut().poll(&mut context) {
            return result;
        }
        device.wait()?;
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
        data.copy_from_slice(&drive(self.device(), self.download(value))?);
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
        let device = Arc::clone(self.device());
        let mut start = nodes.start;
        while start < nodes.end {
            let end = (start..nodes.end).find(|&n| updates[n]).unwrap_or(nodes.end);
            if let Some(found) = drive(&device, self.first_non_finite(step, start..end))? {
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
        let device = Arc::clone(self.device());
        drive(&device, self.settle())
    }
}
