//! Bars: Dice and IoU of each model, with the spread over seeds and the second observer's line.

use crate::chart::{Axis, Scale, WIDTH, clip, label, svg};
use crate::palette::slots;
use crate::schema::{RunSummary, TestSet};
use crate::text::{put, three};
use fovea_metrics::{METRICS, Metric, Summary, summarise};

const ROW: f64 = 25.0;
const NAME_WIDTH: f64 = 106.0;

/// Mean Dice and IoU on a set: bars from 0 to 1, whiskers from the lowest to the highest seed.
pub fn bar_chart(summary: &RunSummary, set: &TestSet) -> String {
    let mut out = String::new();
    let axis = Axis { low: 0.0, high: 1.0, from: NAME_WIDTH, to: WIDTH - 44.0, scale: Scale::Linear };
    let mut top = 2.0;
    for metric in METRICS.iter().filter(|m| ["dice", "iou"].contains(&m.key)) {
        top = group(&mut out, summary, set, metric, &axis, top) + 14.0;
    }
    for value in axis.ticks(5) {
        label(&mut out, "mid", axis.at(value), top + 2.0, &format!("{value:.1}"));
    }
    svg("Mean Dice and IoU of each model on the test images", top + 8.0, &out, false)
}

/// Draws one metric's bars below `top`; returns where they end.
fn group(
    out: &mut String,
    summary: &RunSummary,
    set: &TestSet,
    metric: &Metric,
    axis: &Axis,
    top: f64,
) -> f64 {
    let shown: Vec<_> = summary
        .models
        .iter()
        .zip(slots(&summary.models))
        .map(|(model, slot)| {
            (model, slot, summarise(model.run_means(&set.key, metric.of).into_iter().map(Some)))
        })
        .filter(|(_, _, s)| s.n > 0)
        .collect();
    let first = top + 22.0;
    let end = first + ROW * shown.len() as f64;
    label(out, "strong", 0.0, top + 12.0, metric.title);
    for value in axis.ticks(5) {
        put(out, format_args!("<path class=\"grid\" d=\"M{:.1} {first:.1}V{end:.1}\"/>", axis.at(value)));
    }
    for (row, (model, slot, spread)) in shown.iter().enumerate() {
        let middle = first + ROW * (row as f64 + 0.5);
        label(out, "name", 0.0, middle + 4.0, &clip(&model.title, 17));
        bar(out, *slot, spread, axis, middle);
        label(out, "strong end", WIDTH, middle + 4.0, &three(spread.mean));
    }
    let observer = set.observer.as_ref().and_then(|o| o.over_images.get(metric.key)).and_then(|s| s.mean);
    if let Some(value) = observer {
        let at = axis.at(value);
        put(out, format_args!("<path class=\"human\" d=\"M{at:.1} {:.1}V{end:.1}\"/>", first - 4.0));
        label(out, "mid", at.min(WIDTH - 72.0), first - 8.0, &format!("second observer {value:.3}"));
    }
    end
}

/// One bar around the height `middle`, and its whisker when there are several seeds.
fn bar(out: &mut String, slot: usize, spread: &Summary, axis: &Axis, middle: f64) {
    let (x, y, high) = (axis.from, middle - ROW / 2.0 + 4.0, ROW - 8.0);
    let wide = (axis.at(spread.mean.unwrap_or(0.0)) - x).max(0.0);
    let size = format!("x=\"{x:.1}\" y=\"{y:.1}\" width=\"{wide:.1}\" height=\"{high:.1}\"");
    put(out, format_args!("<g class=\"s{slot}\"><rect class=\"fill\" {size} rx=\"2\"/></g>"));
    if let (Some(low), Some(high)) = (spread.min.filter(|_| spread.n > 1), spread.max) {
        let (a, b, end) = (axis.at(low), axis.at(high), middle - 4.0);
        let path = format!("M{a:.1} {end:.1}v8M{a:.1} {middle:.1}H{b:.1}M{b:.1} {end:.1}v8");
        put(out, format_args!("<path class=\"whisker\" d=\"{path}\"/>"));
    }
}
