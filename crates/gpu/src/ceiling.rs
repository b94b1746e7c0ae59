//! What a device can do at most, for benches to relate their figures to.

use crate::launch::Launch;
use crate::{Device, GpuError, GpuExecutor, Tuning, Words};
use fovea_graph::{Executor, Graph, Op, Step};
use std::sync::Arc;
use std::time::Instant;

/// Runs of each measurement; the fastest counts.
const RUNS: usize = 5;
/// Operations of one round of `fma_peak.wgsl`: 8 vectors of 4 lanes, a product and a sum each.
const OPS_PER_ROUND: usize = 64;

/// Multiplications and additions per second on values in registers.
///
/// # Errors
/// [`GpuError`] where the device fails.
pub fn fma_flops(device: &Arc<Device>) -> Result<f64, GpuError> {
    let software = device.description().is_software();
    let (count, rounds) = if software { (1 << 12, 512) } else { (1 << 20, 4096) };
    let mut graph = Graph::new();
    graph.input("y", &[count]).expect("a shape");
    let executor = GpuExecutor::new_blocking(Arc::clone(device), graph, &Tuning::default())?;
    let value = executor.program().value_ids().next().expect("one value");
    let params = Words::new().count("count", count).count("rounds", rounds);
    let launch = Launch::flat("fma_peak", count, params, vec![executor.place(value)]);
    let seconds = best(device, || executor.submit_alone(&launch).map_err(GpuError::of))?;
    Ok((count * rounds * OPS_PER_ROUND) as f64 / seconds)
}

/// Bytes per second read and written by a copy that scales.
///
/// # Errors
/// [`GpuError`] where the device fails.
pub fn copy_bytes(device: &Arc<Device>) -> Result<f64, GpuError> {
    let count: usize = if device.description().is_software() { 1 << 22 } else { 1 << 27 };
    let mut graph = Graph::new();
    let x = graph.input("x", &[count]).expect("a shape");
    let y = graph.push(Op::Scale { factor: 2.0 }, &[x]).expect("any shape can be scaled");
    graph.mark_output(y);
    let mut executor = GpuExecutor::new_blocking(Arc::clone(device), graph, &Tuning::default())?;
    let seconds = best(device, || executor.run(Step::default(), 0..1).map_err(GpuError::of))?;
    Ok((8 * count) as f64 / seconds)
}

fn best(device: &Device, mut run: impl FnMut() -> Result<(), GpuError>) -> Result<f64, GpuError> {
    let mut best = f64::INFINITY;
    for _ in 0..=RUNS {
        let begin = Instant::now();
        run()?;
        device.wait()?;
        best = best.min(begin.elapsed().as_secs_f64());
    }
    Ok(best)
}
