//! Elementwise ops and losses.

use crate::check::{ACTIVATIONS, check, head};
use fovea_graph::{Graph, Op};

#[test]
fn activations() {
    for function in ACTIVATIONS {
        let mut g = Graph::new();
        let x = g.persistent("x", &[2, 2, 3, 5]).unwrap();
        let y = g.push(Op::Activate { function }, &[x]).unwrap();
        let loss = head(&mut g, y);
        check(&format!("{function:?}"), &g, loss);
    }
}

#[test]
fn sums_scales_and_repeated_use() {
    let mut g = Graph::new();
    let a = g.persistent("a", &[1, 2, 3, 3]).unwrap();
    let b = g.persistent("b", &[1, 2, 3, 3]).unwrap();
    let twice = g.push(Op::Add, &[a, a]).unwrap();
    let scaled = g.push(Op::Scale { factor: -0.7 }, &[b]).unwrap();
    let sum = g.push(Op::Add, &[twice, scaled]).unwrap();
    let y = g.push(Op::Add, &[sum, b]).unwrap();
    let loss = head(&mut g, y);
    check("sums", &g, loss);
}

#[test]
fn dropout_uses_the_same_mask_twice() {
    let mut g = Graph::new();
    let x = g.persistent("x", &[2, 2, 5, 5]).unwrap();
    let y = g.push(Op::Dropout { p: 0.4, stream: 2 }, &[x]).unwrap();
    let loss = head(&mut g, y);
    check("dropout", &g, loss);
}

#[test]
fn dice_loss() {
    for pooled in [false, true] {
        let mut g = Graph::new();
        let logits = g.persistent("logits", &[3, 1, 4, 5]).unwrap();
        let target = g.input("target", &[3, 1, 4, 5]).unwrap();
        let field = g.input("field", &[3, 1, 4, 5]).unwrap();
        let sums = g.push(Op::DiceSums, &[logits, target, field]).unwrap();
        let loss = g.push(Op::DiceLoss { smooth: 0.5, pooled }, &[sums]).unwrap();
        check(&format!("dice, pooled {pooled}"), &g, loss);
    }
}

#[test]
fn weighted_sum_of_losses() {
    let mut g = Graph::new();
    let logits = g.persistent("logits", &[2, 1, 4, 5]).unwrap();
    let target = g.input("target", &[2, 1, 4, 5]).unwrap();
    let field = g.input("field", &[2, 1, 4, 5]).unwrap();
    let sums = g.push(Op::DiceSums, &[logits, target, field]).unwrap();
    let dice = g.push(Op::DiceLoss { smooth: 1.0, pooled: false }, &[sums]).unwrap();
    let bce = g.push(Op::BceLoss, &[logits, target, field]).unwrap();
    let half = g.push(Op::Scale { factor: 0.5 }, &[bce]).unwrap();
    let loss = g.push(Op::Add, &[dice, half]).unwrap();
    check("dice + bce / 2", &g, loss);
}
