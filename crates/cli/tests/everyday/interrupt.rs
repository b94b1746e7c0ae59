//! Ctrl-C: what is done is whole and saved, and the exit code says that it is not all.

use crate::train::{STEPS, resume, start, state, wait_for};
use crate::workshop::{
    IMAGES, Ran, command, fovea, json, names, ran, settings, text, words, workshop, write_settings,
};
use fovea_data::read_raster;
use fovea_train::TrainConfig;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Sends Ctrl-C and waits.
fn interrupt(child: Child) -> Ran {
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    ran(child.wait_with_output().unwrap())
}

#[test]
fn an_interrupted_training_saves_and_ends_in_the_same_model() {
    let shared = workshop();
    let [long, whole, out] = ["stop.toml", "stop whole", "stop"].map(|name| shared.path(name));
    write_settings(&long, &TrainConfig { steps: STEPS, steps_per_epoch: 7, ..settings() });
    let child = start(&out, &long);
    wait_for(&out, 5);
    let end = interrupt(child);
    assert_eq!(end.code, Some(130), "{}", end.stderr);
    assert!(end.stderr.contains("all saved") && end.stderr.contains("--resume"), "{}", end.stderr);
    let losses = std::fs::read_to_string(out.join("losses.csv")).unwrap();
    assert_eq!(losses.lines().count() - 1, state(&out).step as usize);
    assert!(!out.join("model.safetensors").exists());
    assert!(resume(&out).ok && fovea(&shared.train_args(&whole, &long)).ok);
    let hash = |out: &Path| json(&out.join("record.json"))["model_hash"].clone();
    assert_eq!(hash(&out), hash(&whole));
}

#[test]
fn an_interrupted_prediction_leaves_whole_files_and_lists_the_others() {
    let shared = workshop();
    let (folder, out) = (shared.path("many"), shared.path("many marked"));
    std::fs::create_dir_all(&folder).unwrap();
    for copy in 0..600 {
        std::fs::copy(shared.image(copy % IMAGES), folder.join(format!("{copy:03}.png"))).unwrap();
    }
    let (model, images) = (text(&shared.model()), text(&folder));
    let mut command = command(&words(&["predict", "--model", &model, "--out", &text(&out), &images]));
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while !out.join("001_overlay.png").exists() {
        assert!(Instant::now() < deadline, "no result after a minute");
        std::thread::sleep(Duration::from_millis(5));
    }
    let end = interrupt(child);
    assert_eq!(end.code, Some(130), "{}", end.stderr);
    let list = std::fs::read_to_string(out.join("predictions.csv")).unwrap();
    let count = |status: &str| list.lines().filter(|l| l.contains(status)).count();
    let (done, waiting) = (count(",done,"), count(",not started,"));
    assert!(done >= 2 && waiting >= 1 && done + waiting == 600, "{done} {waiting}");
    let mut pictures = names(&out);
    pictures.retain(|name| name.ends_with(".png"));
    assert_eq!((pictures.len(), names(&out).len()), (3 * done, 3 * done + 1), "no partial file is left");
    assert!(pictures.iter().all(|name| read_raster(&out.join(name)).is_ok()));
}
