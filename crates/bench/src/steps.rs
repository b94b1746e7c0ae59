//! Whole-step times as the JSON line that the peers' programs print.

use crate::host::{Load, peak_mib};
use crate::program;
use crate::record::print_line;
use crate::stats::{median, rounded};
use crate::work::{Mode, Work};
use anyhow::Result;
use fovea_cpu::CpuExecutor;
use fovea_graph::{Executor, Graph, Op, Step};
use serde_json::json;

/// One timed step.
struct Timed {
    seconds: f64,
    /// Forward with the loss, backward, optimiser.
    parts: [f64; 3],
    others: Option<f64>,
}

/// Times the steps and prints one line; the first step is listed but not counted.
pub fn report(work: Work, mode: Mode) -> Result<()> {
    let mut executor = program::executor(work, mode)?;
    let steps: Vec<Timed> =
        (0..=work.steps).map(|i| timed(&mut executor, i as u32)).collect::<Result<_>>()?;
    let counted: Vec<f64> = steps[1.min(work.steps)..].iter().map(|s| s.seconds).collect();
    let best = steps[1.min(work.steps)..]
        .iter()
        .min_by(|a, b| a.seconds.total_cmp(&b.seconds))
        .map_or([f64::NAN; 4], |s| [s.seconds, s.parts[0], s.parts[1], s.parts[2]]);
    let passes = if mode == Mode::Train { 3.0 } else { 1.0 };
    let gflop = program::forward_gflop(&executor, work.batch) * work.batch as f64 * passes;
    let seconds = |s: f64| rounded(s, 4);
    let line = json!({
        "name": "fovea-cpu",
        "mode": mode.name(),
        "model": work.model.name(),
        "threads": rayon::current_num_threads().to_string(),
        "isa": format!("{:?}", fovea_cpu::isa()),
        "batch": work.batch,
        "hw": [work.height, work.width],
        "t_min": seconds(best[0]),
        "t_med": median(&counted).map(seconds),
        "fwd_s": seconds(best[1]),
        "bwd_s": seconds(best[2]),
        "opt_s": seconds(best[3]),
        "gflops": rounded(gflop / best[0], 1),
        "rss_mib": peak_mib(),
        "arena_mib": executor.arena_bytes() >> 20,
        "others": steps.iter().map(|s| s.others.map(|o| rounded(o, 2))).collect::<Vec<_>>(),
        "all_s": steps.iter().map(|s| seconds(s.seconds)).collect::<Vec<_>>(),
    });
    print_line(&line.to_string());
    Ok(())
}

fn timed(executor: &mut CpuExecutor, index: u32) -> Result<Timed> {
    let ends = part_ends(executor.graph());
    let step = Step { seed: 1, index };
    let load = Load::start();
    let (mut begin, mut before) = (0, 0.0);
    let mut parts = [0.0; 3];
    for (end, part) in ends.into_iter().zip(&mut parts) {
        executor.run(step, begin..end)?;
        let now = load.seconds();
        *part = now - before;
        (begin, before) = (end, now);
    }
    let (seconds, others) = load.stop();
    Ok(Timed { seconds, parts, others })
}

/// Where forward, backward and optimiser end: the loss is the forward's last node, Adam's first ends the backward.
fn part_ends(graph: &Graph) -> [usize; 3] {
    let nodes = graph.nodes();
    let position = |f: fn(&Op) -> bool| nodes.iter().position(|n| f(&n.op));
    let forward = position(|op| matches!(op, Op::DiceLoss { .. })).map_or(nodes.len(), |i| i + 1);
    let backward = position(|op| matches!(op, Op::AdamUpdate(_))).unwrap_or(nodes.len());
    [forward, backward, nodes.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::work::Model;

    #[test]
    fn a_step_is_forward_backward_and_optimiser_in_this_order() {
        let work = Work { model: Model::Default, batch: 1, height: 8, width: 8, steps: 1 };
        let trained = program::executor(work, Mode::Train).unwrap();
        let [forward, backward, end] = part_ends(trained.graph());
        let nodes = trained.graph().nodes();
        let gradient = |op: &Op| op.name().contains("grad");
        assert!(0 < forward && forward < backward && backward < end);
        assert!(!nodes[..forward].iter().any(|n| gradient(&n.op)));
        assert!(nodes[backward..].iter().all(|n| matches!(n.op, Op::AdamUpdate(_))));
        let inferring = program::executor(work, Mode::Infer).unwrap();
        let all = inferring.graph().nodes().len();
        assert_eq!(part_ends(inferring.graph()), [all; 3]);
    }
}
