//! The server step, replicated: coordinator and sites compute the next model by themselves and must agree to
//! the bit.
//!
//! Only IEEE-754 single-precision add, multiply, divide and square root, element by element, so neither
//! the machine nor the number of threads can change a bit. Rust never contracts a multiply and an add.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::job::JobError;

/// How the average update changes the model. With d the average update:
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "lowercase", deny_unknown_fields)]
pub enum Strategy {
    /// w += d (McMahan et al. 2017, arXiv 1602.05629).
    FedAvg,
    /// v = momentum v + d; w += learning_rate v (Hsu et al. 2019, arXiv 1909.06335).
    FedAvgM {
        /// Server learning rate.
        learning_rate: f32,
        /// Momentum in [0, 1).
        momentum: f32,
    },
    /// m = b1 m + (1 - b1) d; v = b2 v + (1 - b2) d^2; w += learning_rate m / (sqrt(v) + tau), with v
    /// starting at tau^2 and no bias correction (Reddi et al. 2021, arXiv 2003.00295, algorithm 2).
    FedAdam {
        /// Server learning rate.
        learning_rate: f32,
        /// Decay of the first moment, in [0, 1).
        beta1: f32,
        /// Decay of the second moment, in [0, 1).
        beta2: f32,
        /// Degree of adaptivity, above 0.
        tau: f32,
    },
}

/// The moments that a strategy keeps, one value per coordinate; empty where it keeps none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Moments {
    /// First moment or velocity.
    pub first: Vec<f32>,
    /// Second moment.
    pub second: Vec<f32>,
}

impl Strategy {
    /// # Errors
    /// [`JobError::Hyperparameter`] for a hyperparameter out of range.
    pub(crate) fn check(&self) -> Result<(), JobError> {
        let positive = |field, value: f32| {
            let fits = value.is_finite() && value > 0.0;
            if fits {
                Ok(())
            } else {
                Err(JobError::Hyperparameter { field, value, need: "a positive number" })
            }
        };
        let fraction = |field, value: f32| {
            let fits = (0.0..1.0).contains(&value);
            if fits { Ok(()) } else { Err(JobError::Hyperparameter { field, value, need: "0 <= x < 1" }) }
        };
        match *self {
            Self::FedAvg => Ok(()),
            Self::FedAvgM { learning_rate, momentum } => {
                positive("learning_rate", learning_rate)?;
                fraction("momentum", momentum)
            }
            Self::FedAdam { learning_rate, beta1, beta2, tau } => {
                positive("learning_rate", learning_rate)?;
                fraction("beta1", beta1)?;
                fraction("beta2", beta2)?;
                positive("tau", tau)
            }
        }
    }

    /// Values per coordinate of the first and of the second moment.
    pub(crate) fn moment_counts(&self) -> [usize; 2] {
        match self {
            Self::FedAvg => [0, 0],
            Self::FedAvgM { .. } => [1, 0],
            Self::FedAdam { .. } => [1, 1],
        }
    }

    /// Moments before the first step, for `coordinates` coordinates.
    pub fn start(&self, coordinates: usize) -> Moments {
        match *self {
            Self::FedAvg => Moments { first: Vec::new(), second: Vec::new() },
            Self::FedAvgM { .. } => Moments { first: vec![0.0; coordinates], second: Vec::new() },
            Self::FedAdam { tau, .. } => {
                Moments { first: vec![0.0; coordinates], second: vec![tau * tau; coordinates] }
            }
        }
    }

    /// Changes `model` by the average `update`, both as long as the moments.
    pub fn step(&self, model: &mut [f32], moments: &mut Moments, update: &[f32]) {
        match *self {
            Self::FedAvg => {
                model.par_iter_mut().zip(update).for_each(|(w, d)| *w += d);
            }
            Self::FedAvgM { learning_rate, momentum } => {
                model.par_iter_mut().zip(&mut moments.first).zip(update).for_each(|((w, v), d)| {
                    *v = momentum * *v + d;
                    *w += learning_rate * *v;
                });
            }
            Self::FedAdam { learning_rate, beta1, beta2, tau } => {
                let moments = moments.first.par_iter_mut().zip(&mut moments.second);
                model.par_iter_mut().zip(moments).zip(update).for_each(|((w, (m, v)), d)| {
                    *m = beta1 * *m + (1.0 - beta1) * d;
                    *v = beta2 * *v + (1.0 - beta2) * d * d;
                    *w += learning_rate * *m / (v.sqrt() + tau);
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(strategy: Strategy, updates: &[[f32; 2]]) -> (Vec<f32>, Moments) {
        let (mut model, mut moments) = (vec![1.0, -2.0], strategy.start(2));
        for update in updates {
            strategy.step(&mut model, &mut moments, update);
        }
        (model, moments)
    }

    #[test]
    fn fedavg_adds_the_average() {
        assert_eq!(run(Strategy::FedAvg, &[[0.5, 0.25]]).0, [1.5, -1.75]);
    }

    #[test]
    fn momentum_keeps_a_velocity() {
        let strategy = Strategy::FedAvgM { learning_rate: 0.5, momentum: 0.75 };
        let (model, moments) = run(strategy, &[[1.0, 0.0], [0.0, 2.0]]);
        // By hand: v = (1, 0), w = (1.5, -2); then v = (0.75, 2), w = (1.875, -1).
        assert_eq!((model, moments.first), (vec![1.875, -1.0], vec![0.75, 2.0]));
    }

    #[test]
    fn fedadam_follows_the_paper() {
        let strategy = Strategy::FedAdam { learning_rate: 0.1, beta1: 0.5, beta2: 0.75, tau: 0.5 };
        let (model, moments) = run(strategy, &[[1.0, 0.0]]);
        // By hand: m = (0.5, 0), v = (0.1875 + 0.25, 0.1875).
        assert_eq!((moments.first, moments.second), (vec![0.5, 0.0], vec![0.4375, 0.1875]));
        assert_eq!(model, [1.0 + 0.1 * 0.5 / (0.4375f32.sqrt() + 0.5), -2.0]);
    }

    #[test]
    fn the_step_does_not_depend_on_the_number_of_threads() {
        let strategy = Strategy::FedAdam { learning_rate: 0.01, beta1: 0.9, beta2: 0.99, tau: 1e-3 };
        let update: Vec<f32> = (0..100_000).map(|i| ((i * 7919) % 1009) as f32 * 1e-3 - 0.5).collect();
        let on = |threads| {
            rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(|| {
                let (mut model, mut moments) = (vec![0.1; update.len()], strategy.start(update.len()));
                (0..3).for_each(|_| strategy.step(&mut model, &mut moments, &update));
                model.iter().map(|w| w.to_bits()).collect::<Vec<_>>()
            })
        };
        assert_eq!(on(1), on(7));
        assert_eq!(on(1), on(2));
    }

    #[test]
    fn hyperparameters_out_of_range_are_named() {
        let bad = Strategy::FedAdam { learning_rate: 0.1, beta1: 1.0, beta2: 0.9, tau: 1e-3 };
        assert!(matches!(bad.check(), Err(JobError::Hyperparameter { field: "beta1", .. })));
        let bad = Strategy::FedAvgM { learning_rate: f32::NAN, momentum: 0.9 };
        assert!(matches!(bad.check(), Err(JobError::Hyperparameter { field: "learning_rate", .. })));
    }
}
