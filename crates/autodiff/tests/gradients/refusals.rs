//! What cannot be differentiated is refused with names.

use crate::check::head;
use fovea_autodiff::{AutodiffError, differentiate};
use fovea_graph::{Activation, Graph, Op};

#[test]
fn the_loss_must_be_a_scalar() {
    let mut g = Graph::new();
    let x = g.persistent("x", &[1, 1, 2, 2]).unwrap();
    let y = g.push(Op::Scale { factor: 2.0 }, &[x]).unwrap();
    let refused = differentiate(&g, y, &[x]).unwrap_err();
    assert!(matches!(refused, AutodiffError::LossNotScalar { .. }), "{refused}");
}

#[test]
fn the_loss_must_depend_on_each_value() {
    let mut g = Graph::new();
    let x = g.persistent("x", &[1, 1, 2, 2]).unwrap();
    let unused = g.persistent("unused", &[3]).unwrap();
    let loss = head(&mut g, x);
    let refused = differentiate(&g, loss, &[x, unused]).unwrap_err();
    assert_eq!(refused, AutodiffError::Independent { value: "unused".into() });
}

#[test]
fn ops_without_adjoint_are_named_with_their_layer() {
    let mut g = Graph::new();
    let x = g.persistent("x", &[1, 2, 2, 2]).unwrap();
    g.set_label("stem");
    let y = g.push(Op::AddProximal { factor: 0.1 }, &[x, x, x]).unwrap();
    let loss = head(&mut g, y);
    let refused = differentiate(&g, loss, &[x]).unwrap_err();
    assert_eq!(refused, AutodiffError::NotDifferentiable { op: "add_proximal", label: "stem".into() });
    let of_gradient = {
        let mut g = Graph::new();
        let x = g.persistent("x", &[1, 2, 2, 2]).unwrap();
        let y = g.push(Op::ActivateGrad { function: Activation::Relu }, &[x, x]).unwrap();
        let loss = head(&mut g, y);
        differentiate(&g, loss, &[x]).unwrap_err()
    };
    assert!(matches!(of_gradient, AutodiffError::NotDifferentiable { op: "activate_grad", .. }));
}

#[test]
fn targets_are_data() {
    let mut g = Graph::new();
    let logits = g.persistent("logits", &[1, 1, 2, 2]).unwrap();
    let target = g.persistent("target", &[1, 1, 2, 2]).unwrap();
    let loss = g.push(Op::BceLoss, &[logits, target, target]).unwrap();
    assert!(differentiate(&g, loss, &[logits]).is_ok());
    let refused = differentiate(&g, loss, &[target]).unwrap_err();
    assert!(matches!(refused, AutodiffError::NotDifferentiableIn { input: "target", .. }), "{refused}");
}

#[test]
fn running_statistics_have_no_gradient_to_the_input() {
    let mut g = Graph::new();
    let x = g.persistent("x", &[1, 2, 2, 2]).unwrap();
    let running = g.persistent("norm.running", &[1, 2, 2]).unwrap();
    let gamma = g.persistent("gamma", &[2]).unwrap();
    let op = Op::Normalise { epsilon: 1e-5, activation: Activation::Identity };
    let y = g.push(op, &[x, running, gamma, gamma]).unwrap();
    let loss = head(&mut g, y);
    let refused = differentiate(&g, loss, &[x]).unwrap_err();
    assert!(
        matches!(&refused, AutodiffError::ForeignStatistics { stats, .. } if stats == "norm.running"),
        "{refused}"
    );
}

#[test]
fn parameters_must_not_change_before_the_backward_pass() {
    let mut g = Graph::new();
    let x = g.persistent("x", &[1, 1, 2, 2]).unwrap();
    let loss = head(&mut g, x);
    let hyper = g.input("hyper", &[4]).unwrap();
    let velocity = g.persistent("velocity", &[1, 1, 2, 2]).unwrap();
    g.update(Op::SgdUpdate { momentum: 0.9, weight_decay: 0.0 }, &[x, velocity, velocity, hyper]).unwrap();
    let refused = differentiate(&g, loss, &[x]).unwrap_err();
    assert_eq!(refused, AutodiffError::Overwritten { op: "sgd_update", value: "x".into() });
}
