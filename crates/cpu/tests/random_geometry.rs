//! Kernels against the float64 reference over geometries drawn at random; the awkward ones that are known stand in
//! `against_reference.rs`. The draws are the same in every run.

#[path = "support/check.rs"]
mod check;

use check::{check, run, value};
use fovea_graph::{Activation, Channels, Op, Resize, StatsOver};
use fovea_tensor::Window;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(7),
        ..ProptestConfig::default()
    }
}

/// Images, channels in, channels out, extents, window: few terms, so that the reference is quick.
fn convolution() -> impl Strategy<Value = ([usize; 3], [usize; 2], Window)> {
    let window = (0usize..3, 1usize..4, 0usize..4).prop_map(|(half, stride, padding)| Window {
        kernel: 2 * half + 1,
        stride,
        padding,
    });
    let channels = [1usize..4, 1usize..24, 1usize..36];
    (channels, [1usize..24, 1usize..52], window).prop_filter(
        "the window must fit and padding be smaller than the kernel",
        |(_, [h, w], window)| {
            window.padding < window.kernel && window.output(*h).is_ok() && window.output(*w).is_ok()
        },
    )
}

proptest! {
    #![proptest_config(config(16))]

    #[test]
    fn convolutions(([n, i, o], [h, w], window) in convolution()) {
        let k = window.kernel;
        let output = [h, w].map(|extent| window.output(extent));
        let [Ok(ho), Ok(wo)] = output else { panic!("filtered") };
        let (x, weight, dy) = (value(&[n, i, h, w], "x"), value(&[o, i, k, k], "w"), value(&[n, o, ho, wo], "dy"));
        let forward = Op::Conv2d { window, activation: Activation::Identity };
        check(forward, &[x.clone(), weight.clone(), value(&[o], "b")], i * k * k + 1, true);
        let adjoint = Op::Conv2dGradInput { window, input: [h, w], channels: Channels::first(i) };
        check(adjoint, &[weight, dy.clone()], o * k * k, true);
        check(Op::Conv2dGradWeight { window }, &[x, dy], n * ho * wo, true);
    }
}

proptest! {
    #![proptest_config(config(6))]

    /// Wide enough for the Winograd domain where its rule takes them.
    #[test]
    fn wide_convolutions(n in 1usize..3, i in 12usize..40, o in 12usize..40, h in 4usize..12, w in 4usize..24) {
        let window = Window::same(3);
        let (x, weight, dy) = (value(&[n, i, h, w], "x"), value(&[o, i, 3, 3], "w"), value(&[n, o, h, w], "dy"));
        let forward = Op::Conv2d { window, activation: Activation::Identity };
        check(forward, &[x.clone(), weight.clone()], i * 9, true);
        let adjoint = Op::Conv2dGradInput { window, input: [h, w], channels: Channels::first(i) };
        check(adjoint, &[weight, dy.clone()], o * 9, true);
        check(Op::Conv2dGradWeight { window }, &[x, dy], n * h * w, true);
    }
}

proptest! {
    #![proptest_config(config(40))]

    #[test]
    fn pooling(n in 1usize..3, c in 1usize..5, h in 2usize..40, w in 2usize..70, kernel in 2usize..4) {
        let window = Window { kernel, stride: 2, padding: kernel - 2 };
        let (Ok(ho), Ok(wo)) = (window.output(h), window.output(w)) else { panic!("at least two pixels") };
        let (x, dy) = (value(&[n, c, h, w], "x"), value(&[n, c, ho, wo], "dy"));
        check(Op::MaxPool2d { window }, std::slice::from_ref(&x), 1, false);
        check(Op::MaxPool2dGrad { window }, &[x, dy], 9, false);
    }

    #[test]
    fn upsampling(n in 1usize..3, c in 1usize..5, h in 1usize..24, w in 1usize..40, mode in 0usize..3, factor in 2usize..4) {
        let mode = [
            Resize::Nearest,
            Resize::Bilinear { align_corners: true },
            Resize::Bilinear { align_corners: false },
        ][mode];
        check(Op::Upsample { mode, factor }, &[value(&[n, c, h, w], "x")], 4, false);
        let dy = value(&[n, c, factor * h, factor * w], "dy");
        check(Op::UpsampleGrad { mode, factor }, &[dy], 4 * factor * factor, false);
    }

    #[test]
    fn normalisation(
        [n, width, groups] in [1usize..4, 1usize..4, 1usize..5],
        [h, w] in [1usize..40, 2usize..60],
        over in prop::bool::ANY,
        function in 0usize..5,
    ) {
        let activation = [
            Activation::Identity,
            Activation::Relu,
            Activation::LeakyRelu { slope: 0.1 },
            Activation::Silu,
            Activation::Sigmoid,
        ][function];
        let (c, epsilon) = (width * groups, 1e-5);
        let (over, rows) = if over { (StatsOver::Image, n) } else { (StatsOver::Batch, 1) };
        let (x, set) = (value(&[n, c, h, w], "x"), n / rows * width * h * w);
        let statistics = Op::NormStats { over, groups };
        check(statistics, std::slice::from_ref(&x), set, false);
        let stats = (vec![rows, groups, 2], run(statistics, std::slice::from_ref(&x)).1);
        let mut inputs = vec![x, stats, value(&[c], "gamma"), value(&[c], "beta")];
        check(Op::Normalise { epsilon, activation }, &inputs, 1, false);
        inputs.push(value(&[n, c, h, w], "dy"));
        let sums = Op::NormaliseGradSums { epsilon, activation };
        check(sums, &inputs, h * w, false);
        inputs.push((vec![n, c, 2], run(sums, &inputs).1));
        check(Op::NormaliseGradInput { epsilon, activation }, &inputs, set, false);
    }
}
