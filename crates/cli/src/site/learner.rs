//! The training of a site: what `fovea repro` does for each of its hospitals, with a folder to go on from.

use super::folder::JobFolder;
use super::saved::{Record, Saved};
use crate::common;
use crate::learning::Recipe;
use anyhow::{Result, ensure};
use fovea_data::Sample;
use fovea_fed::manifest::SignedPlan;
use fovea_fed::site::{LocalUpdate, RoundResult};
use fovea_fed::state::ServerState;
use fovea_net::site::Learner;
use fovea_train::Trainer;
use std::sync::Arc;

/// A trainer with its place in the federation's rounds.
pub struct SiteLearner {
    recipe: Recipe,
    trainer: Trainer,
    average: Vec<f32>,
    record: Record,
    job: JobFolder,
}

impl SiteLearner {
    /// A trainer at the first round.
    pub fn new(
        recipe: &Recipe,
        place: usize,
        samples: &[Sample],
        memory_limit: Option<usize>,
        job: &JobFolder,
    ) -> Result<Self> {
        let mut trainer = recipe.trainer(place, samples, memory_limit)?;
        trainer.stop_on(Arc::clone(common::stop_flag()));
        let (average, record) = (recipe.initial()?, Record::default());
        Ok(SiteLearner { recipe: recipe.clone(), trainer, average, record, job: job.clone() })
    }

    /// Goes on from what was saved; the state to join the federation with.
    pub fn resume(&mut self, plan: &SignedPlan) -> Result<ServerState> {
        let Some(saved) = Saved::find(&self.job)? else {
            return Ok(ServerState::start(plan, self.recipe.initial()?)?);
        };
        self.trainer.restore(&saved.trainer)?;
        ensure!(saved.average.len() == self.average.len(), "the saved average has another network's length");
        (self.average, self.record) = (saved.average, saved.record);
        ServerState::from_bytes(&saved.server, plan)
    }

    fn update(&mut self, model: &[f32]) -> Result<LocalUpdate> {
        // Where it is already, unless an update was thrown away or rounds were missed.
        self.trainer.set_step(self.record.rounds * self.recipe.local_steps);
        let update = self.recipe.local_update(&mut self.trainer, model, &mut ())?;
        ensure!(!common::stopped(), "stopped");
        Ok(update)
    }

    fn save(&mut self, state: &ServerState, result: Option<&RoundResult>) -> Result<()> {
        match result {
            Some(result) => {
                self.recipe.follow(&mut self.average, &state.model, self.record.rounds);
                self.record.rounds += 1;
                self.record.losses.push(result.means.first().copied().unwrap_or(f64::NAN));
            }
            None => {
                self.average.copy_from_slice(&state.model);
                self.record.rounds = state.round;
                self.record.caught_up += 1;
            }
        }
        self.record.saves += 1;
        let (server, trainer) = (state.to_bytes()?, self.trainer.state()?);
        Saved { server, average: self.average.clone(), trainer, record: self.record.clone() }.write(&self.job)
    }
}

impl Learner for SiteLearner {
    fn train(&mut self, _: u32, model: &[f32]) -> Result<LocalUpdate, String> {
        self.update(model).map_err(|e| common::describe(&e))
    }

    fn keep(&mut self, state: &ServerState, result: Option<&RoundResult>) -> Result<(), String> {
        self.save(state, result).map_err(|e| common::describe(&e))
    }
}
