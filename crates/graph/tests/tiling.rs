//! How far a cut edge is felt, checked against the reference: outside that reach a tile's values are the image's.

use fovea_graph::reference::ReferenceExecutor;
use fovea_graph::{Activation, Executor, Graph, GraphError, Op, Resize, Step, ValueId, reach};
use fovea_graph::{StatsOver, up_to, without_statistics};
use fovea_tensor::{Stream, Window};

const POOL: Op = Op::MaxPool2d { window: Window { kernel: 2, stride: 2, padding: 0 } };

fn conv(kernel: usize) -> Op {
    Op::Conv2d { window: Window::same(kernel), activation: Activation::Identity }
}

/// Two levels: convolution, pooling, convolution, enlarging, and a skip connection.
fn network(rows: usize, mode: Option<Resize>) -> (Graph, ValueId) {
    let mut g = Graph::new();
    let image = g.input("image", &[1, 1, rows, 4]).expect("a shape");
    let fine = g.persistent("fine", &[1, 1, 3, 3]).expect("a shape");
    let coarse = g.persistent("coarse", &[1, 1, 5, 5]).expect("a shape");
    let up = g.persistent("up", &[1, 1, 2, 2]).expect("a shape");
    let skip = g.push(conv(3), &[image, fine]).expect("fits");
    let small = g.push(POOL, &[skip]).expect("fits");
    let small = g.push(conv(5), &[small, coarse]).expect("fits");
    let large = match mode {
        Some(mode) => g.push(Op::Upsample { mode, factor: 2 }, &[small]),
        None => g.push(Op::ConvTranspose2x2, &[small, up]),
    };
    let sum = g.push(Op::Add, &[large.expect("fits"), skip]).expect("fits");
    g.mark_output(sum);
    (g, image)
}

fn run(graph: &Graph, image: &[f32]) -> Vec<f64> {
    let mut executor = ReferenceExecutor::new(graph.clone());
    for name in ["fine", "coarse", "up"] {
        let id = graph.find(name).expect("declared");
        let data: Vec<f32> = (0..graph.shape(id).count()).map(|i| 1.0 + i as f32).collect();
        executor.write(id, &data).expect("declared");
    }
    executor.write(graph.find("image").expect("declared"), image).expect("fits");
    executor.run(Step::default(), 0..graph.nodes().len()).expect("runs");
    executor.value(graph.outputs()[0]).to_vec()
}

#[test]
fn the_reach_is_exact() {
    let modes = [None, Some(Resize::Nearest), Some(Resize::Bilinear { align_corners: false })];
    for (mode, wanted) in modes.into_iter().zip([6, 6, 7]) {
        let (whole, image) = network(48, mode);
        assert_eq!(reach(&whole, image).unwrap(), wanted, "{mode:?}");
        let mut stream = Stream::new(1, "pixels", [0, 0]);
        let pixels: Vec<f32> = (0..48 * 4).map(|_| stream.range(0.5, 1.0)).collect();
        let all = run(&whole, &pixels);
        // Rows 8 to 40: cut above and below.
        let tile = run(&network(32, mode).0, &pixels[8 * 4..40 * 4]);
        let same = |row: usize| tile[row * 4..][..4] == all[(row + 8) * 4..][..4];
        assert!((wanted..32 - wanted).all(same), "{mode:?}");
        assert!(!same(wanted - 1) && !same(32 - wanted), "{mode:?}");
    }
}

#[test]
fn what_depends_on_the_whole_image_is_refused() {
    let (aligned, image) = network(16, Some(Resize::Bilinear { align_corners: true }));
    let error = reach(&aligned, image).unwrap_err();
    assert!(error.to_string().contains("align_corners"), "{error}");
    let mut g = Graph::new();
    let image = g.input("image", &[1, 2, 8, 8]).unwrap();
    let gamma = g.persistent("gamma", &[2]).unwrap();
    let stats = g.push(Op::NormStats { over: StatsOver::Image, groups: 1 }, &[image]).unwrap();
    let op = Op::Normalise { epsilon: 1e-5, activation: Activation::Relu };
    let y = g.push(op, &[image, stats, gamma, gamma]).unwrap();
    g.mark_output(y);
    assert!(matches!(reach(&g, image), Err(GraphError::NotLocal { op: "norm_stats", .. })));
    let (local, statistics) = without_statistics(&g);
    assert_eq!((statistics.len(), statistics[0].of, statistics[0].given), (1, image, stats));
    assert_eq!(reach(&local, image).unwrap(), 0);
    assert_eq!(local.nodes().len(), 1);
}

#[test]
fn a_part_ends_in_its_only_output() {
    let (graph, _) = network(16, None);
    let small = graph.nodes()[1].output.unwrap();
    let part = up_to(&graph, small);
    assert_eq!((part.nodes().len(), part.outputs()), (2, &[small][..]));
}
