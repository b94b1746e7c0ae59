//! Against scikit-learn, scikit-image and scipy (`fixtures/metrics/golden.json`, made by `generate.py` beside it).

#![allow(clippy::unwrap_used)]

use fovea_metrics::{
    Confusion, DiceObjective, ImageScores, METRICS, Mask, Pixels, Ranking, ThresholdSearch, cl_dice,
    sign_flip_test, skeletonize, wilcoxon_signed_rank,
};
use serde_json::Value;

struct Golden {
    json: Value,
    extent: [usize; 2],
    probability: Vec<f32>,
    label: Vec<u8>,
    field: Vec<u8>,
}

fn golden() -> Golden {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/metrics/golden.json");
    let json: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let extent = ["height", "width"].map(|k| json[k].as_u64().unwrap() as usize);
    let levels = json["levels_of_32"].as_array().unwrap().iter().flat_map(|row| row.as_array().unwrap());
    let probability = levels.map(|v| v.as_u64().unwrap() as f32 / 32.0).collect();
    let (label, field) = (mask(&json["label"]), mask(&json["field"]));
    Golden { json, extent, probability, label, field }
}

fn mask(rows: &Value) -> Vec<u8> {
    let rows = rows.as_array().unwrap().iter();
    rows.flat_map(|r| r.as_str().unwrap().bytes().map(|b| u8::from(b == b'#')).collect::<Vec<_>>()).collect()
}

#[test]
fn scores_equal_scikit_learn() {
    let g = golden();
    let pixels = Pixels::new(g.extent, &g.probability, &g.label, &g.field).unwrap();
    let threshold = g.json["threshold"].as_f64().unwrap() as f32;
    let scores = ImageScores::of(&pixels, threshold);
    for metric in METRICS {
        let (found, expected) = ((metric.of)(&scores).unwrap(), g.json[metric.key].as_f64().unwrap());
        // Predicted bins are computed in f32 here and f64 there; the probabilities are exact in both.
        assert!((found - expected).abs() < 1e-9, "{}: {found} != {expected}", metric.key);
    }
    let c = scores.counts;
    let counts = [c.true_positives, c.false_positives, c.false_negatives, c.true_negatives];
    assert_eq!(serde_json::to_value(counts).unwrap(), g.json["counts"]);
    let mut search = ThresholdSearch::new();
    search.add(&pixels);
    let best = search.best(DiceObjective::MeanOfImages).unwrap();
    assert!((best.dice - g.json["best_dice_over_256ths"].as_f64().unwrap()).abs() < 1e-12);
    assert_eq!(Confusion::at(&pixels, best.threshold).dice(), Some(best.dice));
}

#[test]
fn skeletons_equal_the_paper() {
    let g = golden();
    let pixels = Pixels::new(g.extent, &g.probability, &g.label, &g.field).unwrap();
    let at = pixels.at(g.json["threshold"].as_f64().unwrap() as f32);
    let [prediction, _] = Mask::new(g.extent, &at, &g.label, &g.field).unwrap().clipped();
    for (image, key) in
        [(&g.label, "zhang_suen_of_label"), (&prediction, "zhang_suen_of_prediction_in_field")]
    {
        assert_eq!(skeletonize(g.extent, image), mask(&g.json[key]), "{key}");
    }
}

/// scikit-image's `skeletonize` thins by a table of its own, which also prunes spurs and diagonal steps: it keeps
/// fewer pixels, nearly all of them next to one of ours, and the centreline Dice stays close even on this noisy image.
#[test]
fn skeletons_agree_with_scikit_image() {
    let g = golden();
    let ([h, w], ours, theirs) =
        (g.extent, skeletonize(g.extent, &g.label), mask(&g.json["scikit_image_of_label"]));
    let near = |at: usize| {
        let (x, y) = (at % w, at / w);
        (y.saturating_sub(1)..(y + 2).min(h))
            .any(|v| (x.saturating_sub(1)..(x + 2).min(w)).any(|u| ours[v * w + u] != 0))
    };
    let total = theirs.iter().filter(|&&t| t != 0).count();
    let met = (0..w * h).filter(|&i| theirs[i] != 0 && near(i)).count();
    assert!(met as f64 > 0.95 * total as f64, "{met} of {total}");
    let [a, b] = ["cl_dice", "cl_dice_scikit_image"].map(|k| g.json[k].as_f64().unwrap());
    assert!((a - b).abs() < 0.02, "{a} {b}");
}

#[test]
fn paired_tests_equal_scipy() {
    for case in golden().json["paired"].as_array().unwrap() {
        let d: Vec<f64> =
            case["differences"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
        let near = |found: f64, key: &str| {
            let expected = case[key].as_f64().unwrap();
            assert!((found - expected).abs() < 1e-9, "{key}: {found} != {expected}");
        };
        let flip = sign_flip_test(&d, 0).unwrap();
        near(flip.mean_difference, "mean");
        near(flip.p_value, "sign_flip_p");
        let rank = wilcoxon_signed_rank(&d).unwrap();
        near(rank.positive_rank_sum, "wilcoxon_w");
        near(rank.p_value, "wilcoxon_p");
        if !case["wilcoxon_scipy_p"].is_null() {
            near(rank.p_value, "wilcoxon_scipy_p");
        }
    }
}

/// A DRIVE image has 584 x 565 pixels; the whole score has to be cheap next to predicting it.
#[test]
fn a_drive_sized_image_is_quick() {
    let (w, h) = (565usize, 584usize);
    let mut stream = 12345u32;
    let probability: Vec<f32> = (0..w * h)
        .map(|_| {
            stream = stream.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (stream >> 8) as f32 / 16_777_216.0
        })
        .collect();
    let label: Vec<u8> = (0..w * h).map(|i| u8::from((i % w) % 40 < 5)).collect();
    let field = vec![1u8; w * h];
    let pixels = Pixels::new([h, w], &probability, &label, &field).unwrap();
    let start = std::time::Instant::now();
    let auc = Ranking::new(&[pixels]).roc_auc().unwrap();
    let ranking_ms = start.elapsed().as_secs_f64() * 1e3;
    let start = std::time::Instant::now();
    assert!(cl_dice(&pixels.with_prediction(&label).unwrap()).unwrap() > 0.999);
    println!("ranking {ranking_ms:.1} ms, clDice {:.1} ms", start.elapsed().as_secs_f64() * 1e3);
    assert!((auc - 0.5).abs() < 0.01);
    // Ten times what an idle machine takes even unoptimised, so that a busy one does not fail the test.
    assert!(ranking_ms < 1000.0, "{ranking_ms} ms");
}
