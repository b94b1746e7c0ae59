//! Optimiser steps: issued to the executor one after another, and settled when their losses are known.

use super::{EpochStats, Observer, RunEnd, StepReport, Trainer, mean};
use crate::{Selection, TrainError, average_decay};
use fovea_graph::{Outcome, Step};
use std::sync::atomic::Ordering;
use std::time::Instant;

impl Trainer {
    /// Does up to `n` steps, at most to the run's last.
    ///
    /// # Errors
    /// [`TrainError::NonFinite`], naming the layer, with the state left as it was before the step; or when the
    /// device fails.
    pub fn run_steps(&mut self, n: u32, observer: &mut dyn Observer) -> Result<EpochStats, TrainError> {
        let (begin, first) = (Instant::now(), self.losses.len());
        let mut clock = Clock { settled: begin };
        let mut end = RunEnd::Done;
        let mut ahead = 0;
        for _ in 0..n {
            if self.stop.load(Ordering::Relaxed) {
                end = RunEnd::Stopped;
                break;
            }
            if self.step + ahead >= self.config.steps {
                break;
            }
            let mut outcomes = self.issue(ahead)?;
            ahead += 1;
            if self.looks_at_weights(ahead) {
                outcomes.extend(self.executor.finish()?);
            }
            ahead -= outcomes.len() as u32;
            self.settle(&outcomes, &mut clock, observer)?;
        }
        let rest = self.executor.finish()?;
        self.settle(&rest, &mut clock, observer)?;
        if end == RunEnd::Done && self.step >= self.config.steps {
            end = RunEnd::Finished;
        }
        let done = &self.losses[first..];
        let (steps, seconds) = (done.len() as u32, begin.elapsed().as_secs_f64());
        Ok(EpochStats { steps, mean_loss: mean(done), seconds, end })
    }

    /// Whether the weights after the last step issued, `ahead` of those settled, are wanted as they are then.
    fn looks_at_weights(&self, ahead: u32) -> bool {
        self.config.selection == Selection::BestTrainingLoss
            && self.ends_epoch(self.losses.len() + ahead as usize)
    }

    fn ends_epoch(&self, steps: usize) -> bool {
        steps.is_multiple_of(self.config.steps_per_epoch as usize)
    }

    /// Hands the executor the step that lies `ahead` of those settled; returns what it has finished.
    fn issue(&mut self, ahead: u32) -> Result<Vec<Outcome>, TrainError> {
        let index = self.step + ahead;
        let batch = match self.next.take().filter(|batch| batch.step == index) {
            Some(batch) => batch,
            None => self.sampler.batch(&self.samples, index)?,
        };
        let hyper = self.hyper(ahead);
        let (program, executor) = (&self.program, self.executor.as_mut());
        let (sampler, samples, following) = (&self.sampler, &self.samples, index + 1);
        let step = Step { seed: self.config.seed, index };
        // The next batch is made while the device works; it depends on nothing that this step changes.
        let (outcomes, next) = rayon::join(
            || {
                program.feed(executor, &batch, &hyper)?;
                Ok::<_, TrainError>(executor.step(step, program.loss, &program.gradients)?)
            },
            || (following < self.config.steps).then(|| sampler.batch(samples, following)),
        );
        self.next = next.transpose()?;
        outcomes
    }

    /// Counts what the executor has finished.
    fn settle(
        &mut self,
        outcomes: &[Outcome],
        clock: &mut Clock,
        observer: &mut dyn Observer,
    ) -> Result<(), TrainError> {
        let each = clock.lap() / outcomes.len().max(1) as f64;
        for outcome in outcomes {
            if !outcome.updated {
                return Err(self.diagnose(outcome.loss)?);
            }
            self.step += 1;
            self.losses.push(outcome.loss);
            self.seconds += each;
            if self.looks_at_weights(0) {
                let epoch = self.config.steps_per_epoch as usize;
                let recent = mean(&self.losses[self.losses.len() - epoch..]);
                self.consider(-recent.unwrap_or(f32::INFINITY))?;
            }
            observer.step(&StepReport {
                done: self.step,
                steps: self.config.steps,
                loss: outcome.loss,
                learning_rate: self.config.schedule.rate(self.step - 1, self.config.steps),
                images_per_second: self.config.batch as f64 / each,
            });
        }
        Ok(())
    }

    /// Runs the step that was not updated once more, node by node, to name where its numbers ceased to be finite.
    fn diagnose(&mut self, loss: f32) -> Result<TrainError, TrainError> {
        // What was issued after it changed nothing and is forgotten.
        self.executor.finish()?;
        self.next = None;
        let batch = self.sampler.batch(&self.samples, self.step)?;
        let (hyper, program, executor) = (self.hyper(0), &self.program, self.executor.as_mut());
        program.feed(executor, &batch, &hyper)?;
        let step = Step { seed: self.config.seed, index: self.step };
        let found = executor.run_until_non_finite(step, 0..program.graph.first_update())?;
        let node = found.map(|id| &program.graph.nodes()[id.0]);
        let (layer, op) = node.map_or(("no layer, on a second run,", "none"), |n| (&n.label, n.op.name()));
        Ok(TrainError::NonFinite { step: step.index, loss, layer: layer.to_owned(), op })
    }

    /// The numbers that change from step to step, in [`fovea_graph::Hyper`]'s order, for the step `ahead` of those settled. Bias
    /// corrections and the average's warm-up count the updates made here, not the position in the schedule.
    fn hyper(&self, ahead: u32) -> [f32; 4] {
        let updates = self.losses.len() as u32 + ahead;
        let [first, second] = self.config.optimiser.corrections(updates + 1);
        let decay = self.config.average_decay.map_or(0.0, |decay| average_decay(decay, updates));
        [self.config.schedule.rate(self.step + ahead, self.config.steps), first, second, decay]
    }
}

/// Measures the time between settlements.
struct Clock {
    settled: Instant,
}

impl Clock {
    /// Seconds since the last call.
    fn lap(&mut self) -> f64 {
        let before = std::mem::replace(&mut self.settled, Instant::now());
        self.settled.duration_since(before).as_secs_f64()
    }
}
