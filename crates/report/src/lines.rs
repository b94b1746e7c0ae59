//! Line charts: training loss, ROC, precision and recall.

use crate::chart::{Axis, Frame, Scale, WIDTH, diamond, legend, line_swatch, svg};
use crate::page::ModelCurves;
use crate::palette::slots;
use crate::schema::{Model, RunSummary};
use crate::text::{put, three};
use fovea_metrics::{Confusion, CurvePoint};

/// Training loss over epochs or rounds as a standalone SVG file: the mean over seeds, and a band from the lowest to the
/// highest seed.
#[must_use]
pub fn loss_svg(models: &[Model], scale: Scale) -> String {
    loss_chart(models, scale, true)
}

/// ROC curves on the first test set as a standalone SVG file.
#[must_use]
pub fn roc_svg(summary: &RunSummary, curves: &[ModelCurves]) -> String {
    roc_chart(summary, curves, true)
}

/// Precision-recall curves on the first test set as a standalone SVG file.
#[must_use]
pub fn pr_svg(summary: &RunSummary, curves: &[ModelCurves]) -> String {
    pr_chart(summary, curves, true)
}

/// Log when the losses span a factor of eight or more and stay positive.
pub fn loss_scale(models: &[Model]) -> Scale {
    let all = || {
        models.iter().flat_map(|m| &m.runs).flat_map(|r| r.losses.iter().copied()).filter(|l| l.is_finite())
    };
    let (low, high) = (all().fold(f64::INFINITY, f64::min), all().fold(0.0, f64::max));
    if low > 0.0 && high >= 8.0 * low { Scale::Log } else { Scale::Linear }
}

pub fn loss_chart(models: &[Model], scale: Scale, standalone: bool) -> String {
    let usable = move |v: &f64| v.is_finite() && (scale == Scale::Linear || *v > 0.0);
    let lines = models.iter().zip(slots(models)).map(|(model, slot)| {
        let epochs = model.runs.iter().map(|r| r.losses.len()).max().unwrap_or(0);
        let mut line = Line { name: model.title.clone(), slot, points: vec![], band: vec![], mark: None };
        for epoch in 0..epochs {
            let seen: Vec<f64> =
                model.runs.iter().filter_map(|r| r.losses.get(epoch).copied()).filter(usable).collect();
            if !seen.is_empty() {
                let x = (epoch + 1) as f64;
                line.points.push((x, seen.iter().sum::<f64>() / seen.len() as f64));
                let extreme = |pick: fn(f64, f64) -> f64| seen.iter().copied().reduce(pick).unwrap_or(0.0);
                line.band.push((x, extreme(f64::min), extreme(f64::max)));
            }
        }
        line
    });
    let lines: Vec<Line> = lines.collect();
    let values = || lines.iter().flat_map(|l| l.band.iter().flat_map(|b| [b.1, b.2]));
    let (low, high) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
    let last = lines.iter().flat_map(|l| l.points.iter().map(|p| p.0)).fold(1.0, f64::max);
    let (low, high) = match scale {
        _ if low > high => (0.1, 1.0),
        Scale::Log => (low / 1.08, high * 1.08),
        Scale::Linear => (low.min(0.0), high.max(low + 1e-6) * 1.04),
    };
    let y_title = if scale == Scale::Log { "training loss (log scale)" } else { "training loss" };
    let chart = LineChart {
        label: "Training loss of each model over epochs or rounds",
        titles: ["epoch or round", y_title],
        x: (1.0, last.max(2.0)),
        y: (low, high),
        scale,
        lines,
        human: None,
        chance: false,
    };
    chart.draw(standalone)
}

pub fn roc_chart(summary: &RunSummary, curves: &[ModelCurves], standalone: bool) -> String {
    let lines = curve_lines(summary, curves, |c| &c.roc, "roc_auc", "AUC");
    // The curves of any useful model crowd the upper left corner: show that corner unless one curve leaves it.
    let corner = 0.3;
    let leaves = |l: &Line| l.points.iter().rfind(|p| p.0 <= corner).is_none_or(|p| p.1 < 0.85);
    let full = lines.iter().any(leaves);
    let chart = LineChart {
        label: "ROC curves on the test images",
        titles: ["false positive rate (1 \u{2212} specificity)", "sensitivity"],
        x: (0.0, if full { 1.0 } else { corner }),
        y: (if full { 0.0 } else { 0.5 }, 1.0),
        scale: Scale::Linear,
        lines,
        human: observer_counts(summary).and_then(|c| Some((1.0 - c.specificity()?, c.sensitivity()?))),
        chance: full,
    };
    chart.draw(standalone)
}

pub fn pr_chart(summary: &RunSummary, curves: &[ModelCurves], standalone: bool) -> String {
    let chart = LineChart {
        label: "Precision-recall curves on the test images",
        titles: ["recall (sensitivity)", "precision"],
        x: (0.0, 1.0),
        y: (0.0, 1.0),
        scale: Scale::Linear,
        lines: curve_lines(summary, curves, |c| &c.pr, "average_precision", "AP"),
        human: observer_counts(summary).and_then(|c| Some((c.sensitivity()?, c.precision()?))),
        chance: false,
    };
    chart.draw(standalone)
}

struct Line {
    name: String,
    slot: usize,
    points: Vec<(f64, f64)>,
    /// x, lowest, highest.
    band: Vec<(f64, f64, f64)>,
    mark: Option<(f64, f64)>,
}

struct LineChart {
    label: &'static str,
    titles: [&'static str; 2],
    x: (f64, f64),
    y: (f64, f64),
    scale: Scale,
    lines: Vec<Line>,
    human: Option<(f64, f64)>,
    chance: bool,
}

impl LineChart {
    fn draw(&self, standalone: bool) -> String {
        let mut out = String::new();
        let mut entries: Vec<(String, String)> =
            self.lines.iter().map(|l| (l.name.clone(), line_swatch(l.slot))).collect();
        if self.human.is_some() {
            entries.push(("second observer".to_owned(), diamond(14.0, -4.0)));
        }
        let top = legend(&mut out, &entries) + 24.0;
        let bottom = top + 230.0;
        let frame = Frame {
            x: Axis { low: self.x.0, high: self.x.1, from: 38.0, to: WIDTH - 13.0, scale: Scale::Linear },
            y: Axis { low: self.y.0, high: self.y.1, from: bottom, to: top, scale: self.scale },
        };
        frame.draw(&mut out, self.titles[0], self.titles[1]);
        // Clipped by a nested viewport, which needs no identifier that could clash in a page of several charts.
        let (width, height) = (frame.x.to - frame.x.from, bottom - top);
        put(
            &mut out,
            format_args!(
                "<svg x=\"{0:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" viewBox=\"{0:.1} {top:.1} {width:.1} {height:.1}\">",
                frame.x.from
            ),
        );
        if self.chance {
            let (a, b) = ((frame.x.at(0.0), frame.y.at(0.0)), (frame.x.at(1.0), frame.y.at(1.0)));
            put(
                &mut out,
                format_args!("<path class=\"chance\" d=\"M{:.1} {:.1}L{:.1} {:.1}\"/>", a.0, a.1, b.0, b.1),
            );
        }
        self.lines.iter().for_each(|line| line.draw(&mut out, &frame));
        out.push_str("</svg>");
        for line in &self.lines {
            if let Some((x, y)) = line.mark.filter(|m| self.holds(*m)) {
                put(
                    &mut out,
                    format_args!(
                        "<g class=\"s{}\"><circle class=\"dot\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"4.2\"/></g>",
                        line.slot,
                        frame.x.at(x),
                        frame.y.at(y)
                    ),
                );
            }
        }
        if let Some((x, y)) = self.human.filter(|h| self.holds(*h)) {
            out.push_str(&diamond(frame.x.at(x), frame.y.at(y)));
        }
        svg(self.label, bottom + 40.0, &out, standalone)
    }

    fn holds(&self, (x, y): (f64, f64)) -> bool {
        (self.x.0..=self.x.1).contains(&x) && (self.y.0..=self.y.1).contains(&y)
    }
}

impl Line {
    fn draw(&self, out: &mut String, frame: &Frame) {
        put(out, format_args!("<g class=\"s{}\">", self.slot));
        if self.band.iter().any(|b| b.2 > b.1) {
            let upper = self.band.iter().map(|b| (b.0, b.2));
            let around: Vec<(f64, f64)> = upper.chain(self.band.iter().rev().map(|b| (b.0, b.1))).collect();
            put(out, format_args!("<path class=\"band\" d=\"{}z\"/>", path(&around, frame)));
        }
        if !self.points.is_empty() {
            put(out, format_args!("<path class=\"line\" d=\"{}\"/>", path(&self.points, frame)));
        }
        out.push_str("</g>");
    }
}

fn path(points: &[(f64, f64)], frame: &Frame) -> String {
    let mut out = String::new();
    for (i, &(x, y)) in points.iter().enumerate() {
        let step = if i == 0 { 'M' } else { 'L' };
        put(&mut out, format_args!("{step}{:.1} {:.1}", frame.x.at(x), frame.y.at(y)));
    }
    out
}

fn curve_lines(
    summary: &RunSummary,
    curves: &[ModelCurves],
    pick: fn(&ModelCurves) -> &Vec<CurvePoint>,
    metric: &str,
    short: &str,
) -> Vec<Line> {
    let set = summary.sets.first().map_or("", |s| s.key.as_str());
    let of = |(model, slot): (&Model, usize)| {
        let curve = pick(curves.iter().find(|c| c.model == model.key)?);
        let run = model.runs.first()?;
        let mean = model.on(set).next().and_then(|s| s.over_images.get(metric)).and_then(|s| s.mean);
        // The operating point: the last point of the curve whose threshold is not below the model's.
        let mark = curve.iter().rfind(|p| p.threshold >= run.threshold).map(|p| (p.x, p.y));
        let points = curve.iter().map(|p| (p.x, p.y)).collect();
        Some(Line {
            name: format!("{} ({short} {})", model.title, three(mean)),
            slot,
            points,
            band: vec![],
            mark,
        })
    };
    summary.models.iter().zip(slots(&summary.models)).filter_map(of).collect()
}

fn observer_counts(summary: &RunSummary) -> Option<Confusion> {
    let observer = summary.sets.first()?.observer.as_ref()?;
    let counts: Vec<Confusion> = observer.images.iter().map(|i| i.scores.counts).collect();
    Some(Confusion::pooled(&counts))
}
