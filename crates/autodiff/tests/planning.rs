//! How close the plan of a whole training step comes to the least possible memory.

use fovea_autodiff::differentiate;
use fovea_graph::{Activation, Graph, Op, Plan, StatsOver, Storage, ValueId, fuse};
use fovea_tensor::Window;

#[test]
fn the_training_step_of_a_unet_is_planned_within_a_few_per_cent() {
    let (forward, loss) = unet(4, 32, [4, 3, 256, 256]);
    let fused = fuse(&forward);
    let step = training_step(&fused.graph, fused.value(loss).unwrap());
    let plan = Plan::new(&step);
    let excess = plan.floats() as f64 / plan.lower_bound() as f64;
    assert!(excess <= 1.05, "{} floats, at least {} are needed", plan.floats(), plan.lower_bound());
    let unshared: usize = step.values().iter().map(|v| v.shape.count()).sum();
    assert!(plan.floats() * 3 < unshared * 2, "{} of {unshared} floats", plan.floats());
}

/// Skips are read where they lie, and no whole gradient of a concatenation exists.
#[test]
fn reading_skips_in_place_saves_memory() {
    let (forward, loss) = unet(4, 32, [4, 3, 256, 256]);
    let fused = fuse(&forward);
    let plain = training_step(&forward, loss);
    let step = training_step(&fused.graph, fused.value(loss).unwrap());
    let copies =
        |g: &Graph| g.nodes().iter().filter(|n| matches!(n.op, Op::Concat | Op::SliceChannels(_))).count();
    assert_eq!([&plain, &step].map(copies), [4 + 8, 0]);
    let [before, after] = [plain, step].map(|g| Plan::new(&g));
    assert!(after.lower_bound() < before.lower_bound());
    assert!(after.floats() * 100 < before.floats() * 92, "{} after {}", after.floats(), before.floats());
}

/// Adds gradients and an update of every parameter to a forward graph.
fn training_step(forward: &Graph, loss: ValueId) -> Graph {
    let is_parameter = |v: &ValueId| forward.value(*v).storage == Storage::Persistent;
    let parameters: Vec<ValueId> = forward.value_ids().filter(is_parameter).collect();
    let (mut step, gradients) = differentiate(forward, loss, &parameters).expect("differentiable");
    let hyper = step.input("hyper", &[4]).expect("a shape");
    for (w, g) in parameters.iter().zip(gradients) {
        let shape = step.shape(*w);
        let velocity = step.persistent("velocity", shape.dims()).expect("a shape");
        let sgd = Op::SgdUpdate { momentum: 0.9, weight_decay: 0.0 };
        step.update(sgd, &[*w, g, velocity, hyper]).expect("fits");
    }
    step
}

/// A UNet of `depth` poolings whose first level has `width` channels (Ronneberger et al., MICCAI 2015), with
/// group normalisation.
fn unet(depth: usize, width: usize, image: [usize; 4]) -> (Graph, ValueId) {
    let mut g = Graph::new();
    let [n, c, h, w] = image;
    let mut x = g.input("image", &image).expect("a shape");
    let mut skips = Vec::new();
    let mut channels = c;
    for level in 0..depth {
        x = block(&mut g, x, channels, width << level);
        channels = width << level;
        skips.push(x);
        let window = Window { kernel: 2, stride: 2, padding: 0 };
        x = g.push(Op::MaxPool2d { window }, &[x]).expect("fits");
    }
    x = block(&mut g, x, channels, width << depth);
    for (level, skip) in skips.into_iter().enumerate().rev() {
        let out = width << level;
        let up = g.persistent("up", &[2 * out, out, 2, 2]).expect("a shape");
        x = g.push(Op::ConvTranspose2x2, &[x, up]).expect("fits");
        x = g.push(Op::Concat, &[skip, x]).expect("fits");
        x = block(&mut g, x, 2 * out, out);
    }
    let head = g.persistent("head", &[1, width, 1, 1]).expect("a shape");
    let op = Op::Conv2d { window: Window::same(1), activation: Activation::Identity };
    let logits = g.push(op, &[x, head]).expect("fits");
    let target = g.input("target", &[n, 1, h, w]).expect("a shape");
    let field = g.input("field", &[n, 1, h, w]).expect("a shape");
    let loss = g.push(Op::BceLoss, &[logits, target, field]).expect("fits");
    (g, loss)
}

/// Twice: convolution, group normalisation with ReLU.
fn block(g: &mut Graph, mut x: ValueId, cin: usize, cout: usize) -> ValueId {
    for channels in [cin, cout] {
        let w = g.persistent("weight", &[cout, channels, 3, 3]).expect("a shape");
        let gamma = g.persistent("gamma", &[cout]).expect("a shape");
        let beta = g.persistent("beta", &[cout]).expect("a shape");
        let op = Op::Conv2d { window: Window::same(3), activation: Activation::Identity };
        x = g.push(op, &[x, w]).expect("fits");
        let stats = g.push(Op::NormStats { over: StatsOver::Image, groups: 8 }, &[x]).expect("fits");
        let op = Op::Normalise { epsilon: 1e-5, activation: Activation::Relu };
        x = g.push(op, &[x, stats, gamma, beta]).expect("fits");
    }
    x
}
