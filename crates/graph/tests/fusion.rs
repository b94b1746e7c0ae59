//! What the fusion pass merges, what it leaves alone, and the printed form of the result.

use fovea_graph::reference::ReferenceExecutor;
use fovea_graph::{Activation, Executor, Graph, Op, StatsOver, Step, ValueId, fuse};
use fovea_tensor::{Stream, Window};

const RELU: Op = Op::Activate { function: Activation::Relu };
const SILU: Op = Op::Activate { function: Activation::Silu };

/// An image, a weight, and their convolution.
fn stem(g: &mut Graph) -> ValueId {
    let image = g.input("image", &[1, 2, 4, 4]).expect("a shape");
    let weight = g.persistent("weight", &[3, 2, 3, 3]).expect("a shape");
    g.set_label("stem");
    let op = Op::Conv2d { window: Window::same(3), activation: Activation::Identity };
    g.push(op, &[image, weight]).expect("fits")
}

fn normalised(g: &mut Graph, x: ValueId) -> ValueId {
    let gamma = g.persistent("gamma", &[3]).expect("a shape");
    let beta = g.persistent("beta", &[3]).expect("a shape");
    g.set_label("norm");
    let stats = g.push(Op::NormStats { over: StatsOver::Image, groups: 3 }, &[x]).expect("fits");
    let op = Op::Normalise { epsilon: 1e-5, activation: Activation::Identity };
    g.push(op, &[x, stats, gamma, beta]).expect("fits")
}

#[test]
fn the_printed_form_before_and_after() {
    let mut g = Graph::new();
    let conv = stem(&mut g);
    let active = g.push(RELU, &[conv]).unwrap();
    let norm = normalised(&mut g, active);
    let out = g.push(SILU, &[norm]).unwrap();
    g.mark_output(out);
    let window = "Window { kernel: 3, stride: 1, padding: 1 }";
    assert_eq!(
        g.to_string(),
        format!(
            "%0 = input image (1, 2, 4, 4)\n\
             %1 = persistent weight (3, 2, 3, 3)\n\
             %4 = persistent gamma (3)\n\
             %5 = persistent beta (3)\n\
             %2 = Conv2d {{ window: {window}, activation: Identity }} [%0, %1] -> (1, 3, 4, 4)  # stem\n\
             %3 = Activate {{ function: Relu }} [%2] -> (1, 3, 4, 4)  # stem\n\
             %6 = NormStats {{ over: Image, groups: 3 }} [%3] -> (1, 3, 2)  # norm\n\
             %7 = Normalise {{ epsilon: 1e-5, activation: Identity }} [%3, %6, %4, %5] -> (1, 3, 4, 4)  # norm\n\
             %8 = Activate {{ function: Silu }} [%7] -> (1, 3, 4, 4)  # norm\n\
             output %8\n"
        )
    );
    let fused = fuse(&g);
    assert_eq!(
        fused.graph.to_string(),
        format!(
            "%0 = input image (1, 2, 4, 4)\n\
             %1 = persistent weight (3, 2, 3, 3)\n\
             %2 = persistent gamma (3)\n\
             %3 = persistent beta (3)\n\
             %4 = Conv2d {{ window: {window}, activation: Relu }} [%0, %1] -> (1, 3, 4, 4)  # stem\n\
             %5 = NormStats {{ over: Image, groups: 3 }} [%4] -> (1, 3, 2)  # norm\n\
             %6 = Normalise {{ epsilon: 1e-5, activation: Silu }} [%4, %5, %2, %3] -> (1, 3, 4, 4)  # norm\n\
             output %6\n"
        )
    );
    assert_eq!((fused.value(conv), fused.value(norm)), (None, None));
    assert_eq!(fused.value(out), Some(fused.graph.outputs()[0]));
    assert_eq!(fused.value(g.find("beta").unwrap()), fused.graph.find("beta"));
}

#[test]
fn what_is_read_elsewhere_stays() {
    let kept = |change: fn(&mut Graph, ValueId)| {
        let mut g = Graph::new();
        let conv = stem(&mut g);
        let y = g.push(RELU, &[conv]).unwrap();
        g.mark_output(y);
        change(&mut g, conv);
        let fused = fuse(&g);
        assert_eq!(fused.graph.nodes().len(), g.nodes().len(), "{}", fused.graph);
    };
    kept(|g, conv| g.mark_output(conv));
    kept(|g, conv| {
        g.push(Op::Scale { factor: 2.0 }, &[conv]).unwrap();
    });
}

#[test]
fn a_convolution_keeps_an_activation_that_needs_its_input_apart() {
    let mut g = Graph::new();
    let conv = stem(&mut g);
    let y = g.push(SILU, &[conv]).unwrap();
    g.mark_output(y);
    assert_eq!(fuse(&g).graph, g);
}

#[test]
fn results_stay() {
    let mut g = Graph::new();
    let conv = stem(&mut g);
    let active = g.push(RELU, &[conv]).unwrap();
    let twice = g.push(RELU, &[active]).unwrap();
    let norm = normalised(&mut g, twice);
    let out = g.push(SILU, &[norm]).unwrap();
    g.mark_output(out);
    let fused = fuse(&g);
    assert_eq!(fused.graph.nodes().len(), g.nodes().len() - 2);
    assert_eq!(output(&g, out), output(&fused.graph, fused.value(out).unwrap()));
}

/// Two inputs side by side, convolved; the concatenation and the convolution.
fn joined(g: &mut Graph, parts: [ValueId; 2]) -> [ValueId; 2] {
    let weight = g.persistent("joint weight", &[3, 5, 3, 3]).expect("a shape");
    g.set_label("decoder");
    let concat = g.push(Op::Concat, &parts).expect("fits");
    let op = Op::Conv2d { window: Window::same(3), activation: Activation::Identity };
    [concat, g.push(op, &[concat, weight]).expect("fits")]
}

/// [`stem`] and its image side by side.
fn decoder(g: &mut Graph) -> [ValueId; 2] {
    let skip = stem(g);
    let image = g.find("image").expect("declared");
    joined(g, [skip, image])
}

#[test]
fn a_concatenation_is_read_where_it_lies() {
    let mut g = Graph::new();
    let [concat, conv] = decoder(&mut g);
    let out = g.push(RELU, &[conv]).unwrap();
    g.mark_output(out);
    let fused = fuse(&g);
    let window = "Window { kernel: 3, stride: 1, padding: 1 }";
    assert_eq!(
        fused.graph.to_string(),
        format!(
            "%0 = input image (1, 2, 4, 4)\n\
             %1 = persistent weight (3, 2, 3, 3)\n\
             %2 = persistent joint weight (3, 5, 3, 3)\n\
             %3 = Conv2d {{ window: {window}, activation: Identity }} [%0, %1] -> (1, 3, 4, 4)  # stem\n\
             %4 = Conv2dPair {{ window: {window}, activation: Relu }} [%3, %0, %2] -> (1, 3, 4, 4)  # decoder\n\
             output %4\n"
        )
    );
    assert_eq!((fused.value(concat), fused.value(conv)), (None, None));
    assert_eq!(output(&g, out), output(&fused.graph, fused.value(out).unwrap()));
}

#[test]
fn a_concatenation_that_is_read_elsewhere_stays() {
    let kept = |change: fn(&mut Graph, ValueId)| {
        let mut g = Graph::new();
        let [concat, conv] = decoder(&mut g);
        g.mark_output(conv);
        change(&mut g, concat);
        let fused = fuse(&g);
        let names = |g: &Graph| g.nodes().iter().map(|n| n.op.name()).collect::<Vec<_>>();
        assert_eq!(names(&fused.graph), names(&g));
        assert!(fused.value(concat).is_some());
    };
    kept(|g, concat| g.mark_output(concat));
    kept(|g, concat| {
        g.push(RELU, &[concat]).unwrap();
    });
}

/// The convolution must see the parts as they were when they were joined.
#[test]
fn a_concatenation_of_what_may_be_overwritten_stays() {
    let mut g = Graph::new();
    let [a, b] = [("a", 2), ("b", 3)].map(|(name, c)| g.persistent(name, &[1, c, 4, 4]).unwrap());
    let [_, conv] = joined(&mut g, [a, b]);
    g.mark_output(conv);
    assert_eq!(fuse(&g).graph, g);
}

fn output(graph: &Graph, id: ValueId) -> Vec<f32> {
    let mut executor = ReferenceExecutor::new(graph.clone());
    for name in ["image", "weight", "gamma", "beta", "joint weight"] {
        let Some(value) = graph.find(name) else { continue };
        let mut stream = Stream::new(3, name, [0, 0]);
        let data: Vec<f32> = (0..graph.shape(value).count()).map(|_| stream.normal()).collect();
        executor.write(value, &data).expect("declared");
    }
    executor.run(Step::default(), 0..graph.nodes().len()).expect("runs");
    let mut result = vec![0.0; graph.shape(id).count()];
    executor.read(id, &mut result).expect("an output");
    result
}
