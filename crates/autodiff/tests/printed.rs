//! The backward pass as text: what a reader of a review sees.

use fovea_autodiff::differentiate;
use fovea_graph::{Activation, Graph, Op, StatsOver};
use fovea_tensor::Window;

#[test]
fn the_backward_pass_of_two_layers() {
    let mut g = Graph::new();
    let image = g.input("image", &[2, 3, 4, 4]).unwrap();
    let target = g.input("target", &[2, 1, 4, 4]).unwrap();
    let field = g.input("field", &[2, 1, 4, 4]).unwrap();
    let gamma = g.persistent("gamma", &[3]).unwrap();
    let beta = g.persistent("beta", &[3]).unwrap();
    let weight = g.persistent("weight", &[1, 3, 3, 3]).unwrap();
    let bias = g.persistent("bias", &[1]).unwrap();
    g.set_label("norm");
    let stats = g.push(Op::NormStats { over: StatsOver::Image, groups: 1 }, &[image]).unwrap();
    let op = Op::Normalise { epsilon: 1e-5, activation: Activation::Silu };
    let x = g.push(op, &[image, stats, gamma, beta]).unwrap();
    g.set_label("conv");
    let op = Op::Conv2d { window: Window::same(3), activation: Activation::Relu };
    let logits = g.push(op, &[x, weight, bias]).unwrap();
    g.set_label("loss");
    let loss = g.push(Op::BceLoss, &[logits, target, field]).unwrap();

    let (d, gradients) = differentiate(&g, loss, &[weight, bias, gamma, beta]).unwrap();
    let text = d.to_string();
    let forward = g.to_string().lines().count();
    let window = "window: Window { kernel: 3, stride: 1, padding: 1 }";
    let norm = "epsilon: 1e-5, activation: Silu";
    let expected = [
        "%11 = Fill { value: 1.0 } [] -> (1)  # loss adjoint".to_owned(),
        "%12 = BceLossGrad [%9, %1, %2, %11] -> (2, 1, 4, 4)  # loss adjoint".to_owned(),
        "%13 = ActivateGrad { function: Relu } [%9, %12] -> (2, 1, 4, 4)  # conv adjoint".to_owned(),
        format!("%14 = Conv2dGradWeight {{ {window} }} [%8, %13] -> (1, 3, 3, 3)  # conv adjoint"),
        format!(
            "%15 = Conv2dGradInput {{ {window}, input: [4, 4], channels: Channels {{ start: 0, count: 3 }} }} \
             [%5, %13] -> (2, 3, 4, 4)  # conv adjoint"
        ),
        "%16 = SumChannels [%13] -> (1)  # conv adjoint".to_owned(),
        format!("%17 = NormaliseGradSums {{ {norm} }} [%0, %7, %3, %4, %15] -> (2, 3, 2)  # norm adjoint"),
        "%18 = NormaliseGradAffine { which: Scale } [%17] -> (3)  # norm adjoint".to_owned(),
        "%19 = NormaliseGradAffine { which: Shift } [%17] -> (3)  # norm adjoint".to_owned(),
    ];
    assert_eq!(text.lines().skip(forward).collect::<Vec<_>>(), expected);
    assert_eq!(gradients.iter().map(|v| v.index()).collect::<Vec<_>>(), [14, 16, 18, 19]);
}
