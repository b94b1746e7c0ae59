//! Records: what ran, where, on which commit, under which load, as JSON that reads well in a diff.

use crate::host;
use anyhow::{Context, Result};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Results are this program's product: they go to standard output.
#[allow(clippy::print_stdout)]
pub fn print_line(line: &str) {
    println!("{line}");
}

/// What every record begins with.
pub fn header(threads: usize) -> Map<String, Value> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let fields = [
        ("command", json!(format!("fovea-bench {}", portable(&arguments)))),
        ("commit", json!(commit())),
        ("date", json!(today())),
        ("cpu", json!(host::processor())),
        ("isa", json!(format!("{:?}", fovea_cpu::isa()))),
        ("threads", json!(threads)),
    ];
    fields.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()
}

/// Writes a record and says where.
pub fn write(record: &Map<String, Value>, path: &Path) -> Result<()> {
    let failed = || format!("writing {}", path.display());
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(failed)?;
    }
    std::fs::write(path, lines(record)).with_context(failed)?;
    print_line(&format!("recorded in {}", path.display()));
    Ok(())
}

/// `fixtures/bench/<date>-<kind>.json` in the repository that holds the current folder, or the file alone elsewhere.
pub fn default_path(kind: &str) -> PathBuf {
    let file = format!("{}-{kind}.json", today());
    root().map_or_else(|| PathBuf::from(&file), |r| r.join("fixtures/bench").join(&file))
}

/// The repository that holds the current folder.
pub fn root() -> Option<PathBuf> {
    let here = std::env::current_dir().ok()?;
    here.ancestors().find(|f| f.join("crates/bench/Cargo.toml").is_file()).map(Path::to_path_buf)
}

fn today() -> String {
    time::OffsetDateTime::now_utc().date().to_string()
}

/// The commit, and whether sources that are timed differ from it.
fn commit() -> Option<String> {
    let root = root()?;
    let git = |arguments: &[&str]| {
        let output = Command::new("git").arg("-C").arg(&root).args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let timed = ["tensor", "graph", "autodiff", "cpu", "unet", "bench"].map(|c| format!("crates/{c}"));
    let status: Vec<&str> =
        ["status", "--porcelain", "--"].into_iter().chain(timed.iter().map(String::as_str)).collect();
    let changed = !git(&status)?.is_empty();
    Some(git(&["rev-parse", "--short=12", "HEAD"])? + if changed { " with changes" } else { "" })
}

/// Arguments without the folders of one machine.
fn portable(arguments: &[String]) -> String {
    let name = |a: &String| Path::new(a).file_name().map_or(a.clone(), |n| n.to_string_lossy().into_owned());
    let short = |a: &String| if a.contains(std::path::MAIN_SEPARATOR) { name(a) } else { a.clone() };
    arguments.iter().map(short).collect::<Vec<_>>().join(" ")
}

/// One line per field, and one per element of a list.
fn lines(record: &Map<String, Value>) -> String {
    let field = |(key, value): (&String, &Value)| match value {
        Value::Array(list) if !list.is_empty() => {
            let list: Vec<String> = list.iter().map(|v| format!("    {v}")).collect();
            format!("  {}: [\n{}\n  ]", json!(key), list.join(",\n"))
        }
        _ => format!("  {}: {value}", json!(key)),
    };
    format!("{{\n{}\n}}\n", record.iter().map(field).collect::<Vec<_>>().join(",\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_is_json_with_a_line_per_element() {
        let fields = [("a", json!(1)), ("b", json!([{"c": "d"}, [2, 3]])), ("e", json!([]))];
        let record: Map<String, Value> = fields.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
        let text = lines(&record);
        assert_eq!(text.lines().count(), 8);
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), Value::Object(record));
    }

    #[test]
    fn command_names_no_folder() {
        let arguments = ["peers", "--python", "a/b/python", "--rounds", "2"].map(str::to_owned);
        assert_eq!(portable(&arguments), "peers --python python --rounds 2");
    }

    #[test]
    fn default_place_is_in_this_repository() {
        assert!(default_path("x").ends_with(format!("fixtures/bench/{}-x.json", today())));
    }
}
