//! The standard works on a GPU: seconds per step, time and rate per layer, dispatches and bytes, beside the device's ceilings.

use crate::program;
use crate::record::{self, print_line};
use crate::stats::{median, rounded};
use crate::work::{Selection, Standard};
use anyhow::{Context, Result};
use clap::Args;
use fovea_gpu::{Checks, Choice, Counted, Device, GpuExecutor, Tuning, autotune, ceiling};
use fovea_graph::{Executor, Step};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

/// Times that a node runs for one measurement of its time.
const REPEATS: usize = 10;

/// Options of `gpu`.
#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    selection: Selection,
    /// Which GPU: gpu, or gpu:N as `fovea devices` lists them
    #[arg(long, default_value = "gpu", value_parser = |text: &str| text.parse::<Choice>())]
    device: Choice,
    /// Take tile shapes by rule instead of measuring them first
    #[arg(long)]
    no_autotune: bool,
    /// Leave out the times of single layers
    #[arg(long)]
    steps_only: bool,
    /// File of the record [default: fixtures/bench/<date>-gpu.json]
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
}

/// The device's ceilings.
#[derive(Clone, Copy)]
struct Peak {
    tflops: f64,
    gbps: f64,
}

/// Runs the works, prints tables and writes the record.
pub fn run(options: Options) -> Result<()> {
    let index = match options.device {
        Choice::Numbered(index) => Some(index),
        Choice::Gpu | Choice::Auto => None,
        Choice::Cpu => {
            anyhow::bail!("--device cpu: this bench is for GPUs; `fovea-bench cpu` is the other one")
        }
    };
    let device = Arc::new(Device::open_blocking(index, Checks::Trusted)?);
    let peak =
        Peak { tflops: ceiling::fma_flops(&device)? / 1e12, gbps: ceiling::copy_bytes(&device)? / 1e9 };
    let description = device.description();
    print_line(&format!(
        "{description}: {:.3} TFLOP/s of multiply-adds in registers, {:.1} GB/s read and written",
        peak.tflops, peak.gbps
    ));
    let mut record = record::header(rayon::current_num_threads());
    record.insert("device".to_owned(), serde_json::to_value(description)?);
    record.insert("fma_tflops".to_owned(), json!(rounded(peak.tflops, 3)));
    record.insert("copy_gbps".to_owned(), json!(rounded(peak.gbps, 1)));
    let mut tuning = Tuning::default();
    let mut works = Vec::new();
    for standard in options.selection.works() {
        let line = measure(&device, &standard, &mut tuning, peak, &options)
            .with_context(|| standard.name.to_owned())?;
        works.push(line);
    }
    record.insert("works".to_owned(), works.into());
    record::write(&record, &options.record.unwrap_or_else(|| record::default_path("gpu")))
}

fn measure(
    device: &Arc<Device>,
    standard: &Standard,
    tuning: &mut Tuning,
    peak: Peak,
    options: &Options,
) -> Result<Value> {
    let prepared = program::prepare(standard.work, standard.mode)?;
    if !options.no_autotune {
        autotune(device, &prepared.graph, tuning, &mut |_, _| {})?;
    }
    let mut executor = GpuExecutor::new_blocking(Arc::clone(device), prepared.graph.clone(), tuning)?;
    prepared.fill(&mut executor)?;
    let nodes = executor.graph().nodes().len();
    let mut seconds = Vec::new();
    for index in 0..=standard.work.steps {
        let begin = Instant::now();
        executor.run(Step { seed: 1, index: index as u32 }, 0..nodes)?;
        device.wait()?;
        seconds.push(begin.elapsed().as_secs_f64());
    }
    let counted = &seconds[1.min(standard.work.steps)..];
    let best = counted.iter().copied().fold(f64::INFINITY, f64::min);
    let Counted { dispatches, bytes, flops } = Counted::of(executor.launches().iter().flatten());
    let tflops = flops as f64 / best / 1e12;
    print_line(&format!(
        "\n{} ({}): {best:.5} s a step, {tflops:.3} TFLOP/s = {:.0} % of peak, {dispatches} dispatches, {:.1} MB of operands, arena {} MiB",
        standard.name,
        standard.arguments().join(" "),
        100.0 * tflops / peak.tflops,
        bytes as f64 / 1e6,
        executor.arena_bytes() >> 20,
    ));
    let layers = if options.steps_only { Vec::new() } else { layers(device, &mut executor, peak)? };
    Ok(json!({
        "work": standard.name,
        "arguments": standard.arguments().join(" "),
        "t_min": rounded(best, 6),
        "t_med": median(counted).map(|s| rounded(s, 6)),
        "tflops": rounded(tflops, 4),
        "dispatches": dispatches,
        "bytes": bytes,
        "flops": flops,
        "arena_mib": executor.arena_bytes() >> 20,
        "layers": layers,
    }))
}

/// Each node by itself: its time is that of several runs in one submission after another, divided.
fn layers(device: &Device, executor: &mut GpuExecutor, peak: Peak) -> Result<Vec<Value>> {
    print_line("       ms  TFLOP/s  of peak     GB/s  of peak  op                             layer");
    let mut rows = Vec::new();
    for node in 0..executor.graph().nodes().len() {
        let mut best = f64::INFINITY;
        for _ in 0..3 {
            let begin = Instant::now();
            for _ in 0..REPEATS {
                executor.run(Step::default(), node..node + 1)?;
            }
            device.wait()?;
            best = best.min(begin.elapsed().as_secs_f64() / REPEATS as f64);
        }
        let launches = &executor.launches()[node];
        let Counted { bytes, flops, .. } = Counted::of(launches);
        let (tflops, gbps) = (flops as f64 / best / 1e12, bytes as f64 / best / 1e9);
        let described = &executor.graph().nodes()[node];
        print_line(&format!(
            "{:9.4} {tflops:8.3} {:6.1} % {gbps:8.1} {:6.1} %  {:30} {}",
            1e3 * best,
            100.0 * tflops / peak.tflops,
            100.0 * gbps / peak.gbps,
            described.op.name(),
            described.label,
        ));
        rows.push(json!({
            "op": described.op.name(),
            "layer": described.label,
            "ms": rounded(1e3 * best, 4),
            "tflops": rounded(tflops, 4),
            "gbps": rounded(gbps, 2),
            "groups": launches.iter().find(|launch| launch.product.is_some()).map(|launch| launch.groups),
        }));
    }
    Ok(rows)
}
