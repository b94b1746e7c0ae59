//! Interprets a graph on a GPU: every node's launches are prepared once, a step is one submission.

mod mapped;
mod prepare;

use crate::device::Device;
use crate::launch::{Launch, Place};
use crate::layout::Layout;
use crate::{GpuError, Tuning};
use fovea_graph::{ExecuteError, Graph, NodeId, Op, Outcome, Step, ValueId};
use fovea_tensor::Stream;
use mapped::Mapped;
pub(crate) use prepare::lowered;
use prepare::{Ready, arena_error, buffer, bytes, fits, flagging, prepare};
use std::ops::Range;
use std::sync::Arc;

/// Steps whose losses are read back together.
pub const STEPS_IN_FLIGHT: usize = 16;

/// Bytes of one step's entry in the list of outcomes: the loss, and the guard's word.
const OUTCOME_BYTES: u64 = 8;

/// Runs one graph on one device. On native systems it is an [`Executor`](fovea_graph::Executor) that waits for the
/// device; everywhere it can be driven by futures instead.
pub struct GpuExecutor {
    device: Arc<Device>,
    graph: Graph,
    layout: Layout,
    arena: wgpu::Buffer,
    /// Bytes of the arena.
    arena_bytes: u64,
    launches: Vec<Vec<Launch>>,
    nodes: Vec<Vec<Ready>>,
    /// What flags a value that is not finite, by value; `None` for those that no node writes.
    checks: Vec<Option<Ready>>,
    /// Whether some node wants the step's random key.
    random: bool,
    outcomes: wgpu::Buffer,
    in_flight: usize,
    /// The last step whose random key the device has.
    step: Option<Step>,
}

impl GpuExecutor {
    /// Plans the graph, compiles its kernels and allocates its arena; persistent values start at zero.
    ///
    /// # Errors
    /// [`GpuError::Arena`] and [`GpuError::Binding`] where the graph is too large for the device, or [`GpuError::Failed`].
    pub async fn new(device: Arc<Device>, graph: Graph, tuning: &Tuning) -> Result<Self, GpuError> {
        let layout = Layout::new(&graph);
        let (launches, arena_bytes) = lowered(&graph, &layout, tuning);
        fits(&device, &graph, arena_bytes, &launches)?;
        let checks = flagging(&graph, &layout);
        // In the order of the errors that are to be told from one another: the innermost scope hears first.
        let broken = device.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let exhausted = device.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let arena = buffer(&device, "arena", arena_bytes, wgpu::BufferUsages::STORAGE);
        let outcomes = OUTCOME_BYTES * STEPS_IN_FLIGHT as u64;
        let outcomes = buffer(&device, "outcomes", outcomes, wgpu::BufferUsages::empty());
        let every: Vec<&Launch> = launches.iter().flatten().chain(checks.iter().flatten()).collect();
        let mut ready = prepare(&device, &arena, &every).into_iter();
        let nodes = launches.iter().map(|list| ready.by_ref().take(list.len()).collect()).collect();
        let checks = checks.iter().map(|check| check.as_ref().and_then(|_| ready.next())).collect();
        if exhausted.pop().await.is_some() {
            let free = device.device.limits().max_buffer_size;
            return Err(arena_error(&device, arena_bytes, free.min(arena_bytes)));
        }
        if let Some(error) = broken.pop().await {
            return Err(GpuError::Failed { what: error.to_string() });
        }
        device.healthy()?;
        let random = graph.nodes().iter().any(|node| matches!(node.op, Op::Dropout { .. }));
        let (in_flight, step) = (0, None);
        Ok(GpuExecutor {
            device,
            graph,
            layout,
            arena,
            arena_bytes,
            launches,
            nodes,
            checks,
            random,
            outcomes,
            in_flight,
            step,
        })
    }

    /// The device that it runs on.
    #[must_use]
    pub fn device(&self) -> &Arc<Device> {
        &self.device
    }

    /// The graph that it runs.
    #[must_use]
    pub fn program(&self) -> &Graph {
        &self.graph
    }

    /// Size of the arena in bytes, workspace included.
    #[must_use]
    pub fn arena_bytes(&self) -> u64 {
        self.arena_bytes
    }

    /// What each node launches.
    #[must_use]
    pub fn launches(&self) -> &[Vec<Launch>] {
        &self.launches
    }

    /// Where a value lies in the arena.
    #[must_use]
    pub fn place(&self, value: ValueId) -> Place {
        self.layout.place(&self.graph, value)
    }

    /// Sets every word of the arena but the guard, which becomes 0: kernels that read what nobody wrote, or write where they
    /// should not, then show. Values are lost.
    pub fn fill_arena(&mut self, word: f32) {
        let words = vec![word; self.arena_bytes as usize / 4];
        self.device.queue.write_buffer(&self.arena, 0, bytemuck::cast_slice(&words));
        self.clear_guard();
        self.step = None;
    }

    /// Sets an input or persistent value, in the order of calls.
    ///
    /// # Errors
    /// [`ExecuteError`] when the length differs, the value is temporary, or the device failed.
    pub fn upload(&mut self, value: ValueId, data: &[f32]) -> Result<(), ExecuteError> {
        self.graph.check_write(value, data.len())?;
        let place = self.layout.place(&self.graph, value);
        self.device.queue.write_buffer(&self.arena, bytes(place.offset), bytemuck::cast_slice(data));
        Ok(self.device.healthy()?)
    }

    /// Copies out an input, a persistent value or an output.
    ///
    /// # Errors
    /// [`ExecuteError`] when the value's memory may have been reused or the device failed.
    pub async fn download(&self, value: ValueId) -> Result<Vec<f32>, ExecuteError> {
        self.graph.check_read(value, self.graph.shape(value).count())?;
        let place = self.layout.place(&self.graph, value);
        let words = self.copy_out(&self.arena, bytes(place.offset), bytes(place.floats))?;
        words.await.map_err(|what| self.failed(what))
    }

    /// Submits the nodes of a range, in order.
    ///
    /// # Errors
    /// [`ExecuteError::Device`] when the device failed.
    pub fn submit(&mut self, step: Step, nodes: Range<usize>) -> Result<(), ExecuteError> {
        self.set_step(step);
        let mut encoder = self.encoder();
        self.record(&mut encoder, self.nodes[nodes].iter().flatten());
        self.send(encoder)
    }

    /// Submits one optimiser step, as [`Executor::step`](fovea_graph::Executor::step) does.
    ///
    /// # Errors
    /// [`ExecuteError::Device`] when the device failed.
    ///
    /// # Panics
    /// When [`STEPS_IN_FLIGHT`] steps are in flight: see [`GpuExecutor::settle`].
    pub fn submit_step(
        &mut self,
        step: Step,
        loss: ValueId,
        gradients: &[ValueId],
    ) -> Result<(), ExecuteError> {
        assert!(self.in_flight < STEPS_IN_FLIGHT, "the outcomes of earlier steps are read first");
        self.set_step(step);
        let updates = self.graph.first_update();
        let mut encoder = self.encoder();
        let guarded = gradients.iter().chain([&loss]).filter_map(|value| self.checks[value.index()].as_ref());
        self.record(&mut encoder, self.nodes[..updates].iter().flatten().chain(guarded));
        let (loss, guard) = (self.layout.place(&self.graph, loss), self.layout.guard());
        let entry = OUTCOME_BYTES * self.in_flight as u64;
        encoder.copy_buffer_to_buffer(&self.arena, bytes(loss.offset), &self.outcomes, entry, Some(4));
        encoder.copy_buffer_to_buffer(&self.arena, bytes(guard.offset), &self.outcomes, entry + 4, Some(4));
        self.record(&mut encoder, self.nodes[updates..].iter().flatten());
        self.in_flight += 1;
        self.send(encoder)
    }

    /// Submits one launch that belongs to no node.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn submit_alone(&self, launch: &Launch) -> Result<(), ExecuteError> {
        let ready = prepare(&self.device, &self.arena, &[launch]);
        let mut encoder = self.encoder();
        self.record(&mut encoder, ready.iter());
        self.send(encoder)
    }

    /// Number of steps submitted whose outcomes were not read.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// The outcomes of all steps in flight, oldest first.
    ///
    /// # Errors
    /// [`ExecuteError::Device`] when the device failed.
    pub async fn settle(&mut self) -> Result<Vec<Outcome>, ExecuteError> {
        if self.in_flight == 0 {
            return Ok(Vec::new());
        }
        let words = self.copy_out(&self.outcomes, 0, OUTCOME_BYTES * self.in_flight as u64)?;
        let words = words.await.map_err(|what| self.failed(what))?;
        let outcome = |e: &[f32]| Outcome { loss: e[0], updated: e[1].to_bits() == 0 };
        let outcomes: Vec<Outcome> = words.chunks_exact(2).map(outcome).collect();
        if outcomes.iter().any(|outcome| !outcome.updated) {
            self.clear_guard();
        }
        self.in_flight = 0;
        Ok(outcomes)
    }

    /// Runs the nodes of a range, none of which updates, and finds the first whose result is not finite.
    ///
    /// # Errors
    /// [`ExecuteError::Device`] when the device failed.
    pub async fn first_non_finite(
        &mut self,
        step: Step,
        nodes: Range<usize>,
    ) -> Result<Option<NodeId>, ExecuteError> {
        self.set_step(step);
        let mut encoder = self.encoder();
        // Each result is checked before a later node may reuse its memory.
        let check =
            |n: usize| self.graph.nodes()[n].output.and_then(|value| self.checks[value.index()].as_ref());
        let each = nodes.flat_map(|n| self.nodes[n].iter().chain(check(n)));
        self.record(&mut encoder, each);
        self.send(encoder)?;
        let guard = self.copy_out(&self.arena, bytes(self.layout.guard().offset), 4)?;
        let words = guard.await.map_err(|what| self.failed(what))?;
        let word = words.first().map_or(0, |bits| bits.to_bits());
        if word == 0 {
            return Ok(None);
        }
        self.clear_guard();
        Ok(Some(NodeId(word as usize - 1)))
    }

    /// Every word of the arena.
    ///
    /// # Errors
    /// [`ExecuteError::Device`] when the device failed.
    pub async fn snapshot(&self) -> Result<Vec<f32>, ExecuteError> {
        let words = self.copy_out(&self.arena, 0, self.arena_bytes)?;
        words.await.map_err(|what| self.failed(what))
    }

    /// Lets updates run again.
    fn clear_guard(&self) {
        self.device.queue.write_buffer(&self.arena, bytes(self.layout.guard().offset), &[0; 4]);
    }

    /// A device's failure as the executor's error.
    fn failed(&self, what: String) -> ExecuteError {
        match self.device.healthy() {
            Err(error) => error.into(),
            Ok(()) => ExecuteError::Device { what },
        }
    }

    /// Gives dropout its key: words 0 and 1 the stream's key, word 2 the step.
    fn set_step(&mut self, step: Step) {
        if self.random && self.step != Some(step) {
            let [low, high] = Stream::new(step.seed, "dropout", [step.index, 0]).key();
            let words = [low, high, step.index];
            let place = self.layout.step();
            self.device.queue.write_buffer(&self.arena, bytes(place.offset), bytemuck::cast_slice(&words));
            self.step = Some(step);
        }
    }

    fn encoder(&self) -> wgpu::CommandEncoder {
        self.device.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("step") })
    }

    fn record<'a>(&self, encoder: &mut wgpu::CommandEncoder, launches: impl Iterator<Item = &'a Ready>) {
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        for launch in launches {
            let [x, y, z] = launch.groups;
            pass.set_pipeline(&launch.pipeline);
            pass.set_bind_group(0, &launch.bindings, &[]);
            pass.dispatch_workgroups(x, y, z);
        }
    }

    fn send(&self, encoder: wgpu::CommandEncoder) -> Result<(), ExecuteError> {
        self.device.queue.submit([encoder.finish()]);
        Ok(self.device.healthy()?)
    }

    fn copy_out(&self, from: &wgpu::Buffer, offset: u64, length: u64) -> Result<Mapped, ExecuteError> {
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let descriptor = wgpu::BufferDescriptor {
            label: Some("read back"),
            size: length,
            usage,
            mapped_at_creation: false,
        };
        let staging = self.device.device.create_buffer(&descriptor);
        let mut encoder = self.encoder();
        encoder.copy_buffer_to_buffer(from, offset, &staging, 0, Some(length));
        self.send(encoder)?;
        Ok(Mapped::start(staging))
    }
}

impl From<GpuError> for ExecuteError {
    fn from(error: GpuError) -> Self {
        ExecuteError::Device { what: error.to_string() }
    }
}
