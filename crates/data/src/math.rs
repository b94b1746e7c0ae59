//! Sine, cosine, exponential and logarithm from `+ - * /` alone.
//!
//! The platform's own functions differ in their last bit between machines, and one bit is enough to give a
//! synthetic image or a training crop another hash. These are series after an exact reduction, good to about
//! 1e-15 for the arguments that occur here, and never fused into multiply-adds by the compiler.

use std::f64::consts::{FRAC_PI_2, LN_2};

/// Sine and cosine of `angle` (radians, magnitude under about 1e6).
pub(crate) fn sin_cos(angle: f64) -> (f64, f64) {
    let turn = (angle / FRAC_PI_2).round();
    let x = angle - turn * FRAC_PI_2;
    let square = x * x;
    let (mut sine, mut cosine) = (0.0, 0.0);
    // Horner from the ninth term: x^19 / 19! is below 1e-18 for |x| <= pi / 4.
    for k in (1..=9).rev() {
        let n = f64::from(2 * k);
        sine = (1.0 + sine) * (-square / (n * (n + 1.0)));
        cosine = (1.0 + cosine) * (-square / (n * (n - 1.0)));
    }
    let (sine, cosine) = (x + x * sine, 1.0 + cosine);
    match (turn as i64).rem_euclid(4) {
        0 => (sine, cosine),
        1 => (cosine, -sine),
        2 => (-sine, -cosine),
        _ => (-cosine, sine),
    }
}

/// `e^x`, 0 below -700 and held at `e^700` above.
pub(crate) fn exp(x: f64) -> f64 {
    if x < -700.0 {
        return 0.0;
    }
    let halvings = (x.min(700.0) / LN_2).round();
    let r = x.min(700.0) - halvings * LN_2;
    let mut series = 1.0;
    for k in (1..=14).rev() {
        series = 1.0 + series * r / f64::from(k);
    }
    series * f64::from_bits(((1023 + halvings as i64) as u64) << 52)
}

/// The natural logarithm of a positive, normal `x`.
pub(crate) fn ln(x: f64) -> f64 {
    let bits = x.to_bits();
    let exponent = (bits >> 52) as i64 - 1023;
    let mantissa = f64::from_bits((bits & ((1 << 52) - 1)) | (1023 << 52)); // [1, 2)
    let z = (mantissa - 1.0) / (mantissa + 1.0); // [0, 1/3): ln m = 2 atanh z
    let square = z * z;
    let mut series = 0.0;
    for k in (0..=17).rev() {
        series = series * square + 1.0 / f64::from(2 * k + 1);
    }
    exponent as f64 * LN_2 + 2.0 * z * series
}

/// `x^power` for `x` in `[0, inf)`.
pub(crate) fn pow(x: f64, power: f64) -> f64 {
    if x <= 0.0 { 0.0 } else { exp(power * ln(x)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_to_the_platform() {
        for i in -2000..2000 {
            let x = f64::from(i) * 0.01;
            let (s, c) = sin_cos(x);
            assert!((s - x.sin()).abs() < 1e-14 && (c - x.cos()).abs() < 1e-14, "{x}");
            assert!((exp(x) / x.exp() - 1.0).abs() < 1e-13, "{x}");
            let p = x.abs() + 1e-3;
            assert!((ln(p) - p.ln()).abs() < 1e-14 * (1.0 + p.ln().abs()) * 4.0, "{p}");
        }
        assert!((pow(0.3, 1.7) - 0.3f64.powf(1.7)).abs() < 1e-14);
    }

    #[test]
    fn exact_where_it_matters() {
        assert_eq!(sin_cos(0.0), (0.0, 1.0));
        assert_eq!((exp(0.0), exp(-1e9), ln(1.0), pow(0.0, 2.0), pow(1.0, 0.8)), (1.0, 0.0, 0.0, 0.0, 1.0));
        assert!(exp(1e9).is_finite());
    }
}
