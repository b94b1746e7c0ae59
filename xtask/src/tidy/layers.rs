//! Who may import whom: the table `[workspace.metadata.layers]` of the root manifest against `cargo metadata`.
//!
//! A crate's dependencies lie in lower layers of its own column; the column `both` may import either column and is
//! imported by none below it. A crate of the column `dev` imports no crate of the project and is a dev-dependency only.
//! Dev-dependencies are looser: a test may import any layer of its own column (a gradient rule is tested with the
//! executor above it), never the other column. `xtask` stands outside: no arrow leads to it or from it.

use super::Violation;
use crate::forward;
use anyhow::{Context, ensure};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// Third-party crates that only some folders may name, matched with `-*` suffixes too; an empty list: nobody.
const CONFINED: [(&str, &[&str]); 14] = [
    ("wgpu", &["gpu"]),
    ("tokio", &["net", "cli"]),
    ("async-std", &["net", "cli"]),
    ("smol", &["net", "cli"]),
    ("anyhow", &["cli", "bench", "xtask"]),
    ("clap", &["cli", "bench", "sim", "xtask"]),
    ("rand", &[]),
    ("tch", &[]),
    ("ort", &[]),
    ("burn", &[]),
    ("candle", &[]),
    ("dfdx", &[]),
    ("tract", &[]),
    ("luminal", &[]),
];

/// Where people read the table.
const PAGE: &str = "crates/ARCHITECTURE.md";

/// Checks the tree's manifests.
pub(super) fn check(root: &Path) -> anyhow::Result<Vec<Violation>> {
    let arguments = ["metadata", "--format-version", "1", "--no-deps", "--offline"];
    let output =
        forward::cargo().args(arguments).current_dir(root).output().context("starting cargo metadata")?;
    ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr).trim());
    let workspace: Workspace = serde_json::from_slice(&output.stdout)
        .context("reading [workspace.metadata.layers] of Cargo.toml")?;
    let manifests = workspace.packages.iter().map(|p| {
        let path = Path::new(&p.manifest_path);
        let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        let path = path.strip_prefix(root).unwrap_or(path).to_string_lossy().replace('\\', "/");
        Ok(Manifest { path, text })
    });
    let manifests: Vec<Manifest> = manifests.collect::<anyhow::Result<_>>()?;
    let layers = &workspace.metadata.layers;
    let page = std::fs::read_to_string(root.join(PAGE)).with_context(|| format!("reading {PAGE}"))?;
    let mut found = unused_rows(layers, &workspace.packages);
    found.extend(described(layers, &page));
    for (package, manifest) in workspace.packages.iter().zip(&manifests) {
        found.extend(arrows(layers, package, manifest));
        found.extend(confinement(package, manifest));
        found.extend(lints(manifest));
    }
    Ok(found)
}

#[derive(Deserialize)]
struct Workspace {
    packages: Vec<Package>,
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    layers: Layers,
}

type Layers = BTreeMap<String, Place>;

#[derive(Deserialize, Clone, Copy)]
struct Place {
    layer: u32,
    column: Column,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "lowercase")]
enum Column {
    Learning,
    Federation,
    Both,
    Dev,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: String,
    dependencies: Vec<Dependency>,
}

impl Package {
    fn short(&self) -> &str {
        short(&self.name)
    }
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// `None` for a normal dependency.
    kind: Option<String>,
    /// Present for crates of the workspace.
    path: Option<String>,
}

struct Manifest {
    path: String,
    text: String,
}

impl Manifest {
    /// A violation at the first line that names `word`.
    fn violation(&self, word: &str, rule: &'static str, message: String, fix: &'static str) -> Violation {
        let line = self.text.lines().position(|l| l.starts_with(word)).map_or(1, |n| n + 1);
        Violation { path: self.path.clone(), line, rule, message, fix }
    }
}

/// `fovea-tensor` -> `tensor`.
fn short(name: &str) -> &str {
    name.strip_prefix("fovea-").unwrap_or(name)
}

/// Rows of the table without a crate.
fn unused_rows(layers: &Layers, packages: &[Package]) -> Vec<Violation> {
    let gone = layers.keys().filter(|&k| packages.iter().all(|p| p.short() != k));
    let violation = |name: &String| Violation {
        path: "Cargo.toml".to_owned(),
        line: 1,
        rule: "layers",
        message: format!("`{name}` is in the table but no crate has that name"),
        fix: "remove the row from [workspace.metadata.layers]",
    };
    gone.map(violation).collect()
}

/// Rule `layers`: the page for people has each row of the table.
fn described(layers: &Layers, page: &str) -> Vec<Violation> {
    let rows = layers.iter().map(|(name, place)| {
        let column = format!("{:?}", place.column).to_lowercase();
        format!("| {} | `{name}` | {column} |", place.layer)
    });
    let missing = rows.filter(|row| !page.lines().any(|line| line.starts_with(row)));
    let violation = |row| Violation {
        path: PAGE.to_owned(),
        line: 1,
        rule: "layers",
        message: format!("no row `{row} ...`"),
        fix: "describe the crate there in one line, as in [workspace.metadata.layers]",
    };
    missing.map(violation).collect()
}

/// Rule `layers`: every crate has a place, and every arrow leads down inside its column.
fn arrows(layers: &Layers, package: &Package, manifest: &Manifest) -> Vec<Violation> {
    let Some(&from) = layers.get(package.short()) else {
        if package.name == "xtask" {
            return internal(package)
                .map(|d| {
                    manifest.violation(&d.name, "layers", format!("xtask imports {}", d.name), "remove it")
                })
                .collect();
        }
        let message = format!("{} has no place", package.name);
        let fix = "add a row to [workspace.metadata.layers] in the root Cargo.toml";
        return vec![manifest.violation("name", "layers", message, fix)];
    };
    let broken = internal(package).filter_map(|d| {
        let to = *layers.get(short(&d.name))?;
        let (reason, fix) = objection(from, to, d.kind.as_deref() == Some("dev"))?;
        let message = format!("{} must not import {}: {reason}", package.name, d.name);
        Some(manifest.violation(&d.name, "layers", message, fix))
    });
    broken.collect()
}

fn internal(package: &Package) -> impl Iterator<Item = &Dependency> {
    package.dependencies.iter().filter(|d| d.path.is_some())
}

/// Why an arrow is not allowed, and what to do.
fn objection(from: Place, to: Place, dev: bool) -> Option<(String, &'static str)> {
    if from.column == Column::Dev {
        return Some(("a dev crate imports no crate of the project".to_owned(), "pass slices instead"));
    }
    if to.column == Column::Dev {
        return (!dev).then(|| ("it is for tests".to_owned(), "move it to [dev-dependencies]"));
    }
    if from.column != Column::Both && from.column != to.column {
        let reason = format!("column {:?} never imports column {:?}", from.column, to.column);
        return Some((reason, "let the two meet in cli, as slices and bytes"));
    }
    if !dev && to.layer >= from.layer {
        let reason = format!("layer {} is not below layer {}", to.layer, from.layer);
        return Some((reason, "move the shared part to a lower crate"));
    }
    None
}

/// Rule `confined`: some third-party crates stay where the architecture puts them.
fn confinement(package: &Package, manifest: &Manifest) -> Vec<Violation> {
    let broken = package.dependencies.iter().filter_map(|d| {
        let (_, allowed) = CONFINED.iter().find(|(name, _)| {
            d.name.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        })?;
        if allowed.contains(&package.short()) {
            return None;
        }
        let (message, fix) = if allowed.is_empty() {
            (
                format!("{} has no place in this project", d.name),
                "write it by hand or use fovea_tensor::Stream",
            )
        } else {
            (
                format!("{} only in {}", d.name, allowed.join(", ")),
                "use a thiserror enum or move the code there",
            )
        };
        Some(manifest.violation(&d.name, "confined", message, fix))
    });
    broken.collect()
}

/// Rule `lints`: every crate takes the workspace's lints.
fn lints(manifest: &Manifest) -> Option<Violation> {
    let taken = manifest.text.replace("\r\n", "\n").contains("[lints]\nworkspace = true");
    let message = || "the workspace's lints are not taken".to_owned();
    (!taken).then(|| manifest.violation("[lints]", "lints", message(), "add [lints] workspace = true"))
}

#[cfg(test)]
mod tests;
