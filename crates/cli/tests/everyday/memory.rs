//! `--memory-limit`: within it the same results, and a clear refusal where it cannot be met.

use crate::workshop::{Ran, fovea, json, settings, text, words, workshop, write_settings};
use fovea_train::TrainConfig;
use fovea_unet::{Checkpoint, ModelCard, UNet, UNetConfig};
use std::path::PathBuf;

/// An untrained model whose parameters alone take more than a MiB.
fn wide_model() -> PathBuf {
    let path = workshop().path("wide.safetensors");
    let model = UNetConfig { widths: vec![72, 72], head_bias: 0.0, ..UNetConfig::small() };
    let unet = UNet::new(model.clone()).unwrap();
    let card = ModelCard {
        model,
        preprocessing: settings().preprocessing,
        threshold: Some(0.5),
        seed: 1,
        training: serde_json::Value::Null,
    };
    Checkpoint { card, model: unet.parameters().initialise(1) }.save(&path).unwrap();
    path
}

fn evaluate(more: &[&str], out: &str) -> Ran {
    let (model, data, out) = (text(&wide_model()), text(&workshop().data()), text(&workshop().path(out)));
    let mut args = words(&["evaluate", "--model", &model, "--data", &data, "--last", "1", "--out", &out]);
    args.extend(words(more));
    fovea(&args)
}

#[test]
fn scores_within_a_limit_are_those_without() {
    let refused = evaluate(&["--memory-limit", "1"], "scores in 1 MiB");
    let least =
        refused.stderr.split("can be met is ").nth(1).and_then(|s| s.split(' ').next()).unwrap().to_owned();
    assert!(!refused.ok && refused.stderr.contains("does not fit into 1 MiB"), "{}", refused.stderr);
    for (more, out) in [(&[][..], "all memory"), (&["--memory-limit", &least][..], "least memory")] {
        let ran = evaluate(more, out);
        assert!(ran.ok, "{}", ran.stderr);
    }
    let score =
        |out: &str| json(&workshop().path(out).join("scores.json"))["mean"]["roc_auc"]["mean"].as_f64();
    let (whole, tiles) = (score("all memory").unwrap(), score("least memory").unwrap());
    assert!((whole - tiles).abs() < 1e-4, "{whole} {tiles}");
}

#[test]
fn a_photograph_is_marked_within_a_limit() {
    let shared = workshop();
    let (model, out, photo) = (text(&wide_model()), text(&shared.path("in tiles")), text(&shared.image(0)));
    let args = |limit| words(&["predict", "--model", &model, "--out", &out, "--memory-limit", limit, &photo]);
    let none = fovea(&args("0"));
    assert!(!none.ok && none.stderr.contains("--memory-limit"), "{}", none.stderr);
    let little = fovea(&args("1"));
    assert!(!little.ok && little.stderr.contains("the least memory limit"), "{}", little.stderr);
    let enough = fovea(&[args("64"), words(&["--force"])].concat());
    assert!(enough.ok, "{}", enough.stderr);
}

#[test]
fn training_within_a_limit_gives_the_same_model() {
    let shared = workshop();
    let path = shared.path("wide.toml");
    let model = UNetConfig { widths: vec![24, 24], ..settings().model };
    write_settings(&path, &TrainConfig { steps: 2, model, ..settings() });
    let train = |name: &str, limit: &str| {
        let mut args = shared.train_args(&shared.path(name), &path);
        args.extend(words(&["--memory-limit", limit]));
        fovea(&args)
    };
    let refused = train("trained in 1 MiB", "1");
    let least =
        refused.stderr.split("can be met is ").nth(1).and_then(|s| s.split(' ').next()).unwrap().to_owned();
    for (name, limit) in [("trained in little", least.as_str()), ("trained in all", "4000")] {
        let ran = train(name, limit);
        assert!(ran.ok, "{}", ran.stderr);
    }
    let hash = |name: &str| json(&shared.path(name).join("record.json"))["model_hash"].clone();
    assert_eq!(hash("trained in little"), hash("trained in all"));
}
