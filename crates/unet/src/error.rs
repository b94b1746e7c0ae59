//! What can be wrong with a network's description, its use or its files.

use fovea_graph::GraphError;

/// Why a network cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UNetError {
    /// A field of the configuration is out of its range.
    #[error("model.{field} is {found}: {rule}")]
    Config {
        /// The field.
        field: &'static str,
        /// What it says.
        found: String,
        /// What it must be.
        rule: &'static str,
    },
    /// The input does not fit the network.
    #[error(
        "the input is {found}: the network takes (N, {channels}, H, W) with H and W multiples of {multiple}"
    )]
    Input {
        /// The input's shape.
        found: String,
        /// Input channels of the network.
        channels: usize,
        /// 2^(levels - 1).
        multiple: usize,
    },
    /// A vector is not as long as the table.
    #[error("the model has {expected} numbers, found {found}")]
    Length {
        /// Length of the table.
        expected: usize,
        /// Length of the vector.
        found: usize,
    },
    /// A node was refused.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

/// Why a file cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The operating system refused.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// What it said.
        source: std::io::Error,
    },
    /// More bytes than allowed.
    #[error("{path}: {found} bytes, more than the {bytes_max} that such a file may have")]
    TooLarge {
        /// The file.
        path: String,
        /// Its size.
        found: u64,
        /// The limit.
        bytes_max: u64,
    },
    /// Not a whole safetensors file.
    #[error("{path}: not a whole safetensors file ({what}); it may be truncated")]
    Format {
        /// The file.
        path: String,
        /// What the parser said.
        what: String,
    },
    /// A safetensors file that Fovea did not write.
    #[error("{path}: not written by Fovea: {what}")]
    Foreign {
        /// The file.
        path: String,
        /// What is missing.
        what: String,
    },
    /// The description in the file does not describe what the file holds.
    #[error("{path}: tensor {tensor}: expected {expected}, found {found}")]
    Tensor {
        /// The file.
        path: String,
        /// The tensor.
        tensor: String,
        /// What the description asks for.
        expected: String,
        /// What is there.
        found: String,
    },
    /// The numbers are not those that were written.
    #[error("{path}: the content's SHA-256 is {found}, but the file says {expected}: damaged or edited")]
    Hash {
        /// The file.
        path: String,
        /// Hash in the file.
        expected: String,
        /// Hash of the content.
        found: String,
    },
    /// The model described in the file cannot be built.
    #[error("{path}: {source}")]
    Model {
        /// The file.
        path: String,
        /// Why not.
        source: UNetError,
    },
}
