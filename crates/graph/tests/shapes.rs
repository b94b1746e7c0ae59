//! Shape inference: results and refusals.

use fovea_graph::{Activation, AdamRule, Affine, Channels, Graph, GraphError, Op, Resize, StatsOver};
use fovea_tensor::{Shape, Window};

const SAME: Window = Window::same(3);
const HALF: Window = Window { kernel: 2, stride: 2, padding: 0 };
const PAIR_GRAD_WEIGHT: Op = Op::Conv2dPairGradWeight { window: SAME };
const NEAREST: Resize = Resize::Nearest;
const MAP: &[usize] = &[3, 1, 4, 4];
const TWO: &[usize] = &[1, 2, 4, 4];

type Dims<'a> = &'a [usize];

fn infer(op: Op, inputs: &[Dims<'_>]) -> Result<Option<Shape>, GraphError> {
    let shapes: Vec<Shape> = inputs.iter().map(|d| Shape::new(d).expect("a shape")).collect();
    op.infer(&shapes)
}

fn conv(activation: Activation) -> Op {
    Op::Conv2d { window: SAME, activation }
}

fn pair(activation: Activation) -> Op {
    Op::Conv2dPair { window: SAME, activation }
}

fn grad_input(input: [usize; 2], start: usize, count: usize) -> Op {
    Op::Conv2dGradInput { window: SAME, input, channels: Channels { start, count } }
}

#[test]
fn results() {
    let relu = Activation::Relu;
    let stats = Op::NormStats { over: StatsOver::Image, groups: 3 };
    let cases: [(Op, &[Dims<'_>], Dims<'_>); 15] = [
        (Op::Fill { value: 2.0 }, &[], &[1]),
        (conv(relu), &[&[2, 3, 8, 6], &[5, 3, 3, 3], &[5]], &[2, 5, 8, 6]),
        (pair(relu), &[&[2, 3, 8, 6], &[2, 1, 8, 6], &[5, 4, 3, 3], &[5]], &[2, 5, 8, 6]),
        (grad_input([8, 6], 0, 3), &[&[5, 3, 3, 3], &[2, 5, 8, 6]], &[2, 3, 8, 6]),
        (grad_input([8, 6], 1, 2), &[&[5, 3, 3, 3], &[2, 5, 8, 6]], &[2, 2, 8, 6]),
        (Op::Conv2dGradWeight { window: SAME }, &[&[2, 3, 8, 6], &[2, 5, 8, 6]], &[5, 3, 3, 3]),
        (PAIR_GRAD_WEIGHT, &[&[2, 3, 8, 6], &[2, 1, 8, 6], &[2, 5, 8, 6]], &[5, 4, 3, 3]),
        (Op::ConvTranspose2x2, &[&[2, 3, 4, 5], &[3, 7, 2, 2]], &[2, 7, 8, 10]),
        (Op::MaxPool2d { window: HALF }, &[&[1, 1, 7, 6]], &[1, 1, 3, 3]),
        (Op::Upsample { mode: NEAREST, factor: 3 }, &[&[1, 2, 4, 5]], &[1, 2, 12, 15]),
        (Op::Concat, &[&[1, 2, 4, 5], &[1, 3, 4, 5]], &[1, 5, 4, 5]),
        (stats, &[&[2, 6, 4, 4]], &[2, 3, 2]),
        (Op::NormaliseGradAffine { which: Affine::Scale }, &[&[4, 6, 2]], &[6]),
        (Op::DiceSums, &[MAP; 3], &[3, 3]),
        (Op::BceLoss, &[MAP; 3], &[1]),
    ];
    for (op, inputs, expected) in cases {
        assert_eq!(infer(op, inputs), Ok(Some(Shape::new(expected).unwrap())), "{op:?}");
    }
}

#[test]
fn wrong_shapes_are_refused() {
    let identity = Activation::Identity;
    let normalise = Op::Normalise { epsilon: 1e-5, activation: identity };
    let cases: [(Op, &[Dims<'_>]); 16] = [
        (conv(identity), &[&[2, 3, 8, 6], &[5, 4, 3, 3]]),
        (conv(identity), &[&[2, 3, 8, 6], &[5, 3, 5, 5]]),
        (conv(identity), &[&[2, 3, 8, 6], &[5, 3, 3, 3], &[4]]),
        (conv(identity), &[&[3, 8, 6], &[5, 3, 3, 3]]),
        (pair(identity), &[&[2, 3, 8, 6], &[2, 1, 8, 6], &[5, 3, 3, 3]]),
        (pair(identity), &[&[2, 3, 8, 6], &[2, 1, 6, 8], &[5, 4, 3, 3]]),
        (pair(identity), &[&[2, 3, 8, 6], &[2, 1, 8, 6], &[5, 4, 3, 3], &[4]]),
        (PAIR_GRAD_WEIGHT, &[&[2, 3, 8, 6], &[2, 1, 8, 6], &[1, 5, 8, 6]]),
        (grad_input([8, 7], 0, 3), &[&[5, 3, 3, 3], &[2, 5, 8, 6]]),
        (Op::MaxPool2dGrad { window: HALF }, &[&[1, 1, 8, 8], &[1, 1, 4, 3]]),
        (Op::UpsampleGrad { mode: NEAREST, factor: 2 }, &[&[1, 1, 5, 4]]),
        (Op::Concat, &[&[1, 2, 4, 5], &[1, 3, 4, 4]]),
        (Op::Add, &[&[4], &[1, 4]]),
        (normalise, &[&[2, 6, 4, 4], &[2, 4, 2], &[6], &[6]]),
        (Op::BceLoss, &[TWO; 3]),
        (Op::AverageUpdate, &[&[3], &[3], &[3]]),
    ];
    for (op, inputs) in cases {
        let refused = infer(op, inputs).expect_err("wrong shapes");
        assert!(matches!(refused, GraphError::Shapes { op: name, .. } if name == op.name()), "{refused}");
    }
}

#[test]
fn wrong_attributes_are_refused() {
    let image: &[usize] = &[1, 6, 8, 8];
    let leaky = Activation::LeakyRelu { slope: 0.0 };
    let cases: [(Op, &[Dims<'_>]); 11] = [
        (conv(Activation::Silu), &[image, &[5, 6, 3, 3]]),
        (conv(leaky), &[image, &[5, 6, 3, 3]]),
        (Op::Activate { function: leaky }, &[image]),
        (Op::NormStats { over: StatsOver::Batch, groups: 4 }, &[image]),
        (pair(Activation::Silu), &[image, image, &[5, 12, 3, 3]]),
        (grad_input([8, 8], 5, 2), &[&[5, 6, 3, 3], &[1, 5, 8, 8]]),
        (grad_input([8, 8], 2, 0), &[&[5, 6, 3, 3], &[1, 5, 8, 8]]),
        (Op::SliceChannels(Channels { start: usize::MAX, count: 2 }), &[image]),
        (Op::Dropout { p: 1.0, stream: 0 }, &[image]),
        (Op::Upsample { mode: NEAREST, factor: 1 }, &[image]),
        (Op::UpdateRunning { momentum: 0.1, count: 1 }, &[&[1, 3, 2], &[1, 3, 2]]),
    ];
    for (op, inputs) in cases {
        let refused = infer(op, inputs).expect_err("wrong attributes");
        assert!(matches!(refused, GraphError::Attribute { op: name, .. } if name == op.name()), "{refused}");
    }
    let huge = infer(Op::Upsample { mode: NEAREST, factor: usize::MAX }, &[image]);
    assert!(matches!(huge, Err(GraphError::Shape(_))), "{huge:?}");
    let large = Window { kernel: 9, stride: 1, padding: 0 };
    assert!(matches!(infer(Op::MaxPool2d { window: large }, &[image]), Err(GraphError::Window(_))));
}

#[test]
fn wrong_input_counts_are_refused() {
    for (op, inputs) in [
        (conv(Activation::Relu), 1),
        (pair(Activation::Relu), 2),
        (Op::Add, 3),
        (Op::Fill { value: 0.0 }, 1),
        (Op::DiceSums, 2),
    ] {
        let shapes = vec![Shape::scalar(); inputs];
        let refused = op.infer(&shapes).unwrap_err();
        assert!(matches!(refused, GraphError::Arity { found, .. } if found == inputs), "{refused}");
    }
}

#[test]
fn only_persistent_values_are_updated() {
    let rule = AdamRule { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0, decoupled: false };
    let mut g = Graph::new();
    let [w, m] = ["w", "m"].map(|name| g.persistent(name, &[3]).unwrap());
    let gradient = g.input("g", &[3]).unwrap();
    let hyper = g.input("hyper", &[4]).unwrap();
    assert!(g.update(Op::AdamUpdate(rule), &[w, gradient, m, m, hyper]).is_ok());
    let refused = g.update(Op::AdamUpdate(rule), &[w, gradient, m, gradient, hyper]).unwrap_err();
    assert_eq!(refused, GraphError::NotPersistent { op: "adam_update", value: "g".into() });
    assert_eq!(g.nodes().len(), 1, "a refused node is not added");
}
