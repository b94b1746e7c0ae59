//! What must be known to run a graph over an image tile by tile.
//!
//! A tile that was cut out of an image lacks the pixels beyond its cut edges, so the values near them come out wrong. How far the
//! wrong ones reach inwards follows from the ops; the overlap of neighbouring tiles must cover it. At the image's own edges
//! nothing is wrong: a tile is padded there just as the image is.

use crate::{Graph, GraphError, Node, Op, Resize, Storage, ValueId};
use fovea_tensor::Window;

const PARTS: &str = "both inputs must come from the image, at one scale";

/// A normalisation's statistics, which span the whole image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statistics {
    /// What they are of.
    pub of: ValueId,
    /// Where they are expected: an input of the graph without [`Op::NormStats`].
    pub given: ValueId,
}

/// The graph with the result of every [`Op::NormStats`] as an input, and those inputs in the order of the nodes. Ids stay.
#[must_use]
pub fn without_statistics(graph: &Graph) -> (Graph, Vec<Statistics>) {
    let (mut nodes, mut found) = (Vec::with_capacity(graph.nodes().len()), Vec::new());
    for node in graph.nodes() {
        if let (Op::NormStats { .. }, Some(given)) = (node.op, node.output) {
            found.push(Statistics { of: node.inputs[0], given });
        } else {
            nodes.push(node.clone());
        }
    }
    let mut without = graph.with_nodes(nodes);
    for statistics in &found {
        without.set_storage(statistics.given, Storage::Input);
    }
    (without, found)
}

/// The nodes up to the one that writes `value`, which becomes the only output. Ids stay.
#[must_use]
pub fn up_to(graph: &Graph, value: ValueId) -> Graph {
    let end = graph.nodes().iter().position(|n| n.output == Some(value)).map_or(0, |n| n + 1);
    graph.with_nodes(graph.nodes()[..end].to_vec()).with_output(value)
}

/// Wrong pixels next to a cut edge, and pixels of the image per pixel of the value.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Reach {
    wrong: usize,
    scale: usize,
}

/// How many pixels of `image` from a cut edge inwards some value is wrong, at most. Tiles must begin and end at multiples of
/// the coarsest value's scale.
///
/// # Errors
/// [`GraphError::NotLocal`] where an op reads more than a neighbourhood, or where it lies in the image.
pub fn reach(graph: &Graph, image: ValueId) -> Result<usize, GraphError> {
    let mut reaches = vec![None; graph.values().len()];
    reaches[image.index()] = Some(Reach { wrong: 0, scale: 1 });
    let mut most = 0;
    for node in graph.nodes() {
        let inputs: Vec<Option<Reach>> = node.inputs.iter().map(|v| reaches[v.index()]).collect();
        if inputs.iter().all(Option::is_none) {
            continue;
        }
        let found = node_reach(node, &inputs)?;
        most = most.max(found.wrong * found.scale);
        if let Some(output) = node.output {
            reaches[output.index()] = Some(found);
        }
    }
    Ok(most)
}

fn node_reach(node: &Node, inputs: &[Option<Reach>]) -> Result<Reach, GraphError> {
    let refuse = |rule| GraphError::NotLocal { op: node.op.name(), rule };
    let first = inputs[0].ok_or(refuse("the image must be the first input"))?;
    let alone = inputs[1..].iter().all(Option::is_none);
    let enlarged = |factor: usize, more: usize| {
        let even = first.scale.is_multiple_of(factor);
        let larger = Reach { wrong: factor * first.wrong + more, scale: first.scale / factor };
        if even { Ok(larger) } else { Err(refuse("the value would be finer than the image")) }
    };
    match node.op {
        Op::Conv2d { window, .. } | Op::MaxPool2d { window } if alone => Ok(slid(first, window)),
        Op::Conv2dPair { window, .. } if inputs[2..].iter().all(Option::is_none) => {
            Ok(slid(joined(first, inputs[1]).ok_or(refuse(PARTS))?, window))
        }
        Op::ConvTranspose2x2 if alone => enlarged(2, 0),
        Op::Upsample { mode: Resize::Nearest, factor } => enlarged(factor, 0),
        Op::Upsample { mode: Resize::Bilinear { align_corners: false }, factor } => {
            enlarged(factor, factor / 2)
        }
        Op::Upsample { mode: Resize::Bilinear { align_corners: true }, .. } => {
            Err(refuse("bilinear with align_corners = true depends on the extent of the whole image"))
        }
        Op::Concat | Op::Add => joined(first, inputs[1]).ok_or(refuse(PARTS)),
        Op::SliceChannels(_) | Op::Scale { .. } | Op::Activate { .. } => Ok(first),
        Op::Normalise { .. } if alone => Ok(first),
        Op::Conv2d { .. }
        | Op::Conv2dPair { .. }
        | Op::MaxPool2d { .. }
        | Op::ConvTranspose2x2
        | Op::Normalise { .. } => Err(refuse("its parameters and statistics must not depend on the image")),
        Op::NormStats { .. } => Err(refuse("the statistics span the whole image")),
        Op::Fill { .. }
        | Op::Conv2dGradInput { .. }
        | Op::Conv2dGradWeight { .. }
        | Op::Conv2dPairGradWeight { .. }
        | Op::SumChannels
        | Op::ConvTranspose2x2GradInput
        | Op::ConvTranspose2x2GradWeight
        | Op::MaxPool2dGrad { .. }
        | Op::UpsampleGrad { .. }
        | Op::AddProximal { .. }
        | Op::ActivateGrad { .. }
        | Op::NormaliseGradSums { .. }
        | Op::NormaliseGradAffine { .. }
        | Op::NormaliseGradInput { .. }
        | Op::Dropout { .. }
        | Op::DiceSums
        | Op::DiceSumsGrad
        | Op::DiceLoss { .. }
        | Op::DiceLossGrad { .. }
        | Op::BceLoss
        | Op::BceLossGrad
        | Op::UpdateRunning { .. }
        | Op::SgdUpdate { .. }
        | Op::AdamUpdate(_)
        | Op::AverageUpdate => Err(refuse("only inference runs in tiles")),
    }
}

/// After a window slid over the value. What it reaches beyond its output pixel counts, on whichever side that is more.
fn slid(from: Reach, window: Window) -> Reach {
    let ahead = (window.kernel - 1).saturating_sub(window.padding + window.stride - 1);
    let wrong = (from.wrong + window.padding.max(ahead)).div_ceil(window.stride);
    Reach { wrong, scale: from.scale * window.stride }
}

/// Of two values side by side.
fn joined(a: Reach, b: Option<Reach>) -> Option<Reach> {
    let b = b.filter(|b| b.scale == a.scale)?;
    Some(Reach { wrong: a.wrong.max(b.wrong), ..a })
}
