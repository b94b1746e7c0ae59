//! The replicated state: model, moments and clips, the same to the bit at the coordinator and at every site.

use std::sync::Arc;

use fovea_secagg::commit::Terms;
use fovea_secagg::encode::Average;
use fovea_secagg::hash::Hash;
use fovea_secagg::layout::{LayoutError, Proven};
use fovea_secagg::sets::{Attempt, SiteSet};
use fovea_wire::WireError;
use serde::{Deserialize, Serialize};

use crate::job::{JobError, Plan};
use crate::strategy::Moments;

/// Kind of a saved state in `fovea_wire`.
const KIND: u8 = 2;

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

    /// As bytes, for a file.
    ///
    /// # Errors
    /// [`WireError`] for a model above 4 GiB.
    pub fn to_bytes(&self) -> Result<Vec<u8>, WireError> {
        fovea_wire::encode(KIND, self, usize::MAX)
    }

    /// From [`Self::to_bytes`], if it fits the plan: [`Self::checked`].
    ///
    /// # Errors
    /// The caller's error, from [`WireError`] or [`JobError`].
    pub fn from_bytes<E: From<WireError> + From<JobError>>(bytes: &[u8], plan: &Plan) -> Result<Self, E> {
        // Model and two moments of four bytes per coordinate, five bytes per clip, and lengths.
        let bytes_max = 12 * plan.coordinates() + 5 * plan.parameters().len() + 256;
        let state: Self = fovea_wire::decode(KIND, bytes, bytes_max)?;
        Ok(state.checked(plan)?)
    }

    /// Digest of the model.
    pub fn model_hash(&self) -> Hash {
        Hash::of_floats("fovea/model/v1", &self.model)
    }

    /// Digest of everything beside the model that the next round depends on: layout, clips, exponents and moments.
    fn config(&self, proven: &Proven) -> Hash {
        let moments = |values: &[f32]| Hash::of_floats("fovea/moments/v1", values).0;
        let (first, second) = (moments(&self.moments.first), moments(&self.moments.second));
        Hash::of("fovea/round-config/v1", &[&proven.layout().digest().0, &first, &second])
    }

    /// Digest of the whole state, round number aside: two parties with one position can train together.
    ///
    /// # Errors
    /// [`LayoutError`].
    pub fn position(&self, plan: &Plan) -> Result<Hash, LayoutError> {
        let config = self.config(&plan.proven(&self.clips)?);
        Ok(Hash::of("fovea/position/v1", &[&self.model_hash().0, &config.0]))
    }

    /// Number of words of a state of this plan: model, moments, clips.
    pub(crate) fn word_count(plan: &Plan) -> usize {
        let [first, second] = plan.job().strategy.moment_counts();
        (1 + first + second) * plan.coordinates() + plan.parameters().len()
    }

    /// Model, moments and clips as bit patterns, one after the other.
    pub(crate) fn to_words(&self) -> Vec<u32> {
        let parts = [&self.model, &self.moments.first, &self.moments.second, &self.clips];
        parts.into_iter().flatten().map(|value| value.to_bits()).collect()
    }

    /// The inverse of [`Self::to_words`], for the state before `round`.
    pub(crate) fn from_words(plan: &Plan, round: u32, words: &[u32]) -> Result<Self, JobError> {
        let [first, second] = plan.job().strategy.moment_counts().map(|count| count * plan.coordinates());
        let mut rest = words.iter().map(|&word| f32::from_bits(word));
        let mut take = |len: usize| rest.by_ref().take(len).collect::<Vec<f32>>();
        let model = take(plan.coordinates());
        let moments = Moments { first: take(first), second: take(second) };
        let clips = take(plan.parameters().len());
        Self { round, model, moments, clips }.checked(plan)
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
            config: self.config(&proven),
            invited,
        };
        let words = proven.layout().words();
        let side_values = plan.job().side_names.len();
        let terms = Terms::new(attempt, Arc::clone(plan.keys()), plan.threshold_rule(), words, side_values);
        Ok((terms, proven))
    }
}
