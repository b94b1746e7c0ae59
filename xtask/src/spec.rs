//! The specification against the tree: every requirement names code and tests that exist.
//!
//! `crates/secagg/SPEC.md` lists requirements in tables whose first cell is a number `SA-<n>`. In the section
//! "Met", the third cell names code and the fourth tests, each name in backticks:
//!
//! - code `secagg::site::Masked::confirm`: the crate, its modules, an item and perhaps a member of it;
//! - test `secagg::sum::one_site_dropped`: the crate, then a file in `tests/` or modules in `src/` (for unit tests
//!   without the module `tests`), then a function that carries `#[test]`.
//!
//! Sources are parsed, so a name in a comment or a helper function does not count.

use crate::tidy::{File, Violation};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;

mod names;

use names::Names;

/// The page.
const PAGE: &str = "crates/secagg/SPEC.md";

const RULE: &str = "spec";

/// `cargo xtask spec`.
pub fn run(root: &Path) -> anyhow::Result<ExitCode> {
    use std::io::Write;
    let files = crate::tidy::files(root)?;
    let violations = check(&files);
    let mut out = std::io::stdout().lock();
    for violation in &violations {
        writeln!(out, "{violation}")?;
    }
    let page = files.iter().find(|f| f.path == PAGE).and_then(File::text).unwrap_or("");
    let rows = rows(page);
    let met = rows.iter().filter(|row| row.met).count();
    let tests: usize = rows.iter().filter(|row| row.met).map(|row| row.tests.len()).sum();
    eprintln!(
        "xtask spec: {met} requirements met by {tests} tests, {} not met; {} violations",
        rows.len() - met,
        violations.len()
    );
    Ok(if violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Checks the page; part of the house rules too.
pub fn check(files: &[File]) -> Vec<Violation> {
    let Some(page) = files.iter().find(|f| f.path == PAGE) else {
        let message = "the specification is gone".to_owned();
        let fix = "tell xtask/src/spec.rs where it is";
        return vec![Violation { path: PAGE.to_owned(), line: 1, rule: RULE, message, fix }];
    };
    let rows = rows(page.text().unwrap_or(""));
    let mut found = numbers(page, &rows);
    let mut names = Names::new(files);
    for row in rows.iter().filter(|row| row.met) {
        let mut complain = |message: String, fix| found.push(page.violation(row.line, RULE, message, fix));
        for (kind, cell) in [("code", &row.code), ("tests", &row.tests)] {
            if cell.is_empty() {
                let message = format!("SA-{} names no {kind}", row.number);
                complain(message, "name it in backticks, or move the row to what is not met");
            }
        }
        for name in row.code.iter().filter(|name| !names.is_code(name)) {
            let message = format!("SA-{}: `{name}` is not in the sources", row.number);
            complain(message, "write crate::module::Item or crate::module::Item::member");
        }
        for name in row.tests.iter().filter(|name| !names.is_test(name)) {
            let message = format!("SA-{}: `{name}` is no #[test] function", row.number);
            complain(message, "write crate::file::function as the test is called");
        }
    }
    found
}

/// Numbers run from 1 without gap or repetition over both tables.
fn numbers(page: &File, rows: &[Row]) -> Vec<Violation> {
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for row in rows {
        if !seen.insert(row.number) {
            let message = format!("SA-{} is there twice", row.number);
            found.push(page.violation(row.line, RULE, message, "give it a number of its own"));
        }
    }
    let gap = (1..=seen.len()).find(|n| !seen.contains(n));
    if let Some(missing) = gap {
        let message = format!("SA-{missing} is missing");
        found.push(page.violation(
            1,
            RULE,
            message,
            "requirements keep their numbers; say what became of it",
        ));
    }
    if rows.is_empty() {
        let message = "no requirement found".to_owned();
        found.push(page.violation(1, RULE, message, "rows start with `| SA-<number> |`"));
    }
    found
}

struct Row {
    number: usize,
    line: usize,
    met: bool,
    code: Vec<String>,
    tests: Vec<String>,
}

fn rows(page: &str) -> Vec<Row> {
    let (mut met, mut rows) = (false, Vec::new());
    for (n, line) in page.lines().enumerate() {
        if let Some(heading) = line.strip_prefix("## ") {
            met = heading.trim_start_matches(|c: char| c.is_ascii_digit() || ". ".contains(c)) == "Met";
        }
        let cells: Vec<&str> = line.trim().trim_matches('|').split('|').map(str::trim).collect();
        let number = cells.first().and_then(|cell| cell.strip_prefix("SA-")).and_then(|n| n.parse().ok());
        let Some(number) = number else { continue };
        let cell = |at: usize| cells.get(at).map_or(Vec::new(), |cell| quoted(cell));
        rows.push(Row { number, line: n + 1, met, code: cell(2), tests: cell(3) });
    }
    rows
}

/// What stands in backticks.
fn quoted(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::file;

    fn tree(page: &str) -> Vec<File> {
        let source = "//! A.\npub struct Gate;\nimpl Gate {\n    pub fn open(&self) {}\n}\npub fn free() {}\n\
                      #[cfg(test)]\nmod tests {\n    #[test]\n    fn unit() {}\n    fn helper() {}\n}\n";
        let test = "//! B.\n#[test]\nfn whole() {}\nfn helper() {}\nproptest! {\n    #[test]\n    fn any(x in 0..3) {}\n}\n";
        vec![
            file(PAGE, page),
            file("crates/secagg/src/gate.rs", source),
            file("crates/secagg/tests/round.rs", test),
        ]
    }

    fn found(rows: &str) -> Vec<String> {
        let page = format!("# S\n\n## 2. Met\n\n{rows}\n");
        check(&tree(&page)).into_iter().map(|v| v.message).collect()
    }

    #[test]
    fn requirements_with_real_code_and_tests_pass() {
        let rows = "| SA-1 | a | `secagg::gate::Gate::open`, `secagg::gate::free` | `secagg::round::whole` |\n\
                    | SA-2 | b | `secagg::gate::Gate` | `secagg::gate::unit`, `secagg::round::any` |";
        assert_eq!(found(rows), [""; 0]);
    }

    #[test]
    fn missing_code_and_tests_are_named() {
        let rows = "| SA-1 | a | `secagg::gate::Gate::shut` | `secagg::round::helper` |\n\
                    | SA-2 | b | `secagg::none::Gate` | `secagg::gate::helper` |\n\
                    | SA-3 | c | words | |";
        let messages = [
            "SA-1: `secagg::gate::Gate::shut` is not in the sources",
            "SA-1: `secagg::round::helper` is no #[test] function",
            "SA-2: `secagg::none::Gate` is not in the sources",
            "SA-2: `secagg::gate::helper` is no #[test] function",
            "SA-3 names no code",
            "SA-3 names no tests",
        ];
        assert_eq!(found(rows), messages);
    }

    #[test]
    fn numbers_run_without_gap_and_only_met_rows_need_tests() {
        let good = "| SA-1 | a | `secagg::gate::Gate` | `secagg::round::whole` |";
        assert_eq!(found(&format!("{good}\n{good}")), ["SA-1 is there twice"]);
        assert_eq!(found(&good.replace("SA-1", "SA-2")), ["SA-1 is missing"]);
        assert_eq!(found(&format!("{good}\n\n## 3. Not met\n\n| SA-2 | b | nothing yet |")), [""; 0]);
        assert_eq!(found(""), ["no requirement found"]);
        assert_eq!(check(&[]).len(), 1);
    }
}
