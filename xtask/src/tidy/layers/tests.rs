//! Tests of the layer rules on small made-up workspaces.

use super::*;

fn layers() -> Layers {
    let json = r#"{
        "tensor": {"layer": 0, "column": "learning"}, "graph": {"layer": 1, "column": "learning"},
        "cpu": {"layer": 2, "column": "learning"}, "autodiff": {"layer": 2, "column": "learning"},
        "wire": {"layer": 0, "column": "federation"}, "cli": {"layer": 6, "column": "both"},
        "bench": {"layer": 7, "column": "both"}, "testkit": {"layer": 0, "column": "dev"}
    }"#;
    serde_json::from_str(json).unwrap()
}

fn package(name: &str, dependencies: &[(&str, Option<&str>)]) -> Package {
    let dependency = |&(name, kind): &(&str, Option<&str>)| Dependency {
        name: name.to_owned(),
        kind: kind.map(str::to_owned),
        path: (name.starts_with("fovea-") || name == "xtask").then(String::new),
    };
    Package {
        name: name.to_owned(),
        manifest_path: String::new(),
        dependencies: dependencies.iter().map(dependency).collect(),
    }
}

fn manifest(text: &str) -> Manifest {
    Manifest { path: "crates/x/Cargo.toml".to_owned(), text: text.to_owned() }
}

fn objections(name: &str, to: &str, kind: Option<&str>) -> usize {
    arrows(&layers(), &package(name, &[(to, kind)]), &manifest("")).len()
}

#[test]
fn arrows_lead_down() {
    assert_eq!(objections("fovea-cpu", "fovea-graph", None), 0);
    assert_eq!(objections("fovea-graph", "fovea-cpu", None), 1, "upward");
    assert_eq!(objections("fovea-autodiff", "fovea-cpu", None), 1, "sideways");
    assert_eq!(objections("fovea-autodiff", "fovea-cpu", Some("build")), 1, "build scripts too");
    assert_eq!(objections("fovea-autodiff", "fovea-cpu", Some("dev")), 0, "tests may");
}

#[test]
fn columns_meet_in_both_alone() {
    assert_eq!(objections("fovea-graph", "fovea-wire", None), 1);
    assert_eq!(objections("fovea-graph", "fovea-wire", Some("dev")), 1, "not even in tests");
    assert_eq!(objections("fovea-cli", "fovea-wire", None), 0);
    assert_eq!(objections("fovea-cli", "fovea-graph", None), 0);
    assert_eq!(objections("fovea-bench", "fovea-cli", None), 0);
    assert_eq!(objections("fovea-graph", "fovea-cli", Some("dev")), 1);
}

#[test]
fn testkit_serves_tests_and_imports_nothing() {
    assert_eq!(objections("fovea-graph", "fovea-testkit", Some("dev")), 0);
    assert_eq!(objections("fovea-graph", "fovea-testkit", None), 1);
    assert_eq!(objections("fovea-testkit", "fovea-tensor", None), 1);
    assert_eq!(objections("fovea-testkit", "fovea-tensor", Some("dev")), 1);
}

#[test]
fn every_crate_has_a_row_and_every_row_a_crate() {
    let found = arrows(&layers(), &package("fovea-new", &[]), &manifest("[package]\nname = \"fovea-new\"\n"));
    assert_eq!((found.len(), found[0].line), (1, 2));
    assert_eq!(arrows(&layers(), &package("xtask", &[("syn", None)]), &manifest("")), []);
    assert_eq!(objections("xtask", "fovea-tensor", None), 1);
    assert_eq!(unused_rows(&layers(), &[package("fovea-cpu", &[])]).len(), layers().len() - 1);
}

#[test]
fn confined_crates_stay_in_their_place() {
    let found = |name, dependency| {
        confinement(&package(name, &[(dependency, None)]), &manifest("[dependencies]\nwgpu.workspace = true"))
    };
    assert_eq!(found("fovea-gpu", "wgpu"), []);
    assert_eq!(found("fovea-cpu", "wgpu")[0].line, 2);
    assert_eq!(found("fovea-cpu", "wgpu-core").len(), 1);
    assert_eq!(found("fovea-fed", "tokio").len(), 1);
    assert_eq!(found("fovea-net", "tokio-rustls"), []);
    assert_eq!(found("fovea-train", "anyhow").len(), 1);
    assert_eq!(found("xtask", "anyhow"), []);
    assert_eq!(found("fovea-cpu", "candle-core").len(), 1, "no framework anywhere");
    assert_eq!(found("fovea-cpu", "burning"), [], "only the name itself or with a suffix");
}

#[test]
fn lints_are_taken() {
    assert_eq!(lints(&manifest("[lints]\nworkspace = true\n")), None);
    assert!(lints(&manifest("[dependencies]\n")).is_some());
}

#[test]
fn the_page_has_every_row() {
    let row = |(name, place): (&String, &Place)| {
        format!("| {} | `{name}` | {} | words |\n", place.layer, format!("{:?}", place.column).to_lowercase())
    };
    let page: String = layers().iter().map(row).collect();
    assert_eq!(described(&layers(), &page), []);
    assert_eq!(described(&layers(), &page.replace("| 2 | `cpu`", "| 3 | `cpu`")).len(), 1);
}
