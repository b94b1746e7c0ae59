//! Ops that move or sum whole channels: concatenation, slices, the gradient of a bias.

use super::math::lane_sum;
use super::simd::vectorised;
use rayon::prelude::*;

/// `a` and `b` hold `[Ca H W, Cb H W]` floats per image.
pub(crate) fn concat(a: &[f32], b: &[f32], per_image: [usize; 2], y: &mut [f32]) {
    let [pa, pb] = per_image;
    y.par_chunks_mut(pa + pb).enumerate().for_each(|(n, y)| {
        y[..pa].copy_from_slice(&a[n * pa..(n + 1) * pa]);
        y[pa..].copy_from_slice(&b[n * pb..(n + 1) * pb]);
    });
}

/// Takes `length` floats from `start` of each image of `per_image` floats.
pub(crate) fn slice(x: &[f32], per_image: usize, start: usize, length: usize, y: &mut [f32]) {
    y.par_chunks_mut(length)
        .enumerate()
        .for_each(|(n, y)| y.copy_from_slice(&x[n * per_image + start..][..length]));
}

/// `(N, C, H, W) -> C`, planes in order of images.
pub(crate) fn sum_channels(x: &[f32], pixels: usize, y: &mut [f32]) {
    let channels = y.len();
    let planes: Vec<f64> =
        x.par_chunks(pixels).map(|plane| plane.chunks(4096).map(sum_lanes).sum()).collect();
    for (c, y) in y.iter_mut().enumerate() {
        *y = planes.iter().skip(c).step_by(channels).sum::<f64>() as f32;
    }
}

vectorised! {
    fn sum_lanes(x: &[f32]) -> f64 {
        lane_sum(x)
    }
}
