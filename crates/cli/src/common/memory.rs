//! Memory limits on the command line.

/// A limit for training.
#[derive(clap::Args)]
pub struct TrainingMemory {
    /// Let a training step take at most this much memory for parameters, moments, activations and gradients: some
    /// activations are then computed twice, and the model is the same to the bit. Images come on top, and each site of a
    /// federation has a step of its own [default: no limit].
    #[arg(long, value_name = "MiB", value_parser = clap::value_parser!(u32).range(1..))]
    memory_limit: Option<u32>,
}

/// A limit for predictions.
#[derive(clap::Args)]
pub struct PredictionMemory {
    /// Let the network take at most this much memory at a time for parameters and activations: larger images are predicted in
    /// overlapping tiles, slower but the same up to rounding. Images come on top [default: no limit].
    #[arg(long, value_name = "MiB", value_parser = clap::value_parser!(u32).range(1..))]
    memory_limit: Option<u32>,
}

impl TrainingMemory {
    /// In MiB.
    pub fn limit_mib(&self) -> Option<usize> {
        self.memory_limit.map(|mib| mib as usize)
    }
}

impl PredictionMemory {
    /// In MiB.
    pub fn limit_mib(&self) -> Option<usize> {
        self.memory_limit.map(|mib| mib as usize)
    }
}
