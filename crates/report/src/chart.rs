//! Axes, ticks and legends: what all charts share.

use crate::text::{esc, put};

/// Width of every chart in its own units; text is 12 units, so that it can be read on a phone, where
/// a unit is a little less than a CSS pixel.
pub const WIDTH: f64 = 340.0;
const CHART_CSS: &str = include_str!("chart.css");

/// How a value becomes a height.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// In proportion.
    Linear,
    /// By its logarithm; values must be positive.
    Log,
}

/// A range of values on a range of units.
#[derive(Debug, Clone, Copy)]
pub struct Axis {
    pub low: f64,
    pub high: f64,
    pub from: f64,
    pub to: f64,
    pub scale: Scale,
}

/// The area in which a chart draws, in units.
#[derive(Debug, Clone, Copy)]
pub struct Frame {
    pub x: Axis,
    pub y: Axis,
}

impl Axis {
    /// Position of a value.
    pub fn at(&self, value: f64) -> f64 {
        let share = match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Log => (value / self.low).ln() / (self.high / self.low).ln(),
        };
        self.from + share * (self.to - self.from)
    }

    /// Round values inside the range, about `count` of them.
    pub fn ticks(&self, count: usize) -> Vec<f64> {
        match self.scale {
            Scale::Linear => linear_ticks(self.low, self.high, count),
            Scale::Log => log_ticks(self.low, self.high),
        }
    }
}

impl Frame {
    /// Grid lines, tick labels and the two axis titles.
    pub fn draw(&self, out: &mut String, x_title: &str, y_title: &str) {
        let (x, y) = (self.x, self.y);
        for value in y.ticks(5) {
            let at = y.at(value);
            put(out, format_args!("<path class=\"grid\" d=\"M{:.1} {at:.1}H{:.1}\"/>", x.from, x.to));
            put(
                out,
                format_args!(
                    "<text class=\"end\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                    x.from - 6.0,
                    at + 4.0,
                    tick_label(value)
                ),
            );
        }
        for value in x.ticks(5) {
            let at = x.at(value);
            put(out, format_args!("<path class=\"axis\" d=\"M{at:.1} {:.1}v4\"/>", y.from));
            put(
                out,
                format_args!(
                    "<text class=\"mid\" x=\"{at:.1}\" y=\"{:.1}\">{}</text>",
                    y.from + 17.0,
                    tick_label(value)
                ),
            );
        }
        put(out, format_args!("<path class=\"axis\" d=\"M{:.1} {:.1}H{:.1}\"/>", x.from, y.from, x.to));
        put(
            out,
            format_args!(
                "<text class=\"end\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                x.to,
                y.from + 33.0,
                esc(x_title)
            ),
        );
        put(out, format_args!("<text x=\"0\" y=\"{:.1}\">{}</text>", y.to - 10.0, esc(y_title)));
    }
}

/// An `<svg>` element around a drawing; a standalone one also carries its namespace and styles.
pub fn svg(label: &str, height: f64, body: &str, standalone: bool) -> String {
    let (namespace, style) = if standalone {
        (" xmlns=\"http://www.w3.org/2000/svg\"", format!("<style>{CHART_CSS}</style>"))
    } else {
        ("", String::new())
    };
    format!(
        "<svg{namespace} class=\"chart\" viewBox=\"0 0 {WIDTH:.0} {height:.0}\" role=\"img\" aria-label=\"{}\">{style}{body}</svg>",
        esc(label)
    )
}

/// Names with their line or dot, in rows from the top; returns the height used.
pub fn legend(out: &mut String, entries: &[(String, String)]) -> f64 {
    let (mut x, mut y) = (0.0, 12.0);
    for (name, swatch) in entries {
        let name = clip(name, 28);
        let wide = 30.0 + 6.5 * name.chars().count() as f64 + 12.0;
        if x > 0.0 && x + wide > WIDTH + 12.0 {
            x = 0.0;
            y += 18.0;
        }
        put(
            out,
            format_args!(
                "<g transform=\"translate({x:.1} {y:.1})\">{swatch}<text class=\"name\" x=\"30\" y=\"0\">{}</text></g>",
                esc(&name)
            ),
        );
        x += wide;
    }
    if entries.is_empty() { 0.0 } else { y + 8.0 }
}

/// Text at a position, escaped.
pub fn label(out: &mut String, class: &str, x: f64, y: f64, text: &str) {
    put(out, format_args!("<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>", esc(text)));
}

/// A piece of a line in a model's style.
pub fn line_swatch(slot: usize) -> String {
    format!("<g class=\"s{slot}\"><path class=\"line\" d=\"M0 -4H24\"/></g>")
}

/// A dot in a model's colour.
pub fn dot_swatch(slot: usize) -> String {
    format!("<g class=\"s{slot}\"><circle class=\"dot\" cx=\"16\" cy=\"-4\" r=\"5\"/></g>")
}

/// The second observer's diamond.
pub fn diamond(x: f64, y: f64) -> String {
    format!("<path class=\"diamond\" d=\"M{x:.1} {:.1}l5.5 5.5l-5.5 5.5l-5.5 -5.5z\"/>", y - 5.5)
}

/// At most `length` characters, the last an ellipsis when some were cut.
pub fn clip(text: &str, length: usize) -> String {
    if text.chars().count() <= length {
        return text.to_owned();
    }
    text.chars().take(length.saturating_sub(1)).chain(['…']).collect()
}

/// A number without trailing zeros.
pub fn tick_label(value: f64) -> String {
    let text = format!("{value:.4}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.replace('-', "\u{2212}") }
}

fn linear_ticks(low: f64, high: f64, count: usize) -> Vec<f64> {
    let rough = (high - low) / count.max(1) as f64;
    if !rough.is_finite() || rough <= 0.0 {
        return Vec::new();
    }
    let power = 10f64.powi(rough.log10().floor() as i32);
    let step = [1.0, 2.0, 2.5, 5.0, 10.0]
        .into_iter()
        .map(|s| s * power)
        .find(|s| *s >= rough * 0.999)
        .unwrap_or(rough);
    let first = (low / step - 1e-9).ceil() as i64;
    let last = (high / step + 1e-9).floor() as i64;
    (first..=last).map(|k| k as f64 * step).collect()
}

fn log_ticks(low: f64, high: f64) -> Vec<f64> {
    if !(low > 0.0 && high > low && high.is_finite()) {
        return Vec::new();
    }
    let decades = low.log10().floor() as i32..=high.log10().ceil() as i32;
    let all = decades.flat_map(|k| [1.0, 2.0, 5.0].map(|m| m * 10f64.powi(k)));
    all.filter(|v| *v >= low * 0.999 && *v <= high * 1.001).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(low: f64, high: f64, scale: Scale) -> Axis {
        Axis { low, high, from: 0.0, to: 100.0, scale }
    }

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(axis(0.0, 1.0, Scale::Linear).ticks(5), [0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]);
        assert_eq!(axis(1.0, 100.0, Scale::Linear).ticks(6), [20.0, 40.0, 60.0, 80.0, 100.0]);
        assert_eq!(axis(0.15, 1.2, Scale::Log).ticks(5), [0.2, 0.5, 1.0]);
        assert!(
            axis(1.0, 1.0, Scale::Linear).ticks(5).is_empty()
                && axis(0.0, 1.0, Scale::Log).ticks(5).is_empty()
        );
        assert_eq!(
            (tick_label(0.6000000000000001), tick_label(20.0), tick_label(-0.5)),
            ("0.6".into(), "20".into(), "\u{2212}0.5".into())
        );
    }

    #[test]
    fn positions() {
        assert_eq!(axis(1.0, 3.0, Scale::Linear).at(2.0), 50.0);
        assert!((axis(1.0, 100.0, Scale::Log).at(10.0) - 50.0).abs() < 1e-9);
    }

    #[test]
    fn names_are_cut_by_characters() {
        assert_eq!((clip("äöü", 3), clip("äöüß", 3)), ("äöü".into(), "äö…".into()));
    }
}
