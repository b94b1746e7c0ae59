//! Ours beside the peers' programs, in turn, in one go: only such ratios mean anything on a machine whose speed drifts.
//!
//! The peers' programs are not part of this repository; a folder holds them (`--peers-dir`). What is missing is said and
//! left out; only a failure of ours is an error.

mod program;
mod table;

use crate::record::{self, print_line};
use crate::work::{Selection, Standard};
use crate::{ceiling, child};
use anyhow::{Context, Result, bail};
use clap::Args;
use program::{Program, Site};
use serde_json::{Value, json};
use std::path::PathBuf;
use table::Run;

/// Options of `peers`.
#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    selection: Selection,
    /// Python that has torch, and onnxruntime if it is to be compared
    #[arg(long, default_value = "python3", value_name = "PATH")]
    python: PathBuf,
    /// Folder of the peers' programs, torch/unet_torch.py and torch/ort_infer.py [default: ../shared/bench-peers beside the repository]
    #[arg(long, value_name = "DIR")]
    peers_dir: Option<PathBuf>,
    /// The built burn-unet
    #[arg(long, value_name = "PATH")]
    burn: Option<PathBuf>,
    /// The built candle-unet
    #[arg(long, value_name = "PATH")]
    candle: Option<PathBuf>,
    /// PyTorch's variants: eager, cl (channels last), compile, compile-cl
    #[arg(long, value_delimiter = ',', default_value = "eager", value_name = "LIST")]
    variants: Vec<String>,
    /// How often each program runs each work, in turn
    #[arg(long, default_value_t = 2)]
    rounds: usize,
    /// File of the record [default: fixtures/bench/<date>-peers.json]
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
}

/// Runs every program on every work, prints ratios and writes the raw lines.
pub fn run(options: Options) -> Result<()> {
    let threads = options.selection.threads();
    let scratch = tempfile::tempdir().context("making a folder for onnxruntime's models")?;
    let directory = options.peers_dir.clone().or_else(default_folder);
    let site =
        Site { python: options.python.clone(), directory, scratch: scratch.path().to_path_buf(), threads };
    let programs = programs(&options, &site);
    let mut record = record::header(threads);
    let peak = ceiling::fma_gflops(threads);
    print_line(&format!("{threads} threads: {peak:.0} GFLOP/s of multiply-adds in registers"));
    record.insert("fma_gflops".to_owned(), json!(peak.round()));
    let path = options.record.unwrap_or_else(|| record::default_path("peers"));
    let (mut ratios, mut raw) = (Vec::new(), Vec::new());
    for standard in options.selection.works() {
        let runs = in_turn(&standard, &programs, &site, options.rounds.max(1))?;
        print_line(&format!("\n{} ({})", standard.name, standard.arguments().join(" ")));
        let table = table::Table::new(&runs);
        table.lines().iter().for_each(|l| print_line(l));
        ratios.extend(table.records(standard.name));
        raw.extend(runs.into_iter().map(|r| r.raw(standard.name)));
        // After every work: a run that is stopped keeps what it has.
        record.insert("ratios".to_owned(), json!(ratios));
        record.insert("runs".to_owned(), json!(raw));
        record::write(&record, &path)?;
    }
    Ok(())
}

fn default_folder() -> Option<PathBuf> {
    Some(record::root()?.parent()?.join("shared/bench-peers")).filter(|f| f.is_dir())
}

/// Ours first, then the peers that are there; says on standard error what is missing and how to get it.
fn programs(options: &Options, site: &Site) -> Vec<Program> {
    let tuned = |v: &String| [false, true].map(|tuned| Program::Torch { variant: v.clone(), tuned });
    let wanted = options.variants.iter().flat_map(tuned).chain([Program::Onnx]);
    let built = [("burn", &options.burn), ("candle", &options.candle)];
    let built =
        built.into_iter().filter_map(|(name, path)| Some(Program::Built { name, path: path.clone()? }));
    let mut programs = vec![Program::Ours];
    let mut told = Vec::new();
    for program in wanted.chain(built) {
        match program.missing(site) {
            None => programs.push(program),
            Some(reason) if told.contains(&reason) => {}
            Some(reason) => {
                eprintln!("left out: {}: {reason}", program.name());
                told.push(reason);
            }
        }
    }
    programs
}

/// Every round runs every program once; a peer that failed gets no further turn at this work.
fn in_turn(standard: &Standard, programs: &[Program], site: &Site, rounds: usize) -> Result<Vec<Run>> {
    let mut runs = Vec::new();
    let mut programs: Vec<&Program> = programs.iter().collect();
    for round in 0..rounds {
        let mut failed = Vec::new();
        for program in &programs {
            let Some(mut command) = program.command(standard, site)? else { continue };
            let outcome = child::run(&mut command).and_then(|o| {
                let seconds = program.counted(&o.line);
                if seconds.is_empty() {
                    bail!("no times in {}", o.line);
                }
                Ok(Run { program: program.name(), round, seconds, others: o.others, line: o.line })
            });
            match outcome {
                Ok(run) => runs.push(run),
                Err(error) if matches!(program, Program::Ours) => return Err(error.context(standard.name)),
                Err(error) => {
                    eprintln!("no result: {} on {}: {error:#}", program.name(), standard.name);
                    failed.push(program.name());
                }
            }
        }
        programs.retain(|p| !failed.contains(&p.name()));
    }
    Ok(runs)
}

/// The raw line of a run, with what this program measured beside it.
impl Run {
    fn raw(self, work: &str) -> Value {
        let others = self.others.map(|o| crate::stats::rounded(o, 2));
        json!({ "work": work, "program": self.program, "round": self.round, "others_during_run": others, "line": self.line })
    }
}
