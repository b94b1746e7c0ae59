//! The replicated state: model, moments and clips, the same to the bit at the coordinator and at every site.

use std::sync::Arc;

use fovea_secagg::commit::Terms;
use fovea_secagg::encode::Average;
use fovea_secagg::hash::Hash;
use fovea_secagg::layout::{LayoutError, Proven};
use fovea_secagg::sets::{Attempt, SiteSet};
use serde::{Deserialize, Serialize};

use crate::job::{JobError, Plan};
use crate::strategy::Moments;

/// What the next round starts from. All of it is public to the federation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServerState {
    /// Number of the next round.
    pub round: u32,
    /// The global model, flat, in the order of the parameter table.
    pub model: Vec<f32>,
    /// Moments of the server step.
    pub moments: Moments,
    /// Clip per tensor.
    pub clips: Vec<f32>,
}

impl ServerState {
    /// The state before the first round.
    ///
    /// # Errors
    /// [`JobError::ModelLength`].
    pub fn start(plan: &Plan, model: Vec<f32>) -> Result<Self, JobError> {
        let moments = plan.job().strategy.start(model.len());
        Self { round: 0, model, moments, clips: plan.first_clips() }.checked(plan)
    }

    /// A state read back, if it fits the plan.
    ///
    /// # Errors
    /// [`JobError::ModelLength`] when model, moments or clips have another length, [`JobError::Layout`].
    pub fn checked(self, plan: &Plan) -> Result<Self, JobError> {
        let start = plan.job().strategy.start(plan.coordinates());
        let lengths = [
            (plan.coordinates(), self.model.len()),
            (start.first.len(), self.moments.first.len()),
            (start.second.len(), self.moments.second.len()),
            (plan.parameters().len(), self.clips.len()),
        ];
        match lengths.into_iter().find(|(expected, found)| expected != found) {
            Some((expected, found)) => Err(JobError::ModelLength { expected, found }),
            None => {
                plan.proven(&self.clips)?;
                Ok(self)
            }
        }
    }

    /// Digest of the model.
    pub fn model_hash(&self) -> Hash {
        Hash::of_floats("fovea/model/v1", &self.model)
    }

    /// The server step: the next model, moments, clips and round number after `round`.
    pub fn apply(&mut self, plan: &Plan, round: u32, average: &Average) {
        plan.job().strategy.step(&mut self.model, &mut self.moments, &average.update);
        self.clips = plan.job().clip_rule.next(plan.parameters(), &self.clips, average);
        self.round = round + 1;
    }

    /// The terms of an attempt that starts from this state, and the layout it encodes with.
    ///
    /// # Errors
    /// [`LayoutError`].
    pub fn terms(
        &self,
        plan: &Plan,
        round: u32,
        attempt: u16,
        invited: SiteSet,
    ) -> Result<(Arc<Terms>, Proven), LayoutError> {
        let proven = plan.proven(&self.clips)?;
        let attempt = Attempt {
            manifest: plan.digest(),
            round,
            attempt,
            model: self.model_hash(),
            config: proven.layout().digest(),
            invited,
        };
        let words = proven.layout().words();
        let side_values = plan.job().side_names.len();
        let terms = Terms::new(attempt, Arc::clone(plan.keys()), plan.threshold_rule(), words, side_values);
        Ok((terms, proven))
    }
}
