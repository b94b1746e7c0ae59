//! Folds a normalisation by fixed statistics into the convolution before it, for inference.
//!
//! `gamma (w * x + b - mean) / sqrt(var + epsilon) + beta` is the convolution `(s w) * x + (s (b - mean) + beta)` with
//! `s = gamma / sqrt(var + epsilon)` for each output channel (Jacob et al., "Quantization and training of neural networks for
//! efficient integer-arithmetic-only inference", CVPR 2018, section 3.2). The pass runs before [`fuse`](crate::fuse()),
//! which then merges the activation.

use crate::rewrite::{Rewritten, rewrite};
use crate::{Activation, Graph, Node, Op, Storage, ValueId};

/// One fold: the original graph's values whose numbers [`Fold::apply`] joins.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fold {
    /// `(Cout, Cin, K, K)`; the folded graph reads the scaled weights from it.
    pub weight: ValueId,
    /// `(Cout)`, of a convolution that has a bias; the folded graph has no such value.
    pub bias: Option<ValueId>,
    /// `(1, Cout, 2)`, mean and variance; the folded graph has no such value.
    pub stats: ValueId,
    /// `(Cout)`; the folded graph has no such value.
    pub gamma: ValueId,
    /// `(Cout)`; the folded graph reads the convolution's bias from it.
    pub beta: ValueId,
    /// Added to the variance.
    pub epsilon: f32,
}

impl Fold {
    /// Makes `weight` and `beta` what the folded graph reads from them. One output channel after the other, in float64.
    pub fn apply(
        &self,
        weight: &mut [f32],
        bias: Option<&[f32]>,
        stats: &[f32],
        gamma: &[f32],
        beta: &mut [f32],
    ) {
        let per_channel = weight.len() / beta.len();
        for (c, weight) in weight.chunks_exact_mut(per_channel).enumerate() {
            let (mean, variance) = (f64::from(stats[2 * c]), f64::from(stats[2 * c + 1]));
            let scale = f64::from(gamma[c]) / (variance + f64::from(self.epsilon)).sqrt();
            weight.iter_mut().for_each(|w| *w = (f64::from(*w) * scale) as f32);
            let bias = bias.map_or(0.0, |b| f64::from(b[c]));
            beta[c] = (scale * (bias - mean) + f64::from(beta[c])) as f32;
        }
    }
}

/// Folds every [`Op::Normalise`] whose statistics, one per channel for all images, are persistent, into the [`Op::Conv2d`]
/// without activation whose result nothing else reads. The parameters of both must be read by them alone.
#[must_use]
pub fn fold(graph: &Graph) -> (Rewritten, Vec<Fold>) {
    let mut readers = vec![0; graph.values().len()];
    for id in graph.nodes().iter().flat_map(|n| &n.inputs).chain(graph.outputs()) {
        readers[id.index()] += 1;
    }
    let mut nodes: Vec<Node> = Vec::with_capacity(graph.nodes().len());
    let (mut folds, mut dropped) = (Vec::new(), vec![false; graph.values().len()]);
    for node in graph.nodes() {
        let writer =
            nodes.iter_mut().rfind(|n| n.output.is_some() && n.output == node.inputs.first().copied());
        let Some((conv, fold)) = writer.and_then(|conv| {
            let fold = foldable(graph, conv, node, &readers)?;
            Some((conv, fold))
        }) else {
            nodes.push(node.clone());
            continue;
        };
        *conv = Node {
            inputs: vec![conv.inputs[0], fold.weight, fold.beta],
            output: node.output,
            ..conv.clone()
        };
        for v in [fold.stats, fold.gamma].into_iter().chain(fold.bias) {
            dropped[v.index()] = true;
        }
        folds.push(fold);
    }
    (rewrite(graph, &nodes, |v| !dropped[v.index()]), folds)
}

/// The fold of the normalisation `node` into `conv`, whose result it reads.
fn foldable(graph: &Graph, conv: &Node, node: &Node, readers: &[usize]) -> Option<Fold> {
    let Op::Normalise { epsilon, activation: Activation::Identity } = node.op else { return None };
    let Op::Conv2d { activation: Activation::Identity, .. } = conv.op else { return None };
    let [x, stats, gamma, beta] = [0, 1, 2, 3].map(|i| node.inputs[i]);
    let fold =
        Fold { weight: conv.inputs[1], bias: conv.inputs.get(2).copied(), stats, gamma, beta, epsilon };
    let alone = |v: ValueId| readers[v.index()] == 1;
    let fixed = |v: ValueId| alone(v) && graph.value(v).storage == Storage::Persistent;
    let own = [fold.weight, stats, gamma, beta].into_iter().chain(fold.bias).all(fixed);
    let per_channel = graph.shape(stats).dims()[..2] == [1, graph.shape(gamma).count()];
    (alone(x) && own && per_channel).then_some(fold)
}
