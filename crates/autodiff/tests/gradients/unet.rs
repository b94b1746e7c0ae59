//! A whole toy UNet end to end, plain and fused.

use crate::check::{STEP, check, filled, parameters};
use fovea_autodiff::differentiate;
use fovea_graph::{Activation, Executor, Graph, Op, Resize, StatsOver, ValueId, fuse};
use fovea_tensor::Window;

#[test]
fn every_parameter_of_a_toy_unet() {
    let (graph, loss) = toy_unet();
    check("unet", &graph, loss);
    let fused = fuse(&graph);
    check("fused unet", &fused.graph, fused.value(loss).unwrap());
}

#[test]
fn fusing_changes_no_gradient() {
    let (graph, loss) = toy_unet();
    let plain = gradients(&graph, loss);
    let fused = fuse(&graph);
    let merged = gradients(&fused.graph, fused.value(loss).unwrap());
    let count = |graph: &Graph, name| graph.nodes().iter().filter(|n| n.op.name() == name).count();
    assert_eq!(count(&fused.graph, "activate"), 0, "{}", fused.graph);
    // The concatenation of a concatenation: the convolution reads the outer one's parts.
    assert_eq!([&graph, &fused.graph].map(|g| count(g, "concat")), [2, 1], "{}", fused.graph);
    assert_eq!(count(&fused.graph, "conv2d_pair"), 1, "{}", fused.graph);
    assert_eq!(plain.len(), merged.len());
    for ((name, a), (other, b)) in plain.iter().zip(&merged) {
        assert_eq!(name, other);
        for (a, b) in a.iter().zip(b) {
            assert!((a - b).abs() <= 1e-13 * (1.0 + a.abs()), "{name}: {a} and {b}");
        }
    }
}

#[test]
fn differentiating_is_a_function() {
    let (graph, loss) = toy_unet();
    let wrt = parameters(&graph);
    let first = differentiate(&graph, loss, &wrt).unwrap();
    assert_eq!(first, differentiate(&graph, loss, &wrt).unwrap());
    assert_eq!(first.0.nodes()[..graph.nodes().len()], *graph.nodes(), "forward nodes come first, unchanged");
    for (value, gradient) in wrt.iter().zip(&first.1) {
        assert_eq!(graph.shape(*value), first.0.shape(*gradient));
    }
}

fn gradients(graph: &Graph, loss: ValueId) -> Vec<(String, Vec<f64>)> {
    let wrt = parameters(graph);
    let (d, gradients) = differentiate(graph, loss, &wrt).expect("differentiable");
    let mut executor = filled(&d);
    executor.run(STEP, 0..d.nodes().len()).expect("runs");
    let named = |(v, g): (&ValueId, &ValueId)| (graph.value(*v).name.clone(), executor.value(*g).to_vec());
    wrt.iter().zip(&gradients).map(named).collect()
}

/// Two levels on 8 x 8 pixels: both normalisations, both ways up, a skip connection, dropout, and Dice plus cross-entropy.
fn toy_unet() -> (Graph, ValueId) {
    let mut g = Graph::new();
    let image = g.input("image", &[2, 1, 8, 8]).expect("a shape");
    let level0 = block(&mut g, "encoder.0", image, 1, 2, StatsOver::Image);
    let pooled =
        push(&mut g, Op::MaxPool2d { window: Window { kernel: 2, stride: 2, padding: 0 } }, &[level0]);
    let level1 = block(&mut g, "encoder.1", pooled, 2, 4, StatsOver::Batch);
    let dropped = push(&mut g, Op::Dropout { p: 0.25, stream: 0 }, &[level1]);
    let w = parameter(&mut g, "up.weight", &[4, 2, 2, 2]);
    let learned = push(&mut g, Op::ConvTranspose2x2, &[dropped, w]);
    let mode = Resize::Bilinear { align_corners: false };
    let bilinear = push(&mut g, Op::Upsample { mode, factor: 2 }, &[level1]);
    let joined = push(&mut g, Op::Concat, &[level0, learned]);
    let joined = push(&mut g, Op::Concat, &[joined, bilinear]);
    let decoded = block(&mut g, "decoder.0", joined, 8, 2, StatsOver::Image);
    let w = parameter(&mut g, "head.weight", &[1, 2, 1, 1]);
    let b = parameter(&mut g, "head.bias", &[1]);
    let logits = conv(&mut g, 1, &[decoded, w, b]);
    let target = g.input("target", &[2, 1, 8, 8]).expect("a shape");
    let field = g.input("field", &[2, 1, 8, 8]).expect("a shape");
    let sums = push(&mut g, Op::DiceSums, &[logits, target, field]);
    let dice = push(&mut g, Op::DiceLoss { smooth: 1.0, pooled: true }, &[sums]);
    let bce = push(&mut g, Op::BceLoss, &[logits, target, field]);
    let loss = push(&mut g, Op::Add, &[dice, bce]);
    (g, loss)
}

/// Convolution, normalisation, SiLU; convolution with bias, leaky ReLU.
fn block(g: &mut Graph, name: &str, x: ValueId, cin: usize, cout: usize, over: StatsOver) -> ValueId {
    g.set_label(name);
    let w = parameter(g, &format!("{name}.conv1.weight"), &[cout, cin, 3, 3]);
    let gamma = parameter(g, &format!("{name}.norm.gamma"), &[cout]);
    let beta = parameter(g, &format!("{name}.norm.beta"), &[cout]);
    let y = conv(g, 3, &[x, w]);
    let groups = if over == StatsOver::Batch { cout } else { cout / 2 };
    let stats = push(g, Op::NormStats { over, groups }, &[y]);
    let norm = Op::Normalise { epsilon: 1e-3, activation: Activation::Identity };
    let y = push(g, norm, &[y, stats, gamma, beta]);
    let y = push(g, Op::Activate { function: Activation::Silu }, &[y]);
    let w = parameter(g, &format!("{name}.conv2.weight"), &[cout, cout, 3, 3]);
    let b = parameter(g, &format!("{name}.conv2.bias"), &[cout]);
    let y = conv(g, 3, &[y, w, b]);
    push(g, Op::Activate { function: Activation::LeakyRelu { slope: 0.1 } }, &[y])
}

fn conv(g: &mut Graph, kernel: usize, inputs: &[ValueId]) -> ValueId {
    push(g, Op::Conv2d { window: Window::same(kernel), activation: Activation::Identity }, inputs)
}

fn push(g: &mut Graph, op: Op, inputs: &[ValueId]) -> ValueId {
    g.push(op, inputs).expect("fits")
}

fn parameter(g: &mut Graph, name: &str, dims: &[usize]) -> ValueId {
    g.persistent(name, dims).expect("a shape")
}
