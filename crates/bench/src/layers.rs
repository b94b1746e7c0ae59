//! Where one training step's time goes, op by op.

use crate::{Work, load::print_line, program};
use anyhow::Result;
use fovea_graph::{Executor, Step};
use std::collections::BTreeMap;
use std::time::Instant;

/// Prints a row per op in order of execution and a sum per kind of op; each op's time is the least of its runs.
pub fn report(work: Work) -> Result<()> {
    let mut executor = program::executor(work, true)?;
    let count = executor.graph().nodes().len();
    let mut best = vec![f64::INFINITY; count];
    for index in 0..=work.steps {
        for (node, best) in best.iter_mut().enumerate() {
            let start = Instant::now();
            executor.run(Step { seed: 1, index: index as u32 }, node..node + 1)?;
            *best = best.min(start.elapsed().as_secs_f64());
        }
    }
    let graph = executor.graph();
    let mut kinds: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    print_line("       ms  GFLOP/s  op                             layer");
    for (node, &seconds) in graph.nodes().iter().zip(&best) {
        let flop = program::flop(graph, node);
        let kind = kinds.entry(node.op.name()).or_default();
        *kind = (kind.0 + seconds, kind.1 + flop);
        let shape = node.output.map_or(String::new(), |o| graph.shape(o).to_string());
        let rate = flop / seconds / 1e9;
        print_line(&format!(
            "{:9.3} {rate:8.1}  {:30} {} {shape}",
            1e3 * seconds,
            node.op.name(),
            node.label
        ));
    }
    let total: f64 = best.iter().sum();
    print_line(&format!("\n{:9.3} ms in all", 1e3 * total));
    let mut kinds: Vec<_> = kinds.into_iter().collect();
    kinds.sort_by(|a, b| b.1.0.total_cmp(&a.1.0));
    for (name, (seconds, flop)) in kinds {
        let (share, rate) = (100.0 * seconds / total, flop / seconds / 1e9);
        print_line(&format!("{:9.3} ms {share:5.1} % {rate:8.1} GFLOP/s  {name}", 1e3 * seconds));
    }
    Ok(())
}
