//! Values made again: the same results to the bit, within the limit, and never after an update.

use fovea_graph::reference::ReferenceExecutor;
use fovea_graph::{
    Activation, Channels, Executor, Graph, GraphError, Op, Plan, Resize, Step, ValueId, recompute,
};
use fovea_tensor::{Stream, Window};
use proptest::prelude::*;

/// A chain of `depth` activations that a second chain reads backwards, as a backward pass does; then an update.
fn hourglass(depth: usize, choices: &[u8]) -> Graph {
    let mut g = Graph::new();
    let mut x = g.input("x", &[2, 2, 8, 8]).expect("a shape");
    let weight = g.persistent("weight", &[2, 2, 3, 3]).expect("a shape");
    let state = g.persistent("state", &[2, 2, 8, 8]).expect("a shape");
    let hyper = g.input("hyper", &[4]).expect("a shape");
    let window = Window { kernel: 2, stride: 2, padding: 0 };
    let conv = Op::Conv2d { window: Window::same(3), activation: Activation::Relu };
    let mut kept = Vec::new();
    for level in 0..depth {
        g.set_label(&format!("level {level}"));
        x = match choices[level % choices.len()] % 5 {
            0 => g.push(conv, &[x, weight]),
            1 => g.push(Op::Activate { function: Activation::Silu }, &[x]),
            2 => g.push(Op::Dropout { p: 0.3, stream: level as u32 }, &[x]),
            3 => {
                let both = g.push(Op::Concat, &[x, x]).expect("fits");
                g.push(Op::SliceChannels(Channels { start: 1, count: 2 }), &[both])
            }
            _ => {
                let small = g.push(Op::MaxPool2d { window }, &[x]).expect("fits");
                g.push(Op::Upsample { mode: Resize::Nearest, factor: 2 }, &[small])
            }
        }
        .expect("fits");
        kept.push(x);
    }
    for earlier in kept.into_iter().rev() {
        x = g.push(Op::ActivateGrad { function: Activation::Silu }, &[earlier, x]).expect("fits");
    }
    g.mark_output(x);
    let half = g.push(Op::Scale { factor: 0.5 }, &[x]).expect("fits");
    g.update(Op::AverageUpdate, &[state, half, hyper]).expect("persistent");
    g
}

fn results(graph: &Graph) -> Vec<Vec<u32>> {
    let mut executor = ReferenceExecutor::new(graph.clone());
    for name in ["x", "weight", "state", "hyper"] {
        let id = graph.find(name).expect("declared");
        let mut stream = Stream::new(5, name, [0, 0]);
        let data: Vec<f32> = (0..graph.shape(id).count()).map(|_| stream.normal()).collect();
        executor.write(id, &data).expect("declared");
    }
    let step = Step { seed: 3, index: 1 };
    executor.run(step, 0..graph.first_update()).expect("runs");
    executor.run(step, graph.first_update()..graph.nodes().len()).expect("runs");
    let bits = |id: ValueId| {
        let mut data = vec![0.0f32; graph.shape(id).count()];
        executor.read(id, &mut data).expect("readable");
        data.iter().map(|v| v.to_bits()).collect()
    };
    graph.outputs().iter().copied().chain(graph.find("state")).map(bits).collect()
}

/// Inputs are made before they are read, no value is made twice, nothing pure follows an update.
fn check_order(graph: &Graph) {
    let mut made = vec![false; graph.values().len()];
    for node in graph.nodes() {
        for v in &node.inputs {
            let temporary = graph.value(*v).storage == fovea_graph::Storage::Temporary;
            assert!(!temporary || made[v.index()], "{} is read before it is made", graph.value(*v).name);
        }
        if let Some(out) = node.output {
            assert!(!made[out.index()], "{} is made twice", graph.value(out).name);
            made[out.index()] = true;
        }
    }
    assert!(graph.nodes()[graph.first_update()..].iter().all(|n| n.output.is_none()));
}

fn bytes(graph: &Graph) -> usize {
    4 * Plan::new(graph).floats()
}

fn least(graph: &Graph) -> usize {
    match recompute(graph, 0) {
        Err(GraphError::MemoryLimit { limit: 0, least }) => least,
        other => panic!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn results_are_the_same_to_the_bit_within_any_limit(
        choices in prop::collection::vec(0u8..5, 1..6),
        depth in 2usize..14,
        share in 0.0f64..1.0,
    ) {
        let graph = hourglass(depth, &choices);
        let (whole, least) = (bytes(&graph), least(&graph));
        let limit = least + ((whole - least) as f64 * share) as usize;
        let frugal = recompute(&graph, limit).unwrap();
        prop_assert!(bytes(&frugal) <= limit, "{} of {limit}", bytes(&frugal));
        check_order(&frugal);
        prop_assert_eq!(results(&frugal), results(&graph));
    }
}

#[test]
fn a_graph_that_fits_is_left_alone() {
    let graph = hourglass(8, &[1]);
    assert_eq!(recompute(&graph, bytes(&graph)).unwrap(), graph);
}

#[test]
fn a_long_chain_is_kept_in_little_more_than_half_of_its_memory() {
    let graph = hourglass(36, &[1, 2]);
    let (whole, least) = (bytes(&graph), least(&graph));
    assert!(least * 10 < whole * 6, "{least} of {whole}");
    let frugal = recompute(&graph, least).unwrap();
    assert_eq!(results(&frugal), results(&graph));
    assert!(recompute(&graph, least - 1).is_err());
}

#[test]
fn cheap_ops_are_repeated_before_convolutions() {
    let graph = hourglass(12, &[0, 1]);
    let frugal = recompute(&graph, bytes(&graph) - 2 * 1024).unwrap();
    let count = |graph: &Graph, name: &str| graph.nodes().iter().filter(|n| n.op.name() == name).count();
    assert_eq!(count(&frugal, "conv2d"), count(&graph, "conv2d"));
    assert!(count(&frugal, "activate") > count(&graph, "activate"));
}
