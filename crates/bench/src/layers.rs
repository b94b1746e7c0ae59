//! Where one step's time goes, op by op.

use crate::program;
use crate::record::print_line;
use crate::stats::rounded;
use crate::work::{Mode, Work};
use anyhow::Result;
use fovea_graph::{Executor, Step};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Instant;

/// The time of one op.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Milliseconds, the least of all runs.
    pub ms: f64,
    /// Work of a direct convolution in GFLOP, zero for other ops.
    pub gflop: f64,
    /// Its name.
    pub op: String,
    /// The layer it belongs to.
    pub layer: String,
    /// Shape of its result.
    pub shape: String,
}

/// Prints a row per op in order of execution and a sum per kind of op, or the rows as one line of JSON.
pub fn report(work: Work, mode: Mode, json: bool) -> Result<()> {
    let rows = measure(work, mode)?;
    if json {
        print_line(&serde_json::to_string(&rows)?);
    } else {
        print_rows(&rows, None);
    }
    Ok(())
}

fn measure(work: Work, mode: Mode) -> Result<Vec<Row>> {
    let mut executor = program::executor(work, mode)?;
    let mut best = vec![f64::INFINITY; executor.graph().nodes().len()];
    for index in 0..=work.steps {
        for (node, best) in best.iter_mut().enumerate() {
            let start = Instant::now();
            executor.run(Step { seed: 1, index: index as u32 }, node..node + 1)?;
            *best = best.min(start.elapsed().as_secs_f64());
        }
    }
    let graph = executor.graph();
    let row = |(node, seconds): (&fovea_graph::Node, f64)| Row {
        ms: rounded(1e3 * seconds, 4),
        gflop: program::flop(graph, node) / 1e9,
        op: node.op.name().to_owned(),
        layer: node.label.clone(),
        shape: node.output.map_or(String::new(), |o| graph.shape(o).to_string()),
    };
    Ok(graph.nodes().iter().zip(best).map(row).collect())
}

/// With a peak in GFLOP/s, convolutions alone and their shares of it.
pub fn print_rows(rows: &[Row], peak: Option<f64>) {
    print_line("       ms  GFLOP/s  of peak  op                             layer");
    for row in rows.iter().filter(|r| peak.is_none() || r.gflop > 0.0) {
        let (ms, rate) = (row.ms, rate(row.gflop, row.ms));
        let (op, layer, shape) = (&row.op, &row.layer, &row.shape);
        print_line(&format!("{ms:9.3} {rate:8.1} {:>8}  {op:30} {layer} {shape}", share(rate, peak)));
    }
    let total: f64 = rows.iter().map(|r| r.ms).sum();
    print_line(&format!("{total:9.3} ms in all, of which"));
    for (name, [ms, gflop]) in kinds(rows) {
        let (part, rate) = (100.0 * ms / total, rate(gflop, ms));
        print_line(&format!("{ms:9.3} ms {part:5.1} % {rate:8.1} GFLOP/s {:>8}  {name}", share(rate, peak)));
    }
}

/// Milliseconds and GFLOP of every kind of op, the longest first.
fn kinds(rows: &[Row]) -> Vec<(&str, [f64; 2])> {
    let mut kinds: BTreeMap<&str, [f64; 2]> = BTreeMap::new();
    for row in rows {
        let [ms, gflop] = kinds.entry(&row.op).or_default();
        (*ms, *gflop) = (*ms + row.ms, *gflop + row.gflop);
    }
    let mut kinds: Vec<_> = kinds.into_iter().collect();
    kinds.sort_by(|a, b| b.1[0].total_cmp(&a.1[0]));
    kinds
}

/// GFLOP/s; an op too short for the clock has none.
fn rate(gflop: f64, ms: f64) -> f64 {
    if ms > 0.0 { 1e3 * gflop / ms } else { 0.0 }
}

fn share(rate: f64, peak: Option<f64>) -> String {
    peak.filter(|_| rate > 0.0).map_or(String::new(), |p| format!("{:.0} %", 100.0 * rate / p))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::work::Model;

    fn row(op: &str, ms: f64, gflop: f64) -> Row {
        Row { ms, gflop, op: op.to_owned(), layer: String::new(), shape: String::new() }
    }

    #[test]
    fn kinds_add_up_and_the_longest_is_first() {
        let rows = [row("a", 1.0, 2.0), row("b", 4.0, 0.0), row("a", 2.0, 3.0)];
        assert_eq!(kinds(&rows), [("b", [4.0, 0.0]), ("a", [3.0, 5.0])]);
    }

    #[test]
    fn share_needs_a_peak_and_work() {
        assert_eq!(share(50.0, Some(200.0)), "25 %");
        assert_eq!(share(0.0, Some(200.0)) + &share(50.0, None), "");
        assert_eq!(rate(1.0, 0.0), 0.0);
    }

    #[test]
    fn rows_hold_the_work_of_every_convolution() {
        let work = Work { model: Model::Default, batch: 2, height: 8, width: 8, steps: 0 };
        let rows = measure(work, Mode::Infer).unwrap();
        let executor = program::executor(work, Mode::Infer).unwrap();
        let sum: f64 = rows.iter().map(|r| r.gflop).sum();
        assert!((sum - 2.0 * program::forward_gflop(&executor, 2)).abs() < 1e-12);
        let text = serde_json::to_string(&rows).unwrap();
        assert_eq!(serde_json::from_str::<Vec<Row>>(&text).unwrap(), rows);
    }
}
