//! Parametric UNet: its graphs, its parameter table and its checkpoint files.
//!
//! A model is a flat `&[f32]` in the order of the parameter table ([`Parameters`]), so that optimisers, files and
//! federations need not know what a layer is; the table's hash says whether two vectors mean the same thing.
//! [`UNet::forward`] writes the network with plain ops only: fusing them is a pass over the graph. Files are
//! safetensors, which every framework reads and which hold no code; pickles were refused for that reason.

mod checkpoint;
mod config;
mod error;
mod inference;
mod network;
mod parameters;
mod tensor_file;

pub use checkpoint::{Checkpoint, ModelCard, Preprocessing, Scale};
pub use config::{ActivationKind, Norm, PARAMETERS_MAX, UNetConfig, Upsampling};
pub use error::{FileError, UNetError};
pub use inference::Inference;
pub use network::{Forward, Mode, NORM_EPSILON, RunningUpdate, UNet};
pub use parameters::{Init, ParamSpec, Parameters, model_hash};
pub use tensor_file::{NamedTensor, TensorFile};
