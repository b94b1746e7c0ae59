//! Scores for a terminal.

use super::scores::Scores;
use fovea_metrics::{ImageScores, METRICS, Metric, Summary};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Characters of a column of figures.
const COLUMN: usize = 7;
/// Characters of the longest image name shown whole.
const NAME_MAX: usize = 24;

/// The table: a line per image, the means, the second observer.
pub fn of(scores: &Scores) -> String {
    let widest = scores.images.iter().map(|row| row.name.chars().count()).max().unwrap_or(0);
    let name = widest.clamp("second observer".len(), NAME_MAX);
    let mut out = String::new();
    let heads: String = METRICS.iter().map(|m| format!("{:>COLUMN$}", head(m))).collect();
    line(&mut out, name, scores.dataset.as_str(), &heads);
    for row in &scores.images {
        line(&mut out, name, &row.name, &figures(&row.scores));
    }
    line(&mut out, name, "mean", &averages(&scores.mean, |s| s.mean));
    line(&mut out, name, "deviation", &averages(&scores.mean, |s| s.sd));
    if let Some(second) = &scores.second_observer_mean {
        line(&mut out, name, "second observer", &averages(second, |s| s.mean));
    }
    out.push_str("\nSens, Spec, Acc: sensitivity, specificity, accuracy; AP: average precision; ECE: calibration error.\n");
    let origin = match scores.threshold_from {
        "the model" => "from the model, chosen on its training images",
        _ => "from the command line",
    };
    let _ = writeln!(out, "Inside the field of view, at threshold {:.4} ({origin}).", scores.threshold);
    out
}

fn line(out: &mut String, width: usize, name: &str, figures: &str) {
    let short: String = if name.chars().count() > width {
        name.chars().take(width - 1).chain(['…']).collect()
    } else {
        name.to_owned()
    };
    let _ = writeln!(out, "{short:<width$}{figures}");
}

/// A title that fits its column.
fn head(metric: &Metric) -> &'static str {
    match metric.key {
        "roc_auc" => "AUC",
        "average_precision" => "AP",
        "sensitivity" => "Sens",
        "specificity" => "Spec",
        "accuracy" => "Acc",
        "calibration_error" => "ECE",
        _ => metric.title,
    }
}

fn figures(scores: &ImageScores) -> String {
    METRICS.iter().map(|m| figure((m.of)(scores))).collect()
}

fn averages(means: &BTreeMap<&'static str, Summary>, pick: fn(&Summary) -> Option<f64>) -> String {
    METRICS.iter().map(|m| figure(means.get(m.key).and_then(pick))).collect()
}

fn figure(value: Option<f64>) -> String {
    value.map_or(format!("{:>COLUMN$}", "-"), |v| format!("{v:>COLUMN$.4}"))
}
