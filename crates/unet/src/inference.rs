//! The network for inference: one graph, with BatchNorm folded into the convolutions.

use crate::{Mode, UNet, UNetError};
use fovea_graph::{Activation, Fold, Graph, Op, Rewritten, ValueId, fold, fuse};

/// A forward pass ready to be planned.
#[derive(Debug, Clone)]
pub struct Inference {
    /// Folded and fused.
    pub graph: Graph,
    /// Input `(N, in_channels, H, W)`.
    pub image: ValueId,
    /// Output `(N, out_channels, H, W)`.
    pub result: ValueId,
    /// The persistent value of each entry of the parameter table, `None` where it was folded away. They hold the parts of the
    /// vector that [`UNet::folded`] gives.
    pub parameters: Vec<Option<ValueId>>,
}

/// A forward pass with folds, not yet fused.
struct Folded {
    merged: Rewritten,
    folds: Vec<Fold>,
    image: ValueId,
    result: ValueId,
    parameters: Vec<ValueId>,
}

impl UNet {
    /// The forward pass for images `(N, in_channels, H, W)` with `head` applied to the logits.
    ///
    /// # Errors
    /// [`UNetError::Input`] when the images do not fit.
    pub fn inference(&self, images: [usize; 4], head: Activation) -> Result<Inference, UNetError> {
        let Folded { merged, image, result, parameters, .. } = self.fold(images, head)?;
        let fused = fuse(&merged.graph);
        let moved = |id| merged.value(id).and_then(|id| fused.value(id));
        let kept = |id| moved(id).expect("inputs and outputs are not merged away");
        let (image, result) = (kept(image), kept(result));
        let parameters = parameters.into_iter().map(moved).collect();
        Ok(Inference { graph: fused.graph, image, result, parameters })
    }

    /// The model vector with BatchNorm folded into weights and shifts, for [`UNet::inference`]; the model itself where the
    /// network has none.
    ///
    /// # Errors
    /// [`UNetError::Length`] when the vector is not as long as the parameter table.
    pub fn folded(&self, model: &[f32]) -> Result<Vec<f32>, UNetError> {
        let (expected, found) = (self.parameters().count(), model.len());
        if expected != found {
            return Err(UNetError::Length { expected, found });
        }
        let side = self.config().multiple();
        let Folded { folds, parameters, .. } =
            self.fold([1, self.config().in_channels, side, side], Activation::Identity)?;
        let range = |id: ValueId| {
            let at = parameters.iter().position(|&p| p == id).expect("folds are of the table's values");
            self.parameters().entries()[at].range()
        };
        let mut folded = model.to_vec();
        for fold in folds {
            let bias = fold.bias.map(|id| &model[range(id)]);
            let mut beta = model[range(fold.beta)].to_vec();
            let weight = &mut folded[range(fold.weight)];
            fold.apply(weight, bias, &model[range(fold.stats)], &model[range(fold.gamma)], &mut beta);
            folded[range(fold.beta)].copy_from_slice(&beta);
        }
        Ok(folded)
    }

    fn fold(&self, images: [usize; 4], head: Activation) -> Result<Folded, UNetError> {
        let mut graph = Graph::new();
        let image = graph.input("image", &images)?;
        let forward = self.forward(&mut graph, image, Mode::Inference)?;
        let result = match head {
            Activation::Identity => forward.logits,
            function => graph.push(Op::Activate { function }, &[forward.logits])?,
        };
        graph.mark_output(result);
        let (merged, folds) = fold(&graph);
        Ok(Folded { merged, folds, image, result, parameters: forward.parameters })
    }
}
