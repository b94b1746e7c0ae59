//! `cargo xtask test`: every check in order, stopping at the first failure.

use crate::{forward, tidy};
use anyhow::Context;
use clap::ValueEnum;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

/// One check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Step {
    /// cargo fmt --all --check
    Fmt,
    /// cargo clippy --workspace --all-targets -- -D warnings
    Clippy,
    /// The house rules
    Tidy,
    /// cargo test --workspace, documentation tests included
    Test,
    /// The GPU kernels once more, on a software adapter with vectors of 4 and of 16 lanes
    Lanes,
    /// cargo check of the GPU executor for browsers
    Browser,
}

impl Step {
    const ALL: [Step; 6] = [Step::Fmt, Step::Clippy, Step::Tidy, Step::Test, Step::Lanes, Step::Browser];

    fn name(self) -> &'static str {
        match self {
            Step::Fmt => "fmt",
            Step::Tidy => "tidy",
            Step::Clippy => "clippy",
            Step::Test => "test",
            Step::Lanes => "lanes",
            Step::Browser => "browser",
        }
    }

    /// How to repair what the step refuses.
    fn hint(self) -> &'static str {
        match self {
            Step::Fmt => "repair with: cargo fmt --all",
            Step::Tidy => "each line above names its fix",
            Step::Browser => {
                "the output above names the place; the target comes with: rustup target add wasm32-unknown-unknown"
            }
            Step::Clippy | Step::Test | Step::Lanes => "the output above names the place",
        }
    }

    fn passes(self, root: &Path) -> anyhow::Result<bool> {
        let arguments: &[&str] = match self {
            Step::Tidy => return tidy::report(root),
            Step::Lanes => return lanes(root),
            Step::Browser => &["check", "--package", "fovea-gpu", "--target", "wasm32-unknown-unknown"],
            Step::Fmt => &["fmt", "--all", "--check"],
            Step::Clippy => &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"],
            Step::Test => &["test", "--workspace"],
        };
        let status = forward::cargo().args(arguments).current_dir(root).status();
        Ok(status.with_context(|| format!("starting cargo {}", arguments[0]))?.success())
    }
}

/// Mesa's software adapter takes its vector width from the environment; subgroups are as wide. Its default, 8 lanes, is part of
/// the tests of the workspace. Other adapters ignore the variable.
fn lanes(root: &Path) -> anyhow::Result<bool> {
    for bits in ["128", "512"] {
        let status = forward::cargo()
            .args(["test", "--quiet", "--package", "fovea-gpu", "--test", "gpu", "--", "trusted"])
            .env("LP_NATIVE_VECTOR_WIDTH", bits)
            .current_dir(root)
            .status()
            .context("starting cargo test")?;
        if !status.success() {
            eprintln!("xtask test: with LP_NATIVE_VECTOR_WIDTH={bits}");
            return Ok(false);
        }
    }
    Ok(true)
}

/// Runs all steps, or one.
pub fn run(root: &Path, only: Option<Step>) -> anyhow::Result<ExitCode> {
    let start = Instant::now();
    let steps = only.map_or(Step::ALL.to_vec(), |step| vec![step]);
    for step in steps {
        let name = step.name();
        eprintln!("xtask test: {name} ...");
        let begin = Instant::now();
        let passed = step.passes(root)?;
        let seconds = begin.elapsed().as_secs_f64();
        if !passed {
            eprintln!("xtask test: step `{name}` FAILED after {seconds:.1} s; {}", step.hint());
            eprintln!("xtask test: run it alone with: cargo xtask test --only {name}");
            return Ok(ExitCode::FAILURE);
        }
        eprintln!("xtask test: {name} passed in {seconds:.1} s");
    }
    eprintln!("xtask test: all passed in {:.1} s", start.elapsed().as_secs_f64());
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_command_line() {
        for step in Step::value_variants() {
            assert_eq!(Step::from_str(step.name(), false), Ok(*step));
        }
    }
}
