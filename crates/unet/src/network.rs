//! The network as nodes of a graph.

use crate::{Norm, PARAMETERS_MAX, Parameters, UNetConfig, UNetError, Upsampling};
use fovea_graph::{Activation, Graph, Op, Resize, StatsOver, ValueId};
use fovea_tensor::Window;
use std::collections::HashMap;

/// Added to variances before the root; PyTorch's default for both normalisations.
pub const NORM_EPSILON: f32 = 1e-5;

/// A validated configuration with its parameter table.
#[derive(Debug, Clone, PartialEq)]
pub struct UNet {
    config: UNetConfig,
    parameters: Parameters,
}

/// What the graph is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// BatchNorm uses the batch's statistics; dropout acts.
    Training,
    /// BatchNorm uses its running statistics; no dropout.
    Inference,
}

/// What [`UNet::forward`] declared.
#[derive(Debug, Clone, PartialEq)]
pub struct Forward {
    /// `(N, out_channels, H, W)`, before the sigmoid.
    pub logits: ValueId,
    /// The persistent value of each entry of the parameter table, in its order.
    pub parameters: Vec<ValueId>,
    /// In training mode, the running statistics to bring up to date after the step.
    pub running: Vec<RunningUpdate>,
}

/// One pending [`Op::UpdateRunning`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RunningUpdate {
    /// Persistent `(1, C, 2)`.
    pub running: ValueId,
    /// The batch's statistics, `(1, C, 2)`.
    pub stats: ValueId,
    /// The op that joins them.
    pub op: Op,
}

impl UNet {
    /// Checks the configuration and lays out its parameters.
    ///
    /// # Errors
    /// [`UNetError::Config`] for a field out of its range, or a model beyond [`PARAMETERS_MAX`].
    pub fn new(config: UNetConfig) -> Result<Self, UNetError> {
        config.validate()?;
        let parameters = Parameters::of(&config);
        if parameters.count() > PARAMETERS_MAX {
            return Err(UNetError::Config {
                field: "widths",
                found: format!("{:?} with {} parameters", config.widths, parameters.count()),
                rule: "the model must have at most 2^26 parameters",
            });
        }
        Ok(UNet { config, parameters })
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &UNetConfig {
        &self.config
    }

    /// The parameter table.
    #[must_use]
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Adds the network to a graph: its parameters as persistent values under the table's names, then its nodes.
    /// `x` is `(N, in_channels, H, W)`, H and W multiples of [`UNetConfig::multiple`].
    ///
    /// # Errors
    /// [`UNetError::Input`] when `x` does not fit.
    pub fn forward(&self, graph: &mut Graph, x: ValueId, mode: Mode) -> Result<Forward, UNetError> {
        let multiple = self.config.multiple();
        let shape = graph.shape(x);
        let fits = shape.nchw().is_some_and(|[_, c, h, w]| {
            c == self.config.in_channels && h % multiple == 0 && w % multiple == 0
        });
        if !fits {
            let channels = self.config.in_channels;
            return Err(UNetError::Input { found: shape.to_string(), channels, multiple });
        }
        let mut parameters = Vec::with_capacity(self.parameters.entries().len());
        for entry in self.parameters.entries() {
            parameters.push(graph.persistent(&entry.name, &entry.dims)?);
        }
        let names = self.parameters.entries().iter().map(|e| e.name.as_str());
        let ids = names.zip(parameters.iter().copied()).collect();
        let mut builder = Builder { config: &self.config, graph, ids, mode, running: Vec::new() };
        let logits = builder.network(x)?;
        let running = builder.running;
        Ok(Forward { logits, parameters, running })
    }
}

struct Builder<'a> {
    config: &'a UNetConfig,
    graph: &'a mut Graph,
    ids: HashMap<&'a str, ValueId>,
    mode: Mode,
    running: Vec<RunningUpdate>,
}

impl Builder<'_> {
    // Letters below: C0, C1, .. the widths; H, W the extents of the level at hand.
    fn network(&mut self, x: ValueId) -> Result<ValueId, UNetError> {
        let levels = self.config.widths.len();
        let mut skips = Vec::with_capacity(levels - 1);
        let mut x = self.block("encoder.0", x)?; // (N, C0, H, W)
        for level in 1..levels {
            skips.push(x);
            self.graph.set_label(&format!("encoder.{level}.pool"));
            let window = Window { kernel: 2, stride: 2, padding: 0 };
            x = self.graph.push(Op::MaxPool2d { window }, &[x])?; // (N, C[level-1], H/2, W/2)
            x = self.block(&format!("encoder.{level}"), x)?; // (N, C[level], H/2, W/2)
        }
        if self.config.dropout > 0.0 && self.mode == Mode::Training {
            self.graph.set_label("dropout");
            x = self.graph.push(Op::Dropout { p: self.config.dropout, stream: 0 }, &[x])?;
        }
        for (level, skip) in skips.into_iter().enumerate().rev() {
            x = self.upsample(level, x)?; // (N, C', 2H, 2W)
            x = self.graph.push(Op::Concat, &[x, skip])?; // (N, C' + C[level], 2H, 2W)
            x = self.block(&format!("decoder.{level}"), x)?; // (N, C[level], 2H, 2W)
        }
        self.graph.set_label("head");
        let inputs = [x, self.ids["head.weight"], self.ids["head.bias"]];
        let op = Op::Conv2d { window: Window::same(1), activation: Activation::Identity };
        Ok(self.graph.push(op, &inputs)?) // (N, out_channels, H, W)
    }

    fn block(&mut self, name: &str, mut x: ValueId) -> Result<ValueId, UNetError> {
        for i in 1..=self.config.convs_per_level {
            let conv = format!("{name}.conv{i}");
            self.graph.set_label(&conv);
            let op =
                Op::Conv2d { window: Window::same(self.config.kernel), activation: Activation::Identity };
            let mut inputs = vec![x, self.ids[format!("{conv}.weight").as_str()]];
            inputs.extend(self.ids.get(format!("{conv}.bias").as_str()));
            x = self.graph.push(op, &inputs)?; // (N, C, H, W)
            let norm = format!("{name}.norm{i}");
            self.graph.set_label(&norm);
            x = self.normalise(&norm, x)?;
            self.graph.set_label(&format!("{name}.act{i}"));
            x = self.graph.push(Op::Activate { function: self.config.activation.function() }, &[x])?;
        }
        Ok(x)
    }

    fn normalise(&mut self, name: &str, x: ValueId) -> Result<ValueId, UNetError> {
        let stats = match (self.config.norm, self.mode) {
            (Norm::None, _) => return Ok(x),
            (Norm::Group { groups }, _) => {
                self.graph.push(Op::NormStats { over: StatsOver::Image, groups }, &[x])? // (N, G, 2)
            }
            (Norm::Batch { momentum }, Mode::Training) => self.batch_stats(name, x, momentum)?,
            (Norm::Batch { .. }, Mode::Inference) => self.ids[format!("{name}.running").as_str()],
        };
        let gamma = self.ids[format!("{name}.weight").as_str()];
        let beta = self.ids[format!("{name}.bias").as_str()];
        let op = Op::Normalise { epsilon: NORM_EPSILON, activation: Activation::Identity };
        Ok(self.graph.push(op, &[x, stats, gamma, beta])?)
    }

    fn batch_stats(&mut self, name: &str, x: ValueId, momentum: f32) -> Result<ValueId, UNetError> {
        let shape = self.graph.shape(x);
        let groups = shape.dims()[1];
        let count = shape.count() / groups;
        let stats = self.graph.push(Op::NormStats { over: StatsOver::Batch, groups }, &[x])?; // (1, C, 2)
        let running = self.ids[format!("{name}.running").as_str()];
        self.running.push(RunningUpdate { running, stats, op: Op::UpdateRunning { momentum, count } });
        Ok(stats)
    }

    fn upsample(&mut self, level: usize, x: ValueId) -> Result<ValueId, UNetError> {
        let name = format!("decoder.{level}.up");
        self.graph.set_label(&name);
        let mode = match self.config.upsampling {
            Upsampling::Bilinear { align_corners } => Resize::Bilinear { align_corners },
            Upsampling::Nearest => Resize::Nearest,
            Upsampling::Transpose => {
                let weight = self.ids[format!("{name}.weight").as_str()];
                let bias = self.ids[format!("{name}.bias").as_str()];
                return Ok(self.graph.push(Op::ConvTranspose2x2, &[x, weight, bias])?);
            }
        };
        Ok(self.graph.push(Op::Upsample { mode, factor: 2 }, &[x])?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ActivationKind;
    use proptest::prelude::*;

    fn build(config: UNetConfig, dims: &[usize], mode: Mode) -> Result<(Graph, Forward), UNetError> {
        let unet = UNet::new(config)?;
        let mut graph = Graph::new();
        let x = graph.input("image", dims)?;
        let forward = unet.forward(&mut graph, x, mode)?;
        Ok((graph, forward))
    }

    #[test]
    fn every_parameter_is_used_once() {
        let (graph, forward) = build(UNetConfig::small(), &[2, 3, 32, 48], Mode::Training).unwrap();
        for &p in &forward.parameters {
            let uses = graph.nodes().iter().flat_map(|n| &n.inputs).filter(|&&i| i == p).count();
            assert_eq!(uses, 1, "{}", graph.value(p).name);
        }
        assert_eq!(graph.shape(forward.logits).dims(), [2, 1, 32, 48]);
    }

    #[test]
    fn batch_norm_reads_running_statistics_only_in_inference() {
        let config = UNetConfig { norm: Norm::Batch { momentum: 0.1 }, ..UNetConfig::small() };
        let (_, training) = build(config.clone(), &[2, 3, 8, 8], Mode::Training).unwrap();
        assert_eq!(training.running.len(), 10);
        assert_eq!(training.running[0].op, Op::UpdateRunning { momentum: 0.1, count: 2 * 8 * 8 });
        let (graph, inference) = build(config, &[2, 3, 8, 8], Mode::Inference).unwrap();
        assert!(inference.running.is_empty());
        assert!(graph.nodes().iter().all(|n| n.op.name() != "norm_stats"));
    }

    #[test]
    fn dropout_acts_in_training_only() {
        let config = UNetConfig { dropout: 0.5, ..UNetConfig::small() };
        let has = |mode| {
            let (graph, _) = build(config.clone(), &[1, 3, 8, 8], mode).unwrap();
            graph.nodes().iter().any(|n| n.op.name() == "dropout")
        };
        assert!(has(Mode::Training) && !has(Mode::Inference));
    }

    #[test]
    fn inputs_that_do_not_fit_are_refused() {
        for dims in [&[1, 3, 30, 32][..], &[1, 4, 32, 32], &[3]] {
            let found = build(UNetConfig::small(), dims, Mode::Inference);
            assert!(matches!(found, Err(UNetError::Input { channels: 3, multiple: 4, .. })), "{dims:?}");
        }
        let huge = UNetConfig { widths: vec![4096; 7], ..UNetConfig::small() };
        assert!(matches!(UNet::new(huge), Err(UNetError::Config { field: "widths", .. })));
    }

    proptest! {
        /// Any valid configuration gives logits of the input's extents.
        #[test]
        fn any_configuration_builds(
            levels in 1usize..5,
            convs in 1usize..4,
            norm in 0..3,
            activation in 0..3,
            upsampling in 0..4,
        ) {
            let config = UNetConfig {
                widths: (0..levels).map(|l| 4 << l).collect(),
                convs_per_level: convs,
                norm: [Norm::None, Norm::Group { groups: 2 }, Norm::Batch { momentum: 0.1 }][norm as usize],
                activation: [ActivationKind::Relu, ActivationKind::Silu, ActivationKind::LeakyRelu { slope: 0.1 }]
                    [activation as usize],
                upsampling: [
                    Upsampling::Bilinear { align_corners: true },
                    Upsampling::Bilinear { align_corners: false },
                    Upsampling::Nearest,
                    Upsampling::Transpose,
                ][upsampling as usize],
                ..UNetConfig::small()
            };
            let (graph, forward) = build(config, &[1, 3, 16, 32], Mode::Training).unwrap();
            let shape = graph.shape(forward.logits);
            prop_assert_eq!(shape.dims(), [1, 1, 16, 32]);
        }
    }
}
