//! What can go wrong while training or predicting.

use fovea_autodiff::AutodiffError;
use fovea_data::{AugmentError, DataError};
use fovea_graph::{ExecuteError, GraphError};
use fovea_metrics::MetricsError;
use fovea_unet::{FileError, UNetError};

/// Why training, prediction or evaluation stopped.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A field of the configuration is out of its range.
    #[error("train.{field} is {found}: {rule}")]
    Config {
        /// The field.
        field: &'static str,
        /// What it says.
        found: String,
        /// What it must be.
        rule: &'static str,
    },
    /// Nothing to train on.
    #[error("there are no training images")]
    NoSamples,
    /// A whole image of another size than the first.
    #[error(
        "{name} is {found:?} pixels at working scale, the first image {expected:?}: train on crops, or stretch"
    )]
    SampleSize {
        /// The image.
        name: String,
        /// Height and width wanted.
        expected: (usize, usize),
        /// Its height and width.
        found: (usize, usize),
    },
    /// Too large a working scale.
    #[error("{height}x{width} pixels at working scale: at most {pixels_max} in all; choose a smaller scale")]
    WorkingSize {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
        /// The limit.
        pixels_max: usize,
    },
    /// A NaN or an infinity; the parameters are still those from before the step.
    #[error(
        "step {step}: the loss is {loss} and {layer} ({op}) is the first with a number that is not finite"
    )]
    NonFinite {
        /// The step, counted from 0.
        step: u32,
        /// The loss of that step.
        loss: f32,
        /// The label of the first layer with such a number.
        layer: String,
        /// The operation there.
        op: &'static str,
    },
    /// A vector is not as long as the model.
    #[error("{what} has {found} numbers, the model {expected}")]
    Length {
        /// Which vector.
        what: &'static str,
        /// Length of the parameter table.
        expected: usize,
        /// Its length.
        found: usize,
    },
    /// A saved state belongs to another run.
    #[error("the saved state is of another run: its {what} differs; start anew or restore the old settings")]
    OtherRun {
        /// What differs.
        what: &'static str,
    },
    /// Not even the most frugal way to compute fits.
    #[error(
        "{what} does not fit into {limit_mib} MiB: the least memory limit that can be met is {least_mib} MiB"
    )]
    MemoryLimit {
        /// What was to be computed.
        what: &'static str,
        /// The limit, MiB.
        limit_mib: usize,
        /// The least limit that can be met, MiB.
        least_mib: usize,
    },
    /// An image that needs more than the limit, by a network that cannot run in tiles.
    #[error(
        "the image takes {least_mib} MiB, more than the memory limit of {limit_mib} MiB, and {op} keeps it from being \
         predicted in tiles ({rule}): raise the limit"
    )]
    NotTileable {
        /// The limit, MiB.
        limit_mib: usize,
        /// The least limit that can be met, MiB.
        least_mib: usize,
        /// The operation in the way.
        op: &'static str,
        /// Why it is.
        rule: &'static str,
    },
    /// No field of view was found or given.
    #[error("no field of view found: the image is dark everywhere; give a field mask")]
    NoField,
    /// The network.
    #[error(transparent)]
    UNet(#[from] UNetError),
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The graph.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The backward pass.
    #[error(transparent)]
    Autodiff(#[from] AutodiffError),
    /// The device.
    #[error(transparent)]
    Execute(#[from] ExecuteError),
    /// An image.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A crop.
    #[error(transparent)]
    Augment(#[from] AugmentError),
    /// An evaluation.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
}
