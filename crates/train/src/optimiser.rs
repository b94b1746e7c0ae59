//! Optimisers as update nodes.

use fovea_graph::{AdamRule, Graph, GraphError, Hyper, Op, ValueId};
use serde::{Deserialize, Serialize};

use crate::schedule::power;

/// How a gradient changes its parameter. Weight decay acts on convolution weights only.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Optimiser {
    /// Gradient descent with momentum: [`Op::SgdUpdate`].
    Sgd {
        /// Share of the old velocity.
        momentum: f32,
        /// L2 factor.
        weight_decay: f32,
    },
    /// Adam, its decay through the moments: [`Op::AdamUpdate`].
    Adam {
        /// Decay of the first moment.
        beta1: f32,
        /// Decay of the second moment.
        beta2: f32,
        /// Added to the root of the second moment.
        epsilon: f32,
        /// L2 factor.
        weight_decay: f32,
    },
    /// Adam, its decay on the weight itself: [`Op::AdamUpdate`].
    AdamW {
        /// Decay of the first moment.
        beta1: f32,
        /// Decay of the second moment.
        beta2: f32,
        /// Added to the root of the second moment.
        epsilon: f32,
        /// Decay per step relative to the learning rate.
        weight_decay: f32,
    },
}

impl Optimiser {
    /// Adam with the constants of Kingma and Ba, no weight decay.
    #[must_use]
    pub fn adam() -> Self {
        Optimiser::Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0 }
    }

    /// Numbers kept per parameter.
    #[must_use]
    pub fn moments(&self) -> usize {
        match self {
            Optimiser::Sgd { .. } => 1,
            Optimiser::Adam { .. } | Optimiser::AdamW { .. } => 2,
        }
    }

    /// Bias corrections `1 - beta^t` after `t` updates, the coming one included; 1 where there is nothing to correct.
    pub(crate) fn corrections(&self, t: u32) -> [f32; 2] {
        match *self {
            Optimiser::Sgd { .. } => [1.0, 1.0],
            Optimiser::Adam { beta1, beta2, .. } | Optimiser::AdamW { beta1, beta2, .. } => {
                [beta1, beta2].map(|beta| (1.0 - power(beta, t)) as f32)
            }
        }
    }

    /// Adds the update of one parameter.
    pub(crate) fn update(
        &self,
        graph: &mut Graph,
        [weight, gradient, hyper]: [ValueId; 3],
        moments: &[ValueId],
        decay: bool,
    ) -> Result<(), GraphError> {
        debug_assert_eq!(graph.shape(hyper).dims(), [Hyper::COUNT]);
        let decayed = |factor: f32| if decay { factor } else { 0.0 };
        let op = match *self {
            Optimiser::Sgd { momentum, weight_decay } => {
                Op::SgdUpdate { momentum, weight_decay: decayed(weight_decay) }
            }
            Optimiser::Adam { beta1, beta2, epsilon, weight_decay } => {
                let weight_decay = decayed(weight_decay);
                Op::AdamUpdate(AdamRule { beta1, beta2, epsilon, weight_decay, decoupled: false })
            }
            Optimiser::AdamW { beta1, beta2, epsilon, weight_decay } => {
                let weight_decay = decayed(weight_decay);
                Op::AdamUpdate(AdamRule { beta1, beta2, epsilon, weight_decay, decoupled: true })
            }
        };
        let inputs: Vec<ValueId> =
            [weight, gradient].iter().chain(moments).chain([&hyper]).copied().collect();
        graph.update(op, &inputs).map(|_| ())
    }

    /// Whether every number makes sense.
    pub(crate) fn is_valid(&self) -> bool {
        let share = |v: f32| (0.0..1.0).contains(&v);
        let decay = |v: f32| (0.0..=1.0).contains(&v);
        match *self {
            Optimiser::Sgd { momentum, weight_decay } => share(momentum) && decay(weight_decay),
            Optimiser::Adam { beta1, beta2, epsilon, weight_decay }
            | Optimiser::AdamW { beta1, beta2, epsilon, weight_decay } => {
                share(beta1) && share(beta2) && epsilon > 0.0 && epsilon < 1.0 && decay(weight_decay)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corrections_are_those_of_the_paper() {
        let [first, second] = Optimiser::adam().corrections(1);
        assert!((first - 0.1).abs() < 1e-7 && (second - 0.001).abs() < 1e-7);
        assert_eq!(Optimiser::adam().corrections(100_000), [1.0, 1.0]);
        assert_eq!(Optimiser::Sgd { momentum: 0.9, weight_decay: 0.0 }.corrections(3), [1.0, 1.0]);
    }

    #[test]
    fn senseless_numbers_are_noticed() {
        assert!(Optimiser::adam().is_valid());
        assert!(!Optimiser::Sgd { momentum: 1.0, weight_decay: 0.0 }.is_valid());
        let wrong = Optimiser::AdamW { beta1: 0.9, beta2: f32::NAN, epsilon: 1e-8, weight_decay: 0.0 };
        assert!(!wrong.is_valid());
    }
}
