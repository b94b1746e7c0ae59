//! Losses over the pixels of a field.

use super::elementwise::sigmoid;
use fovea_tensor::Shape;

/// `(N, 3)`: I, P, T of each image.
pub(super) fn dice_sums((shape, logits): (Shape, &[f64]), target: &[f64], field: &[f64]) -> Vec<f64> {
    let images = shape.dims()[0];
    let pixels = logits.len() / images;
    let mut sums = vec![0.0; images * 3];
    for i in 0..logits.len() {
        let (p, t, f) = (sigmoid(logits[i]), target[i], field[i]);
        let image = 3 * (i / pixels);
        sums[image] += f * p * t;
        sums[image + 1] += f * p;
        sums[image + 2] += f * t;
    }
    sums
}

/// Like logits: `f (dI t + dP) p (1 - p)`.
pub(super) fn dice_sums_grad(
    (shape, logits): (Shape, &[f64]),
    target: &[f64],
    field: &[f64],
    dsums: &[f64],
) -> Vec<f64> {
    let pixels = logits.len() / shape.dims()[0];
    let gradient = |i: usize| {
        let p = sigmoid(logits[i]);
        let image = 3 * (i / pixels);
        field[i] * (dsums[image] * target[i] + dsums[image + 1]) * p * (1.0 - p)
    };
    (0..logits.len()).map(gradient).collect()
}

pub(super) fn dice_loss(sums: &[f64], smooth: f32, pooled: bool) -> f64 {
    let rows = rows(sums, pooled);
    let s = f64::from(smooth);
    rows.iter().map(|[i, p, t]| 1.0 - (2.0 * i + s) / (p + t + s)).sum::<f64>() / rows.len() as f64
}

/// `(N, 3)`: with `D = P + T + smooth`, `dI = -2 / D` and `dP = dT = (2 I + smooth) / D^2`.
pub(super) fn dice_loss_grad(sums: &[f64], dloss: f64, smooth: f32, pooled: bool) -> Vec<f64> {
    let rows = rows(sums, pooled);
    let s = f64::from(smooth);
    let gradient = |[i, p, t]: &[f64; 3]| {
        let d = p + t + s;
        let share = (2.0 * i + s) / (d * d);
        [-2.0 / d, share, share].map(|g| g * dloss / rows.len() as f64)
    };
    let gradients: Vec<[f64; 3]> = rows.iter().map(gradient).collect();
    (0..sums.len() / 3).flat_map(|image| gradients[image % gradients.len()]).collect()
}

/// The sums that are divided: each image's, or those of the whole batch.
fn rows(sums: &[f64], pooled: bool) -> Vec<[f64; 3]> {
    let images = sums.chunks_exact(3).map(|r| [r[0], r[1], r[2]]);
    if pooled {
        return vec![images.fold([0.0; 3], |a, r| [a[0] + r[0], a[1] + r[1], a[2] + r[2]])];
    }
    images.collect()
}

pub(super) fn bce(logits: &[f64], target: &[f64], field: &[f64]) -> f64 {
    let total: f64 = field.iter().sum();
    if total == 0.0 {
        return 0.0;
    }
    let terms = logits.iter().zip(target).zip(field);
    terms.map(|((x, t), f)| f * (x.max(0.0) - x * t + (-x.abs()).exp().ln_1p())).sum::<f64>() / total
}

/// Like logits: `dloss f (p - t) / sum f`.
pub(super) fn bce_grad(logits: &[f64], target: &[f64], field: &[f64], dloss: f64) -> Vec<f64> {
    let total: f64 = field.iter().sum();
    if total == 0.0 {
        return vec![0.0; logits.len()];
    }
    let terms = logits.iter().zip(target).zip(field);
    terms.map(|((x, t), f)| dloss * f * (sigmoid(*x) - t) / total).collect()
}
