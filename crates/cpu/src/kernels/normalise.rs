//! Normalisation with per-image or per-batch statistics of channel groups, and its adjoint.
//!
//! With `r = 1 / sqrt(var + epsilon)`, `xh = (x - mean) r`, `z = gamma xh + beta`, `y = f(z)`. The adjoint recomputes `z` from
//! `x`, so that no pre-activation is kept: `dz = dy f'(z)`, and per (image, channel) the sums of `dz` and `dz xh` give
//! everything else.

use super::activate::{CHUNK as TASK, Curve, with_curve};
use super::simd::{Simd, per_isa, registers};
use fovea_graph::{Activation, Affine, StatsOver};
use rayon::prelude::*;
use std::ops::Range;

/// Floats reduced in f32 before float64 takes over.
const CHUNK: usize = 4096;

/// Registers that each sum of deviations is spread over. The sums of the adjoint have one each: two would not fit beside the constants of
/// a sigmoid.
const UNROLL: usize = 2;

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

/// What turns one plane's x into z and xh: `z = scale (x - mean) + shift`, `xh = rstd (x - mean)`. The difference comes first: it is
/// exact where the mean is large beside the deviation.
#[derive(Clone, Copy)]
pub(crate) struct Affines {
    scale: f32,
    shift: f32,
    mean: f32,
    rstd: f32,
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
        Affines { scale: gamma[c] * rstd, shift: beta[c], mean, rstd }
    }
}

/// Mean and biased variance per group, in float64 over chunks (Chan et al., "Updating formulae", 1979, eq. 2.1).
pub(crate) fn stats([images, channels, pixels]: [usize; 3], over: StatsOver, x: &[f32], y: &mut [f32]) {
    let groups = y.len() / 2 / if over == StatsOver::Image { images } else { 1 };
    let width = channels / groups;
    let planes: Vec<Moments> = x
        .par_chunks(pixels)
        .with_min_len(planes_per_task(pixels))
        .map(|plane| merged(plane.chunks(CHUNK).map(moments)))
        .collect();
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

/// Two passes over a chunk that stays in the first-level cache: no cancellation.
fn moments(x: &[f32]) -> Moments {
    let (n, mut sums) = (x.len() as f64, [0.0; 2]);
    // SAFETY: the kernel asks for nothing but its instruction set.
    unsafe { deviations(x, 0.0, &mut sums) };
    let about = (sums[0] / n) as f32;
    // SAFETY: as above.
    unsafe { deviations(x, about, &mut sums) };
    [n, f64::from(about) + sums[0] / n, sums[1] - sums[0] * sums[0] / n]
}

per_isa! {
    /// Sums of `x - about` and of its square.
    unsafe fn deviations(x: &[f32], about: f32, to: &mut [f64; 2]) = deviations_lanes;
}

/// # Safety
/// Must be inlined into code compiled for `V`.
#[inline(always)]
unsafe fn deviations_lanes<V: Simd>(x: &[f32], about: f32, to: &mut [f64; 2]) {
    // SAFETY: compiled for `V`; `live` floats from `at` on lie inside of the slice.
    unsafe {
        let about = V::splat(about);
        let mut sums = [[V::splat(0.0); 2]; UNROLL];
        registers!(V, UNROLL, x.len(), |at, live, k| {
            let d = V::load_first(x.as_ptr().add(at), live).sub(about).keep(live);
            sums[k] = [sums[k][0].add(d), d.mul_add(d, sums[k][1])];
        });
        *to = total(&sums);
    }
}

/// Both sums over the registers, in order, in float64.
///
/// # Safety
/// Must be inlined into code compiled for `V`.
#[inline(always)]
unsafe fn total<V: Simd>(sums: &[[V; 2]]) -> [f64; 2] {
    let mut to = [0.0; 2];
    for [a, b] in sums {
        // SAFETY: compiled for `V`.
        let (a, b) = unsafe { (a.sum(), b.sum()) };
        to = [to[0] + f64::from(a), to[1] + f64::from(b)];
    }
    to
}

/// `y = f(gamma xh + beta)`.
pub(crate) fn forward(norm: &Norm, x: &[f32], stats: &[f32], gamma: &[f32], beta: &[f32], y: &mut [f32]) {
    y.par_chunks_mut(TASK).zip(x.par_chunks(TASK)).enumerate().for_each(|(task, (y, x))| {
        for (plane, own) in spans(task * TASK, y.len(), norm.pixels) {
            let a = norm.affines(plane, stats, gamma, beta);
            // SAFETY: the kernel asks for nothing but its instruction set.
            unsafe { apply(norm.activation, a, &x[own.clone()], &mut y[own]) };
        }
    });
}

/// The parts in each plane of `length` floats from `start` on of all planes: the plane and a range from `start`.
fn spans(start: usize, length: usize, pixels: usize) -> impl Iterator<Item = (usize, Range<usize>)> {
    let end = start + length;
    (start / pixels..end.div_ceil(pixels)).map(move |plane| {
        let own = start.max(plane * pixels)..end.min((plane + 1) * pixels);
        (plane, own.start - start..own.end - start)
    })
}

/// Planes that one task should have at least: small ones are not worth a task each.
fn planes_per_task(pixels: usize) -> usize {
    (TASK / pixels).max(1)
}

per_isa! {
    unsafe fn apply(activation: Activation, a: Affines, x: &[f32], y: &mut [f32]) = apply_lanes;
}

/// # Safety
/// Must be inlined into code compiled for `V`.
#[inline(always)]
unsafe fn apply_lanes<V: Simd>(activation: Activation, a: Affines, x: &[f32], y: &mut [f32]) {
    assert!(x.len() == y.len());
    // SAFETY: compiled for `V`.
    let (mean, scale, shift) = unsafe { (V::splat(a.mean), V::splat(a.scale), V::splat(a.shift)) };
    with_curve!(activation, f => registers!(V, x.len(), |at, live| {
        // SAFETY: compiled for `V`; `live` floats from `at` on lie inside of both slices.
        unsafe {
            let z = V::load_first(x.as_ptr().add(at), live).sub(mean).mul_add(scale, shift);
            f.value(z).store_first(y.as_mut_ptr().add(at), live);
        }
    }));
}

/// `(N, C, 2)`: sums of `dz` and of `dz xh` per plane; `inputs` are x, stats, gamma, beta, dy.
pub(crate) fn grad_sums(norm: &Norm, inputs: &[&[f32]], y: &mut [f32]) {
    let planes = inputs[0].par_chunks(norm.pixels).zip(inputs[4].par_chunks(norm.pixels));
    let tasks = y.par_chunks_mut(2).zip(planes).with_min_len(planes_per_task(norm.pixels));
    tasks.enumerate().for_each(|(plane, (y, (x, dy)))| {
        let a = norm.affines(plane, inputs[1], inputs[2], inputs[3]);
        let mut total = [0f64; 2];
        for (x, dy) in x.chunks(CHUNK).zip(dy.chunks(CHUNK)) {
            let mut part = [0f64; 2];
            // SAFETY: the kernel asks for nothing but its instruction set.
            unsafe { sums(norm.activation, a, x, dy, &mut part) };
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
    let operands = inputs[0].par_chunks(TASK).zip(inputs[4].par_chunks(TASK));
    dx.par_chunks_mut(TASK).zip(operands).enumerate().for_each(|(task, (dx, (x, dy)))| {
        for (plane, own) in spans(task * TASK, dx.len(), norm.pixels) {
            let a = norm.affines(plane, inputs[1], gamma, inputs[3]);
            let mean = means[norm.statistic(plane / norm.channels, plane % norm.channels)];
            let mean = mean.map(|m| (m / set) as f32);
            // SAFETY: the kernel asks for nothing but its instruction set.
            unsafe { grad(norm.activation, a, mean, &x[own.clone()], &dy[own.clone()], &mut dx[own]) };
        }
    });
}

per_isa! {
    /// Sums of `dz` and of `dz xh`.
    unsafe fn sums(activation: Activation, a: Affines, x: &[f32], dy: &[f32], to: &mut [f64; 2]) = sums_lanes;
}

/// # Safety
/// Must be inlined into code compiled for `V`.
#[inline(always)]
unsafe fn sums_lanes<V: Simd>(activation: Activation, a: Affines, x: &[f32], dy: &[f32], to: &mut [f64; 2]) {
    assert!(x.len() == dy.len());
    // SAFETY: compiled for `V`; `live` floats from `at` on lie inside of both slices. Lanes that do not exist are zero in dy
    // and add nothing.
    with_curve!(activation, f => unsafe {
        let (mean, scale, shift) = (V::splat(a.mean), V::splat(a.scale), V::splat(a.shift));
        let mut sums = [V::splat(0.0); 2];
        registers!(V, x.len(), |at, live| {
            let d = V::load_first(x.as_ptr().add(at), live).sub(mean);
            let dy = V::load_first(dy.as_ptr().add(at), live);
            let dz = f.slope(d.mul_add(scale, shift), dy);
            sums = [sums[0].add(dz), d.mul_add(dz, sums[1])];
        });
        *to = total(&[sums]);
        to[1] *= f64::from(a.rstd);
    });
}

per_isa! {
    /// `dx`, given the means of `dxh` and of `dxh xh`.
    unsafe fn grad(activation: Activation, a: Affines, means: [f32; 2], x: &[f32], dy: &[f32], dx: &mut [f32]) = grad_lanes;
}

/// # Safety
/// Must be inlined into code compiled for `V`.
#[inline(always)]
unsafe fn grad_lanes<V: Simd>(
    activation: Activation,
    a: Affines,
    means: [f32; 2],
    x: &[f32],
    dy: &[f32],
    dx: &mut [f32],
) {
    assert!(x.len() == dx.len() && dy.len() == dx.len());
    // SAFETY: compiled for `V`; `live` floats from `at` on lie inside of the slices.
    with_curve!(activation, f => unsafe {
        let (mean, scale, shift) = (V::splat(a.mean), V::splat(a.scale), V::splat(a.shift));
        let (level, slope) = (V::splat(-a.rstd * means[0]), V::splat(-a.rstd * a.rstd * means[1]));
        registers!(V, x.len(), |at, live| {
            let d = V::load_first(x.as_ptr().add(at), live).sub(mean);
            let dz = f.slope(d.mul_add(scale, shift), V::load_first(dy.as_ptr().add(at), live));
            dz.mul_add(scale, d.mul_add(slope, level)).store_first(dx.as_mut_ptr().add(at), live);
        });
    });
}
