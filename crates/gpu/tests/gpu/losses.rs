//! Losses and their adjoints.

use crate::Test;
use crate::support::{Value, check, run, value};
use fovea_gpu::{Device, Tuning};
use fovea_graph::Op;
use std::slice::from_ref;
use std::sync::Arc;

pub const TESTS: &[Test] = &[
    ("losses_equal_the_reference", losses),
    ("losses_of_single_pixels", single),
    ("losses_of_an_empty_field", empty),
    ("losses_of_far_logits", far),
];

fn losses(device: &Arc<Device>) {
    // The last has more pieces than a workgroup has invocations.
    for dims in [[1, 1, 3, 5], [3, 1, 40, 111], [1, 1, 1100, 1000]] {
        let count = dims.iter().product::<usize>();
        let mut logits = value(&dims, "logits");
        logits.1.iter_mut().for_each(|v| *v *= 4.0);
        let inputs = [logits, binary(&dims, "t"), binary(&dims, "f")];
        let with = |extra: Value| [&inputs[..], &[extra]].concat();
        check(device, Op::DiceSums, &inputs, count, false);
        check(device, Op::BceLoss, &inputs, count, false);
        check(device, Op::BceLossGrad, &with((vec![1], vec![0.7])), count, false);
        check(device, Op::DiceSumsGrad, &with(value(&[dims[0], 3], "dsums")), count, false);
        for pooled in [true, false] {
            let sums = (vec![dims[0], 3], (0..dims[0] * 3).map(|k| 10.0 + k as f32).collect::<Vec<_>>());
            check(device, Op::DiceLoss { smooth: 1.0, pooled }, from_ref(&sums), 3, false);
            let inputs = [sums, (vec![1], vec![0.5])];
            check(device, Op::DiceLossGrad { smooth: 1.0, pooled }, &inputs, 3, false);
        }
    }
}

/// Few terms, and so a narrow tolerance: of the logarithm, and of the last pieces of a large value.
fn single(device: &Arc<Device>) {
    for logit in [-9.0, -1.5, -0.1, 0.0, 0.3, 1.0, 4.0] {
        let pixel = |number: f32| (vec![1, 1, 1, 1], vec![number]);
        check(device, Op::BceLoss, &[pixel(logit), pixel(0.0), pixel(1.0)], 1, false);
    }
    let dims = [1, 1, 1100, 1000];
    let mut field = (dims.to_vec(), vec![0.0; 1_100_000]);
    field.1[1_099_995..].fill(1.0);
    let inputs = [value(&dims, "logits"), binary(&dims, "t"), field];
    check(device, Op::BceLoss, &inputs, 5, false);
    check(device, Op::DiceSums, &inputs, 5, false);
}

fn binary(dims: &[usize], name: &str) -> Value {
    let (dims, data) = value(dims, name);
    (dims, data.into_iter().map(|v| f32::from(v > 0.3)).collect())
}

fn empty(device: &Arc<Device>) {
    let dims = [1, 1, 2, 2];
    let field = (dims.to_vec(), vec![0.0; 4]);
    let inputs = [value(&dims, "x"), value(&dims, "t"), field, (vec![1], vec![1.0])];
    let result = |op, inputs: &[Value]| run(device, op, inputs, &Tuning::default()).1;
    assert_eq!(result(Op::BceLoss, &inputs[..3]), [0.0]);
    assert_eq!(result(Op::BceLossGrad, &inputs), [0.0; 4]);
    assert_eq!(result(Op::DiceSums, &inputs[..3]), [0.0; 3]);
}

/// Logits at which exp would overflow or vanishes.
fn far(device: &Arc<Device>) {
    let dims = vec![1, 1, 2, 3];
    let logits = (dims.clone(), vec![-1e4, 1e4, -90.0, 30.0, 12.0, -12.0]);
    let target = (dims.clone(), vec![1.0, 0.0, 0.0, 1.0, 1.0, 0.0]);
    let field = (dims, vec![1.0; 6]);
    let inputs = [logits, target, field];
    let with = |extra: Value| [&inputs[..], &[extra]].concat();
    check(device, Op::BceLoss, &inputs, 6, false);
    check(device, Op::DiceSums, &inputs, 6, false);
    check(device, Op::BceLossGrad, &with((vec![1], vec![1.0])), 6, false);
    check(device, Op::DiceSumsGrad, &with(value(&[1, 3], "dsums")), 6, false);
}
