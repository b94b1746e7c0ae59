//! Benches and their recorder.
//!
//! `train` and `infer` time whole steps of the networks that the peers' programs time, and print the same JSON line;
//! `layers` prints where one step's time goes; `cpu` and `peers` run the standard works and write records. Benches are run
//! by hand and quoted with their command, never asserted on.

mod ceiling;
mod child;
mod cpu;
mod gpu;
mod host;
mod layers;
mod peers;
mod program;
mod record;
mod stats;
mod steps;
mod work;

use anyhow::Result;
use clap::{Parser, Subcommand};
use work::{Mode, Work};

/// Benches of the compute core.
#[derive(Parser)]
#[command(name = "fovea-bench", about = "Benches of the compute core", after_help = EXAMPLES)]
struct Command {
    #[command(subcommand)]
    what: What,
}

const EXAMPLES: &str = "Examples:
  fovea-bench cpu                        the standard works: seconds, GFLOP/s, share of peak, peak memory; recorded
  fovea-bench cpu --only small-train     one of them
  fovea-bench gpu --device gpu:0         the standard works on a GPU: TFLOP/s, GB/s, shares of its peaks; recorded
  fovea-bench peers --python venv/bin/python --rounds 3
                                         ours beside PyTorch and onnxruntime in turn: ratios of times; recorded
  fovea-bench train seed 4 224 224 3     seconds per training step, as one JSON line
  fovea-bench infer seed 1 592 576 3     seconds per forward pass
  fovea-bench layers small 2 512 512     milliseconds and GFLOP/s of every op of a training step

Every result carries `others`: cores that other processes used meanwhile. Quote no absolute time above 0.2.
RAYON_NUM_THREADS sets the threads of train, infer and layers; FOVEA_ISA lowers the instruction set.";

#[derive(Subcommand)]
enum What {
    /// Times training steps: forward, backward, Adam
    Train(Work),
    /// Times forward passes
    Infer(Work),
    /// Times every op of one step
    Layers(Layers),
    /// Runs the standard works and writes a record
    Cpu(cpu::Options),
    /// Runs the standard works on a GPU and writes a record
    Gpu(gpu::Options),
    /// Runs the standard works beside the peers' programs and writes a record
    Peers(peers::Options),
}

#[derive(clap::Args)]
struct Layers {
    #[command(flatten)]
    work: Work,
    /// Kind of step
    #[arg(long, value_enum, default_value = "train")]
    mode: Mode,
    /// One line of JSON instead of a table
    #[arg(long)]
    json: bool,
}

fn main() -> Result<()> {
    match Command::parse().what {
        What::Train(work) => steps::report(work, Mode::Train),
        What::Infer(work) => steps::report(work, Mode::Infer),
        What::Layers(Layers { work, mode, json }) => layers::report(work, mode, json),
        What::Cpu(options) => cpu::run(options),
        What::Gpu(options) => gpu::run(options),
        What::Peers(options) => peers::run(options),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn command_line_is_consistent() {
        Command::command().debug_assert();
    }
}
