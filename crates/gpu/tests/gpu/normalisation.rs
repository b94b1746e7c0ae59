//! Statistics, the normalising map and its adjoints.

use crate::Test;
use crate::pointwise::FUNCTIONS;
use crate::support::{Value, check, run, value};
use fovea_gpu::{Device, Tuning};
use fovea_graph::{Activation, Affine, Op, StatsOver};
use std::slice::from_ref;
use std::sync::Arc;

pub const TESTS: &[Test] = &[
    ("normalisation_equals_the_reference", every_function),
    ("normalisation_of_many_images_equals_the_reference", many_images),
    ("variance_far_from_zero", far_from_zero),
    ("statistics_of_nan", nan),
];

fn every_function(device: &Arc<Device>) {
    let cases = [([2, 6, 5, 7], 3), ([1, 12, 33, 31], 4), ([3, 4, 1, 2], 4), ([2, 8, 70, 64], 1)];
    for (dims, groups) in cases {
        let mut x = value(&dims, "x");
        x.1.iter_mut().for_each(|v| *v = 0.3 * *v + 2.0);
        for over in [StatsOver::Image, StatsOver::Batch] {
            for activation in FUNCTIONS {
                normalisation(device, &x, over, groups, activation);
            }
        }
        let sums = value(&[dims[0], dims[1], 2], "sums");
        for which in [Affine::Scale, Affine::Shift] {
            check(device, Op::NormaliseGradAffine { which }, from_ref(&sums), dims[0], false);
        }
    }
}

/// More pieces for one statistic, and more planes, than a workgroup has invocations.
fn many_images(device: &Arc<Device>) {
    let x = value(&[300, 2, 1, 3], "x");
    normalisation(device, &x, StatsOver::Batch, 1, Activation::Silu);
    normalisation(device, &x, StatsOver::Image, 2, Activation::Relu);
}

fn normalisation(device: &Arc<Device>, x: &Value, over: StatsOver, groups: usize, activation: Activation) {
    let [n, c, h, w] = [x.0[0], x.0[1], x.0[2], x.0[3]];
    let rows = if over == StatsOver::Image { n } else { 1 };
    let set = n / rows * (c / groups) * h * w;
    let epsilon = 1e-5;
    let result = |op, inputs: &[Value]| run(device, op, inputs, &Tuning::default()).1;
    check(device, Op::NormStats { over, groups }, from_ref(x), set, false);
    let stats = (vec![rows, groups, 2], result(Op::NormStats { over, groups }, from_ref(x)));
    let mut inputs = vec![x.clone(), stats, value(&[c], "gamma"), value(&[c], "beta")];
    check(device, Op::Normalise { epsilon, activation }, &inputs, 1, false);
    inputs.push(value(&x.0, "dy"));
    let sums = Op::NormaliseGradSums { epsilon, activation };
    check(device, sums, &inputs, h * w, false);
    inputs.push((vec![n, c, 2], result(sums, &inputs)));
    check(device, Op::NormaliseGradInput { epsilon, activation }, &inputs, set, false);
}

/// A mean that is large beside the deviation costs no digits of the variance.
fn far_from_zero(device: &Arc<Device>) {
    for dims in [[1, 1, 8, 9], [2, 2, 75, 90]] {
        let mut x = value(&dims, "x");
        x.1.iter_mut().for_each(|v| *v += 1000.0);
        let count = x.1.len() as f64;
        let mean = x.1.iter().map(|&v| f64::from(v)).sum::<f64>() / count;
        let variance = x.1.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / count;
        let op = Op::NormStats { over: StatsOver::Batch, groups: 1 };
        let (_, y) = run(device, op, &[x], &Tuning::default());
        assert!((f64::from(y[0]) / mean - 1.0).abs() < 1e-7, "{dims:?}: mean {} of {mean}", y[0]);
        assert!((f64::from(y[1]) / variance - 1.0).abs() < 1e-5, "{dims:?}: variance {} of {variance}", y[1]);
    }
}

fn nan(device: &Arc<Device>) {
    let mut x = value(&[1, 2, 65, 64], "x");
    x.1[65 * 64 + 5] = f32::NAN;
    let op = Op::NormStats { over: StatsOver::Image, groups: 2 };
    let (_, y) = run(device, op, &[x], &Tuning::default());
    assert!(y[..2].iter().all(|v| v.is_finite()) && y[2..].iter().all(|v| v.is_nan()), "{y:?}");
}
