//! Normalisation by groups and by the batch, with and without activation.

use crate::check::{ACTIVATIONS, check, head};
use fovea_graph::{Activation, Graph, Op, StatsOver};

#[test]
fn group_norm() {
    for groups in [1, 2, 4] {
        for activation in ACTIVATIONS {
            normalise(StatsOver::Image, groups, activation);
        }
    }
}

#[test]
fn batch_norm() {
    for activation in ACTIVATIONS {
        normalise(StatsOver::Batch, 4, activation);
    }
    normalise(StatsOver::Batch, 2, Activation::Identity);
}

fn normalise(over: StatsOver, groups: usize, activation: Activation) {
    let mut g = Graph::new();
    let x = g.persistent("x", &[3, 4, 3, 2]).expect("a shape");
    let gamma = g.persistent("gamma", &[4]).expect("a shape");
    let beta = g.persistent("beta", &[4]).expect("a shape");
    let stats = g.push(Op::NormStats { over, groups }, &[x]).expect("fits");
    let op = Op::Normalise { epsilon: 1e-3, activation };
    let y = g.push(op, &[x, stats, gamma, beta]).expect("fits");
    let loss = head(&mut g, y);
    check(&format!("{over:?} {groups} {activation:?}"), &g, loss);
}

#[test]
fn running_statistics_are_constants_for_gamma_and_beta() {
    let mut g = Graph::new();
    let x = g.input("x", &[2, 2, 3, 3]).unwrap();
    let stats = g.input("field", &[1, 2, 2]).unwrap();
    let gamma = g.persistent("gamma", &[2]).unwrap();
    let beta = g.persistent("beta", &[2]).unwrap();
    let op = Op::Normalise { epsilon: 1e-3, activation: Activation::Silu };
    let y = g.push(op, &[x, stats, gamma, beta]).unwrap();
    let loss = head(&mut g, y);
    check("running statistics", &g, loss);
}
