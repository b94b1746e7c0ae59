//! Every kernel against the float64 reference, over shapes that straddle the edges of tiles, strips and blocks.
#![allow(clippy::unwrap_used, reason = "the helpers of these tests are not test functions")]

#[path = "support/check.rs"]
mod check;

use check::{STEP, check, random, run, value};
use fovea_cpu::CpuExecutor;
use fovea_graph::{
    Activation, AdamRule, Affine, Channels, Executor, Graph, Op, Resize, StatsOver, Storage, ValueId,
    reference,
};
use fovea_tensor::Window;
use fovea_testkit::{assert_close_at, conv_geometries, tolerance};

/// (N, Cin, Cout, H, W, K, stride, padding): the shared awkward list, and shapes around the tiles of this executor.
fn geometries() -> Vec<[usize; 8]> {
    let shared = conv_geometries().into_iter().map(|g| g.numbers());
    let own = [
        [1, 3, 12, 40, 47, 3, 1, 1],
        [2, 12, 24, 33, 48, 3, 1, 1],
        [1, 24, 12, 16, 49, 3, 1, 1],
        [1, 2, 33, 64, 63, 3, 1, 1],
        [1, 64, 8, 5, 127, 3, 1, 1],
        [1, 7, 65, 9, 15, 3, 1, 1],
        [5, 1, 1, 70, 33, 5, 1, 2],
        [1, 40, 1, 6, 300, 1, 1, 0],
        [1, 300, 4, 30, 30, 3, 1, 1],
        // The Winograd kernels: channels around their blocks of 64, extents around their tiles of 4 and segments of 16.
        [1, 64, 64, 4, 4, 3, 1, 1],
        [2, 64, 64, 7, 7, 3, 1, 1],
        [1, 64, 100, 5, 18, 3, 1, 1],
        [3, 80, 128, 9, 17, 3, 1, 1],
        [1, 130, 64, 15, 16, 3, 1, 1],
        [1, 64, 65, 16, 33, 3, 1, 1],
        [1, 100, 120, 8, 40, 3, 1, 1],
        [1, 64, 64, 40, 67, 3, 1, 1],
    ];
    shared.chain(own).collect()
}

#[test]
fn convolutions() {
    for [n, i, o, h, w, kernel, stride, padding] in geometries() {
        let window = Window { kernel, stride, padding };
        let (ho, wo) = (window.output(h).unwrap(), window.output(w).unwrap());
        let (x, weight) = (value(&[n, i, h, w], "x"), value(&[o, i, kernel, kernel], "w"));
        let (bias, dy) = (value(&[o], "b"), value(&[n, o, ho, wo], "dy"));
        let plain = Op::Conv2d { window, activation: Activation::Identity };
        check(plain, &[x.clone(), weight.clone()], i * kernel * kernel, true);
        check(plain, &[x.clone(), weight.clone(), bias.clone()], i * kernel * kernel + 1, true);
        let op = Op::Conv2dGradInput { window, input: [h, w], channels: Channels::first(i) };
        check(op, &[weight.clone(), dy.clone()], o * kernel * kernel, true);
        check(Op::Conv2dGradWeight { window }, &[x.clone(), dy], n * ho * wo, true);
        for activation in [Activation::Relu, Activation::LeakyRelu { slope: 0.1 }, Activation::Sigmoid] {
            let inputs = [x.clone(), weight.clone(), bias.clone()];
            check(Op::Conv2d { window, activation }, &inputs, i * kernel * kernel + 1, false);
        }
    }
}

#[test]
fn convolutions_of_pairs() {
    for [n, i, o, h, w, kernel, stride, padding] in geometries().into_iter().filter(|g| g[1] > 1) {
        let window = Window { kernel, stride, padding };
        let (ho, wo) = (window.output(h).unwrap(), window.output(w).unwrap());
        let first = i.div_ceil(3);
        let (a, b) = (value(&[n, first, h, w], "a"), value(&[n, i - first, h, w], "b"));
        let (weight, bias) = (value(&[o, i, kernel, kernel], "w"), value(&[o], "b"));
        let dy = value(&[n, o, ho, wo], "dy");
        let (parts, joined) = ([a.clone(), b.clone()], run(Op::Concat, &[a, b]));
        let joined = [(joined.0.dims().to_vec(), joined.1)];

        let with =
            |inputs: &[(Vec<usize>, Vec<f32>)], rest: &[(Vec<usize>, Vec<f32>)]| [inputs, rest].concat();
        let plain = Op::Conv2dPair { window, activation: Activation::Identity };
        let pair = with(&parts, &[weight.clone(), bias.clone()]);
        check(plain, &pair, i * kernel * kernel + 1, true);
        check(
            Op::Conv2dPairGradWeight { window },
            &with(&parts, std::slice::from_ref(&dy)),
            n * ho * wo,
            true,
        );
        for channels in [Channels::first(first), Channels { start: first, count: i - first }] {
            let op = Op::Conv2dGradInput { window, input: [h, w], channels };
            check(op, &[weight.clone(), dy.clone()], o * kernel * kernel, true);
        }

        // The bits are those of the concatenation.
        let activation = Activation::LeakyRelu { slope: 0.1 };
        let whole = run(Op::Conv2d { window, activation }, &with(&joined, &[weight, bias]));
        assert!(run(Op::Conv2dPair { window, activation }, &pair) == whole, "{window:?} {i} to {o}");
        let whole = run(Op::Conv2dGradWeight { window }, &with(&joined, std::slice::from_ref(&dy)));
        let pair = run(Op::Conv2dPairGradWeight { window }, &with(&parts, &[dy]));
        assert!(pair == whole, "weight gradient {window:?} {i} to {o}");
    }
}

#[test]
fn transposed_convolutions() {
    for [n, i, o, h, w] in [[1, 1, 1, 1, 1], [2, 3, 5, 4, 7], [1, 24, 12, 9, 8]] {
        let (x, weight, bias) = (value(&[n, i, h, w], "x"), value(&[i, o, 2, 2], "w"), value(&[o], "b"));
        let dy = value(&[n, o, 2 * h, 2 * w], "dy");
        check(Op::ConvTranspose2x2, &[x.clone(), weight.clone()], i, true);
        check(Op::ConvTranspose2x2, &[x.clone(), weight.clone(), bias], i + 1, true);
        check(Op::ConvTranspose2x2GradInput, &[weight, dy.clone()], 4 * o, true);
        check(Op::ConvTranspose2x2GradWeight, &[x, dy], n * h * w, true);
    }
}

#[test]
fn pooling_and_upsampling() {
    for [n, c, h, w] in [[1, 1, 4, 4], [2, 3, 8, 6], [1, 5, 17, 33]] {
        for window in [(2, 2, 0), (3, 2, 1), (3, 1, 1)].map(|(kernel, stride, padding)| Window {
            kernel,
            stride,
            padding,
        }) {
            let x = value(&[n, c, h, w], "x");
            let dy = value(&[n, c, window.output(h).unwrap(), window.output(w).unwrap()], "dy");
            check(Op::MaxPool2d { window }, std::slice::from_ref(&x), 1, false);
            check(Op::MaxPool2dGrad { window }, &[x, dy], 9, false);
        }
        for factor in [2, 3] {
            let bilinear = [true, false].map(|align_corners| Resize::Bilinear { align_corners });
            for mode in [Resize::Nearest, bilinear[0], bilinear[1]] {
                check(Op::Upsample { mode, factor }, &[value(&[n, c, h, w], "x")], 4, false);
                let dy = value(&[n, c, factor * h, factor * w], "dy");
                check(Op::UpsampleGrad { mode, factor }, &[dy], 4 * factor * factor, false);
            }
        }
    }
}

#[test]
fn normalisation() {
    let cases = [([2, 6, 5, 7], 3), ([1, 12, 33, 31], 4), ([3, 4, 1, 2], 4), ([2, 8, 70, 64], 1)];
    let identity = Activation::Identity;
    let functions = [
        identity,
        Activation::Relu,
        Activation::LeakyRelu { slope: 0.2 },
        Activation::Silu,
        Activation::Sigmoid,
    ];
    for (dims, groups) in cases {
        let [n, c, h, w] = dims;
        let mut x = value(&dims, "x");
        x.1.iter_mut().for_each(|v| *v = 0.3 * *v + 2.0);
        for (over, rows) in [(StatsOver::Image, n), (StatsOver::Batch, 1)] {
            let set = n / rows * (c / groups) * h * w;
            check(Op::NormStats { over, groups }, std::slice::from_ref(&x), set, false);
            let stats =
                (vec![rows, groups, 2], run(Op::NormStats { over, groups }, std::slice::from_ref(&x)).1);
            for activation in functions {
                let epsilon = 1e-5;
                let mut inputs = vec![x.clone(), stats.clone(), value(&[c], "gamma"), value(&[c], "beta")];
                check(Op::Normalise { epsilon, activation }, &inputs, 1, false);
                inputs.push(value(&dims, "dy"));
                check(Op::NormaliseGradSums { epsilon, activation }, &inputs, h * w, false);
                inputs.push((vec![n, c, 2], run(Op::NormaliseGradSums { epsilon, activation }, &inputs).1));
                check(Op::NormaliseGradInput { epsilon, activation }, &inputs, set, false);
            }
        }
        for which in [Affine::Scale, Affine::Shift] {
            check(Op::NormaliseGradAffine { which }, &[value(&[n, c, 2], "sums")], n, false);
        }
    }
}

#[test]
fn elementwise_and_channels() {
    for dims in [[1, 1, 1, 1], [2, 3, 5, 7], [1, 5, 64, 129]] {
        let (a, b, c) = (value(&dims, "a"), value(&dims, "b"), value(&dims, "c"));
        check(Op::Add, &[a.clone(), b.clone()], 2, true);
        check(Op::Scale { factor: -1.5 }, std::slice::from_ref(&a), 1, false);
        check(Op::AddProximal { factor: 0.1 }, &[a.clone(), b.clone(), c], 3, false);
        let leaky = Activation::LeakyRelu { slope: 0.2 };
        for function in [Activation::Identity, Activation::Relu, leaky, Activation::Silu, Activation::Sigmoid]
        {
            check(Op::Activate { function }, std::slice::from_ref(&a), 1, false);
            check(Op::ActivateGrad { function }, &[a.clone(), b.clone()], 1, false);
        }
        check(Op::Dropout { p: 0.3, stream: 2 }, std::slice::from_ref(&a), 1, false);
        check(Op::SumChannels, std::slice::from_ref(&a), dims[0] * dims[2] * dims[3], true);
        check(Op::Concat, &[a.clone(), value(&[dims[0], 2, dims[2], dims[3]], "d")], 1, false);
        check(Op::SliceChannels(Channels { start: dims[1] / 2, count: 1 }), &[a], 1, false);
    }
}

#[test]
fn losses() {
    for dims in [[1, 1, 3, 5], [3, 1, 40, 111]] {
        let count = dims.iter().product::<usize>();
        let binary = |name: &str| {
            let data = random(&dims, name).iter().map(|&v| f32::from(v > 0.3)).collect();
            (dims.to_vec(), data)
        };
        let mut logits = value(&dims, "logits");
        logits.1.iter_mut().for_each(|v| *v *= 4.0);
        let inputs = [logits, binary("t"), binary("f")];
        check(Op::DiceSums, &inputs, count, false);
        check(Op::BceLoss, &inputs, count, false);
        let one = |extra: (Vec<usize>, Vec<f32>)| inputs.iter().cloned().chain([extra]).collect::<Vec<_>>();
        check(Op::BceLossGrad, &one((vec![1], vec![0.7])), count, false);
        check(Op::DiceSumsGrad, &one(value(&[dims[0], 3], "dsums")), count, false);
        for pooled in [true, false] {
            let sums = (vec![dims[0], 3], (0..dims[0] * 3).map(|k| 10.0 + k as f32).collect::<Vec<_>>());
            check(Op::DiceLoss { smooth: 1.0, pooled }, std::slice::from_ref(&sums), 3, false);
            check(Op::DiceLossGrad { smooth: 1.0, pooled }, &[sums, (vec![1], vec![0.5])], 3, false);
        }
    }
    let empty = [value(&[1, 1, 2, 2], "x"), value(&[1, 1, 2, 2], "t"), (vec![1, 1, 2, 2], vec![0.0; 4])];
    assert_eq!(run(Op::BceLoss, &empty).1, [0.0]);
}

#[test]
fn updates() {
    let adam = |decoupled, weight_decay| {
        Op::AdamUpdate(AdamRule { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay, decoupled })
    };
    let sgd = Op::SgdUpdate { momentum: 0.9, weight_decay: 0.01 };
    for (op, tensors) in [(sgd, 3), (adam(true, 0.1), 4), (adam(false, 0.1), 4), (Op::AverageUpdate, 2)] {
        let mut inputs: Vec<_> = (0..tensors).map(|i| value(&[37], &format!("t{i}"))).collect();
        if let Some(second) = inputs.get_mut(3) {
            second.1.iter_mut().for_each(|v| *v = v.abs());
        }
        inputs.push((vec![4], vec![0.01, 0.1, 0.05, 0.9]));
        check_update(op, &inputs);
    }
    let running = [value(&[1, 6, 2], "running"), value(&[1, 6, 2], "stats")];
    check_update(Op::UpdateRunning { momentum: 0.1, count: 10 }, &running);
}

fn check_update(op: Op, inputs: &[(Vec<usize>, Vec<f32>)]) {
    let mut graph = Graph::new();
    let ids: Vec<ValueId> = inputs
        .iter()
        .enumerate()
        .map(|(i, (dims, _))| graph.persistent(&format!("p{i}"), dims).unwrap())
        .collect();
    graph.update(op, &ids).unwrap();
    assert!(graph.values().iter().all(|v| v.storage == Storage::Persistent));
    let mut executor = CpuExecutor::new(graph);
    for (id, (_, data)) in ids.iter().zip(inputs) {
        executor.write(*id, data).unwrap();
    }
    executor.run(STEP, 0..1).unwrap();
    let mut expected: Vec<Vec<f64>> =
        inputs.iter().map(|(_, d)| d.iter().map(|&v| f64::from(v)).collect()).collect();
    reference::update(&op, &mut expected);
    for (id, want) in ids.iter().zip(&expected) {
        let mut found = vec![0.0; want.len()];
        executor.read(*id, &mut found).unwrap();
        let largest = want.iter().fold(1e-3f64, |m, v| m.max(v.abs()));
        assert_close_at(op.name(), &found, want, &vec![largest; want.len()], tolerance(op.name(), 1));
    }
}

/// The same bits for 1, 2 and 7 threads.
#[test]
fn threads_do_not_change_bits() {
    let window = Window::same(3);
    let (x, w, dy) =
        (value(&[3, 12, 40, 47], "x"), value(&[24, 12, 3, 3], "w"), value(&[3, 24, 40, 47], "dy"));
    let stats =
        (vec![3, 4, 2], run(Op::NormStats { over: StatsOver::Image, groups: 4 }, std::slice::from_ref(&x)).1);
    let silu = Op::NormaliseGradSums { epsilon: 1e-5, activation: Activation::Silu };
    let norm = [x.clone(), stats, value(&[12], "g"), value(&[12], "b"), value(&[3, 12, 40, 47], "d")];
    let (wide, kernel) = (value(&[2, 64, 33, 35], "wide"), value(&[64, 64, 3, 3], "kernel"));
    let both = value(&[24, 24, 3, 3], "both");
    let grad_input = |input, count| Op::Conv2dGradInput { window, input, channels: Channels::first(count) };
    let all = || {
        [
            run(Op::Conv2d { window, activation: Activation::Relu }, &[wide.clone(), kernel.clone()]).1,
            run(grad_input([33, 35], 64), &[kernel.clone(), wide.clone()]).1,
            run(Op::Conv2dGradWeight { window }, &[wide.clone(), wide.clone()]).1,
            run(Op::Conv2d { window, activation: Activation::Relu }, &[x.clone(), w.clone()]).1,
            run(grad_input([40, 47], 12), &[w.clone(), dy.clone()]).1,
            run(Op::Conv2dGradWeight { window }, &[x.clone(), dy.clone()]).1,
            run(
                Op::Conv2dPair { window, activation: Activation::Relu },
                &[x.clone(), x.clone(), both.clone()],
            )
            .1,
            run(Op::Conv2dPairGradWeight { window }, &[x.clone(), dy.clone(), dy.clone()]).1,
            run(Op::SumChannels, std::slice::from_ref(&dy)).1,
            run(silu, &norm).1,
        ]
    };
    let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let one = pool(1).install(all);
    assert_eq!(one, pool(2).install(all));
    assert_eq!(one, pool(7).install(all));
}
