//! The parameter table: which number of the flat model vector is what, how it starts and what it hashes to.

use crate::{Norm, UNetConfig, Upsampling};
use fovea_tensor::Stream;
use sha2::{Digest, Sha256};

/// One tensor of the model.
#[derive(Debug, Clone, PartialEq)]
pub struct ParamSpec {
    /// Dotted, as PyTorch names parameters: `encoder.0.conv1.weight`.
    pub name: String,
    /// Extents, outermost first; convolutions are (Cout, Cin, K, K).
    pub dims: Vec<usize>,
    /// First number in the model vector.
    pub offset: usize,
    /// How it starts.
    pub init: Init,
    /// Whether weight decay acts on it: true for the weights of convolutions only.
    pub decay: bool,
    /// Whether it is a running statistic (C means and C variances, interleaved), which no gradient changes.
    pub statistic: bool,
}

/// How a tensor starts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Init {
    /// Normal with mean 0 (He et al., "Delving deep into rectifiers", ICCV 2015).
    Normal {
        /// Standard deviation: `sqrt(gain / fan_in)`.
        deviation: f32,
    },
    /// One number everywhere.
    Constant(f32),
    /// Mean 0 and variance 1, interleaved.
    UnitStatistics,
}

/// The table of a network, in the order of the model vector.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameters {
    entries: Vec<ParamSpec>,
    count: usize,
}

impl ParamSpec {
    /// Its part of the model vector.
    #[must_use]
    pub fn range(&self) -> std::ops::Range<usize> {
        self.offset..self.offset + self.dims.iter().product::<usize>()
    }
}

impl Parameters {
    /// The table of a validated configuration.
    pub(crate) fn of(config: &UNetConfig) -> Self {
        let mut table = Parameters { entries: Vec::new(), count: 0 };
        let widths = &config.widths;
        let mut channels = config.in_channels;
        for (level, &width) in widths.iter().enumerate() {
            table.block(config, &format!("encoder.{level}"), channels, width);
            channels = width;
        }
        for level in (0..widths.len() - 1).rev() {
            let (coarse, width) = (widths[level + 1], widths[level]);
            let raised = if config.upsampling == Upsampling::Transpose {
                table.transpose(&format!("decoder.{level}.up"), coarse, width);
                width
            } else {
                coarse
            };
            table.block(config, &format!("decoder.{level}"), raised + width, width);
        }
        let deviation = (1.0 / widths[0] as f32).sqrt();
        table.weight("head", &[config.out_channels, widths[0], 1, 1], deviation);
        table.push("head.bias", &[config.out_channels], Init::Constant(config.head_bias));
        table
    }

    /// The tensors, in order.
    #[must_use]
    pub fn entries(&self) -> &[ParamSpec] {
        &self.entries
    }

    /// Length of the model vector, running statistics included.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// How many of those a gradient changes.
    #[must_use]
    pub fn trainable(&self) -> usize {
        self.entries.iter().filter(|e| !e.statistic).map(|e| e.range().len()).sum()
    }

    /// SHA-256, in hexadecimal, over names and extents: two vectors with the same layout hash can be averaged.
    #[must_use]
    pub fn layout_hash(&self) -> String {
        let mut hash = Sha256::new_with_prefix(b"fovea layout 1\n");
        for entry in &self.entries {
            hash.update(format!("{} {:?}\n", entry.name, entry.dims));
        }
        hex(&hash.finalize())
    }

    /// A model's start. Each tensor draws from a stream of its own name, so adding a layer changes no other's start.
    #[must_use]
    pub fn initialise(&self, seed: u64) -> Vec<f32> {
        let mut model = Vec::with_capacity(self.count);
        for entry in &self.entries {
            let mut stream = Stream::new(seed, &entry.name, [0, 0]);
            model.extend((0..entry.range().len()).map(|i| match entry.init {
                Init::Normal { deviation } => deviation * stream.normal(),
                Init::Constant(value) => value,
                Init::UnitStatistics => (i % 2) as f32,
            }));
        }
        model
    }

    fn block(&mut self, config: &UNetConfig, name: &str, channels: usize, width: usize) {
        let mut from = channels;
        for i in 1..=config.convs_per_level {
            let fan_in = from * config.kernel * config.kernel;
            let deviation = (config.activation.variance_gain() / fan_in as f32).sqrt();
            let conv = format!("{name}.conv{i}");
            self.weight(&conv, &[width, from, config.kernel, config.kernel], deviation);
            match config.norm {
                Norm::None => self.push(&format!("{conv}.bias"), &[width], Init::Constant(0.0)),
                Norm::Group { .. } | Norm::Batch { .. } => {
                    self.push(&format!("{name}.norm{i}.weight"), &[width], Init::Constant(1.0));
                    self.push(&format!("{name}.norm{i}.bias"), &[width], Init::Constant(0.0));
                }
            }
            if matches!(config.norm, Norm::Batch { .. }) {
                self.push(&format!("{name}.norm{i}.running"), &[1, width, 2], Init::UnitStatistics);
            }
            from = width;
        }
    }

    /// A transposed convolution with kernel 2 and stride 2: one tap of each input channel reaches a pixel.
    fn transpose(&mut self, name: &str, from: usize, width: usize) {
        self.weight(name, &[from, width, 2, 2], (1.0 / from as f32).sqrt());
        self.push(&format!("{name}.bias"), &[width], Init::Constant(0.0));
    }

    fn weight(&mut self, layer: &str, dims: &[usize], deviation: f32) {
        self.push(&format!("{layer}.weight"), dims, Init::Normal { deviation });
    }

    fn push(&mut self, name: &str, dims: &[usize], init: Init) {
        self.entries.push(ParamSpec {
            name: name.to_owned(),
            dims: dims.to_vec(),
            offset: self.count,
            init,
            decay: matches!(init, Init::Normal { .. }),
            statistic: init == Init::UnitStatistics,
        });
        self.count += dims.iter().product::<usize>();
    }
}

/// SHA-256, in hexadecimal, of a layout hash and a model's numbers (little-endian): the model's name wherever models
/// are compared.
#[must_use]
pub fn model_hash(layout_hash: &str, model: &[f32]) -> String {
    let mut hash = Sha256::new_with_prefix(b"fovea model 1\n");
    hash.update(layout_hash);
    hash_numbers(&mut hash, model);
    hex(&hash.finalize())
}

/// Feeds numbers as little-endian bytes.
pub(crate) fn hash_numbers(hash: &mut Sha256, numbers: &[f32]) {
    let mut bytes = Vec::with_capacity(4096);
    for chunk in numbers.chunks(1024) {
        bytes.clear();
        bytes.extend(chunk.iter().flat_map(|v| v.to_le_bytes()));
        hash.update(&bytes);
    }
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(config: &UNetConfig) -> Parameters {
        Parameters::of(config)
    }

    #[test]
    fn counts_are_those_of_the_same_network_in_pytorch() {
        assert_eq!(table(&UNetConfig::seed()).count(), 7_782_913);
        let small = table(&UNetConfig::small());
        assert_eq!(small.count(), small.trainable());
        assert!(small.count() <= 100_000, "{}", small.count());
    }

    #[test]
    fn offsets_follow_one_another_and_names_are_unique() {
        let config = UNetConfig {
            norm: Norm::Batch { momentum: 0.1 },
            upsampling: Upsampling::Transpose,
            ..UNetConfig::small()
        };
        let table = table(&config);
        let mut next = 0;
        for (i, entry) in table.entries().iter().enumerate() {
            assert_eq!(entry.range().start, next);
            next = entry.range().end;
            assert!(table.entries()[..i].iter().all(|other| other.name != entry.name));
        }
        assert_eq!(next, table.count());
        // Ten normalised convolutions: two statistics for each of their output channels.
        assert_eq!(table.count() - table.trainable(), 2 * 2 * (2 * 12 + 2 * 24 + 48));
    }

    #[test]
    fn initial_weights_have_the_variance_of_he_et_al() {
        let table = table(&UNetConfig::seed());
        let model = table.initialise(3);
        assert_eq!(model.len(), table.count());
        let entry = table.entries().iter().find(|e| e.name == "encoder.2.conv1.weight").unwrap();
        let w = &model[entry.range()];
        let variance = w.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / w.len() as f64;
        assert!((variance * (128.0 * 9.0) / 2.0 - 1.0).abs() < 0.02, "{variance}");
        let bias = table.entries().iter().find(|e| e.name == "encoder.2.conv1.bias").unwrap();
        assert!(model[bias.range()].iter().all(|&v| v == 0.0));
    }

    #[test]
    fn hashes_tell_layouts_and_models_apart() {
        let (a, b) = (table(&UNetConfig::small()), table(&UNetConfig::seed()));
        assert_ne!(a.layout_hash(), b.layout_hash());
        let model = a.initialise(1);
        let name = model_hash(&a.layout_hash(), &model);
        assert_eq!(name.len(), 64);
        assert_eq!(name, model_hash(&a.layout_hash(), &a.initialise(1)));
        assert_ne!(name, model_hash(&a.layout_hash(), &a.initialise(2)));
        assert_ne!(name, model_hash(&b.layout_hash(), &model));
    }
}
