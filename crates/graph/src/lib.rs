//! A model as data: a closed list of operations with inferred shapes, a printer, a memory planner and the executor trait.
//!
//! A [`Graph`] is a flat list of [`Node`]s of one closed [`Op`] enum. The road not taken is a tape recorded at
//! run time or a `Backend` type parameter: a UNet's shapes are static, so memory is planned once, the order
//! of every sum is fixed, and the compiler enumerates the places that a new op touches. Executors
//! interpret the list behind the object-safe [`Executor`] trait; [`reference`] is the slow, readable one in
//! float64 that every fast kernel is checked against.

mod attributes;
mod error;
mod executor;
mod fold;
mod fuse;
mod graph;
mod infer;
mod merge;
mod op;
mod plan;
mod print;
mod recompute;
pub mod reference;
mod schedule;
mod tile;

pub use attributes::{Activation, AdamRule, Affine, Channels, Hyper, Resize, StatsOver};
pub use error::{ExecuteError, GraphError};
pub use executor::{Executor, Outcome, Step};
pub use fold::{Fold, fold};
pub use fuse::fuse;
pub use graph::{Graph, Node, NodeId, Storage, Value, ValueId};
pub use merge::Merged;
pub use op::Op;
pub use plan::{ALIGN, Plan};
pub use recompute::recompute;
pub use tile::{Statistics, reach, up_to, without_statistics};
