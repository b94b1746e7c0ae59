//! Whole-step times as the JSON line that the peers' programs print.

use crate::{Work, program};
use anyhow::Result;
use fovea_graph::{Executor, Step};
use serde_json::json;
use std::time::Instant;

/// Times the steps and prints one line; the first step is not counted.
pub fn report(work: Work, train: bool) -> Result<()> {
    let mut executor = program::executor(work, train)?;
    let nodes = executor.graph().nodes().len();
    let gflop = program::forward_gflop(&executor, work.batch);
    let mut seconds = Vec::new();
    for index in 0..=work.steps {
        let start = Instant::now();
        executor.run(Step { seed: 1, index: index as u32 }, 0..nodes)?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    let best = seconds[1..].iter().copied().fold(f64::INFINITY, f64::min);
    let work_gflop = gflop * work.batch as f64 * if train { 3.0 } else { 1.0 };
    let line = json!({
        "name": "fovea-cpu",
        "mode": if train { "train" } else { "infer" },
        "model": match work.model { crate::Model::Seed => "seed", crate::Model::Small => "small", crate::Model::Default => "default" },
        "threads": rayon::current_num_threads().to_string(),
        "isa": format!("{:?}", fovea_cpu::isa()),
        "batch": work.batch,
        "hw": [work.height, work.width],
        "t_min": rounded(best),
        "gflops": (10.0 * work_gflop / best).round() / 10.0,
        "rss_mib": peak_mib(),
        "all_s": seconds.iter().map(|&s| rounded(s)).collect::<Vec<_>>(),
    });
    print_line(&line.to_string());
    Ok(())
}

/// Results are this program's product: they go to standard output.
#[allow(clippy::print_stdout)]
pub fn print_line(line: &str) {
    println!("{line}");
}

fn rounded(seconds: f64) -> f64 {
    (seconds * 1e4).round() / 1e4
}

/// Peak resident memory in MiB, where the system tells (Linux), else none.
fn peak_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1024)
}
