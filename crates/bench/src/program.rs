//! The graphs that are timed: one training step with Dice loss and Adam, or one forward pass.

use crate::work::{Mode, Model, Work};
use anyhow::Result;
use fovea_cpu::CpuExecutor;
use fovea_graph::{Activation, AdamRule, Executor, Graph, Hyper, Op, fuse};
use fovea_tensor::Stream;
use fovea_unet::{Norm, UNet, UNetConfig, Upsampling};

/// The network that the peers build under this name.
pub fn network(model: Model) -> Result<UNet> {
    let config = match model {
        Model::Seed => UNetConfig::seed(),
        Model::Default => UNetConfig::small(),
        Model::Small => UNetConfig {
            widths: vec![16, 32, 64, 128],
            norm: Norm::Batch { momentum: 0.1 },
            upsampling: Upsampling::Bilinear { align_corners: true },
            ..UNetConfig::seed()
        },
    };
    Ok(UNet::new(config)?)
}

/// A graph, and what it is run on.
pub struct Prepared {
    /// One step.
    pub graph: Graph,
    unet: UNet,
    model: Vec<f32>,
    work: Work,
}

impl Prepared {
    /// Writes random inputs and initial weights.
    pub fn fill(&self, executor: &mut dyn Executor) -> Result<()> {
        fill(executor, &self.unet, &self.model, self.work)
    }
}

/// A CPU executor with random inputs and initial weights, ready to run.
pub fn executor(work: Work, mode: Mode) -> Result<CpuExecutor> {
    let prepared = prepare(work, mode)?;
    let mut executor = CpuExecutor::new(prepared.graph.clone());
    prepared.fill(&mut executor)?;
    Ok(executor)
}

/// The step of a work.
pub fn prepare(work: Work, mode: Mode) -> Result<Prepared> {
    let unet = network(work.model)?;
    let dims = [work.batch, 3, work.height, work.width];
    let mut model = unet.parameters().initialise(1);
    let graph = match mode {
        Mode::Train => {
            let mut graph = Graph::new();
            let x = graph.input("image", &dims)?;
            let forward = unet.forward(&mut graph, x, fovea_unet::Mode::Training)?;
            step(graph, &unet, &forward, work)?
        }
        Mode::Infer => {
            model = unet.folded(&model)?;
            unet.inference(dims, Activation::Identity)?.graph
        }
    };
    Ok(Prepared { graph, unet, model, work })
}

fn step(mut graph: Graph, unet: &UNet, forward: &fovea_unet::Forward, work: Work) -> Result<Graph> {
    let dims = [work.batch, 1, work.height, work.width];
    let target = graph.input("target", &dims)?;
    let field = graph.input("field", &dims)?;
    let hyper = graph.input("hyper", &[Hyper::COUNT])?;
    let sums = graph.push(Op::DiceSums, &[forward.logits, target, field])?;
    let loss = graph.push(Op::DiceLoss { smooth: 1.0, pooled: false }, &[sums])?;
    graph.mark_output(loss);
    let fused = fuse(&graph);
    let at = |v| fused.value(v).expect("inputs, parameters and outputs survive fusion");
    let entries = unet.parameters().entries();
    let trained: Vec<_> =
        entries.iter().zip(&forward.parameters).filter(|(e, _)| !e.statistic).map(|(_, &v)| at(v)).collect();
    let (mut graph, gradients) = fovea_autodiff::differentiate(&fused.graph, at(loss), &trained)?;
    let rule = AdamRule { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0, decoupled: false };
    for (&w, g) in trained.iter().zip(gradients) {
        let dims = graph.shape(w).dims().to_vec();
        let name = graph.value(w).name.clone();
        let m = graph.persistent(&format!("m.{name}"), &dims)?;
        let v = graph.persistent(&format!("v.{name}"), &dims)?;
        graph.update(Op::AdamUpdate(rule), &[w, g, m, v, at(hyper)])?;
    }
    Ok(graph)
}

fn fill(executor: &mut dyn Executor, unet: &UNet, model: &[f32], work: Work) -> Result<()> {
    let graph = executor.graph().clone();
    let mut random = Stream::new(1, "bench", [0, 0]);
    let pixels = work.batch * work.height * work.width;
    let image: Vec<f32> = (0..3 * pixels).map(|_| random.normal()).collect();
    let target: Vec<f32> = (0..pixels).map(|_| f32::from(random.chance(0.1))).collect();
    let inputs = [
        ("image", image),
        ("target", target),
        ("field", vec![1.0; pixels]),
        ("hyper", vec![1e-4, 0.1, 0.001, 0.0]),
    ];
    for (name, data) in inputs {
        if let Some(id) = graph.find(name) {
            executor.write(id, &data)?;
        }
    }
    for entry in unet.parameters().entries() {
        if let Some(id) = graph.find(&entry.name) {
            executor.write(id, &model[entry.offset..][..graph.shape(id).count()])?;
        }
    }
    Ok(())
}

/// Work of all convolutions of a forward pass, in GFLOP (two per multiplication and addition), for one image.
pub fn forward_gflop(executor: &dyn Executor, images: usize) -> f64 {
    let graph = executor.graph();
    let flops: f64 = graph
        .nodes()
        .iter()
        .map(|n| if matches!(n.op, Op::Conv2d { .. } | Op::Conv2dPair { .. }) { flop(graph, n) } else { 0.0 })
        .sum();
    flops / images as f64 / 1e9
}

/// Floating-point operations of a convolution or of one of its gradients: twice its products.
pub fn flop(graph: &Graph, node: &fovea_graph::Node) -> f64 {
    let dims = |v| graph.shape(v).nchw().map(|d| d.map(|e| e as f64)).unwrap_or_default();
    let Some(out) = node.output.map(dims) else { return 0.0 };
    match node.op {
        Op::Conv2d { .. } | Op::Conv2dPair { .. } => {
            let weights = if matches!(node.op, Op::Conv2d { .. }) { 1 } else { 2 };
            let [_, i, k, _] = dims(node.inputs[weights]);
            2.0 * out.iter().product::<f64>() * i * k * k
        }
        Op::Conv2dGradInput { .. } => {
            let [_, _, k, _] = dims(node.inputs[0]);
            2.0 * dims(node.inputs[1]).iter().product::<f64>() * out[1] * k * k
        }
        Op::Conv2dGradWeight { .. } | Op::Conv2dPairGradWeight { .. } => {
            let [n, _, h, w] = node.inputs.last().map_or([0.0; 4], |&dy| dims(dy));
            2.0 * out.iter().product::<f64>() * n * h * w
        }
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_that_of_the_peers_programs() {
        let work = Work { model: Model::Seed, batch: 1, height: 224, width: 224, steps: 1 };
        let executor = executor(work, Mode::Infer).unwrap();
        assert!((forward_gflop(&executor, 1) - 64.9189).abs() < 1e-4);
    }

    #[test]
    fn a_training_step_is_three_forward_passes_less_the_gradient_of_the_image() {
        let work = Work { model: Model::Default, batch: 2, height: 16, width: 16, steps: 1 };
        let executor = executor(work, Mode::Train).unwrap();
        let graph = executor.graph();
        let all: f64 = graph.nodes().iter().map(|n| flop(graph, n)).sum();
        let first = 2.0 * (2 * 16 * 16 * 12 * 3 * 9) as f64;
        let passes = 3.0 * 2.0 * 1e9 * forward_gflop(&executor, 2);
        assert!(((all + first) / passes - 1.0).abs() < 1e-9, "{all} + {first} beside {passes}");
    }
}
