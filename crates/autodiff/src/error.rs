//! Why a graph cannot be differentiated.

use fovea_graph::GraphError;
use fovea_tensor::Shape;

/// Why a graph cannot be differentiated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AutodiffError {
    /// The loss is not a single number.
    #[error("the loss {value} must have shape (1), found {shape}")]
    LossNotScalar {
        /// The loss's name.
        value: String,
        /// Its shape.
        shape: Shape,
    },
    /// No differentiable path leads from the value to the loss.
    #[error("the loss does not depend on {value}; leave it out of the values to differentiate in")]
    Independent {
        /// The value's name.
        value: String,
    },
    /// An op on the path has no adjoint.
    #[error("{op} ({label}) lies between the loss and a wanted gradient but has no adjoint")]
    NotDifferentiable {
        /// The op's name.
        op: &'static str,
        /// The layer it belongs to.
        label: String,
    },
    /// The op has an adjoint, but not in this input.
    #[error("{op} ({label}) has no adjoint in its input {input}")]
    NotDifferentiableIn {
        /// The op's name.
        op: &'static str,
        /// The layer it belongs to.
        label: String,
        /// The input's name in the op's docs.
        input: &'static str,
    },
    /// A normalisation's statistics are not those of its own input, as with running statistics at inference.
    #[error(
        "{label}: normalise can be differentiated only with the statistics of its own input, but {stats} is \
         something else; build the training graph with norm_stats of the same value"
    )]
    ForeignStatistics {
        /// The layer it belongs to.
        label: String,
        /// The name of the statistics' value.
        stats: String,
    },
    /// A value that the backward pass would read is overwritten before.
    #[error("{op} overwrites {value}, which the backward pass reads; add updates after differentiating")]
    Overwritten {
        /// The updating op's name.
        op: &'static str,
        /// The value's name.
        value: String,
    },
    /// An adjoint node was refused.
    #[error(transparent)]
    Graph(#[from] GraphError),
}
