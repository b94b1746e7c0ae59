//! Binary cross-entropy inside the field, and its adjoint.

use super::math::{each_lane, exp, fold, sigmoid};
use super::simd::vectorised;
use rayon::prelude::*;

/// Pixels per task.
const CHUNK: usize = 4096;

/// Mean over the field's pixels; 0 for an empty field.
pub(crate) fn loss(x: &[f32], t: &[f32], f: &[f32]) -> f32 {
    let chunks = x.par_chunks(CHUNK).zip(t.par_chunks(CHUNK)).zip(f.par_chunks(CHUNK));
    let partial: Vec<[f64; 2]> = chunks.map(|((x, t), f)| sums(x, t, f)).collect();
    let [total, pixels] = partial.iter().fold([0.0; 2], |[a, b], [c, d]| [a + c, b + d]);
    if pixels > 0.0 { (total / pixels) as f32 } else { 0.0 }
}

/// `dx = dloss f (sigmoid(x) - t) / sum f`.
pub(crate) fn grad(x: &[f32], t: &[f32], f: &[f32], dloss: f32, dx: &mut [f32]) {
    let partial: Vec<f64> = f.par_chunks(CHUNK).map(|f| f.iter().map(|&v| f64::from(v)).sum()).collect();
    let pixels: f64 = partial.iter().sum();
    let factor = if pixels > 0.0 { (f64::from(dloss) / pixels) as f32 } else { 0.0 };
    let operands = x.par_chunks(CHUNK).zip(t.par_chunks(CHUNK)).zip(f.par_chunks(CHUNK));
    dx.par_chunks_mut(CHUNK).zip(operands).for_each(|(dx, ((x, t), f))| chunk_grad(x, t, f, factor, dx));
}

vectorised! {
    /// Sums of `f (max(x, 0) - x t + ln(1 + e^-|x|))` and of `f`.
    fn sums(x: &[f32], t: &[f32], f: &[f32]) -> [f64; 2] {
        let (mut losses, mut pixels) = ([0f32; 16], [0f32; 16]);
        let mut add = |i: usize, x: f32, t: f32, f: f32| {
            let above = if x > 0.0 { x } else { 0.0 };
            losses[i] += f * (above - x * t + ln_1p(exp(-x.abs())));
            pixels[i] += f;
        };
        each_lane(x, t, f, &mut add);
        [fold(&losses), fold(&pixels)]
    }
}

vectorised! {
    fn chunk_grad(x: &[f32], t: &[f32], f: &[f32], factor: f32, dx: &mut [f32]) {
        for (d, ((x, t), f)) in dx.iter_mut().zip(x.iter().zip(t).zip(f)) {
            *d = factor * f * (sigmoid(*x) - t);
        }
    }
}

/// ln(1 + u) for u in [0, 1]: `2 atanh(s)` with `s = u / (2 + u) <= 1/3`, its series to s^13 (remainder 1e-8).
#[inline(always)]
fn ln_1p(u: f32) -> f32 {
    let s = u / (2.0 + u);
    let q = s * s;
    let series = 1.0
        + q * (1.0 / 3.0 + q * (1.0 / 5.0 + q * (1.0 / 7.0 + q * (1.0 / 9.0 + q * (1.0 / 11.0 + q / 13.0)))));
    2.0 * s * series
}

#[cfg(test)]
mod tests {
    #[test]
    fn logarithm_is_close() {
        for i in 0..=1000 {
            let u = i as f32 / 1000.0;
            assert!((f64::from(super::ln_1p(u)) - f64::from(u).ln_1p()).abs() < 1.5e-7, "{u}");
        }
    }
}
