//! A program in a process of its own, so that its peak memory is its own, and the JSON that it prints.

use crate::host::Load;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::process::Command;

/// What a program said, and the load beside it.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Its last line of JSON.
    pub line: Value,
    /// Cores that unrelated processes used while it ran.
    pub others: Option<f64>,
}

/// Runs it to its end.
///
/// # Errors
/// When it does not start, fails or prints no JSON: the message holds the last line of its complaints.
pub fn run(command: &mut Command) -> Result<Outcome> {
    let load = Load::start();
    let output = command.output().with_context(|| format!("starting {}", command.get_program().display()))?;
    let (_, others) = load.stop();
    let errors = String::from_utf8_lossy(&output.stderr);
    let complaint = errors.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or("it says nothing");
    if !output.status.success() {
        bail!("{}: {complaint}", output.status);
    }
    match last_json(&String::from_utf8_lossy(&output.stdout)) {
        Some(line) => Ok(Outcome { line, others }),
        None => bail!("no line of JSON in its output: {complaint}"),
    }
}

/// This program again.
pub fn ourselves(threads: usize) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe().context("finding this program's own file")?);
    command.env("RAYON_NUM_THREADS", threads.to_string());
    Ok(command)
}

/// The last line that is a JSON object or list: frameworks print warnings around theirs.
fn last_json(output: &str) -> Option<Value> {
    let parse = |l: &str| serde_json::from_str::<Value>(l).ok().filter(|v| v.is_object() || v.is_array());
    output.lines().rev().find_map(parse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_line_of_json_counts() {
        let output = "warning\n{\"a\": 1}\n3\n{\"a\": 2}\nnot {json}\n";
        assert_eq!(last_json(output), Some(serde_json::json!({"a": 2})));
        assert_eq!(last_json("nothing\n5\n"), None);
    }

    #[test]
    fn a_missing_program_is_an_error_with_its_name() {
        let error = run(&mut Command::new("no-such-program-anywhere")).unwrap_err();
        assert!(error.to_string().contains("no-such-program-anywhere"), "{error}");
    }
}
