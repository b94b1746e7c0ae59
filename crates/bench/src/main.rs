//! Benches and their recorder.
//!
//! `train` and `infer` time whole steps of the networks that the peers' programs time, and print the same JSON line; `layers`
//! prints where one step's time goes. Benches are run by hand and quoted with their command, never asserted on.

mod layers;
mod load;
mod program;

use anyhow::Result;
use clap::{Args, Parser, Subcommand, ValueEnum};

/// Benches of the compute core.
#[derive(Parser)]
#[command(name = "fovea-bench", about = "Benches of the compute core", after_help = EXAMPLES)]
struct Command {
    #[command(subcommand)]
    what: What,
}

const EXAMPLES: &str = "Examples:
  fovea-bench train seed 4 224 224 3     seconds per training step, as one JSON line
  fovea-bench infer seed 1 592 576 3     seconds per forward pass
  fovea-bench layers small 2 512 512     milliseconds and GFLOP/s of every op of a training step";

#[derive(Subcommand)]
enum What {
    /// Times training steps: forward, backward, Adam.
    Train(Work),
    /// Times forward passes.
    Infer(Work),
    /// Times every op of one training step.
    Layers(Work),
}

/// The network and its input.
#[derive(Args, Clone, Copy)]
struct Work {
    /// Which network.
    model: Model,
    /// Images per step.
    batch: usize,
    /// Rows, pixels.
    height: usize,
    /// Columns, pixels.
    width: usize,
    /// Steps to time after one that is not.
    #[arg(default_value_t = 2)]
    steps: usize,
}

/// Networks of the comparison.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Model {
    /// 64-128-256-512, no normalisation.
    Seed,
    /// 16-32-64-128 with BatchNorm.
    Small,
    /// The default profile's network.
    Default,
}

fn main() -> Result<()> {
    match Command::parse().what {
        What::Train(work) => load::report(work, true),
        What::Infer(work) => load::report(work, false),
        What::Layers(work) => layers::report(work),
    }
}
