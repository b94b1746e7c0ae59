//! What can be wrong with a graph or its execution.

use fovea_tensor::{Shape, ShapeError, WindowError};

/// Why a node cannot be added.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// Wrong number of inputs.
    #[error("{op} takes {expected} inputs, found {found}")]
    Arity {
        /// The op's name.
        op: &'static str,
        /// How many it takes.
        expected: &'static str,
        /// How many came.
        found: usize,
    },
    /// Input shapes that do not go together.
    #[error("{op}: {rule}; found {shapes:?}")]
    Shapes {
        /// The op's name.
        op: &'static str,
        /// The rule they break.
        rule: &'static str,
        /// The input shapes.
        shapes: Vec<Shape>,
    },
    /// An attribute out of its range.
    #[error("{op}: {rule}")]
    Attribute {
        /// The op's name.
        op: &'static str,
        /// The rule it breaks.
        rule: &'static str,
    },
    /// The result is no shape.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// The window does not fit the plane.
    #[error(transparent)]
    Window(#[from] WindowError),
    /// An op that writes in place was given a value that is not persistent.
    #[error("{op} updates its inputs in place, but {value} is not persistent")]
    NotPersistent {
        /// The op's name.
        op: &'static str,
        /// The value's name.
        value: String,
    },
    /// An op whose result at a pixel depends on more than a neighbourhood of that pixel.
    #[error("{op} cannot run in tiles: {rule}")]
    NotLocal {
        /// The op's name.
        op: &'static str,
        /// What stands in the way.
        rule: &'static str,
    },
    /// Not even with every value made again does the graph fit.
    #[error("a memory limit of {limit} bytes cannot be met: the least is {least} bytes")]
    MemoryLimit {
        /// The limit, bytes.
        limit: usize,
        /// The least limit that can be met, bytes.
        least: usize,
    },
}

/// Why an executor refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExecuteError {
    /// The data's length is not the value's.
    #[error("{value} holds {expected} numbers, found {found}")]
    Length {
        /// The value's name.
        value: String,
        /// Its element count.
        expected: usize,
        /// The length given.
        found: usize,
    },
    /// A temporary value was read or written whose memory another value may use.
    #[error("{value} is temporary; only inputs, persistent values and outputs can be accessed")]
    NotAccessible {
        /// The value's name.
        value: String,
    },
    /// The device failed.
    #[error("device: {what}")]
    Device {
        /// What it said.
        what: String,
    },
}
