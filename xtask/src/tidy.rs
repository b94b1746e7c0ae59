//! The house rules as a test: layers, file and function size, `unsafe`, shader headers, text, fixtures, the
//! specification's names.
//!
//! Every rule is a function from text to violations, so that its unit tests need no tree. The files are those that git
//! tracks or would track; ignored folders (`target`, `data`) are never read.

mod layers;
mod ops;
mod source;
mod text;
mod tree;

use crate::spec;
use std::fmt;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// `cargo xtask tidy`.
pub fn run(root: &Path) -> anyhow::Result<ExitCode> {
    Ok(if report(root)? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints the violations, one per line, and returns whether there were none.
pub fn report(root: &Path) -> anyhow::Result<bool> {
    let (files, violations) = check(root)?;
    let mut out = std::io::stdout().lock();
    for violation in &violations {
        writeln!(out, "{violation}")?;
    }
    eprintln!("xtask tidy: {files} files, {} violations", violations.len());
    Ok(violations.is_empty())
}

/// Every file of the tree.
pub(crate) fn files(root: &Path) -> anyhow::Result<Vec<File>> {
    tree::files(root)
}

fn check(root: &Path) -> anyhow::Result<(usize, Vec<Violation>)> {
    let files = tree::files(root)?;
    let mut found = layers::check(root)?;
    found.extend(ops::check(&files));
    found.extend(spec::check(&files));
    for file in &files {
        found.extend(text::check(file));
        if file.path.ends_with(".rs") {
            found.extend(source::check(file));
        }
    }
    found.sort_by(|a, b| (&a.path, a.line).cmp(&(&b.path, b.line)));
    Ok((files.len(), found))
}

/// One broken rule at one place; printed as `path:line: rule: message (fix)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    pub path: String,
    pub line: usize,
    pub rule: &'static str,
    pub message: String,
    pub fix: &'static str,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Violation { path, line, rule, message, fix } = self;
        write!(f, "{path}:{line}: {rule}: {message} ({fix})")
    }
}

/// One file of the tree, with `/` in its path on every system.
pub(crate) struct File {
    pub path: String,
    pub bytes: Vec<u8>,
}

impl File {
    /// The contents where they are text.
    pub(crate) fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.bytes).ok()
    }

    pub(crate) fn violation(
        &self,
        line: usize,
        rule: &'static str,
        message: String,
        fix: &'static str,
    ) -> Violation {
        Violation { path: self.path.clone(), line, rule, message, fix }
    }
}

#[cfg(test)]
pub(crate) fn file(path: &str, text: &str) -> File {
    File { path: path.to_owned(), bytes: text.as_bytes().to_vec() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn violation_is_one_line_with_its_fix() {
        let violation = file("a/b.rs", "").violation(3, "rule", "message".to_owned(), "fix");
        assert_eq!(violation.to_string(), "a/b.rs:3: rule: message (fix)");
    }
}
