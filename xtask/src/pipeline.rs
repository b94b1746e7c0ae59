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
}

impl Step {
    const ALL: [Step; 4] = [Step::Fmt, Step::Clippy, Step::Tidy, Step::Test];

    fn name(self) -> &'static str {
        match self {
            Step::Fmt => "fmt",
            Step::Tidy => "tidy",
            Step::Clippy => "clippy",
            Step::Test => "test",
        }
    }

    /// How to repair what the step refuses.
    fn hint(self) -> &'static str {
        match self {
            Step::Fmt => "repair with: cargo fmt --all",
            Step::Tidy => "each line above names its fix",
            Step::Clippy | Step::Test => "the output above names the place",
        }
    }

    fn passes(self, root: &Path) -> anyhow::Result<bool> {
        let arguments: &[&str] = match self {
            Step::Tidy => return tidy::report(root),
            Step::Fmt => &["fmt", "--all", "--check"],
            Step::Clippy => &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"],
            Step::Test => &["test", "--workspace"],
        };
        let status = forward::cargo().args(arguments).current_dir(root).status();
        Ok(status.with_context(|| format!("starting cargo {}", arguments[0]))?.success())
    }
}

/// Runs all steps, or one.
pub fn run(root: &Path, only: Option<Step>) -> anyhow::Result<ExitCode> {
    let start = Instant::now();
    for step in Step::ALL.into_iter().filter(|&s| only.is_none_or(|o| o == s)) {
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
        for step in Step::ALL {
            assert_eq!(Step::from_str(step.name(), false), Ok(step));
        }
        assert_eq!(Step::ALL.len(), Step::value_variants().len());
    }
}
