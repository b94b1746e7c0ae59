//! `--device` and `fovea devices`. On a machine with no GPU at all the same tests check the refusal.

use crate::workshop::{command, fovea, json, text, words, workshop};
use fovea_unet::Checkpoint;

/// The GPUs that the command lists.
fn listed() -> Vec<serde_json::Value> {
    let ran = fovea(&words(&["devices", "--json"]));
    assert!(ran.ok, "{}", ran.stderr);
    serde_json::from_str(&ran.stdout).unwrap()
}

#[test]
fn a_gpu_trains_and_predicts_or_is_refused_by_name() {
    let shared = workshop();
    let out = shared.path("gpu");
    let args = [shared.train_args(&out, &shared.settings()), words(&["--device", "gpu"])].concat();
    let ran = fovea(&args);
    if listed().is_empty() {
        assert_eq!(ran.code, Some(1));
        assert!(ran.stderr.contains("no GPU was found"), "{}", ran.stderr);
        return;
    }
    assert!(ran.ok, "{}", ran.stderr);
    assert!(ran.stderr.contains("device: "), "{}", ran.stderr);
    // Twelve steps of a small network: rounding has not had the time to part the two devices.
    let losses = |run: &str| json(&shared.path(run).join("record.json"))["epoch_losses"].clone();
    let numbers = |value: serde_json::Value| -> Vec<f64> { serde_json::from_value(value).unwrap() };
    for (a, b) in numbers(losses("run")).iter().zip(numbers(losses("gpu"))) {
        assert!((a - b).abs() < 0.02 * a, "{a} on the CPU, {b} on the GPU");
    }
    let again = shared.path("gpu-again");
    let mut command =
        command(&[shared.train_args(&again, &shared.settings()), words(&["--device", "gpu"])].concat());
    assert!(command.output().unwrap().status.success());
    let hash =
        |name: &str| Checkpoint::load(&shared.path(name).join("model.safetensors")).unwrap().hash().unwrap();
    assert_eq!(hash("gpu"), hash("gpu-again"), "one device gives the same bits twice");
    let marked = shared.path("gpu-marked");
    let photograph = text(&shared.image(0));
    let ran = shared.predict(&marked, &[photograph.as_str(), "--device", "gpu"]);
    assert!(ran.ok, "{}", ran.stderr);
}

#[test]
fn unknown_devices_are_refused() {
    let shared = workshop();
    let train = |out: &str, device: &str| {
        let args = shared.train_args(&shared.path(out), &shared.settings());
        fovea(&[args, words(&["--device", device])].concat())
    };
    let ran = train("no-cuda", "cuda");
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("choose auto, cpu, gpu or gpu:N"), "{}", ran.stderr);
    let ran = train("no-gpu", "gpu:999");
    assert_eq!(ran.code, Some(1));
    let refused = ran.stderr.contains("no device gpu:999") || ran.stderr.contains("no GPU was found");
    assert!(refused, "{}", ran.stderr);
    let ran = train("automatic", "auto");
    assert!(ran.ok, "a software adapter is never chosen by itself: {}", ran.stderr);
}

#[test]
fn the_list_names_the_cpu_first() {
    let ran = fovea(&words(&["devices"]));
    assert!(ran.ok && ran.stdout.starts_with("cpu "), "{}", ran.stdout);
    assert_eq!(ran.stdout.lines().count(), 1 + listed().len());
}
