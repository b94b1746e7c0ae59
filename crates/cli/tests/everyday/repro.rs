//! `fovea repro` on synthetic hospitals, with a network of a few hundred parameters.

use crate::workshop::{Ran, command, fovea, json, names, settings, text, words, workshop, write_settings};
use fovea_train::TrainConfig;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Three hospitals, one of which drops out of the sixth round.
fn args(name: &str, steps: u32, models: &str) -> (PathBuf, Vec<String>) {
    let shared = workshop();
    let config = shared.path(&format!("{name}.toml"));
    write_settings(&config, &TrainConfig { steps, steps_per_epoch: 4, ..settings() });
    let out = shared.path("repro");
    let args = ["repro", "--profile", "three-sites", "--models", models, "--name", name];
    let more = ["--config".to_owned(), text(&config), "--out".to_owned(), text(&out)];
    (out.join(name), words(&args).into_iter().chain(more).collect())
}

fn hash(folder: &Path, model: &str) -> String {
    json(&folder.join(format!("{model}.json")))["model_hash"].as_str().unwrap().to_owned()
}

#[test]
fn three_sites_and_a_drop_out_leave_a_report() {
    let (folder, args) = args("whole", 28, "alice,federated");
    let ran: Ran = fovea(&args);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("round 5: no sum"), "{}", ran.stderr);
    assert!(ran.stdout.contains("the 12 test images"), "{}", ran.stdout);
    let summary = json(&folder.join("summary.json"));
    let federation = &summary["federation"];
    assert_eq!((&federation["rounds"], &federation["equals_clear"]), (&7.into(), &true.into()));
    assert_eq!(federation["sites"][2]["dropped_rounds"], 1);
    assert_eq!(federation["pair_mode"], false);
    let model = &summary["models"][1];
    assert_eq!(model["runs"][0]["model_hash"], hash(&folder, "federated").as_str());
    assert_eq!(model["runs"][0]["losses"].as_array().unwrap().len(), 7);
    let page = std::fs::read_to_string(folder.join("report.html")).unwrap();
    assert!(page.contains("carol") && page.ends_with("</html>\n"));
    // The header and one row for each model's 12 images on each of 5 sets (the last 3 hold 4 each), and the observer's.
    let rows = std::fs::read_to_string(folder.join("images.csv")).unwrap().lines().count();
    assert_eq!(rows, 1 + 2 * (12 + 12 + 12) + 24);
    let again = fovea(&args);
    assert!(again.ok && !again.stderr.contains("training federated"), "{}", again.stderr);
}

#[test]
fn a_killed_run_goes_on_to_the_same_model() {
    let (whole, undisturbed) = args("undisturbed", 120, "federated");
    assert!(fovea(&undisturbed).ok);
    let (folder, again) = args("killed", 120, "federated");
    for kill in 0..2 {
        let mut child = command(&again).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        wait_for_round(&folder, 3 + 8 * kill);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!folder.join("federated.json").exists(), "the run was over before it was killed");
    }
    let end = fovea(&again);
    assert_eq!(end.code, Some(0), "{}", end.stderr);
    assert_eq!(hash(&folder, "federated"), hash(&whole, "federated"));
    let rest = names(&folder);
    assert!(rest.iter().all(|name| !name.contains("rounds")), "{rest:?}");
}

/// Waits until a round of at least this number has been saved.
fn wait_for_round(folder: &Path, round: u32) {
    let deadline = Instant::now() + Duration::from_secs(120);
    let saved = |name: &String| name.strip_prefix("federated.rounds-").and_then(|n| n.parse::<u32>().ok());
    while !(folder.exists() && names(folder).iter().filter_map(saved).any(|n| n >= round)) {
        assert!(Instant::now() < deadline, "round {round} was not saved within two minutes");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn wrong_requests_say_what_to_do() {
    let empty = workshop().path("empty");
    std::fs::create_dir_all(empty.join("STARE/stare-images")).unwrap();
    let ran = fovea(&words(&["repro", "--data", &text(&empty), "--out", &text(&workshop().path("r"))]));
    assert_eq!(ran.code, Some(1));
    for part in ["DRIVE", "drive.grand-challenge.org", "STARE"] {
        assert!(ran.stderr.contains(part), "{part} is missing: {}", ran.stderr);
    }
    let (folder, first) = args("changed", 4, "alice");
    assert!(fovea(&first).ok && folder.join("alice.safetensors").exists());
    let (_, changed) = args("changed", 8, "alice");
    let ran = fovea(&changed);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("alice.json") && ran.stderr.contains("--fresh"), "{}", ran.stderr);
    let unknown = fovea(&words(&["repro", "--models", "nobody", "--out", &text(&workshop().path("r"))]));
    assert!(unknown.stderr.contains("nobody") && unknown.stderr.contains("federated"), "{}", unknown.stderr);
}
