//! The executor's contract, on the reference executor.

use fovea_graph::reference::ReferenceExecutor;
use fovea_graph::{ExecuteError, Executor, Graph, NodeId, Op, Step};

#[test]
fn access_is_checked() {
    let mut g = Graph::new();
    let x = g.input("x", &[2]).unwrap();
    let hidden = g.push(Op::Scale { factor: 2.0 }, &[x]).unwrap();
    let y = g.push(Op::Scale { factor: 3.0 }, &[hidden]).unwrap();
    g.mark_output(y);
    let mut e = ReferenceExecutor::new(g);
    e.write(x, &[1.0, -2.0]).unwrap();
    assert_eq!(e.write(x, &[1.0]), Err(ExecuteError::Length { value: "x".into(), expected: 2, found: 1 }));
    assert!(matches!(e.write(y, &[1.0, 1.0]), Err(ExecuteError::NotAccessible { .. })));
    e.run(Step::default(), 0..2).unwrap();
    let mut out = [0.0; 2];
    e.read(y, &mut out).unwrap();
    assert_eq!(out, [6.0, -12.0]);
    assert!(matches!(e.read(hidden, &mut out), Err(ExecuteError::NotAccessible { .. })));
}

#[test]
fn the_first_non_finite_node_is_named() {
    let mut g = Graph::new();
    let x = g.input("x", &[2]).unwrap();
    let y = g.push(Op::Scale { factor: 2.0 }, &[x]).unwrap();
    let z = g.push(Op::Add, &[y, y]).unwrap();
    let average = g.persistent("average", &[2]).unwrap();
    let hyper = g.input("hyper", &[4]).unwrap();
    g.update(Op::AverageUpdate, &[average, z, hyper]).unwrap();
    let mut e = ReferenceExecutor::new(g);
    e.write(x, &[1.0, 2.0]).unwrap();
    assert_eq!(e.run_until_non_finite(Step::default(), 0..3), Ok(None));
    e.write(hyper, &[0.0, 1.0, 1.0, f32::NAN]).unwrap();
    assert_eq!(e.run_until_non_finite(Step::default(), 0..3), Ok(Some(NodeId(2))));
    e.write(x, &[1.0, f32::INFINITY]).unwrap();
    assert_eq!(e.run_until_non_finite(Step::default(), 1..2), Ok(None), "nodes before the range do not run");
    assert_eq!(e.run_until_non_finite(Step::default(), 0..3), Ok(Some(NodeId(0))));
}

#[test]
fn updates_change_only_their_targets() {
    let mut g = Graph::new();
    let [w, v] = ["w", "v"].map(|name| g.persistent(name, &[1]).unwrap());
    let gradient = g.input("g", &[1]).unwrap();
    let hyper = g.input("hyper", &[4]).unwrap();
    g.update(Op::SgdUpdate { momentum: 0.5, weight_decay: 0.0 }, &[w, gradient, v, hyper]).unwrap();
    let mut e = ReferenceExecutor::new(g);
    e.write(w, &[1.0]).unwrap();
    e.write(gradient, &[2.0]).unwrap();
    e.write(hyper, &[0.25, 1.0, 1.0, 0.0]).unwrap();
    e.run(Step::default(), 0..1).unwrap();
    e.run(Step::default(), 0..1).unwrap();
    // v: 2, then 0.5 * 2 + 2 = 3; w: 1 - 0.25 * 2 - 0.25 * 3.
    assert_eq!((e.value(w), e.value(v), e.value(gradient)), (&[-0.25][..], &[3.0][..], &[2.0][..]));
}
