//! One optimiser step as one graph.

use crate::{Batch, LossConfig, MIB, TrainConfig, TrainError};
use fovea_autodiff::differentiate;
use fovea_graph::{ExecuteError, Executor, Graph, GraphError, Hyper, Op, ValueId, fuse, recompute};
use fovea_unet::{Mode, Parameters, RunningUpdate, UNet};

/// A step's graph and where its values are. Lists run along the parameter table.
#[derive(Debug, Clone)]
pub struct StepProgram {
    /// Forward pass, losses and backward pass, then the updates.
    pub graph: Graph,
    /// Input `(N, 3, H, W)`.
    pub image: ValueId,
    /// Input `(N, 1, H, W)`.
    pub target: ValueId,
    /// Input `(N, 1, H, W)`.
    pub field: ValueId,
    /// Input `(4)`, see [`Hyper`].
    pub hyper: ValueId,
    /// Output `(1)`.
    pub loss: ValueId,
    /// Outputs, one per trainable parameter.
    pub gradients: Vec<ValueId>,
    /// The model.
    pub parameters: Bank,
    /// One bank per moment of the optimiser.
    pub moments: Vec<Bank>,
    /// The weight average.
    pub average: Option<Bank>,
    /// What the proximal term pulls to.
    pub anchor: Option<Bank>,
}

/// The persistent values of one vector laid out as the model is; `None` for entries that it lacks, which read as 0.
#[derive(Debug, Clone)]
pub struct Bank(Vec<Option<ValueId>>);

impl StepProgram {
    /// Builds the step for batches of `(height, width)` pixels.
    ///
    /// # Errors
    /// When the network does not fit those extents.
    pub fn new(
        config: &TrainConfig,
        unet: &UNet,
        (height, width): (usize, usize),
    ) -> Result<Self, TrainError> {
        let mut graph = Graph::new();
        let image = graph.input("image", &[config.batch, unet.config().in_channels, height, width])?;
        let target = graph.input("target", &[config.batch, 1, height, width])?;
        let field = graph.input("field", &[config.batch, 1, height, width])?;
        let hyper = graph.input("hyper", &[Hyper::COUNT])?;
        let forward = unet.forward(&mut graph, image, Mode::Training)?;
        graph.set_label("loss");
        let loss = add_loss(&mut graph, &config.loss, [forward.logits, target, field])?;
        graph.mark_output(loss);

        let fused = fuse(&graph);
        let moved = |id| fused.value(id).expect("only pre-activations and concatenations are merged away");
        let [image, target, field, hyper, loss] = [image, target, field, hyper, loss].map(moved);
        let parameters: Vec<ValueId> = forward.parameters.into_iter().map(moved).collect();
        let running = forward.running.into_iter().map(|update| RunningUpdate {
            running: moved(update.running),
            stats: moved(update.stats),
            ..update
        });
        let running: Vec<RunningUpdate> = running.collect();

        let table = unet.parameters();
        let trained = |i: &usize| !table.entries()[*i].statistic;
        let wrt: Vec<ValueId> = (0..parameters.len()).filter(trained).map(|i| parameters[i]).collect();
        let (graph, gradients) = differentiate(&fused.graph, loss, &wrt)?;
        let mut program = StepProgram {
            graph,
            image,
            target,
            field,
            hyper,
            loss,
            gradients,
            parameters: Bank(parameters.into_iter().map(Some).collect()),
            moments: Vec::new(),
            average: None,
            anchor: None,
        };
        program.add_proximal(config, table)?;
        for &gradient in &program.gradients {
            program.graph.mark_output(gradient);
        }
        program.add_updates(config, table, &running)?;
        Ok(program)
    }

    /// The same step in at most `limit_mib` MiB for its arena (parameters, moments, activations, gradients): some
    /// activations are computed again for the backward pass. The results are the same to the bit.
    ///
    /// # Errors
    /// [`TrainError::MemoryLimit`] where that is not enough.
    pub fn within(mut self, limit_mib: usize) -> Result<Self, TrainError> {
        self.graph = recompute(&self.graph, limit_mib.saturating_mul(MIB)).map_err(|error| match error {
            GraphError::MemoryLimit { least, .. } => {
                let least_mib = least.div_ceil(MIB);
                TrainError::MemoryLimit { what: "a training step", limit_mib, least_mib }
            }
            other => other.into(),
        })?;
        Ok(self)
    }

    /// Writes the inputs of a step.
    pub(crate) fn feed(
        &self,
        executor: &mut dyn Executor,
        batch: &Batch,
        hyper: &[f32],
    ) -> Result<(), ExecuteError> {
        executor.write(self.image, &batch.image)?;
        executor.write(self.target, &batch.target)?;
        executor.write(self.field, &batch.field)?;
        executor.write(self.hyper, hyper)
    }

    /// Adds FedProx's term to each gradient.
    fn add_proximal(&mut self, config: &TrainConfig, table: &Parameters) -> Result<(), GraphError> {
        if config.proximal_mu == 0.0 {
            return Ok(());
        }
        let anchor = Bank::declare(&mut self.graph, table, "anchor", false)?;
        let op = Op::AddProximal { factor: config.proximal_mu };
        self.graph.set_label("proximal term");
        let pairs = self.parameters.0.iter().zip(&anchor.0).filter_map(|(w, a)| Some(((*w)?, (*a)?)));
        for (gradient, (weight, pull)) in self.gradients.iter_mut().zip(pairs) {
            *gradient = self.graph.push(op, &[*gradient, weight, pull])?;
        }
        self.anchor = Some(anchor);
        Ok(())
    }

    fn add_updates(
        &mut self,
        config: &TrainConfig,
        table: &Parameters,
        running: &[RunningUpdate],
    ) -> Result<(), GraphError> {
        let graph = &mut self.graph;
        graph.set_label("running statistics");
        for update in running {
            graph.update(update.op, &[update.running, update.stats])?;
        }
        for moment in 1..=config.optimiser.moments() {
            self.moments.push(Bank::declare(graph, table, &format!("moment{moment}"), false)?);
        }
        let mut gradients = self.gradients.iter();
        for (i, entry) in table.entries().iter().enumerate().filter(|(_, e)| !e.statistic) {
            let (Some(weight), Some(&gradient)) = (self.parameters.0[i], gradients.next()) else { continue };
            let moments: Vec<ValueId> = self.moments.iter().filter_map(|bank| bank.0[i]).collect();
            graph.set_label(&entry.name);
            config.optimiser.update(graph, [weight, gradient, self.hyper], &moments, entry.decay)?;
        }
        if config.average_decay.is_some() {
            let average = Bank::declare(graph, table, "average", true)?;
            graph.set_label("weight average");
            let pairs = average.0.iter().zip(&self.parameters.0).filter_map(|(a, w)| Some(((*a)?, (*w)?)));
            for (average, weight) in pairs {
                graph.update(Op::AverageUpdate, &[average, weight, self.hyper])?;
            }
            self.average = Some(average);
        }
        Ok(())
    }
}

impl Bank {
    /// The bank of a model in an inference graph.
    pub(crate) fn of(parameters: Vec<Option<ValueId>>) -> Self {
        Bank(parameters)
    }

    /// Declares one value per entry, named `prefix.entry`; statistics only on demand.
    fn declare(
        graph: &mut Graph,
        table: &Parameters,
        prefix: &str,
        statistics: bool,
    ) -> Result<Self, GraphError> {
        let value = |entry: &fovea_unet::ParamSpec| {
            if entry.statistic && !statistics {
                return Ok(None);
            }
            graph.persistent(&format!("{prefix}.{}", entry.name), &entry.dims).map(Some)
        };
        Ok(Bank(table.entries().iter().map(value).collect::<Result<_, _>>()?))
    }

    /// Copies a vector in.
    pub(crate) fn write(
        &self,
        executor: &mut dyn Executor,
        table: &Parameters,
        what: &'static str,
        vector: &[f32],
    ) -> Result<(), TrainError> {
        let expected = table.count();
        if vector.len() != expected {
            return Err(TrainError::Length { what, expected, found: vector.len() });
        }
        for (entry, id) in table.entries().iter().zip(&self.0) {
            if let Some(id) = id {
                executor.write(*id, &vector[entry.range()])?;
            }
        }
        Ok(())
    }

    /// Copies the vector out.
    pub(crate) fn read(&self, executor: &dyn Executor, table: &Parameters) -> Result<Vec<f32>, TrainError> {
        let mut vector = vec![0.0; table.count()];
        for (entry, id) in table.entries().iter().zip(&self.0) {
            if let Some(id) = id {
                executor.read(*id, &mut vector[entry.range()])?;
            }
        }
        Ok(vector)
    }
}

fn add_loss(graph: &mut Graph, loss: &LossConfig, inputs: [ValueId; 3]) -> Result<ValueId, GraphError> {
    let mut terms = Vec::with_capacity(2);
    if loss.dice_weight > 0.0 {
        let sums = graph.push(Op::DiceSums, &inputs)?;
        let dice = graph.push(Op::DiceLoss { smooth: loss.smooth, pooled: loss.pooled }, &[sums])?;
        terms.push(graph.push(Op::Scale { factor: loss.dice_weight }, &[dice])?);
    }
    if loss.bce_weight > 0.0 {
        let bce = graph.push(Op::BceLoss, &inputs)?;
        terms.push(graph.push(Op::Scale { factor: loss.bce_weight }, &[bce])?);
    }
    match terms[..] {
        [a, b] => graph.push(Op::Add, &[a, b]),
        _ => Ok(terms[0]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fovea_unet::{Norm, UNetConfig};

    fn program(change: fn(&mut TrainConfig)) -> (StepProgram, UNet) {
        let mut config = TrainConfig { batch: 2, ..TrainConfig::default_profile() };
        change(&mut config);
        let unet = UNet::new(config.model.clone()).unwrap();
        (StepProgram::new(&config, &unet, (16, 16)).unwrap(), unet)
    }

    fn updates(graph: &Graph, name: &str) -> usize {
        graph.nodes().iter().filter(|n| n.op.name() == name).count()
    }

    #[test]
    fn updates_come_last_and_cover_every_parameter() {
        let (program, unet) = program(|c| c.proximal_mu = 0.1);
        let graph = &program.graph;
        let entries = unet.parameters().entries().len();
        assert_eq!(updates(graph, "adam_update"), entries);
        assert_eq!(updates(graph, "average_update"), entries);
        assert_eq!(updates(graph, "add_proximal"), entries);
        assert!(graph.nodes()[graph.first_update()..].iter().all(|n| n.output.is_none()));
        assert!(updates(graph, "activate") < updates(graph, "normalise"), "activations are fused");
    }

    #[test]
    fn running_statistics_are_updated_averaged_but_not_optimised() {
        let (program, unet) = program(|c| {
            c.model = UNetConfig { norm: Norm::Batch { momentum: 0.1 }, ..UNetConfig::small() };
        });
        let statistics = unet.parameters().entries().iter().filter(|e| e.statistic).count();
        let entries = unet.parameters().entries().len();
        assert_eq!(updates(&program.graph, "update_running"), statistics);
        assert_eq!(updates(&program.graph, "adam_update"), entries - statistics);
        assert_eq!(updates(&program.graph, "average_update"), entries);
        assert_eq!(program.gradients.len(), entries - statistics);
    }
}
