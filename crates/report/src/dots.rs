//! Dots: Dice of each model on each test image.

use crate::chart::{Axis, Scale, WIDTH, clip, diamond, dot_swatch, label, legend, svg};
use crate::palette::slots;
use crate::schema::{RunSummary, TestSet};
use crate::text::{esc, put};

const ROW: f64 = 27.0;
const NAME_WIDTH: f64 = 122.0;

/// One row per image, one dot per model (mean over seeds); the axis covers the values, not 0 to 1.
pub fn dot_chart(summary: &RunSummary, set: &TestSet) -> String {
    let models: Vec<_> = summary
        .models
        .iter()
        .zip(slots(&summary.models))
        .map(|(m, slot)| (m, slot, m.image_means(&set.key, |s| s.dice)))
        .filter(|(_, _, rows)| !rows.is_empty())
        .collect();
    let observer = set.observer.as_ref().map_or(&[][..], |o| &o.images);
    let images: Vec<&str> = models.first().map_or(Vec::new(), |m| m.2.iter().map(|r| r.0).collect());
    let values: Vec<f64> = models
        .iter()
        .flat_map(|m| m.2.iter().filter_map(|r| r.1))
        .chain(observer.iter().filter_map(|o| o.scores.dice))
        .collect();
    let (low, high) =
        (values.iter().copied().fold(1.0, f64::min), values.iter().copied().fold(0.0, f64::max));
    let (low, high) = ((low * 20.0 - 0.2).floor() / 20.0, (high * 20.0 + 0.2).ceil() / 20.0);
    let axis =
        Axis { low, high: high.max(low + 0.05), from: NAME_WIDTH, to: WIDTH - 14.0, scale: Scale::Linear };
    let mut out = String::new();
    let mut entries: Vec<(String, String)> =
        models.iter().map(|(m, slot, _)| (m.title.clone(), dot_swatch(*slot))).collect();
    if !observer.is_empty() {
        entries.push(("second observer".to_owned(), diamond(16.0, -4.0)));
    }
    let top = legend(&mut out, &entries) + 8.0;
    let end = top + ROW * images.len() as f64;
    for value in axis.ticks(4) {
        let at = axis.at(value);
        put(&mut out, format_args!("<path class=\"grid\" d=\"M{at:.1} {top:.1}V{end:.1}\"/>"));
        label(&mut out, "mid", at, end + 16.0, &format!("{value:.2}"));
    }
    for (row, image) in images.iter().enumerate() {
        let y = top + ROW * (row as f64 + 0.5);
        put(&mut out, format_args!("<path class=\"grid\" d=\"M{:.1} {y:.1}H{:.1}\"/>", axis.from, axis.to));
        label(&mut out, "name", 0.0, y + 4.0, &clip(image, 18));
        for (model, slot, rows) in &models {
            if let Some(value) = rows.iter().find(|r| r.0 == *image).and_then(|r| r.1) {
                dot(&mut out, *slot, [axis.at(value), y], &format!("{}: {value:.3}", model.title));
            }
        }
        if let Some(value) = observer.iter().find(|o| o.image == *image).and_then(|o| o.scores.dice) {
            out.push_str(&diamond(axis.at(value), y));
        }
    }
    label(&mut out, "end", axis.to, end + 33.0, "Dice (the axis does not start at 0)");
    svg("Dice of each model on each test image", end + 40.0, &out, false)
}

/// A dot that tells its value when pointed at.
fn dot(out: &mut String, slot: usize, [x, y]: [f64; 2], title: &str) {
    let place = format!("cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5\"");
    let title = esc(title);
    put(
        out,
        format_args!(
            "<g class=\"s{slot}\"><circle class=\"dot\" {place}><title>{title}</title></circle></g>"
        ),
    );
}
