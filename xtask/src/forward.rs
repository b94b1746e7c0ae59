//! Commands that are another program of the workspace, built in release mode.
//!
//! On Unix this process becomes cargo (`execvp`), so signals and the exit code need no forwarding.

use anyhow::Context;
use std::ffi::OsString;
use std::process::{Command, ExitCode};

/// Arguments of `cargo` in front of the user's.
pub const REPRO: &[&str] = &["run", "--release", "--package", "fovea-cli", "--bin", "fovea", "--", "repro"];
/// See [`REPRO`].
pub const BENCH: &[&str] = &["run", "--release", "--package", "fovea-bench", "--"];
/// See [`REPRO`].
pub const SIM: &[&str] = &["run", "--release", "--package", "fovea-sim", "--"];

/// Runs `cargo <fixed> <arguments>` in the caller's folder.
pub fn run(fixed: &[&str], arguments: &[OsString]) -> anyhow::Result<ExitCode> {
    let mut command = cargo();
    command.args(fixed).args(arguments);
    replace(command).context("starting cargo")
}

/// The cargo that started this program, or the one on the path.
pub fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

#[cfg(unix)]
fn replace(mut command: Command) -> std::io::Result<ExitCode> {
    use std::os::unix::process::CommandExt;
    Err(command.exec())
}

#[cfg(not(unix))]
fn replace(mut command: Command) -> std::io::Result<ExitCode> {
    let code = command.status()?.code().unwrap_or(1);
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}
