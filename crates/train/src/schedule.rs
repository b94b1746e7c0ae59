//! Learning rate and averaging decay as pure functions of the step.

use serde::{Deserialize, Serialize};

/// Learning rate by optimiser step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Schedule {
    /// One rate.
    Constant {
        /// Learning rate.
        rate: f32,
    },
    /// A linear rise, then one half period of a cosine that ends in the last step.
    CosineWarmup {
        /// Learning rate at the top.
        peak: f32,
        /// Steps of the rise.
        warmup_steps: u32,
        /// Learning rate of the last step.
        final_rate: f32,
    },
    /// Half periods of a cosine, each starting at the top (Loshchilov and Hutter, "SGDR", ICLR 2017, eq. 5).
    WarmRestarts {
        /// Learning rate at each start.
        peak: f32,
        /// Learning rate towards each end.
        final_rate: f32,
        /// Steps of the first period.
        period_steps: u32,
        /// Each period is this many times as long as the one before.
        factor: u32,
    },
}

impl Schedule {
    /// The learning rate of a step (counted from 0) in a run of `steps`; later steps keep the last one's.
    #[must_use]
    pub fn rate(&self, step: u32, steps: u32) -> f32 {
        let step = step.min(steps.saturating_sub(1));
        match *self {
            Schedule::Constant { rate } => rate,
            Schedule::CosineWarmup { peak, warmup_steps, final_rate } => {
                if step < warmup_steps {
                    return peak * ((step + 1) as f32 / warmup_steps as f32);
                }
                let length = (steps - 1).saturating_sub(warmup_steps).max(1);
                half_cosine(peak, final_rate, f64::from(step - warmup_steps) / f64::from(length))
            }
            Schedule::WarmRestarts { peak, final_rate, period_steps, factor } => {
                let (mut at, mut length) = (u64::from(step), u64::from(period_steps.max(1)));
                while at >= length {
                    at -= length;
                    length *= u64::from(factor.max(1));
                }
                half_cosine(peak, final_rate, at as f64 / length as f64)
            }
        }
    }

    /// Whether every number makes sense.
    pub(crate) fn is_valid(&self) -> bool {
        let positive = |v: f32| v > 0.0 && v <= 100.0;
        match *self {
            Schedule::Constant { rate } => positive(rate),
            Schedule::CosineWarmup { peak, final_rate, .. } => {
                positive(peak) && (0.0..=peak).contains(&final_rate)
            }
            Schedule::WarmRestarts { peak, final_rate, period_steps, factor } => {
                positive(peak) && (0.0..=peak).contains(&final_rate) && period_steps > 0 && factor > 0
            }
        }
    }
}

/// Decay of the weight average after `updates` earlier updates: `min(decay, (1 + t) / (10 + t))`, so that the random
/// start is forgotten soon.
#[must_use]
pub fn average_decay(decay: f32, updates: u32) -> f32 {
    let t = updates as f32;
    decay.min((1.0 + t) / (10.0 + t))
}

/// `base^n` by squaring: unlike `powi`, the same bits on every machine.
pub(crate) fn power(base: f32, n: u32) -> f64 {
    let (mut result, mut square, mut n) = (1.0, f64::from(base), n);
    while n > 0 {
        if n & 1 == 1 {
            result *= square;
        }
        square *= square;
        n >>= 1;
    }
    result
}

/// From `peak` at 0 to `last` at 1.
fn half_cosine(peak: f32, last: f32, at: f64) -> f32 {
    let share = 0.5 * (1.0 + cos_half_turns(at));
    (f64::from(last) + (f64::from(peak) - f64::from(last)) * share) as f32
}

/// `cos(pi x)` for x in [0, 1] as `sin(pi (1/2 - x))` by its power series to the 19th order (error below 1e-12):
/// a library's cosine may differ between machines in its last bit, and then so would every model.
fn cos_half_turns(x: f64) -> f64 {
    let y = std::f64::consts::PI * (0.5 - x.clamp(0.0, 1.0));
    let (mut term, mut sum) = (y, y);
    for k in 1..10 {
        let n = f64::from(2 * k);
        term *= -y * y / (n * (n + 1.0));
        sum += term;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f32, b: f32) -> bool {
        (a - b).abs() <= 1e-6 * b.abs()
    }

    #[test]
    fn cosine_with_warmup() {
        let s = Schedule::CosineWarmup { peak: 1e-2, warmup_steps: 50, final_rate: 1e-5 };
        assert!(
            close(s.rate(0, 1051), 2e-4) && close(s.rate(24, 1051), 5e-3) && close(s.rate(49, 1051), 1e-2)
        );
        assert!(close(s.rate(50, 1051), 1e-2));
        assert!(close(s.rate(550, 1051), 5.005e-3), "{}", s.rate(550, 1051));
        assert!(close(s.rate(1050, 1051), 1e-5) && close(s.rate(9999, 1051), 1e-5));
        assert!((50..1050).all(|t| s.rate(t + 1, 1051) < s.rate(t, 1051)));
        // A run shorter than its warm-up, and one of a single step.
        assert!(close(s.rate(9, 10), 2e-3) && close(s.rate(0, 1), 2e-4));
    }

    #[test]
    fn warm_restarts_begin_at_the_top() {
        let s = Schedule::WarmRestarts { peak: 1.0, final_rate: 0.0, period_steps: 10, factor: 2 };
        for start in [0, 10, 30, 70] {
            assert!(close(s.rate(start, 1000), 1.0), "{start}");
        }
        assert!(close(s.rate(5, 1000), 0.5) && close(s.rate(20, 1000), 0.5) && close(s.rate(50, 1000), 0.5));
        let constant = Schedule::WarmRestarts { peak: 1.0, final_rate: 0.0, period_steps: 10, factor: 1 };
        assert!(close(constant.rate(995, 1000), 0.5));
        assert!(close(Schedule::Constant { rate: 0.3 }.rate(7, 10), 0.3));
    }

    #[test]
    fn the_series_is_the_cosine() {
        for i in 0..=1000 {
            let x = f64::from(i) / 1000.0;
            assert!((cos_half_turns(x) - (std::f64::consts::PI * x).cos()).abs() < 1e-12, "{x}");
        }
    }

    #[test]
    fn decay_and_powers() {
        assert_eq!([average_decay(0.99, 0), average_decay(0.99, 8)], [0.1, 0.5]);
        assert_eq!(average_decay(0.99, 100_000), 0.99);
        let product = (0..1000).fold(1.0, |p, _| p * f64::from(0.999f32));
        assert!((power(0.999, 1000) - product).abs() < 1e-12);
        assert_eq!(power(0.5, 0), 1.0);
    }

    #[test]
    fn senseless_schedules_are_noticed() {
        assert!(Schedule::Constant { rate: 1e-4 }.is_valid());
        assert!(!Schedule::Constant { rate: f32::NAN }.is_valid());
        assert!(!Schedule::CosineWarmup { peak: 1e-3, warmup_steps: 1, final_rate: 1.0 }.is_valid());
        let endless = Schedule::WarmRestarts { peak: 1.0, final_rate: 0.0, period_steps: 0, factor: 1 };
        assert!(!endless.is_valid());
    }
}
