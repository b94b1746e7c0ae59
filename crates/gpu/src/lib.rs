//! The GPU executor: handwritten WGSL kernels (`shaders/` at the root) through wgpu, over one planned arena.
//!
//! A node becomes launches by pure functions (`lower`), so that dispatches and bytes are counted, and shaders validated, with no
//! GPU. All values lie in one buffer; a step is one command buffer, and losses are read back every few steps. Sums run in a
//! fixed order and no float is added atomically: two runs on one device with one driver give the same bits.
//!
//! Nothing here blocks but `blocking`, which is left out for browsers: the same kernels build for `wasm32-unknown-unknown`.
//! The only crate that knows wgpu. Roads not taken: one buffer per value (thousands of allocations and
//! barriers that the planner makes needless), and push constants (browsers lack them).

#[cfg(not(target_arch = "wasm32"))]
mod blocking;
#[cfg(not(target_arch = "wasm32"))]
pub mod ceiling;
mod device;
mod error;
mod executor;
mod launch;
mod layout;
mod lower;
pub mod shader;
mod tile;
#[cfg(not(target_arch = "wasm32"))]
mod tune;
mod tuning;
mod words;

pub use device::{Checks, Choice, Description, Device, adapters};
pub use error::GpuError;
pub use executor::{GpuExecutor, STEPS_IN_FLIGHT};
pub use launch::{Launch, Place};
pub use lower::{Counted, counted, launches};
pub use tile::{Product, Tile};
#[cfg(not(target_arch = "wasm32"))]
pub use tune::autotune;
pub use tuning::Tuning;
pub use words::{Word, Words};

pub(crate) use lower::Operand;
