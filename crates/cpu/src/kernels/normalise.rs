//! Normalisation with per-image or per-batch statistics of channel groups, and its adjoint.
//!
//! With `r = 1 / sqrt(var + epsilon)`, `xh = (x - mean) r`, `z = gamma xh + beta`, `y = f(z)`. The adjoint recomputes `z` from
//! `x`, so that no pre-activation is kept: `dz = dy f'(z)`, and per (image, channel) the sums of `dz` and `dz xh` give
//! everything else.

use super::math::{fold, lane_sum, sigmoid};
use super::simd::vectorised;
use fovea_graph::{Activation, Affine, StatsOver};
use rayon::prelude::*;

/// Floats reduced in f32 before float64 takes over.
const CHUNK: usize = 4096;

/// Extents of the input and of its statistics.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Norm {
    pub(crate) images: usize,
    pub(crate) channels: usize,
    pub(crate) pixels: usize,
    /// Rows of statistics: `images` or 1.
    pub(crate) rows: usize,
    pub(crate) groups: usize,
    pub(crate) epsilon: f32,
    pub(crate) activation: Activation,
}

/// What turns one plane's x into z and xh: `z = scale x + shift`, `xh = rstd x - offset`.
#[derive(Clone, Copy)]
pub(crate) struct Affines {
    scale: f32,
    shift: f32,
    rstd: f32,
    offset: f32,
}

impl Norm {
    /// Index of the statistic of plane `(image, channel)`.
    fn statistic(&self, image: usize, channel: usize) -> usize {
        let row = if self.rows == 1 { 0 } else { image };
        row * self.groups + channel / (self.channels / self.groups)
    }

    fn affines(&self, plane: usize, stats: &[f32], gamma: &[f32], beta: &[f32]) -> Affines {
        let (image, c) = (plane / self.channels, plane % self.channels);
        let s = self.statistic(image, c);
        let (mean, var) = (stats[2 * s], stats[2 * s + 1]);
        let rstd = 1.0 / (var + self.epsilon).sqrt();
        let scale = gamma[c] * rstd;
        Affines { scale, shift: beta[c] - mean * scale, rstd, offset: mean * rstd }
    }
}

/// Mean and biased variance per group, in float64 over chunks (Chan et al., "Updating formulae", 1979, eq. 2.1).
pub(crate) fn stats([images, channels, pixels]: [usize; 3], over: StatsOver, x: &[f32], y: &mut [f32]) {
    let groups = y.len() / 2 / if over == StatsOver::Image { images } else { 1 };
    let width = channels / groups;
    let planes: Vec<Moments> =
        x.par_chunks(pixels).map(|plane| merged(plane.chunks(CHUNK).map(chunk_moments))).collect();
    y.par_chunks_mut(2).enumerate().for_each(|(s, y)| {
        let (row, group) = (s / groups, s % groups);
        let images = if over == StatsOver::Image { row..row + 1 } else { 0..images };
        let own = images.flat_map(|n| (0..width).map(move |k| n * channels + group * width + k));
        let all = merged(own.map(|plane| planes[plane]));
        y[0] = all[1] as f32;
        y[1] = (all[2] / all[0]) as f32;
    });
}

/// Count, mean, sum of squared deviations.
pub(crate) type Moments = [f64; 3];

fn merged(parts: impl Iterator<Item = Moments>) -> Moments {
    parts.fold([0.0; 3], |[n, mean, m2], [k, other, k2]| {
        let total = n + k;
        let delta = other - mean;
        [total, mean + delta * k / total, m2 + k2 + delta * delta * n * k / total]
    })
}

vectorised! {
    /// Two passes over a chunk that stays in the first-level cache: no cancellation.
    fn chunk_moments(x: &[f32]) -> Moments {
        let n = x.len() as f64;
        let mean = lane_sum(x) / n;
        let about = mean as f32;
        let (mut squares, (whole, rest)) = ([0f32; 16], x.as_chunks::<16>());
        for chunk in whole {
            for i in 0..16 { let d = chunk[i] - about; squares[i] += d * d; }
        }
        for (lane, v) in squares.iter_mut().zip(rest) { let d = v - about; *lane += d * d; }
        let shift = mean - f64::from(about);
        [n, mean, fold(&squares) - n * shift * shift]
    }
}

/// `y = f(gamma xh + beta)`.
pub(crate) fn forward(norm: &Norm, x: &[f32], stats: &[f32], gamma: &[f32], beta: &[f32], y: &mut [f32]) {
    y.par_chunks_mut(norm.pixels).zip(x.par_chunks(norm.pixels)).enumerate().for_each(|(plane, (y, x))| {
        let a = norm.affines(plane, stats, gamma, beta);
        apply(norm.activation, a.scale, a.shift, x, y);
    });
}

vectorised! {
    fn apply(activation: Activation, scale: f32, shift: f32, x: &[f32], y: &mut [f32]) {
        let pairs = y.iter_mut().zip(x);
        match activation {
            Activation::Identity => for (y, x) in pairs { *y = scale * x + shift; },
            Activation::Relu => for (y, x) in pairs { let z = scale * x + shift; *y = if z < 0.0 { 0.0 } else { z }; },
            Activation::LeakyRelu { slope } => {
                for (y, x) in pairs { let z = scale * x + shift; *y = if z < 0.0 { slope * z } else { z }; }
            }
            Activation::Silu => for (y, x) in pairs { let z = scale * x + shift; *y = z * sigmoid(z); },
            Activation::Sigmoid => for (y, x) in pairs { *y = sigmoid(scale * x + shift); },
        }
    }
}

/// `(N, C, 2)`: sums of `dz` and of `dz xh` per plane; `inputs` are x, stats, gamma, beta, dy.
pub(crate) fn grad_sums(norm: &Norm, inputs: &[&[f32]], y: &mut [f32]) {
    let planes = inputs[0].par_chunks(norm.pixels).zip(inputs[4].par_chunks(norm.pixels));
    y.par_chunks_mut(2).zip(planes).enumerate().for_each(|(plane, (y, (x, dy)))| {
        let a = norm.affines(plane, inputs[1], inputs[2], inputs[3]);
        let mut total = [0f64; 2];
        for (x, dy) in x.chunks(CHUNK).zip(dy.chunks(CHUNK)) {
            let part = chunk_sums(norm.activation, a, x, dy);
            total = [total[0] + part[0], total[1] + part[1]];
        }
        y.copy_from_slice(&total.map(|v| v as f32));
    });
}

/// `C` numbers from `(N, C, 2)`: the sums of `dz xh` for gamma, of `dz` for beta, over images.
pub(crate) fn grad_affine(which: Affine, sums: &[f32], y: &mut [f32]) {
    let channels = y.len();
    let k = usize::from(which == Affine::Scale);
    for (c, y) in y.iter_mut().enumerate() {
        *y = sums.chunks_exact(2).skip(c).step_by(channels).map(|s| f64::from(s[k])).sum::<f64>() as f32;
    }
}

/// `dx = r (dxh - mean(dxh) - xh mean(dxh xh))`, `dxh = gamma dz`, means over the statistic's set; `inputs` are x, stats,
/// gamma, beta, dy, sums.
pub(crate) fn grad_input(norm: &Norm, inputs: &[&[f32]], dx: &mut [f32]) {
    let (gamma, sums) = (inputs[2], inputs[5]);
    let mut means = vec![[0f64; 2]; norm.rows * norm.groups];
    for plane in 0..norm.images * norm.channels {
        let (image, c) = (plane / norm.channels, plane % norm.channels);
        let mean = &mut means[norm.statistic(image, c)];
        mean[0] += f64::from(gamma[c]) * f64::from(sums[2 * plane]);
        mean[1] += f64::from(gamma[c]) * f64::from(sums[2 * plane + 1]);
    }
    let set = (norm.images / norm.rows * (norm.channels / norm.groups) * norm.pixels) as f64;
    let planes = inputs[0].par_chunks(norm.pixels).zip(inputs[4].par_chunks(norm.pixels));
    dx.par_chunks_mut(norm.pixels).zip(planes).enumerate().for_each(|(plane, (dx, (x, dy)))| {
        let a = norm.affines(plane, inputs[1], gamma, inputs[3]);
        let c = plane % norm.channels;
        let mean = means[norm.statistic(plane / norm.channels, c)].map(|m| (m / set) as f32);
        chunk_grad(norm.activation, a, mean, x, dy, dx);
    });
}

/// Evaluates `$body` with `$f` bound to `(z, dy) -> dz = dy f'(z)` of an activation: the choice is made once, outside of the
/// loops, so that each loop is vectorised.
macro_rules! with_derivative {
    ($activation:expr, $f:ident => $body:expr) => {
        match $activation {
            Activation::Identity => {
                let $f = |_: f32, dy: f32| dy;
                $body
            }
            Activation::Relu => {
                let $f = |z: f32, dy: f32| if z > 0.0 { dy } else { 0.0 };
                $body
            }
            Activation::LeakyRelu { slope } => {
                let $f = |z: f32, dy: f32| if z > 0.0 { dy } else { slope * dy };
                $body
            }
            Activation::Silu => {
                let $f = |z: f32, dy: f32| {
                    let s = sigmoid(z);
                    dy * s * (1.0 + z * (1.0 - s))
                };
                $body
            }
            Activation::Sigmoid => {
                let $f = |z: f32, dy: f32| {
                    let s = sigmoid(z);
                    dy * s * (1.0 - s)
                };
                $body
            }
        }
    };
}

vectorised! {
    fn chunk_sums(activation: Activation, a: Affines, x: &[f32], dy: &[f32]) -> [f64; 2] {
        with_derivative!(activation, f => sums_of(a, x, dy, f))
    }
}

/// Sums of `dz` and `dz xh`, sixteen lanes at a time.
#[inline(always)]
fn sums_of(a: Affines, x: &[f32], dy: &[f32], derivative: impl Fn(f32, f32) -> f32) -> [f64; 2] {
    let (mut shift, mut scale) = ([0f32; 16], [0f32; 16]);
    let ((whole, rest), (whole_dy, rest_dy)) = (x.as_chunks::<16>(), dy.as_chunks::<16>());
    for (x, dy) in whole.iter().zip(whole_dy) {
        for i in 0..16 {
            let dz = derivative(a.scale * x[i] + a.shift, dy[i]);
            shift[i] += dz;
            scale[i] += dz * (a.rstd * x[i] - a.offset);
        }
    }
    for (i, (x, dy)) in rest.iter().zip(rest_dy).enumerate() {
        let dz = derivative(a.scale * x + a.shift, *dy);
        shift[i] += dz;
        scale[i] += dz * (a.rstd * x - a.offset);
    }
    [fold(&shift), fold(&scale)]
}

vectorised! {
    fn chunk_grad(activation: Activation, a: Affines, mean: [f32; 2], x: &[f32], dy: &[f32], dx: &mut [f32]) {
        with_derivative!(activation, f => for (d, (x, dy)) in dx.iter_mut().zip(x.iter().zip(dy)) {
            let xh = a.rstd * x - a.offset;
            *d = a.scale * f(a.scale * x + a.shift, *dy) - a.rstd * (mean[0] + xh * mean[1]);
        });
    }
}
