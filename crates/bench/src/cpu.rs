//! The standard works on the CPU: seconds per step, time per layer, peak memory, beside the machine's ceilings.

use crate::layers::{Row, print_rows};
use crate::record::{self, print_line};
use crate::stats::rounded;
use crate::work::{Selection, Standard};
use crate::{ceiling, child};
use anyhow::{Context, Result};
use clap::Args;
use serde_json::{Map, Value, json};
use std::path::PathBuf;

/// Options of `cpu`.
#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    selection: Selection,
    /// File of the record [default: fixtures/bench/<date>-cpu.json]
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
}

/// Runs the works, each in processes of its own, prints tables and writes the record.
pub fn run(options: Options) -> Result<()> {
    let threads = options.selection.threads();
    let mut record = record::header(threads);
    let (peak, copy) = (ceiling::fma_gflops(threads), ceiling::copy_gbps(threads));
    print_line(&format!(
        "{threads} threads: {peak:.0} GFLOP/s of multiply-adds in registers, {copy:.1} GB/s copied"
    ));
    record.insert("fma_gflops".to_owned(), json!(rounded(peak, 1)));
    record.insert("copy_gbps".to_owned(), json!(rounded(copy, 1)));
    let (mut works, mut layers) = (Vec::new(), Vec::new());
    for standard in options.selection.works() {
        let step = step(&standard, threads)?;
        let rows = rows(&standard, threads)?;
        print_line(&format!("\n{}", summary(&standard, &step, peak)));
        print_rows(&rows, Some(peak));
        works.push(
            json!({ "work": standard.name, "arguments": standard.arguments().join(" "), "step": step }),
        );
        layers.extend(rows.iter().map(|row| layer(standard.name, row)));
    }
    record.insert("works".to_owned(), works.into());
    record.insert("layers".to_owned(), layers.into());
    record::write(&record, &options.record.unwrap_or_else(|| record::default_path("cpu")))
}

fn step(standard: &Standard, threads: usize) -> Result<Value> {
    let mut command = child::ourselves(threads)?;
    command.args(standard.arguments());
    Ok(child::run(&mut command).with_context(|| standard.name)?.line)
}

fn rows(standard: &Standard, threads: usize) -> Result<Vec<Row>> {
    let mut command = child::ourselves(threads)?;
    command.args(["layers", "--json", "--mode"]).args(standard.arguments());
    let line = child::run(&mut command).with_context(|| format!("{}, layers", standard.name))?.line;
    serde_json::from_value(line).context("rows of `layers --json`")
}

fn layer(work: &str, row: &Row) -> Value {
    let mut fields = Map::from_iter([("work".to_owned(), json!(work))]);
    if let Ok(Value::Object(row)) = serde_json::to_value(row) {
        fields.extend(row);
    }
    Value::Object(fields)
}

/// One line: time of the best step with its parts, rate, memory, foreign load.
fn summary(standard: &Standard, step: &Value, peak: f64) -> String {
    let number = |key: &str| step[key].as_f64().unwrap_or(f64::NAN);
    let loads: Vec<String> = step["others"].as_array().into_iter().flatten().map(Value::to_string).collect();
    format!(
        "{} ({}): {:.4} s (forward {:.4}, backward {:.4}, optimiser {:.4}; median {:.4}), {:.1} GFLOP/s = {:.0} % of peak, {} MiB at most (arena {}), other processes used {} cores",
        standard.name,
        standard.arguments().join(" "),
        number("t_min"),
        number("fwd_s"),
        number("bwd_s"),
        number("opt_s"),
        number("t_med"),
        number("gflops"),
        100.0 * number("gflops") / peak,
        step["rss_mib"],
        step["arena_mib"],
        loads.join(" "),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::work::STANDARD;

    #[test]
    fn summary_tells_time_rate_memory_and_load() {
        let step =
            json!({ "t_min": 2.0, "gflops": 50.0, "rss_mib": 7, "arena_mib": 5, "others": [0.1, null] });
        let line = summary(&STANDARD[0], &step, 200.0);
        for part in ["2.0000 s", "50.0 GFLOP/s = 25 % of peak", "7 MiB at most (arena 5)", "0.1 null cores"] {
            assert!(line.contains(part), "{part:?} not in {line:?}");
        }
    }

    #[test]
    fn layers_name_their_work() {
        let row = Row { ms: 1.0, gflop: 2.0, op: "o".into(), layer: "l".into(), shape: "s".into() };
        let expected = json!({"work": "w", "ms": 1.0, "gflop": 2.0, "op": "o", "layer": "l", "shape": "s"});
        assert_eq!(layer("w", &row), expected);
    }
}
