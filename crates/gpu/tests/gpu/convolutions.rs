//! Convolutions and their adjoints, over shapes that straddle the edges of every tile.

use crate::Test;
use crate::support::{check, check_tuned, run, value};
use fovea_gpu::{Device, Product, Tile, Tuning};
use fovea_graph::{Activation, Channels, Op};
use fovea_tensor::Window;
use fovea_testkit::conv_geometries;
use std::sync::Arc;

pub const TESTS: &[Test] = &[
    ("convolutions_equal_the_reference", plain),
    ("convolutions_of_two_inputs_equal_the_reference", pairs),
    ("input_gradients_of_some_channels_equal_the_reference", channel_ranges),
    ("transposed_convolutions_equal_the_reference", transposed),
    ("every_tile_gives_the_same_bits", tiles),
    ("adjoints_are_adjoint", adjoints),
];

/// (N, Cin, Cout, H, W, K, stride, padding): the shared awkward list, and shapes around this executor's tiles: 16 to 128 rows, 32 to 256
/// columns, 8 terms at a time, splits of 512 terms.
fn geometries() -> Vec<[usize; 8]> {
    let shared = conv_geometries().into_iter().map(|g| g.numbers());
    let own = [
        [1, 3, 17, 16, 16, 3, 1, 1],
        [2, 8, 33, 11, 13, 3, 1, 1],
        [1, 9, 65, 8, 17, 3, 1, 1],
        [1, 2, 129, 5, 7, 3, 1, 1],
        [3, 5, 12, 19, 23, 3, 1, 1],
        [1, 15, 16, 33, 31, 1, 1, 0],
        [1, 1, 1, 40, 41, 3, 1, 1],
    ];
    shared.chain(own).collect()
}

fn plain(device: &Arc<Device>) {
    for [n, i, o, h, w, kernel, stride, padding] in geometries() {
        let window = Window { kernel, stride, padding };
        let (ho, wo) = (window.output(h).unwrap(), window.output(w).unwrap());
        let (x, weight) = (value(&[n, i, h, w], "x"), value(&[o, i, kernel, kernel], "w"));
        let (bias, dy) = (value(&[o], "b"), value(&[n, o, ho, wo], "dy"));
        let op = |activation| Op::Conv2d { window, activation };
        let terms = i * kernel * kernel + 1;
        check(device, op(Activation::Identity), &[x.clone(), weight.clone()], terms, true);
        check(device, op(Activation::Relu), &[x.clone(), weight.clone(), bias], terms, false);
        let op = Op::Conv2dGradInput { window, input: [h, w], channels: Channels::first(i) };
        check(device, op, &[weight, dy.clone()], o * kernel * kernel, true);
        check(device, Op::Conv2dGradWeight { window }, &[x, dy], n * ho * wo, true);
    }
    let inputs = [value(&[1, 3, 9, 8], "x"), value(&[5, 3, 3, 3], "w"), value(&[5], "b")];
    for activation in [Activation::LeakyRelu { slope: 0.1 }, Activation::Sigmoid, Activation::Identity] {
        check(device, Op::Conv2d { window: Window::same(3), activation }, &inputs, 28, false);
    }
}

fn pairs(device: &Arc<Device>) {
    for [n, a, b, o, h, w, kernel] in
        [[1, 1, 1, 1, 3, 3, 3], [2, 3, 5, 7, 9, 8, 3], [1, 16, 8, 20, 13, 17, 3], [1, 7, 2, 3, 5, 4, 1]]
    {
        let window = Window::same(kernel);
        let parts = [value(&[n, a, h, w], "a"), value(&[n, b, h, w], "b")];
        let (weight, bias) = (value(&[o, a + b, kernel, kernel], "w"), value(&[o], "bias"));
        let [first, second] = parts.clone();
        let op = Op::Conv2dPair { window, activation: Activation::Identity };
        check(device, op, &[first, second, weight, bias], (a + b) * kernel * kernel + 1, true);
        let [first, second] = parts;
        let op = Op::Conv2dPairGradWeight { window };
        check(device, op, &[first, second, value(&[n, o, h, w], "dy")], n * h * w, true);
    }
}

fn channel_ranges(device: &Arc<Device>) {
    let (window, input) = (Window::same(3), [9, 7]);
    let inputs = [value(&[6, 20, 3, 3], "w"), value(&[2, 6, 9, 7], "dy")];
    for (start, count) in [(0, 1), (3, 17), (19, 1), (0, 20)] {
        let op = Op::Conv2dGradInput { window, input, channels: Channels { start, count } };
        check(device, op, &inputs, 6 * 9, true);
    }
}

fn transposed(device: &Arc<Device>) {
    for [n, i, o, h, w] in
        [[1, 1, 1, 1, 1], [2, 3, 5, 3, 4], [1, 17, 8, 9, 7], [1, 8, 33, 16, 17], [3, 5, 4, 19, 21]]
    {
        let (x, weight) = (value(&[n, i, h, w], "x"), value(&[i, o, 2, 2], "w"));
        let (bias, dy) = (value(&[o], "b"), value(&[n, o, 2 * h, 2 * w], "dy"));
        check(device, Op::ConvTranspose2x2, &[x.clone(), weight.clone()], i, true);
        check(device, Op::ConvTranspose2x2, &[x.clone(), weight.clone(), bias], i + 1, true);
        check(device, Op::ConvTranspose2x2GradInput, &[weight, dy.clone()], 4 * o, true);
        check(device, Op::ConvTranspose2x2GradWeight, &[x, dy], n * h * w, true);
    }
}

/// Each product with each tile: equal to the reference, and to one another to the bit.
fn tiles(device: &Arc<Device>) {
    let [n, i, o, h, w, kernel] = [2, 9, 35, 11, 15, 3];
    let window = Window::same(kernel);
    let (x, weight, dy) = (value(&[n, i, h, w], "x"), value(&[o, i, 3, 3], "w"), value(&[n, o, h, w], "dy"));
    let forward = Op::Conv2d { window, activation: Activation::Identity };
    let grad_input = Op::Conv2dGradInput { window, input: [h, w], channels: Channels::first(i) };
    let cases = [
        (forward, [x.clone(), weight.clone()], i * 9),
        (grad_input, [weight, dy.clone()], o * 9),
        (Op::Conv2dGradWeight { window }, [x, dy], n * h * w),
        (Op::ConvTranspose2x2, [value(&[n, i, h, w], "x"), value(&[i, o, 2, 2], "w")], i),
    ];
    for (op, inputs, terms) in cases {
        let product = product_of(device, op, &inputs);
        let results: Vec<Vec<u32>> = Tile::ALL
            .into_iter()
            .map(|tile| {
                let mut tuning = Tuning::default();
                tuning.choose(product.clone(), tile);
                let found = check_tuned(device, op, &inputs, terms, true, &tuning);
                found.into_iter().map(f32::to_bits).collect()
            })
            .collect();
        assert!(results.iter().all(|bits| *bits == results[0]), "{op:?}: tiles differ");
    }
}

fn product_of(device: &Arc<Device>, op: Op, inputs: &[crate::support::Value]) -> Product {
    use fovea_gpu::GpuExecutor;
    use fovea_graph::Graph;
    let mut graph = Graph::new();
    let ids: Vec<_> = inputs.iter().map(|(dims, _)| graph.input("in", dims).unwrap()).collect();
    graph.push(op, &ids).unwrap();
    let executor = GpuExecutor::new_blocking(Arc::clone(device), graph, &Tuning::default()).unwrap();
    executor.launches()[0][0].product.clone().expect("a product")
}

/// `<A x, g> = <x, A' g>`, for each linear map and both of its adjoints, summed in f64.
fn adjoints(device: &Arc<Device>) {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    let tuning = Tuning::default();
    let result = |op, inputs: &[crate::support::Value]| run(device, op, inputs, &tuning).1;
    let close =
        |a: f64, b: f64, what: &str| assert!((a - b).abs() <= 1e-4 * a.abs().max(1.0), "{what}: {a} {b}");
    for (kernel, stride, padding) in [(3, 1, 1), (1, 1, 0), (5, 2, 2), (3, 2, 0)] {
        let window = Window { kernel, stride, padding };
        let (h, w) = (13, 10);
        let (ho, wo) = (window.output(h).unwrap(), window.output(w).unwrap());
        let (x, weight) = (value(&[2, 4, h, w], "x"), value(&[6, 4, kernel, kernel], "w"));
        let g = value(&[2, 6, ho, wo], "g");
        let y = result(Op::Conv2d { window, activation: Activation::Identity }, &[x.clone(), weight.clone()]);
        let op = Op::Conv2dGradInput { window, input: [h, w], channels: Channels::first(4) };
        let dx = result(op, &[weight.clone(), g.clone()]);
        let dw = result(Op::Conv2dGradWeight { window }, &[x.clone(), g.clone()]);
        close(dot(&y, &g.1), dot(&x.1, &dx), "input");
        close(dot(&y, &g.1), dot(&weight.1, &dw), "weight");
    }
    let (x, weight, g) = (value(&[2, 5, 6, 7], "x"), value(&[5, 3, 2, 2], "w"), value(&[2, 3, 12, 14], "g"));
    let y = result(Op::ConvTranspose2x2, &[x.clone(), weight.clone()]);
    let dx = result(Op::ConvTranspose2x2GradInput, &[weight.clone(), g.clone()]);
    let dw = result(Op::ConvTranspose2x2GradWeight, &[x.clone(), g.clone()]);
    close(dot(&y, &g.1), dot(&x.1, &dx), "transposed input");
    close(dot(&y, &g.1), dot(&weight.1, &dw), "transposed weight");
}
