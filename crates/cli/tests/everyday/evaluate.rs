//! `fovea evaluate`.

use crate::workshop::{fovea, json, text, words, workshop};
use fovea_data::{MaskKind, read_raster};
use fovea_metrics::{ImageScores, Mask};
use std::path::Path;

fn args(more: &[&str]) -> Vec<String> {
    let shared = workshop();
    let mut args = words(&["evaluate", "--model", &text(&shared.model()), "--data", &text(&shared.data())]);
    args.extend(words(more));
    args
}

#[test]
fn scores_of_the_image_held_back() {
    let out = workshop().path("scores");
    let ran = fovea(&args(&["--last", "1", "--out", &text(&out)]));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    for part in ["patient4", "mean", "second observer", "clDice", "ECE", "chosen on its training images"] {
        assert!(ran.stdout.contains(part), "{part} is missing:\n{}", ran.stdout);
    }
    assert!(!ran.stderr.contains("trained on"), "{}", ran.stderr);
    let scores = json(&out.join("scores.json"));
    let record = json(&workshop().path("run/record.json"));
    assert_eq!(scores["model_hash"], record["model_hash"]);
    assert_eq!(scores["images"][0]["name"], "patient4");
    assert_eq!(scores["images"][0]["trained_on"], false);
    assert_eq!(scores["images"][0]["scores"]["dice"], scores["mean"]["dice"]["mean"]);
    assert!(scores["second_observer_mean"]["dice"]["mean"].as_f64().unwrap() > 0.5);
    let csv = std::fs::read_to_string(out.join("scores.csv")).unwrap();
    assert_eq!(csv.lines().count(), 3, "{csv}");
}

#[test]
fn images_trained_on_are_pointed_out() {
    let ran = fovea(&args(&["--json"]));
    assert!(ran.stderr.contains("4 of 5 images were trained on"), "{}", ran.stderr);
    let scores: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let seen: Vec<bool> =
        scores["images"].as_array().unwrap().iter().map(|i| i["trained_on"].as_bool().unwrap()).collect();
    assert_eq!(seen, [true, true, true, true, false]);
    assert_eq!(scores["threshold_from"], "the model");
}

#[test]
fn wrong_arguments_are_named() {
    let missing =
        fovea(&words(&["evaluate", "--model", &text(&workshop().model()), "--data", "/no/such/folder"]));
    assert_eq!(missing.code, Some(1));
    assert_eq!(missing.stderr.matches("No such file").count(), 1, "{}", missing.stderr);
    assert!(missing.stderr.contains("/no/such/folder"), "{}", missing.stderr);
    let many = fovea(&args(&["--last", "6"]));
    assert!(many.stderr.contains("--last 6") && many.stderr.contains("5 images"), "{}", many.stderr);
    let model = text(Path::new("/no/model"));
    let unread = fovea(&words(&["evaluate", "--model", &model, "--data", &text(&workshop().data())]));
    assert!(unread.stderr.contains("/no/model"), "{}", unread.stderr);
}

/// Two ways to one figure: `evaluate`, and the mask that `predict` writes, scored here.
#[test]
fn scores_are_those_of_the_mask_that_predict_writes() {
    let (shared, out) = (workshop(), workshop().path("scored"));
    let path = |folder: &str, ending: &str| shared.data().join(format!("{folder}/patient4{ending}.png"));
    let field = path("masks", "_mask");
    assert!(shared.predict(&out, &[&text(&path("images", "")), "--field", &text(&field)]).ok);
    let read = |path: &Path, kind| read_raster(path).unwrap().to_mask(path, kind).unwrap();
    let mask = read(&out.join("patient4_mask.png"), MaskKind::Label);
    let (label, field) = (read(&path("labels", ""), MaskKind::Label), read(&field, MaskKind::Field));
    assert_ne!(mask.width, mask.height, "width and height must not be interchangeable here");
    let pair = Mask::new([mask.height, mask.width], &mask.data, &label.data, &field.data).unwrap();
    let expected = ImageScores::of_mask(&pair);
    let scores: serde_json::Value =
        serde_json::from_str(&fovea(&args(&["--last", "1", "--json"])).stdout).unwrap();
    let found: ImageScores = serde_json::from_value(scores["images"][0]["scores"].clone()).unwrap();
    assert_eq!((found.counts, found.cl_dice), (expected.counts, expected.cl_dice));
    assert!(found.cl_dice.is_some() && found.roc_auc.is_some());
}
