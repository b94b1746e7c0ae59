//! Folds a normalisation by fixed statistics into the convolution before it, for inference.
//!
//! `gamma (w * x + b - mean) / sqrt(var + epsilon) + beta` is the convolution `(s w) * x + (s (b - mean) + beta)` with
//! `s = gamma / sqrt(var + epsilon)` for each output channel (Jacob et al., "Quantization and training of neural networks for
//! efficient integer-arithmetic-only inference", CVPR 2018, section 3.2). The pass runs before [`fuse`](crate::fuse()),
//! which then merges the activation.

use crate::merge::{Edges, Merged, rebuild};
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
pub fn fold(graph: &Graph) -> (Merged, Vec<Fold>) {
    let edges = Edges::of(graph);
    let mut nodes: Vec<Option<Node>> = graph.nodes().iter().cloned().map(Some).collect();
    let mut folds = Vec::new();
    let mut dropped = vec![false; graph.values().len()];
    for (index, node) in graph.nodes().iter().enumerate() {
        let (Op::Normalise { epsilon, activation: Activation::Identity }, Some(output)) =
            (node.op, node.output)
        else {
            continue;
        };
        let [x, stats, gamma, beta] = [0, 1, 2, 3].map(|i| node.inputs[i]);
        let Some(w) = edges.only_writer(x) else { continue };
        let conv = &graph.nodes()[w];
        let bias = conv.inputs.get(2).copied();
        let fixed = |v: ValueId| graph.value(v).storage == Storage::Persistent && edges.read_once(v);
        let own = [conv.inputs[1], stats, gamma, beta].into_iter().chain(bias).all(fixed);
        let per_channel = graph.shape(stats).dims()[..2] == [1, graph.shape(gamma).count()];
        if !matches!(conv.op, Op::Conv2d { activation: Activation::Identity, .. }) || !own || !per_channel {
            continue;
        }
        let weight = conv.inputs[1];
        nodes[w] =
            Some(Node { inputs: vec![conv.inputs[0], weight, beta], output: Some(output), ..conv.clone() });
        nodes[index] = None;
        for v in [stats, gamma].into_iter().chain(bias) {
            dropped[v.index()] = true;
        }
        folds.push(Fold { weight, bias, stats, gamma, beta, epsilon });
    }
    (rebuild(graph, nodes.into_iter().flatten(), |v| !dropped[v.index()]), folds)
}
