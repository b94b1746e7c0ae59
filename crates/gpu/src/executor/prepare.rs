//! Everything about a graph that is done once: launches, checks against the device's limits, buffers, pipelines, bind groups.

use crate::device::Device;
use crate::launch::{Launch, Place};
use crate::layout::Layout;
use crate::lower::{check_finite, lower};
use crate::{GpuError, Operand, Tuning};
use fovea_graph::Graph;

/// Uniform bindings begin at multiples of this many bytes, WebGPU's default limit.
const UNIFORM_ALIGN: usize = 256;

const MIB: u64 = 1 << 20;

/// A launch that only waits for being recorded.
pub(super) struct Ready {
    pub(super) pipeline: wgpu::ComputePipeline,
    pub(super) bindings: wgpu::BindGroup,
    pub(super) groups: [u32; 3],
}

/// The launches of every node, and the bytes of the arena.
pub(crate) fn lowered(graph: &Graph, layout: &Layout, tuning: &Tuning) -> (Vec<Vec<Launch>>, u64) {
    let each = (0..graph.nodes().len()).map(|index| lower(graph, index, layout, tuning));
    let (launches, ends): (Vec<_>, Vec<_>) = each.unzip();
    let end = ends.into_iter().max().unwrap_or(0);
    (launches, bytes(layout.floats(end)))
}

/// The checks of all values that a node writes, by value.
pub(super) fn flagging(graph: &Graph, layout: &Layout) -> Vec<Option<Launch>> {
    let mut checks = vec![None; graph.values().len()];
    for (index, node) in graph.nodes().iter().enumerate() {
        if let Some(value) = node.output {
            let operand = Operand { place: layout.place(graph, value), shape: graph.shape(value) };
            checks[value.index()] = Some(check_finite(operand, index, layout));
        }
    }
    checks
}

/// Refuses what the device cannot hold.
pub(super) fn fits(
    device: &Device,
    graph: &Graph,
    arena: u64,
    launches: &[Vec<Launch>],
) -> Result<(), GpuError> {
    let limits = device.device.limits();
    if arena > limits.max_buffer_size {
        return Err(arena_error(device, arena, limits.max_buffer_size));
    }
    let most = limits.max_storage_buffer_binding_size;
    for (list, node) in launches.iter().zip(graph.nodes()) {
        let largest = list.iter().flat_map(|launch| &launch.bindings).map(|p| bytes(p.floats)).max();
        if let Some(needed) = largest.filter(|&needed| needed > most) {
            return Err(GpuError::Binding {
                adapter: device.description().name.clone(),
                value: format!("an operand of {} ({})", node.op.name(), node.label),
                needed_mib: needed.div_ceil(MIB),
                limit_mib: most / MIB,
            });
        }
    }
    Ok(())
}

pub(super) fn arena_error(device: &Device, needed: u64, limit: u64) -> GpuError {
    let adapter = device.description().name.clone();
    GpuError::Arena { adapter, needed_mib: needed.div_ceil(MIB), limit_mib: limit / MIB }
}

pub(super) fn buffer(device: &Device, label: &str, size: u64, usage: wgpu::BufferUsages) -> wgpu::Buffer {
    let usage = usage | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
    let descriptor = wgpu::BufferDescriptor { label: Some(label), size, usage, mapped_at_creation: false };
    device.device.create_buffer(&descriptor)
}

/// Pipelines, and bind groups over the arena and one uniform buffer with the numbers of all launches.
pub(super) fn prepare(device: &Device, arena: &wgpu::Buffer, launches: &[&Launch]) -> Vec<Ready> {
    let mut numbers = Vec::new();
    let mut ranges = Vec::new();
    for launch in launches {
        let words = launch.params.bytes();
        // A uniform struct's size is a multiple of 16 bytes.
        let length = words.len().next_multiple_of(16).max(16);
        ranges.push((numbers.len() as u64, length as u64));
        numbers.extend_from_slice(&words);
        numbers.resize(numbers.len().next_multiple_of(UNIFORM_ALIGN), 0);
    }
    let uniform = buffer(device, "parameters", numbers.len().max(16) as u64, wgpu::BufferUsages::UNIFORM);
    device.queue.write_buffer(&uniform, 0, &numbers);
    let ready = |(launch, (start, length)): (&&Launch, (u64, u64))| {
        let pipeline = device.pipeline(launch.shader, &launch.constants);
        let range = |buffer, offset, size| {
            let size = std::num::NonZeroU64::new(size);
            wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer, offset, size })
        };
        let parameters = wgpu::BindGroupEntry { binding: 0, resource: range(&uniform, start, length) };
        let operands = launch.bindings.iter().enumerate().map(|(i, &Place { offset, floats })| {
            let resource = range(arena, bytes(offset), bytes(floats));
            wgpu::BindGroupEntry { binding: i as u32 + 1, resource }
        });
        let entries: Vec<wgpu::BindGroupEntry<'_>> = [parameters].into_iter().chain(operands).collect();
        let bindings = device.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(launch.shader),
            layout: &pipeline.get_bind_group_layout(0),
            entries: &entries,
        });
        Ready { pipeline, bindings, groups: launch.groups }
    };
    launches.iter().zip(ranges).map(ready).collect()
}

pub(super) fn bytes(floats: usize) -> u64 {
    4 * floats as u64
}
