//! Soft Dice inside the field: sums per image, the loss of the sums, and both adjoints.

use super::math::{each_lane, fold, sigmoid};
use super::simd::vectorised;
use rayon::prelude::*;

/// Pixels per task.
const CHUNK: usize = 4096;

/// `(N, 3)`: per image the sums of `f p t`, `f p`, `f t`.
pub(crate) fn sums(x: &[f32], t: &[f32], f: &[f32], y: &mut [f32]) {
    let pixels = x.len() / (y.len() / 3);
    y.par_chunks_mut(3).enumerate().for_each(|(n, y)| {
        let image = n * pixels..(n + 1) * pixels;
        let chunks =
            x[image.clone()].chunks(CHUNK).zip(t[image.clone()].chunks(CHUNK)).zip(f[image].chunks(CHUNK));
        let total = chunks.fold([0f64; 3], |a, ((x, t), f)| {
            let b = chunk_sums(x, t, f);
            [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
        });
        y.copy_from_slice(&total.map(|v| v as f32));
    });
}

/// `dx = f p (1 - p) (t d0 + d1)`.
pub(crate) fn sums_grad(x: &[f32], t: &[f32], f: &[f32], dsums: &[f32], dx: &mut [f32]) {
    let pixels = x.len() / (dsums.len() / 3);
    dx.par_chunks_mut(pixels).enumerate().for_each(|(n, dx)| {
        let image = n * pixels..(n + 1) * pixels;
        chunk_grad(&x[image.clone()], &t[image.clone()], &f[image], [dsums[3 * n], dsums[3 * n + 1]], dx);
    });
}

/// `1 - (2 I + smooth) / (P + T + smooth)`.
pub(crate) fn loss(smooth: f32, pooled: bool, sums: &[f32]) -> f32 {
    let rows = ratios(smooth, pooled, sums);
    (rows.iter().map(|[top, bottom]| 1.0 - top / bottom).sum::<f64>() / rows.len() as f64) as f32
}

/// Adjoint of [`loss`]: `d/dI = -2 / bottom`, `d/dP = d/dT = top / bottom^2`, over the number of rows.
pub(crate) fn loss_grad(smooth: f32, pooled: bool, sums: &[f32], dloss: f32, dsums: &mut [f32]) {
    let rows = ratios(smooth, pooled, sums);
    let share = f64::from(dloss) / rows.len() as f64;
    for (n, d) in dsums.chunks_exact_mut(3).enumerate() {
        let [top, bottom] = rows[if pooled { 0 } else { n }];
        let outer = (share * top / (bottom * bottom)) as f32;
        d.copy_from_slice(&[(-2.0 * share / bottom) as f32, outer, outer]);
    }
}

/// `[2 I + smooth, P + T + smooth]` per image, or once for the pooled batch.
fn ratios(smooth: f32, pooled: bool, sums: &[f32]) -> Vec<[f64; 2]> {
    let smooth = f64::from(smooth);
    let rows: Vec<[f64; 2]> =
        sums.chunks_exact(3).map(|s| [2.0 * f64::from(s[0]), f64::from(s[1]) + f64::from(s[2])]).collect();
    if pooled {
        let [a, b] = rows.iter().fold([0.0; 2], |[a, b], [c, d]| [a + c, b + d]);
        return vec![[a + smooth, b + smooth]];
    }
    rows.into_iter().map(|[a, b]| [a + smooth, b + smooth]).collect()
}

vectorised! {
    fn chunk_sums(x: &[f32], t: &[f32], f: &[f32]) -> [f64; 3] {
        let (mut both, mut predicted, mut labelled) = ([0f32; 16], [0f32; 16], [0f32; 16]);
        let mut add = |i: usize, x: f32, t: f32, f: f32| {
            let p = f * sigmoid(x);
            both[i] += p * t;
            predicted[i] += p;
            labelled[i] += f * t;
        };
        each_lane(x, t, f, &mut add);
        [fold(&both), fold(&predicted), fold(&labelled)]
    }
}

vectorised! {
    fn chunk_grad(x: &[f32], t: &[f32], f: &[f32], d: [f32; 2], dx: &mut [f32]) {
        for (o, ((x, t), f)) in dx.iter_mut().zip(x.iter().zip(t).zip(f)) {
            let p = sigmoid(*x);
            *o = f * p * (1.0 - p) * (t * d[0] + d[1]);
        }
    }
}
