//! Folding a normalisation by fixed statistics into the convolution before it.

use fovea_graph::reference::ReferenceExecutor;
use fovea_graph::{Activation, Executor, Fold, Graph, Op, StatsOver, Step, ValueId, fold, fuse};
use fovea_tensor::{Stream, Window};

const NORM: Op = Op::Normalise { epsilon: 1e-5, activation: Activation::Identity };

/// Image, convolution with or without bias, normalisation by `running`, ReLU.
fn network(bias: bool) -> Graph {
    let mut g = Graph::new();
    let image = g.input("image", &[2, 2, 4, 5]).expect("a shape");
    let weight = g.persistent("weight", &[3, 2, 3, 3]).expect("a shape");
    let mut inputs = vec![image, weight];
    if bias {
        inputs.push(g.persistent("bias", &[3]).expect("a shape"));
    }
    let running = g.persistent("running", &[1, 3, 2]).expect("a shape");
    let gamma = g.persistent("gamma", &[3]).expect("a shape");
    let beta = g.persistent("beta", &[3]).expect("a shape");
    let op = Op::Conv2d { window: Window::same(3), activation: Activation::Identity };
    let conv = g.push(op, &inputs).expect("fits");
    let norm = g.push(NORM, &[conv, running, gamma, beta]).expect("fits");
    let out = g.push(Op::Activate { function: Activation::Relu }, &[norm]).expect("fits");
    g.mark_output(out);
    g
}

/// Numbers of a value by name; variances are above 0.
fn numbers(graph: &Graph, name: &str) -> Vec<f32> {
    let count = graph.shape(graph.find(name).expect("declared")).count();
    let mut stream = Stream::new(3, name, [0, 0]);
    let draw = |_| if name == "running" { stream.range(0.2, 2.0) } else { stream.normal() };
    (0..count).map(draw).collect()
}

fn run(graph: &Graph, data: &dyn Fn(&str) -> Vec<f32>) -> Vec<f32> {
    let mut executor = ReferenceExecutor::new(graph.clone());
    for name in ["image", "weight", "bias", "running", "gamma", "beta"] {
        if let Some(id) = graph.find(name) {
            executor.write(id, &data(name)).expect("declared");
        }
    }
    executor.run(Step::default(), 0..graph.nodes().len()).expect("runs");
    let out: ValueId = graph.outputs()[0];
    let mut result = vec![0.0; graph.shape(out).count()];
    executor.read(out, &mut result).expect("an output");
    result
}

fn folded_numbers(graph: &Graph, fold: &Fold) -> (Vec<f32>, Vec<f32>) {
    let of = |id: ValueId| numbers(graph, &graph.value(id).name);
    let (mut weight, mut beta) = (of(fold.weight), of(fold.beta));
    let bias = fold.bias.map(of);
    fold.apply(&mut weight, bias.as_deref(), &of(fold.stats), &of(fold.gamma), &mut beta);
    (weight, beta)
}

#[test]
fn the_folded_convolution_gives_the_same_numbers() {
    for bias in [false, true] {
        let graph = network(bias);
        let (merged, folds) = fold(&graph);
        assert_eq!(folds.len(), 1);
        let (weight, beta) = folded_numbers(&graph, &folds[0]);
        let fused = fuse(&merged.graph);
        assert_eq!(fused.graph.nodes().len(), 1, "{}", fused.graph);
        for gone in ["bias", "running", "gamma"] {
            assert_eq!(fused.graph.find(gone), None);
        }
        let before = run(&graph, &|name| numbers(&graph, name));
        let after = run(&fused.graph, &|name| match name {
            "weight" => weight.clone(),
            "beta" => beta.clone(),
            other => numbers(&graph, other),
        });
        assert!(before.iter().any(|v| *v > 0.1));
        for (a, b) in before.iter().zip(&after) {
            assert!((a - b).abs() < 1e-5, "{a} {b}");
        }
    }
}

#[test]
fn what_cannot_be_folded_is_left_alone() {
    let kept = |change: fn(&mut Graph)| {
        let mut graph = Graph::new();
        change(&mut graph);
        let (merged, folds) = fold(&graph);
        assert!(folds.is_empty() && merged.graph == graph, "{graph}");
    };
    fn stem(g: &mut Graph, activation: Activation) -> [ValueId; 4] {
        let image = g.input("image", &[1, 2, 4, 4]).expect("a shape");
        let weight = g.persistent("weight", &[2, 2, 3, 3]).expect("a shape");
        let gamma = g.persistent("gamma", &[2]).expect("a shape");
        let beta = g.persistent("beta", &[2]).expect("a shape");
        let running = g.persistent("running", &[1, 2, 2]).expect("a shape");
        let conv = g.push(Op::Conv2d { window: Window::same(3), activation }, &[image, weight]);
        [conv.expect("fits"), running, gamma, beta]
    }
    // Statistics of the image itself.
    kept(|g| {
        let [conv, _, gamma, beta] = stem(g, Activation::Identity);
        let stats = g.push(Op::NormStats { over: StatsOver::Batch, groups: 2 }, &[conv]).unwrap();
        let y = g.push(NORM, &[conv, stats, gamma, beta]).unwrap();
        g.mark_output(y);
    });
    // The convolution's result is wanted too.
    kept(|g| {
        let inputs = stem(g, Activation::Identity);
        let y = g.push(NORM, &inputs).unwrap();
        g.mark_output(inputs[0]);
        g.mark_output(y);
    });
    // An activation in between.
    kept(|g| {
        let inputs = stem(g, Activation::Relu);
        let y = g.push(NORM, &inputs).unwrap();
        g.mark_output(y);
    });
}
