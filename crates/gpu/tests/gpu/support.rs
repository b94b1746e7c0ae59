//! Runs one op on the device and compares it with the float64 reference.

use fovea_gpu::{Device, GpuExecutor, Tuning};
use fovea_graph::{Executor, Graph, Op, Step, Storage, ValueId, reference};
use fovea_tensor::{Shape, Stream};
use fovea_testkit::{assert_close_at, tolerance};
use std::sync::Arc;

/// What dropout is a function of.
pub const STEP: Step = Step { seed: 5, index: 3 };

/// Fills the arena before a run: a NaN, so that a kernel that reads it shows; and known bits, so that a write shows.
const CANARY: u32 = 0x7fc0_dead;

/// A value's extents and numbers.
pub type Value = (Vec<usize>, Vec<f32>);

/// Normal numbers.
pub fn value(dims: &[usize], name: &str) -> Value {
    let mut stream = Stream::new(11, name, [dims.len() as u32, dims.iter().sum::<usize>() as u32]);
    (dims.to_vec(), (0..dims.iter().product()).map(|_| stream.normal()).collect())
}

/// A pure op's result. Everything else in the arena must be as it was: inputs, padding, reserved words; the workspace is the
/// kernels' own.
pub fn run(device: &Arc<Device>, op: Op, inputs: &[Value], tuning: &Tuning) -> (Shape, Vec<f32>) {
    let mut graph = Graph::new();
    let ids: Vec<ValueId> = inputs
        .iter()
        .enumerate()
        .map(|(i, (dims, _))| graph.input(&format!("in{i}"), dims).unwrap())
        .collect();
    let out = graph.push(op, &ids).unwrap();
    graph.mark_output(out);
    let shape = graph.shape(out);
    let mut executor = GpuExecutor::new_blocking(Arc::clone(device), graph, tuning).unwrap();
    executor.fill_arena(f32::from_bits(CANARY));
    for (id, (_, data)) in ids.iter().zip(inputs) {
        executor.write(*id, data).unwrap();
    }
    let place = executor.place(out);
    // The executor writes dropout's key into the reserved words before the first node of a step: a run of none does it.
    executor.run(STEP, 0..0).unwrap();
    let before = snapshot(&executor);
    executor.run(STEP, 0..1).unwrap();
    let after = snapshot(&executor);
    let written = place.offset..place.offset + place.floats;
    let owned = executor.launches()[0].iter().flat_map(|launch| &launch.bindings);
    let owned: Vec<_> = owned.filter(|p| p.offset >= scratch(&executor)).copied().collect();
    let step = executor.launches()[0].len();
    for (i, (a, b)) in before.iter().zip(&after).enumerate() {
        let scratch = owned.iter().any(|p| (p.offset..p.offset + p.floats).contains(&i));
        assert!(
            a == b || written.contains(&i) || scratch,
            "{op:?}: word {i} of the arena changed from {a:#x} to {b:#x} ({step} launches, output {written:?})"
        );
    }
    (shape, after[written].iter().map(|bits| f32::from_bits(*bits)).collect())
}

/// Where the reserved words begin: behind all values.
fn reserved(executor: &GpuExecutor) -> usize {
    let graph = executor.graph();
    let end = |id| executor.place(id).offset + executor.place(id).floats;
    graph.value_ids().map(end).max().unwrap_or(0).next_multiple_of(64)
}

fn scratch(executor: &GpuExecutor) -> usize {
    reserved(executor) + 4 * 64
}

fn snapshot(executor: &GpuExecutor) -> Vec<u32> {
    executor.snapshot_blocking().unwrap().into_iter().map(f32::to_bits).collect()
}

/// Compares with the reference; for linear ops the magnitude is the op applied to absolute values.
pub fn check(device: &Arc<Device>, op: Op, inputs: &[Value], terms: usize, linear: bool) {
    check_tuned(device, op, inputs, terms, linear, &Tuning::default());
}

/// [`check`] with chosen tiles.
pub fn check_tuned(
    device: &Arc<Device>,
    op: Op,
    inputs: &[Value],
    terms: usize,
    linear: bool,
    tuning: &Tuning,
) -> Vec<f32> {
    let (shape, found) = run(device, op, inputs, tuning);
    let views: Vec<(Shape, &[f32])> =
        inputs.iter().map(|(dims, data)| (Shape::new(dims).unwrap(), data.as_slice())).collect();
    let (expected, magnitudes) = reference::with_magnitudes(&op, &views, shape, STEP, linear);
    let dims: Vec<_> = inputs.iter().map(|(dims, _)| dims.clone()).collect();
    let what = format!("{op:?} {dims:?}");
    assert_close_at(&what, &found, &expected, &magnitudes, tolerance(op.name(), terms));
    found
}

/// Runs an update on the device and in float64, and compares every input after it: those that it does not update must keep
/// their bits.
pub fn check_update(device: &Arc<Device>, op: Op, inputs: &[Value]) {
    let mut graph = Graph::new();
    let updated = op.updates();
    let declare = |(i, (dims, _)): (usize, &Value)| {
        let name = format!("in{i}");
        if updated.contains(&i) { graph.persistent(&name, dims) } else { graph.input(&name, dims) }
    };
    let ids: Vec<ValueId> = inputs.iter().enumerate().map(declare).map(Result::unwrap).collect();
    graph.update(op, &ids).unwrap();
    let mut executor = GpuExecutor::new_blocking(Arc::clone(device), graph, &Tuning::default()).unwrap();
    executor.fill_arena(f32::from_bits(CANARY));
    let mut expected: Vec<Vec<f64>> = Vec::new();
    for (id, (_, data)) in ids.iter().zip(inputs) {
        executor.write(*id, data).unwrap();
        expected.push(data.iter().map(|&v| f64::from(v)).collect());
    }
    executor.run(STEP, 0..0).unwrap();
    let before = snapshot(&executor);
    executor.run(STEP, 0..1).unwrap();
    let after = snapshot(&executor);
    reference::update(&op, &mut expected);
    for (i, (id, expected)) in ids.iter().zip(&expected).enumerate() {
        let place = executor.place(*id);
        let found: Vec<f32> =
            after[place.offset..][..place.floats].iter().map(|b| f32::from_bits(*b)).collect();
        if updated.contains(&i) {
            assert_eq!(executor.graph().value(*id).storage, Storage::Persistent);
            let largest = expected.iter().fold(1e-3f64, |m, v| m.max(v.abs()));
            let magnitudes = vec![largest; expected.len()];
            let what = format!("{op:?} input {i}");
            assert_close_at(&what, &found, expected, &magnitudes, tolerance(op.name(), 1));
        } else {
            assert_eq!(found, inputs[i].1, "{op:?} changed input {i}");
        }
    }
    let values: Vec<_> = ids.iter().map(|id| executor.place(*id)).collect();
    for (i, (a, b)) in before.iter().zip(&after).enumerate() {
        let inside = values.iter().any(|p| (p.offset..p.offset + p.floats).contains(&i));
        assert!(inside || a == b, "{op:?}: word {i} of the arena changed");
    }
}
