//! The one binary, `fovea`.
//!
//! Exit codes: 0 done, 1 failed, 2 the command line was refused, 3 some of several files failed, 130 interrupted (what was done
//! is saved).

mod common;
mod devices;
mod evaluate;
mod predict;
mod repro;
mod train;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Federated training of medical image segmentation.
#[derive(Parser)]
#[command(name = "fovea", version, about, propagate_version = true)]
struct Cli {
    #[command(flatten)]
    global: common::Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Reproduces the experiment: local, federated and pooled models, scores and a report.
    Repro(repro::Args),
    /// Trains a model on one data set.
    Train(train::Args),
    /// Scores a model on a labelled data set.
    Evaluate(evaluate::Args),
    /// Marks the vessels in photographs.
    Predict(predict::Args),
    /// Lists the devices that networks can run on.
    Devices(devices::Args),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = common::prepare(&cli.global).and_then(|()| match &cli.command {
        Command::Repro(args) => repro::run(args),
        Command::Train(args) => train::run(args),
        Command::Evaluate(args) => evaluate::run(args),
        Command::Predict(args) => predict::run(args),
        Command::Devices(args) => devices::run(args),
    });
    match result {
        Ok(code) => code,
        Err(error) => {
            common::say(&format!("error: {}", common::describe(&error)));
            ExitCode::FAILURE
        }
    }
}
