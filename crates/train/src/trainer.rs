//! Runs optimiser steps: batches in, losses out, state in between.

mod resume;
mod steps;

use crate::batch::{Batch, Sampler};
use crate::program::Bank;
use crate::{Best, MakeExecutor, PreparedSample, Selection, StepProgram, TrainConfig, TrainError};
use fovea_graph::Executor;
use fovea_unet::{UNet, model_hash};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Trains one network on one set of images.
///
/// In a federation each site keeps its trainer from round to round, and with it the optimiser's moments:
/// [`Trainer::set_model`] replaces the parameters only. A step's batch and learning rate depend on the
/// step index alone, which counts over the whole run; a site that missed a round catches up with [`Trainer::set_step`].
/// The weight average is the trainer's own and does not know of other sites: sites send [`Trainer::model`] and run
/// without one (`average_decay` absent).
pub struct Trainer {
    config: TrainConfig,
    unet: UNet,
    samples: Arc<Vec<PreparedSample>>,
    sampler: Sampler,
    program: StepProgram,
    executor: Box<dyn Executor>,
    next: Option<Batch>,
    step: u32,
    losses: Vec<f32>,
    best: Option<Best>,
    seconds: f64,
    stop: Arc<AtomicBool>,
}

/// What a call of [`Trainer::run_steps`] did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EpochStats {
    /// Steps done.
    pub steps: u32,
    /// Mean loss of those steps; `None` where there were none.
    pub mean_loss: Option<f32>,
    /// Time they took, seconds.
    pub seconds: f64,
    /// Why it ended.
    pub end: RunEnd,
}

/// Why [`Trainer::run_steps`] ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunEnd {
    /// The steps asked for are done.
    Done,
    /// The run's last step is done.
    Finished,
    /// The stop flag was raised: save [`Trainer::state`] to go on later.
    Stopped,
}

/// One step, for progress bars.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepReport {
    /// Steps done, this one included.
    pub done: u32,
    /// Steps of the whole run.
    pub steps: u32,
    /// The step's loss.
    pub loss: f32,
    /// The step's learning rate.
    pub learning_rate: f32,
    /// Images per second in this step.
    pub images_per_second: f64,
}

/// Hears of each step. `()` listens to nothing.
pub trait Observer {
    /// Called after each step.
    fn step(&mut self, report: &StepReport);
}

impl Observer for () {
    fn step(&mut self, _: &StepReport) {}
}

impl<F: FnMut(&StepReport)> Observer for F {
    fn step(&mut self, report: &StepReport) {
        self(report);
    }
}

impl Trainer {
    /// A trainer at step 0, its model initialised from the seed.
    ///
    /// # Errors
    /// When the configuration is refused, there are no images, or whole images differ in size.
    pub fn new(
        config: TrainConfig,
        samples: Arc<Vec<PreparedSample>>,
        make_executor: &MakeExecutor,
    ) -> Result<Self, TrainError> {
        Trainer::within(config, samples, make_executor, None)
    }

    /// As [`Trainer::new`], with a limit in MiB for the memory of a step ([`StepProgram::within`]). The limit changes no result,
    /// so a run may be continued under another one.
    ///
    /// # Errors
    /// As [`Trainer::new`]; [`TrainError::MemoryLimit`] where the limit cannot be met.
    pub fn within(
        config: TrainConfig,
        samples: Arc<Vec<PreparedSample>>,
        make_executor: &MakeExecutor,
        limit_mib: Option<usize>,
    ) -> Result<Self, TrainError> {
        config.validate()?;
        let unet = UNet::new(config.model.clone())?;
        let sampler = Sampler::new(&config, &samples)?;
        let program = StepProgram::new(&config, &unet, sampler.size())?;
        let program = match limit_mib {
            Some(limit) => program.within(limit)?,
            None => program,
        };
        let executor = make_executor(program.graph.clone())?;
        let start = unet.parameters().initialise(config.seed);
        let mut trainer = Trainer {
            config,
            unet,
            samples,
            sampler,
            program,
            executor,
            next: None,
            step: 0,
            losses: Vec::new(),
            best: None,
            seconds: 0.0,
            stop: Arc::default(),
        };
        let zeros = vec![0.0; start.len()];
        for bank in &trainer.program.moments {
            bank.write(trainer.executor.as_mut(), trainer.unet.parameters(), "a moment", &zeros)?;
        }
        trainer.set_model(&start)?;
        trainer.set_anchor(&start)?;
        Ok(trainer)
    }

    /// Between steps the trainer looks at this flag and returns [`RunEnd::Stopped`] where it is up.
    pub fn stop_on(&mut self, flag: Arc<AtomicBool>) {
        self.stop = flag;
    }

    /// Offers the current weights under [`Selection::BestValidation`]; they are kept where `score`, the higher the better,
    /// is the highest so far. Scores must come from validation images, never from test images.
    ///
    /// # Errors
    /// When the device fails.
    pub fn consider(&mut self, score: f32) -> Result<(), TrainError> {
        if score.is_finite() && self.best.as_ref().is_none_or(|best| score > best.score) {
            self.best = Some(Best { score, step: self.step, model: self.current()? });
        }
        Ok(())
    }

    /// The parameters as the last step left them.
    ///
    /// # Errors
    /// When the device fails.
    pub fn model(&self) -> Result<Vec<f32>, TrainError> {
        self.program.parameters.read(self.executor.as_ref(), self.unet.parameters())
    }

    /// The weight average, where there is one.
    ///
    /// # Errors
    /// When the device fails.
    pub fn average(&self) -> Result<Option<Vec<f32>>, TrainError> {
        let read = |bank: &Bank| bank.read(self.executor.as_ref(), self.unet.parameters());
        self.program.average.as_ref().map(read).transpose()
    }

    /// The weights to predict with now: the average, or the parameters where there is none.
    ///
    /// # Errors
    /// When the device fails.
    pub fn current(&self) -> Result<Vec<f32>, TrainError> {
        match self.average()? {
            Some(average) => Ok(average),
            None => self.model(),
        }
    }

    /// The weights that [`TrainConfig::selection`] asks for.
    ///
    /// # Errors
    /// When the device fails.
    pub fn selected(&self) -> Result<Vec<f32>, TrainError> {
        match &self.best {
            Some(best) if self.config.selection != Selection::Last => Ok(best.model.clone()),
            _ => self.current(),
        }
    }

    /// Replaces the parameters; moments, average and step stay. Before the first step the average starts from them too.
    ///
    /// # Errors
    /// [`TrainError::Length`] where the vector is not as long as the parameter table.
    pub fn set_model(&mut self, model: &[f32]) -> Result<(), TrainError> {
        let table = self.unet.parameters();
        self.program.parameters.write(self.executor.as_mut(), table, "the model", model)?;
        if let (Some(bank), true) = (&self.program.average, self.losses.is_empty()) {
            bank.write(self.executor.as_mut(), table, "the model", model)?;
        }
        Ok(())
    }

    /// Replaces what the proximal term pulls to: the model that a federated round began with. Nothing happens where mu is 0.
    ///
    /// # Errors
    /// [`TrainError::Length`].
    pub fn set_anchor(&mut self, anchor: &[f32]) -> Result<(), TrainError> {
        match &self.program.anchor {
            Some(bank) => bank.write(self.executor.as_mut(), self.unet.parameters(), "the anchor", anchor),
            None => Ok(()),
        }
    }

    /// Steps done of the whole run: the position in the schedule.
    #[must_use]
    pub fn step(&self) -> u32 {
        self.step
    }

    /// Moves to another position in the schedule and in the order of images, for a site that missed rounds.
    pub fn set_step(&mut self, step: u32) {
        self.step = step;
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &TrainConfig {
        &self.config
    }

    /// The network.
    #[must_use]
    pub fn unet(&self) -> &UNet {
        &self.unet
    }

    /// The training images.
    #[must_use]
    pub fn samples(&self) -> &[PreparedSample] {
        &self.samples
    }

    /// Time spent in steps, over all sessions of the run; seconds.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.seconds
    }

    /// The loss of each step done.
    #[must_use]
    pub fn losses(&self) -> &[f32] {
        &self.losses
    }

    /// The mean loss of each epoch, the last one perhaps incomplete.
    #[must_use]
    pub fn epoch_losses(&self) -> Vec<f32> {
        self.losses.chunks(self.config.steps_per_epoch as usize).filter_map(mean).collect()
    }

    /// The hash of a model of this network.
    #[must_use]
    pub fn hash(&self, model: &[f32]) -> String {
        model_hash(&self.unet.parameters().layout_hash(), model)
    }
}

/// The mean in f64, so that a long epoch loses no digits.
fn mean(losses: &[f32]) -> Option<f32> {
    let sum: f64 = losses.iter().map(|&l| f64::from(l)).sum();
    (!losses.is_empty()).then(|| (sum / losses.len() as f64) as f32)
}
