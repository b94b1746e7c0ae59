//! Mean and spread of a metric over images or seeds.

use serde::{Deserialize, Serialize};

/// Mean, spread and range of the defined values.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Summary {
    /// How many values were defined.
    pub n: usize,
    /// How many were undefined and are left out.
    pub undefined: usize,
    /// Arithmetic mean; `None` when `n` is 0.
    pub mean: Option<f64>,
    /// Sample standard deviation (divisor `n - 1`); `None` when `n` is below 2.
    pub sd: Option<f64>,
    /// Smallest value.
    pub min: Option<f64>,
    /// Largest value.
    pub max: Option<f64>,
}

/// Summarises values, leaving undefined ones (and anything not finite) out of all but the count.
#[must_use]
pub fn summarise(values: impl IntoIterator<Item = Option<f64>>) -> Summary {
    let (mut defined, mut undefined) = (Vec::new(), 0);
    for value in values {
        match value.filter(|v| v.is_finite()) {
            Some(v) => defined.push(v),
            None => undefined += 1,
        }
    }
    let n = defined.len();
    let mean = (n > 0).then(|| defined.iter().sum::<f64>() / n as f64);
    let sd = mean.filter(|_| n > 1).map(|m| {
        let squares: f64 = defined.iter().map(|v| (v - m) * (v - m)).sum();
        (squares / (n - 1) as f64).sqrt()
    });
    let extreme = |pick: fn(f64, f64) -> f64| defined.iter().copied().reduce(pick);
    Summary { n, undefined, mean, sd, min: extreme(f64::min), max: extreme(f64::max) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values_and_gaps() {
        let s = summarise([Some(2.0), None, Some(4.0), Some(9.0), Some(f64::NAN)]);
        assert_eq!((s.n, s.undefined, s.mean, s.min, s.max), (3, 2, Some(5.0), Some(2.0), Some(9.0)));
        assert_eq!(s.sd, Some(13.0f64.sqrt()));
        assert_eq!(summarise([Some(3.0)]).sd, None);
        assert_eq!(summarise([None]), Summary { undefined: 1, ..Summary::default() });
    }
}
