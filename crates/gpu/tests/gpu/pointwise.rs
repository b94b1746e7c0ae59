//! Ops on elements and channels, and sums over planes.

use crate::Test;
use crate::support::{STEP, check, check_tuned, run, value};
use fovea_gpu::{Device, GpuExecutor, Tuning};
use fovea_graph::{Activation, Channels, Executor, Graph, Op};
use fovea_tensor::Stream;
use std::slice::from_ref;
use std::sync::Arc;

pub const TESTS: &[Test] = &[
    ("elementwise_ops_equal_the_reference", elementwise),
    ("dropout_keeps_a_number_that_equals_its_probability", dropout_at_equality),
    ("channel_ops_equal_the_reference", channels),
    ("sums_over_many_images_equal_the_reference", many_images),
    ("values_longer_than_one_row_of_workgroups", long),
    ("activations_keep_nan", nan),
    ("a_value_added_to_itself", twice),
];

pub const FUNCTIONS: [Activation; 5] = [
    Activation::Identity,
    Activation::Relu,
    Activation::LeakyRelu { slope: 0.2 },
    Activation::Silu,
    Activation::Sigmoid,
];

const DIMS: [[usize; 4]; 4] = [[1, 1, 1, 1], [2, 3, 5, 7], [1, 5, 64, 129], [3, 2, 1, 1]];

fn elementwise(device: &Arc<Device>) {
    check(device, Op::Fill { value: 2.5 }, &[], 1, false);
    for dims in DIMS {
        let (a, b, c) = (value(&dims, "a"), value(&dims, "b"), value(&dims, "c"));
        check(device, Op::Add, &[a.clone(), b.clone()], 2, true);
        check(device, Op::Scale { factor: -1.5 }, from_ref(&a), 1, false);
        check(device, Op::AddProximal { factor: 0.1 }, &[a.clone(), b.clone(), c], 3, false);
        for function in FUNCTIONS {
            check(device, Op::Activate { function }, from_ref(&a), 1, false);
            check(device, Op::ActivateGrad { function }, &[a.clone(), b.clone()], 1, false);
        }
        for (p, stream) in [(0.3, 0), (0.3, 2), (0.0, 1), (0.9, 7)] {
            check(device, Op::Dropout { p, stream }, from_ref(&a), 1, false);
        }
    }
    let far = (vec![6], vec![-1e4, -90.0, -20.0, 20.0, 90.0, 1e4]);
    for function in FUNCTIONS {
        check(device, Op::Activate { function }, from_ref(&far), 1, false);
        check(device, Op::ActivateGrad { function }, &[far.clone(), value(&[6], "dy")], 1, false);
    }
}

/// The mask is an inequality that includes equality: the element's own number is the probability here.
fn dropout_at_equality(device: &Arc<Device>) {
    for (index, stream) in [(0, 0), (5, 3)] {
        let words = Stream::new(STEP.seed, "dropout", [STEP.index, stream]).block_at(index / 4);
        let p = (words[index as usize % 4] >> 8) as f32 / 16_777_216.0;
        let y =
            check_tuned(device, Op::Dropout { p, stream }, &[value(&[6], "x")], 1, false, &Tuning::default());
        assert_ne!(y[index as usize], 0.0);
    }
}

fn channels(device: &Arc<Device>) {
    for dims in DIMS {
        let [n, c, h, w] = dims;
        let a = value(&dims, "a");
        check(device, Op::SumChannels, from_ref(&a), n * h * w, true);
        check(device, Op::Concat, &[a.clone(), value(&[n, 2, h, w], "b")], 1, false);
        for (start, count) in [(0, c), (c / 2, 1), (c - 1, 1)] {
            check(device, Op::SliceChannels(Channels { start, count }), from_ref(&a), 1, false);
        }
    }
}

/// More partial sums than a workgroup has invocations.
fn many_images(device: &Arc<Device>) {
    check(device, Op::SumChannels, &[value(&[300, 2, 1, 3], "x")], 900, true);
}

fn long(device: &Arc<Device>) {
    let count = 65_535 * 256 + 300;
    let x: Vec<f32> = (0..count).map(|i| (i % 8191) as f32).collect();
    let mut graph = Graph::new();
    let input = graph.input("x", &[count]).unwrap();
    let output = graph.push(Op::Scale { factor: 0.5 }, &[input]).unwrap();
    graph.mark_output(output);
    let mut executor = GpuExecutor::new_blocking(Arc::clone(device), graph, &Tuning::default()).unwrap();
    assert!(executor.launches()[0][0].groups[1] > 1);
    executor.write(input, &x).unwrap();
    executor.run(STEP, 0..1).unwrap();
    let mut y = vec![0.0; count];
    executor.read(output, &mut y).unwrap();
    assert_eq!(x.iter().zip(&y).position(|(x, y)| *y != 0.5 * x), None);
}

fn nan(device: &Arc<Device>) {
    for function in FUNCTIONS {
        let x = (vec![3], vec![-1.0, f32::NAN, 2.0]);
        let (_, y) = run(device, Op::Activate { function }, &[x], &Tuning::default());
        assert!(!y[0].is_nan() && y[1].is_nan() && !y[2].is_nan(), "{function:?}: {y:?}");
    }
}

/// Two writable bindings of one dispatch may not be the same range.
fn twice(device: &Arc<Device>) {
    let (dims, x) = value(&[2, 3, 5, 7], "x");
    let mut graph = Graph::new();
    let input = graph.input("x", &dims).unwrap();
    let output = graph.push(Op::Add, &[input, input]).unwrap();
    graph.mark_output(output);
    let mut executor = GpuExecutor::new_blocking(Arc::clone(device), graph, &Tuning::default()).unwrap();
    executor.write(input, &x).unwrap();
    executor.run(STEP, 0..1).unwrap();
    let mut y = vec![0.0; x.len()];
    executor.read(output, &mut y).unwrap();
    assert_eq!(y, x.iter().map(|v| v + v).collect::<Vec<_>>());
    let bindings = &executor.launches()[0][0].bindings;
    assert!((1..bindings.len()).all(|i| !bindings[..i].contains(&bindings[i])));
}
