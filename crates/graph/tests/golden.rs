//! The reference functions against PyTorch's float64 results in `fixtures/ops`.

use fovea_graph::reference::{evaluate, op_named, update};
use fovea_graph::{Op, Step};
use fovea_tensor::Shape;
use fovea_testkit::{Array, Case, golden_cases, golden_ops};

#[test]
fn every_op_agrees_with_pytorch() {
    let ops = golden_ops().unwrap();
    assert_eq!(ops.len(), 37, "one folder per op");
    for name in ops {
        let cases = golden_cases(&name).unwrap();
        assert!(!cases.is_empty(), "{name} has no case");
        for case in cases {
            check(&case);
        }
    }
}

fn check(case: &Case) {
    let what = format!("{}/{}", case.op, case.name);
    let op = op_named(&case.op, &case.attributes).unwrap_or_else(|| panic!("{what}: attributes"));
    assert_eq!(op.name(), case.op);
    let shapes: Vec<Shape> = case.inputs.iter().map(|a| Shape::new(&a.dims).expect("a shape")).collect();
    let Some(output) = op.infer(&shapes).expect("valid inputs") else {
        return check_update(&what, &op, case);
    };
    let step = match op {
        Op::Dropout { .. } => Step { seed: case.attribute("step_seed"), index: case.attribute("step_index") },
        _ => Step::default(),
    };
    let inputs: Vec<(Shape, &[f64])> =
        shapes.iter().zip(&case.inputs).map(|(s, a)| (*s, a.data.as_slice())).collect();
    let found = evaluate(&op, &inputs, output, step);
    assert_eq!(output.dims(), case.outputs[0].dims, "{what}");
    assert_near(&what, &found, &case.outputs[0]);
}

fn check_update(what: &str, op: &Op, case: &Case) {
    let mut inputs: Vec<Vec<f64>> = case.inputs.iter().map(|a| a.data.clone()).collect();
    update(op, &mut inputs);
    for (i, (after, before)) in inputs.iter().zip(&case.inputs).enumerate() {
        match op.updates().iter().position(|&u| u == i) {
            Some(k) => assert_near(what, after, &case.outputs[k]),
            None => assert_eq!(after, &before.data, "{what} changed its input {i}"),
        }
    }
}

/// Both sides are float64; only the order of sums differs.
fn assert_near(what: &str, found: &[f64], expected: &Array) {
    assert_eq!(found.len(), expected.data.len(), "{what}");
    let largest = expected.data.iter().fold(0.0f64, |m, x| m.max(x.abs()));
    for (i, (f, e)) in found.iter().zip(&expected.data).enumerate() {
        assert!((f - e).abs() <= 1e-12 * largest.max(e.abs()), "{what}: number {i} is {f}, expected {e}");
    }
}
