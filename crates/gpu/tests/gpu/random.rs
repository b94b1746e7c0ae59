//! Random graphs of valid ops: they run to the end, and the CPU executor agrees. Seeds are fixed; a failure names its own.

use crate::Test;
use fovea_cpu::CpuExecutor;
use fovea_gpu::{Device, GpuExecutor, Tuning};
use fovea_graph::{Activation, Channels, Executor, Graph, Op, Resize, StatsOver, Step, Storage, ValueId};
use fovea_tensor::{Stream, Window};
use std::sync::Arc;

pub const TESTS: &[Test] = &[("random_graphs_agree_with_the_cpu", sweep)];

/// Graphs of one sweep.
const GRAPHS: u32 = 40;
/// Ops that are tried for each graph.
const OPS: u32 = 10;
/// Most elements of a value.
const ELEMENTS_MAX: usize = 20_000;

fn sweep(device: &Arc<Device>) {
    let mut ops = std::collections::BTreeSet::new();
    for seed in 0..GRAPHS {
        let graph = random(seed);
        ops.extend(graph.nodes().iter().map(|node| node.op.name()));
        let mut cpu = CpuExecutor::new(graph.clone());
        let mut gpu =
            GpuExecutor::new_blocking(Arc::clone(device), graph.clone(), &Tuning::default()).unwrap();
        for id in graph.value_ids().filter(|&id| graph.value(id).storage != Storage::Temporary) {
            let mut numbers = Stream::new(u64::from(seed), "random graph", [id.index() as u32, 1]);
            let data: Vec<f32> = (0..graph.shape(id).count()).map(|_| numbers.range(-1.0, 1.0)).collect();
            cpu.write(id, &data).unwrap();
            gpu.write(id, &data).unwrap();
        }
        let step = Step { seed: 7, index: seed };
        cpu.run(step, 0..graph.nodes().len()).unwrap();
        gpu.run(step, 0..graph.nodes().len()).unwrap();
        for &id in graph.outputs() {
            let count = graph.shape(id).count();
            let (mut a, mut b) = (vec![0.0f32; count], vec![0.0f32; count]);
            cpu.read(id, &mut a).unwrap();
            gpu.read(id, &mut b).unwrap();
            let largest = a.iter().fold(1e-3f32, |m, v| m.max(v.abs()));
            let off = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0f32, f32::max);
            assert!(
                off <= 1e-3 * largest,
                "seed {seed}, {}: off by {off} of {largest}",
                graph.value(id).name
            );
        }
    }
    assert!(ops.len() > 12, "the sweep reaches many ops: {ops:?}");
}

/// A graph of up to [`OPS`] ops over one or two images; every value is an output.
fn random(seed: u32) -> Graph {
    let mut stream = Stream::new(u64::from(seed), "random graph", [seed, 0]);
    let mut graph = Graph::new();
    let mut below = |n: u32| stream.below(n) as usize;
    let dims = [1 + below(2), 1 + below(9), 1 + below(20), 1 + below(20)];
    let mut values = vec![graph.input("x0", &dims).unwrap(), graph.input("x1", &dims).unwrap()];
    for op in 0..OPS {
        let x = values[below(values.len() as u32)];
        let y = values[below(values.len() as u32)];
        if let Some(value) = push(&mut graph, op, [x, y], &mut below) {
            graph.mark_output(value);
            values.push(value);
        }
    }
    graph
}

/// Adds one op, or none where the drawn one does not fit its operands.
fn push(
    graph: &mut Graph,
    number: u32,
    [x, y]: [ValueId; 2],
    below: &mut impl FnMut(u32) -> usize,
) -> Option<ValueId> {
    let [n, c, h, w] = graph.shape(x).nchw()?;
    let function =
        [Activation::Relu, Activation::Silu, Activation::Sigmoid, Activation::LeakyRelu { slope: 0.2 }];
    let mode = [
        Resize::Nearest,
        Resize::Bilinear { align_corners: true },
        Resize::Bilinear { align_corners: false },
    ][below(3)];
    let window = Window { kernel: [1, 3, 5][below(3)], stride: 1 + below(2), padding: below(2) };
    let mut weight = |dims: &[usize]| graph.input(&format!("w{number}"), dims);
    let (op, inputs) = match below(13) {
        0 => {
            let weight = weight(&[1 + below(9), c, window.kernel, window.kernel]).ok()?;
            (Op::Conv2d { window, activation: Activation::Relu }, vec![x, weight])
        }
        1 => {
            let weight = weight(&[c, 1 + below(5), 2, 2]).ok()?;
            (Op::ConvTranspose2x2, vec![x, weight])
        }
        2 => {
            (Op::MaxPool2d { window: Window { padding: below(2).min(window.kernel - 1), ..window } }, vec![x])
        }
        3 => (Op::Upsample { mode, factor: 2 + below(2) }, vec![x]),
        4 => (Op::UpsampleGrad { mode, factor: 2 }, vec![x]),
        5 => (Op::Concat, vec![x, y]),
        6 => (Op::SliceChannels(Channels { start: below(c as u32), count: 1 }), vec![x]),
        7 => (Op::Add, vec![x, y]),
        8 => (Op::Scale { factor: 0.5 }, vec![x]),
        9 => (Op::Activate { function: function[below(4)] }, vec![x]),
        10 => (Op::ActivateGrad { function: function[below(4)] }, vec![x, y]),
        11 => (Op::Dropout { p: 0.3, stream: number }, vec![x]),
        _ => return normalised(graph, number, x, [n, c, h, w]),
    };
    let fits = op.infer(&inputs.iter().map(|&v| graph.shape(v)).collect::<Vec<_>>());
    fits.ok().flatten().filter(|shape| shape.count() <= ELEMENTS_MAX)?;
    graph.push(op, &inputs).ok()
}

fn normalised(graph: &mut Graph, number: u32, x: ValueId, [n, c, h, w]: [usize; 4]) -> Option<ValueId> {
    // Statistics of next to nothing amplify every rounding.
    if h * w < 16 {
        return None;
    }
    let over = if n == 2 && number.is_multiple_of(2) { StatsOver::Batch } else { StatsOver::Image };
    let stats = graph.push(Op::NormStats { over, groups: c }, &[x]).ok()?;
    let gamma = graph.input(&format!("gamma{number}"), &[c]).ok()?;
    let beta = graph.input(&format!("beta{number}"), &[c]).ok()?;
    graph.push(Op::Normalise { epsilon: 0.1, activation: Activation::Relu }, &[x, stats, gamma, beta]).ok()
}
