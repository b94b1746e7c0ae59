//! Training with a copy of the skip and the decoder's features side by side, and without: the same model, in less memory.

use fovea_autodiff::differentiate;
use fovea_cpu::CpuExecutor;
use fovea_graph::{Activation, Executor, Graph, Op, Resize, Step, Storage, ValueId, fuse};
use fovea_tensor::{Stream, Window};

/// The kernels of the whole and of its parts sum in one order, so the bits are equal.
#[test]
fn reading_a_skip_in_place_changes_no_bit() {
    let (with_copy, copied) = trained(true, 3);
    let (in_place, merged) = trained(false, 3);
    let counts = |e: &CpuExecutor| {
        ["concat", "slice_channels", "conv2d_pair"]
            .map(|name| e.graph().nodes().iter().filter(|n| n.op.name() == name).count())
    };
    assert_eq!([counts(&copied), counts(&merged)], [[1, 2, 0], [0, 0, 1]]);
    assert_eq!(with_copy, in_place);
    assert_ne!(with_copy, trained(true, 0).0, "training changes the model");
    assert!(merged.arena_bytes() < copied.arena_bytes());
}

/// Parameters after `steps` steps of SGD, and the executor.
fn trained(keep_concat: bool, steps: u32) -> (Vec<Vec<f32>>, CpuExecutor) {
    let (forward, loss) = network(keep_concat);
    let fused = fuse(&forward);
    let loss = fused.value(loss).expect("an output");
    let graph = fused.graph;
    let (inputs, parameters): (Vec<ValueId>, Vec<ValueId>) = graph
        .value_ids()
        .filter(|&v| graph.value(v).storage != Storage::Temporary)
        .partition(|&v| graph.value(v).storage == Storage::Input);
    let (mut step, gradients) = differentiate(&graph, loss, &parameters).expect("differentiable");
    let hyper = step.input("hyper", &[4]).expect("a shape");
    for (i, (&weight, gradient)) in parameters.iter().zip(gradients).enumerate() {
        let shape = step.shape(weight);
        let velocity = step.persistent(&format!("velocity{i}"), shape.dims()).expect("a shape");
        let sgd = Op::SgdUpdate { momentum: 0.9, weight_decay: 0.0 };
        step.update(sgd, &[weight, gradient, velocity, hyper]).expect("fits");
    }
    let nodes = step.nodes().len();
    let mut executor = CpuExecutor::new(step);
    executor.write(hyper, &[0.05, 0.0, 0.0, 0.0]).expect("declared");
    for &id in inputs.iter().chain(&parameters) {
        let value = graph.value(id);
        let mut stream = Stream::new(2, &value.name, [0, 0]);
        let mut number =
            || if value.storage == Storage::Input { stream.uniform() } else { 0.2 * stream.normal() };
        let data: Vec<f32> = (0..value.shape.count()).map(|_| number()).collect();
        executor.write(id, &data).expect("declared");
    }
    for index in 0..steps {
        executor.run(Step { seed: 1, index }, 0..nodes).expect("runs");
    }
    let read = |&v: &ValueId| {
        let mut data = vec![0.0; graph.shape(v).count()];
        executor.read(v, &mut data).expect("declared");
        data
    };
    (parameters.iter().map(read).collect(), executor)
}

/// Two levels on 16 x 16 pixels, and its loss. A concatenation that is an output is not merged away.
fn network(keep_concat: bool) -> (Graph, ValueId) {
    let mut g = Graph::new();
    let image = g.input("image", &[2, 3, 16, 16]).expect("a shape");
    let skip = conv(&mut g, "encoder.0", image, 8);
    let window = Window { kernel: 2, stride: 2, padding: 0 };
    let pooled = g.push(Op::MaxPool2d { window }, &[skip]).expect("fits");
    let deep = conv(&mut g, "encoder.1", pooled, 16);
    let up = g.push(Op::Upsample { mode: Resize::Nearest, factor: 2 }, &[deep]).expect("fits");
    let joined = g.push(Op::Concat, &[up, skip]).expect("fits");
    if keep_concat {
        g.mark_output(joined);
    }
    let decoded = conv(&mut g, "decoder.0", joined, 8);
    let logits = conv(&mut g, "head", decoded, 1);
    let target = g.input("target", &[2, 1, 16, 16]).expect("a shape");
    let field = g.input("field", &[2, 1, 16, 16]).expect("a shape");
    let loss = g.push(Op::BceLoss, &[logits, target, field]).expect("fits");
    g.mark_output(loss);
    (g, loss)
}

/// 3 x 3, with bias and ReLU.
fn conv(g: &mut Graph, name: &str, x: ValueId, outputs: usize) -> ValueId {
    let [_, inputs, ..] = g.shape(x).nchw().expect("an image batch");
    let weight = g.persistent(&format!("{name}.weight"), &[outputs, inputs, 3, 3]).expect("a shape");
    let bias = g.persistent(&format!("{name}.bias"), &[outputs]).expect("a shape");
    let op = Op::Conv2d { window: Window::same(3), activation: Activation::Identity };
    let sum = g.push(op, &[x, weight, bias]).expect("fits");
    g.push(Op::Activate { function: Activation::LeakyRelu { slope: 0.1 } }, &[sum]).expect("fits")
}
