//! The project's own commands: repro, test, tidy, spec, sim, bench.
//!
//! Plain Rust instead of a makefile or shell scripts: the house rules parse the sources with the same crates that
//! the compiler's own ecosystem uses, and they have unit tests. Run as `cargo xtask <command>`.

mod forward;
mod pipeline;
mod spec;
mod tidy;

use clap::{Parser, Subcommand};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Repro { arguments } => forward::run(forward::REPRO, &arguments),
        Command::Bench { arguments } => forward::run(forward::BENCH, &arguments),
        Command::Sim { arguments } => forward::run(forward::SIM, &arguments),
        Command::Tidy => tidy::run(&root()),
        Command::Spec => spec::run(&root()),
        Command::Test { only } => pipeline::run(&root(), only),
    }
}

/// The workspace's folder: what cargo says at run time, since checkouts that share a target folder share this binary.
fn root() -> PathBuf {
    let here = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&here).parent().unwrap_or(Path::new(".")).to_path_buf()
}

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The project's own commands")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the reproduction: builds `fovea` in release mode and calls `fovea repro` with the same arguments
    #[command(disable_help_flag = true)]
    Repro {
        /// Passed on unchanged, `--help` included
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Run every check: format, lints, house rules, tests
    Test {
        /// Run one step alone
        #[arg(long, value_name = "STEP")]
        only: Option<pipeline::Step>,
    },
    /// Check the house rules
    Tidy,
    /// Check that every requirement of the secure aggregation names code and tests that exist
    Spec,
    /// Run simulated federations: builds `fovea-sim` in release mode and calls it with the same arguments
    #[command(disable_help_flag = true)]
    Sim {
        /// Passed on unchanged, `--help` included
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Run benches: builds `fovea-bench` in release mode and calls it with the same arguments
    #[command(disable_help_flag = true)]
    Bench {
        /// Passed on unchanged, `--help` included
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn repro_passes_every_argument_on() {
        let cli = Cli::parse_from(["xtask", "repro", "--help", "--profile", "seed", "--", "-x"]);
        let Command::Repro { arguments } = cli.command else { panic!("not repro") };
        assert_eq!(arguments, ["--help", "--profile", "seed", "--", "-x"]);
    }

    #[test]
    fn sim_passes_every_argument_on() {
        let cli = Cli::parse_from(["xtask", "sim", "--count", "10", "--json"]);
        let Command::Sim { arguments } = cli.command else { panic!("not sim") };
        assert_eq!(arguments, ["--count", "10", "--json"]);
    }

    #[test]
    fn test_knows_its_steps_by_name() {
        let cli = Cli::parse_from(["xtask", "test", "--only", "clippy"]);
        assert!(matches!(cli.command, Command::Test { only: Some(pipeline::Step::Clippy) }));
        assert!(Cli::try_parse_from(["xtask", "test", "--only", "lint"]).is_err());
    }

    #[test]
    fn root_holds_the_workspace() {
        assert!(root().join("Cargo.lock").is_file());
    }
}
