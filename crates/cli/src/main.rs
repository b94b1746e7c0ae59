//! The one binary, `fovea`.
//!
//! Exit codes: 0 done, 1 failed, 2 the command line was refused, 3 some of several files failed, 130 interrupted (what was done
//! is saved).

mod audit;
mod common;
mod coordinator;
mod demo;
mod devices;
mod evaluate;
mod federation;
mod learning;
mod predict;
mod repro;
mod site;
mod status;
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
    /// Founds a federation, invites sites, offers jobs.
    Federation(federation::Args),
    /// Serves a federation: relays and sums what sites send, and sees no update.
    Coordinator(coordinator::Args),
    /// A hospital's side: join, run, approve, look for faults.
    Site(site::Args),
    /// Whether a site's log is whole, and what it says left the house.
    Audit(audit::Args),
    /// How a federation is doing.
    Status(status::Args),
    /// A federation from nothing to a trained model, on this machine, in under a minute.
    Demo(demo::Args),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = common::prepare(&cli.global).and_then(|()| match &cli.command {
        Command::Repro(args) => repro::run(args),
        Command::Train(args) => train::run(args),
        Command::Evaluate(args) => evaluate::run(args),
        Command::Predict(args) => predict::run(args),
        Command::Devices(args) => devices::run(args),
        Command::Federation(args) => federation::run(args),
        Command::Coordinator(args) => coordinator::run(args),
        Command::Site(args) => site::run(args),
        Command::Audit(args) => audit::run(args),
        Command::Status(args) => status::run(args),
        Command::Demo(args) => demo::run(args),
    });
    match result {
        Ok(code) => code,
        Err(error) => {
            common::say(&format!("error: {}", common::describe(&error)));
            ExitCode::FAILURE
        }
    }
}
