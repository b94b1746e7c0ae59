//! Pooling and upsampling.

use crate::Test;
use crate::support::{check, run, value};
use fovea_gpu::{Device, Tuning};
use fovea_graph::{Op, Resize};
use fovea_tensor::Window;
use std::slice::from_ref;
use std::sync::Arc;

pub const TESTS: &[Test] = &[
    ("pooling_equals_the_reference", pooling),
    ("pooling_of_what_is_not_finite", pooling_not_finite),
    ("upsampling_equals_the_reference", upsampling),
];

fn pooling(device: &Arc<Device>) {
    for [n, c, h, w] in [[1, 1, 4, 4], [2, 3, 8, 6], [1, 5, 17, 33], [1, 2, 3, 40]] {
        for (kernel, stride, padding) in [(2, 2, 0), (3, 2, 1), (3, 1, 1), (3, 1, 2), (2, 3, 1), (1, 2, 0)] {
            let window = Window { kernel, stride, padding };
            let mut x = value(&[n, c, h, w], "x");
            let dy = value(&[n, c, window.output(h).unwrap(), window.output(w).unwrap()], "dy");
            check(device, Op::MaxPool2d { window }, from_ref(&x), 1, false);
            check(device, Op::MaxPool2dGrad { window }, &[x.clone(), dy.clone()], 9, false);
            // Few distinct numbers, so that windows have several largest pixels.
            x.1.iter_mut().for_each(|v| *v = v.round().clamp(-1.0, 0.0));
            check(device, Op::MaxPool2dGrad { window }, &[x, dy], 9, false);
        }
    }
}

/// Padding never wins, a NaN always does, and the first of several winners gets the gradient.
fn pooling_not_finite(device: &Arc<Device>) {
    let result = |op, inputs: &[_]| run(device, op, inputs, &Tuning::default()).1;
    let window = Window { kernel: 2, stride: 2, padding: 0 };
    let (nan, low, high) = (f32::NAN, f32::NEG_INFINITY, f32::INFINITY);
    let above = [nan, 1.0, 2.0, 3.0, low, low, high, 1.0];
    let below = [2.0, nan, 4.0, nan, low, low, 5.0, nan];
    let x = (vec![1, 1, 2, 8], [above, below].concat());
    let y = result(Op::MaxPool2d { window }, from_ref(&x));
    assert!(y[0].is_nan() && y[1].is_nan() && y[2] == low && y[3].is_nan(), "{y:?}");
    let dy = (vec![1, 1, 1, 4], vec![1.0, 2.0, 3.0, 4.0]);
    let dx = result(Op::MaxPool2dGrad { window }, &[x, dy]);
    assert_eq!(dx[..8], [1.0, 0.0, 0.0, 0.0, 3.0, 0.0, 0.0, 0.0]);
    assert_eq!(dx[8..], [0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 4.0]);
    let window = Window { kernel: 3, stride: 2, padding: 1 };
    assert_eq!(result(Op::MaxPool2d { window }, &[(vec![1, 1, 1, 2], vec![-5.0, -7.0])]), [-5.0]);
}

fn upsampling(device: &Arc<Device>) {
    let bilinear = [true, false].map(|align_corners| Resize::Bilinear { align_corners });
    for [n, c, h, w] in [[1, 1, 1, 1], [2, 3, 8, 6], [1, 2, 17, 33], [1, 1, 1, 9], [1, 2, 7, 2]] {
        for factor in [2, 3, 5] {
            for mode in [Resize::Nearest, bilinear[0], bilinear[1]] {
                check(device, Op::Upsample { mode, factor }, &[value(&[n, c, h, w], "x")], 4, false);
                let dy = value(&[n, c, factor * h, factor * w], "dy");
                check(device, Op::UpsampleGrad { mode, factor }, &[dy], 4 * factor * factor, false);
            }
        }
    }
}
