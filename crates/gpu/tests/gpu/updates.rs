//! Updates in place, and the guard that stops them.

use crate::Test;
use crate::support::{STEP, Value, check_update, value};
use fovea_gpu::{Device, GpuExecutor, Tuning};
use fovea_graph::{AdamRule, Executor, Graph, NodeId, Op, ValueId};
use std::sync::Arc;

pub const TESTS: &[Test] = &[
    ("updates_equal_the_reference", updates),
    ("the_guard_stops_every_update", guard),
    ("the_first_node_that_is_not_finite_is_found", not_finite),
];

fn adam(decoupled: bool) -> Op {
    Op::AdamUpdate(AdamRule { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.1, decoupled })
}

/// Every update with inputs for it.
fn cases() -> Vec<(Op, Vec<Value>)> {
    let sgd = Op::SgdUpdate { momentum: 0.9, weight_decay: 0.01 };
    let of_tensors = [(sgd, 3), (adam(true), 4), (adam(false), 4), (Op::AverageUpdate, 2)];
    let mut cases: Vec<(Op, Vec<Value>)> = Vec::new();
    for (op, tensors) in of_tensors {
        let mut inputs: Vec<_> = (0..tensors).map(|i| value(&[300], &format!("t{i}"))).collect();
        if let Some(second) = inputs.get_mut(3) {
            second.1.iter_mut().for_each(|v| *v = v.abs());
        }
        inputs.push((vec![4], vec![0.01, 0.1, 0.05, 0.9]));
        cases.push((op, inputs));
    }
    let running = Op::UpdateRunning { momentum: 0.1, count: 10 };
    cases.push((running, vec![value(&[1, 300, 2], "running"), value(&[1, 300, 2], "stats")]));
    cases
}

fn updates(device: &Arc<Device>) {
    for (op, inputs) in cases() {
        check_update(device, op, &inputs);
    }
}

/// A step whose loss is not finite changes no weight, nor does the next, until its outcome was returned.
fn guard(device: &Arc<Device>) {
    for (op, inputs) in cases() {
        let mut graph = Graph::new();
        let x = graph.input("x", &[1, 1, 1, 3]).unwrap();
        let loss = graph.push(Op::SumChannels, &[x]).unwrap();
        graph.mark_output(loss);
        let declare = |(i, (dims, _)): (usize, &Value)| graph.persistent(&format!("in{i}"), dims).unwrap();
        let ids: Vec<ValueId> = inputs.iter().enumerate().map(declare).collect();
        graph.update(op, &ids).unwrap();
        let mut executor = GpuExecutor::new_blocking(Arc::clone(device), graph, &Tuning::default()).unwrap();
        for (id, (_, data)) in ids.iter().zip(&inputs) {
            executor.write(*id, data).unwrap();
        }
        let target = |executor: &GpuExecutor| {
            let mut found = vec![0.0; inputs[0].1.len()];
            executor.read(ids[0], &mut found).unwrap();
            found
        };
        let mut outcomes = Vec::new();
        for loss_term in [f32::INFINITY, 1.0] {
            executor.write(x, &[2.0, loss_term, 3.0]).unwrap();
            outcomes.extend(executor.step(STEP, loss, &[]).unwrap());
        }
        outcomes.extend(executor.finish().unwrap());
        assert_eq!(outcomes.iter().map(|o| o.updated).collect::<Vec<_>>(), [false, false]);
        assert_eq!(target(&executor), inputs[0].1, "{op:?}");
        let mut outcomes = executor.step(STEP, loss, &[]).unwrap();
        outcomes.extend(executor.finish().unwrap());
        assert_eq!((outcomes.len(), outcomes[0].updated, outcomes[0].loss), (1, true, 6.0));
        assert_ne!(target(&executor), inputs[0].1, "{op:?}");
    }
}

/// NaN and both infinities, at the edges of workgroups and pieces; the largest finite number is none.
fn not_finite(device: &Arc<Device>) {
    let count = 3 * 4096 + 17;
    let mut graph = Graph::new();
    let [a, b] = ["a", "b"].map(|name| graph.input(name, &[count]).unwrap());
    let first = graph.push(Op::Scale { factor: 1.0 }, &[a]).unwrap();
    let second = graph.push(Op::Scale { factor: 1.0 }, &[b]).unwrap();
    let third = graph.push(Op::Add, &[first, second]).unwrap();
    graph.mark_output(third);
    let mut executor = GpuExecutor::new_blocking(Arc::clone(device), graph, &Tuning::default()).unwrap();
    let mut first_bad = |at: [Option<(usize, f32)>; 2]| {
        for (input, at) in [a, b].into_iter().zip(at) {
            let mut data = vec![f32::MAX / 4.0; count];
            if let Some((index, number)) = at {
                data[index] = number;
            }
            executor.write(input, &data).unwrap();
        }
        executor.run_until_non_finite(STEP, 0..3).unwrap()
    };
    let node = |n: usize| Some(NodeId(n));
    assert_eq!(first_bad([None, None]), None);
    for index in [0, 255, 256, 4095, 4096, count - 1] {
        for number in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert_eq!(first_bad([Some((index, number)), None]), node(0), "{number} at {index}");
            assert_eq!(first_bad([None, Some((index, number))]), node(1), "{number} at {index}");
        }
    }
    assert_eq!(first_bad([Some((7, f32::NAN)), Some((3, f32::NAN))]), node(0));
    assert_eq!(first_bad([Some((7, f32::MAX)), Some((7, f32::MAX))]), node(2), "their sum overflows");
    assert_eq!(first_bad([None, None]), None, "the guard was cleared");
}
