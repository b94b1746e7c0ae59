//! Runs one op on the executor and compares it with the float64 reference.
#![allow(clippy::unwrap_used, reason = "the helpers of these tests are not test functions")]

use fovea_cpu::CpuExecutor;
use fovea_graph::{Executor, Graph, Op, Step, ValueId, reference};
use fovea_tensor::{Shape, Stream};
use fovea_testkit::{assert_close_at, tolerance};

pub const STEP: Step = Step { seed: 5, index: 3 };

pub fn random(dims: &[usize], name: &str) -> Vec<f32> {
    let mut stream = Stream::new(11, name, [dims.len() as u32, dims.iter().sum::<usize>() as u32]);
    (0..dims.iter().product()).map(|_| stream.normal()).collect()
}

/// Runs a pure op on the executor, after a run on NaN that would show through any stale scratch memory.
pub fn run(op: Op, inputs: &[(Vec<usize>, Vec<f32>)]) -> (Shape, Vec<f32>) {
    let mut graph = Graph::new();
    let ids: Vec<ValueId> = inputs
        .iter()
        .enumerate()
        .map(|(i, (dims, _))| graph.input(&format!("in{i}"), dims).unwrap())
        .collect();
    let out = graph.push(op, &ids).unwrap();
    graph.mark_output(out);
    let shape = graph.shape(out);
    let mut executor = CpuExecutor::new(graph);
    for (id, (_, data)) in ids.iter().zip(inputs) {
        executor.write(*id, &vec![f32::NAN; data.len()]).unwrap();
    }
    executor.run(STEP, 0..1).unwrap();
    for (id, (_, data)) in ids.iter().zip(inputs) {
        executor.write(*id, data).unwrap();
    }
    executor.run(STEP, 0..1).unwrap();
    let mut found = vec![f32::NAN; shape.count()];
    executor.read(out, &mut found).unwrap();
    (shape, found)
}

/// Compares with the reference; for linear ops the magnitude is the op applied to absolute values.
pub fn check(op: Op, inputs: &[(Vec<usize>, Vec<f32>)], terms: usize, linear: bool) {
    let (shape, found) = run(op, inputs);
    let views: Vec<(Shape, &[f32])> =
        inputs.iter().map(|(dims, data)| (Shape::new(dims).unwrap(), data.as_slice())).collect();
    let (expected, magnitudes) = reference::with_magnitudes(&op, &views, shape, STEP, linear);
    let dims: Vec<_> = inputs.iter().map(|(dims, _)| dims.clone()).collect();
    assert_close_at(&format!("{op:?} {dims:?}"), &found, &expected, &magnitudes, tolerance(op.name(), terms));
}

pub fn value(dims: &[usize], name: &str) -> (Vec<usize>, Vec<f32>) {
    (dims.to_vec(), random(dims, name))
}
