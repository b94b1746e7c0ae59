//! `fovea train`: what it writes, exact resume after any end, and what it refuses.

use crate::workshop::{Ran, command, fovea, json, settings, text, words, workshop, write_settings};
use fovea_train::{Optimiser, Schedule, TrainConfig, TrainState};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// Steps of the runs that are interrupted: enough that none ends by itself first.
pub const STEPS: u32 = 400;

pub fn start(out: &Path, settings: &Path) -> Child {
    let mut command = command(&workshop().train_args(out, settings));
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits until `steps` steps are on disk.
pub fn wait_for(out: &Path, steps: usize) {
    let deadline = Instant::now() + Duration::from_secs(120);
    let lines = || std::fs::read_to_string(out.join("losses.csv")).map_or(0, |text| text.lines().count());
    while lines() <= steps {
        assert!(Instant::now() < deadline, "{} steps after two minutes", lines());
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub fn state(out: &Path) -> TrainState {
    TrainState::load(&out.join("state.safetensors")).unwrap()
}

pub fn resume(out: &Path) -> Ran {
    let shared = workshop();
    fovea(&words(&["train", "--data", &text(&shared.data()), "--out", &text(out), "--resume"]))
}

#[test]
fn a_run_writes_what_it_says() {
    let run = workshop().path("run");
    let record = json(&run.join("record.json"));
    assert_eq!(record["steps"], 12);
    assert_eq!(record["train"].as_array().unwrap().len(), 4);
    assert_eq!(record["test"][0]["name"], "patient4");
    assert_eq!(record["epoch_losses"].as_array().unwrap().len(), 4);
    let losses = std::fs::read_to_string(run.join("losses.csv")).unwrap();
    assert_eq!(losses.lines().count(), 13);
    let used: TrainConfig =
        toml::from_str(&std::fs::read_to_string(run.join("config.toml")).unwrap()).unwrap();
    assert_eq!(used, settings());
    let model = fovea_unet::Checkpoint::load(&run.join("model.safetensors")).unwrap();
    assert_eq!(model.hash().unwrap(), record["model_hash"].as_str().unwrap());
    assert!(model.card.threshold.is_some());
    let again = workshop().path("again");
    assert!(fovea(&workshop().train_args(&again, &workshop().settings())).ok);
    let bytes = |folder: &Path| std::fs::read(folder.join("model.safetensors")).unwrap();
    assert!(bytes(&again) == bytes(&run), "the same run is the same file");
}

#[test]
fn a_run_that_was_killed_ends_in_the_same_model() {
    let shared = workshop();
    let long = shared.path("long.toml");
    write_settings(&long, &TrainConfig { steps: STEPS, steps_per_epoch: 5, ..settings() });
    let [whole, killed] = ["long whole", "long killed"].map(|name| shared.path(name));
    let mut child = start(&killed, &long);
    wait_for(&killed, 5);
    child.kill().unwrap();
    child.wait().unwrap();
    let step = state(&killed).step;
    assert!((1..STEPS).contains(&step), "{step}");
    assert!(fovea(&shared.train_args(&whole, &long)).ok);
    let hash = |out: &Path| json(&out.join("record.json"))["model_hash"].clone();
    let resumed = resume(&killed);
    assert!(resumed.ok, "{}", resumed.stderr);
    assert_eq!(hash(&killed), hash(&whole));
    let read = |out: &Path, name: &str| std::fs::read(out.join(name)).unwrap();
    for name in ["losses.csv", "model.safetensors"] {
        assert!(read(&killed, name) == read(&whole, name), "{name}");
    }
}

#[test]
fn a_folder_in_use_is_refused() {
    let shared = workshop();
    let args = shared.train_args(&shared.path("run"), &shared.settings());
    let refused = fovea(&args);
    assert_eq!(refused.code, Some(1));
    for way in ["is not empty", "--resume", "--force"] {
        assert!(refused.stderr.contains(way), "{}", refused.stderr);
    }
    let forced = shared.path("forced");
    std::fs::create_dir_all(&forced).unwrap();
    std::fs::write(forced.join("notes.txt"), "mine").unwrap();
    let mut args = shared.train_args(&forced, &shared.settings());
    args.push("--force".to_owned());
    assert!(fovea(&args).ok);
    assert!(forced.join("model.safetensors").exists() && forced.join("notes.txt").exists());
    args[2] = "/no/such/data".to_owned();
    assert!(!fovea(&args).ok);
    assert!(forced.join("model.safetensors").exists(), "nothing is cleared before the images are read");
    let nothing = resume(&shared.path("never"));
    assert!(nothing.stderr.contains("nothing to resume"), "{}", nothing.stderr);
}

#[test]
fn a_resumed_run_has_the_settings_and_images_that_it_had() {
    let shared = workshop();
    let resumed = |data: &Path, more: &[&str]| {
        let run = text(&shared.path("run"));
        let mut args = words(&["train", "--data", &text(data), "--out", &run, "--resume"]);
        args.extend(words(more));
        fovea(&args).stderr
    };
    let seed = resumed(&shared.data(), &["--seed", "77"]);
    assert!(seed.contains("seed is 77 here and 1 in the saved run"), "{seed}");
    let profile = resumed(&shared.data(), &["--profile", "quick"]);
    assert!(profile.contains("cannot resume: batch is 4"), "{profile}");
    let parts = resumed(&shared.data(), &["--all"]);
    assert!(parts.contains("patient4"), "{parts}");
    let other = shared.path("other data");
    for folder in ["images", "labels"] {
        std::fs::create_dir_all(other.join(folder)).unwrap();
        for entry in std::fs::read_dir(shared.data().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            std::fs::copy(&path, other.join(folder).join(path.file_name().unwrap())).unwrap();
        }
    }
    let changed = resumed(&other, &[]);
    assert!(changed.contains("patient") && changed.contains("differ"), "{changed}");
}

#[test]
fn divergence_names_the_layer_and_keeps_the_state_before_it() {
    let shared = workshop();
    let (wild, out) = (shared.path("wild.toml"), shared.path("wild"));
    // Each step multiplies every weight by 1 - 100 * 1: no number can take that for long.
    let optimiser = Optimiser::AdamW { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 1.0 };
    let schedule = Schedule::Constant { rate: 100.0 };
    write_settings(&wild, &TrainConfig { steps: 60, schedule, optimiser, ..settings() });
    let ran = fovea(&shared.train_args(&out, &wild));
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains("diverged") && ran.stderr.contains("not finite"), "{}", ran.stderr);
    let state = state(&out);
    assert!(state.step >= 1 && state.parameters.iter().all(|v| v.is_finite()));
}

#[test]
fn settings_are_printed_and_checked() {
    let shared = workshop();
    let printed = fovea(&words(&["train", "--print-config", "--profile", "seed", "--steps", "7"]));
    let config: TrainConfig = toml::from_str(&printed.stdout).unwrap();
    assert_eq!(config, TrainConfig { steps: 7, ..TrainConfig::seed_profile() });
    let wrong = shared.path("wrong.toml");
    std::fs::write(&wrong, printed.stdout.replace("batch = ", "batches = ")).unwrap();
    let refused = fovea(&shared.train_args(&shared.path("refused"), &wrong));
    assert!(
        refused.stderr.contains("wrong.toml") && refused.stderr.contains("batches"),
        "{}",
        refused.stderr
    );
    write_settings(&wrong, &TrainConfig { batch: 0, ..settings() });
    let refused = fovea(&shared.train_args(&shared.path("refused"), &wrong));
    assert!(refused.stderr.contains("train.batch is 0"), "{}", refused.stderr);
    assert!(!shared.path("refused").exists());
}
