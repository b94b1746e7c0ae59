//! What can go wrong before and while a device computes.

/// Why a device cannot be had, or a graph not run on it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum GpuError {
    /// The choice of a device could not be read.
    #[error("device {found:?} is unknown; choose auto, cpu, gpu or gpu:N with N from `fovea devices`")]
    Choice {
        /// What was asked for.
        found: String,
    },
    /// There is no GPU at all.
    #[error("no GPU was found; install its Vulkan driver (or Metal, DirectX 12), or choose the device cpu")]
    NoAdapter,
    /// There is no GPU of that number.
    #[error("there is no device gpu:{index}; `fovea devices` lists {count}")]
    NoSuchAdapter {
        /// The number asked for.
        index: usize,
        /// How many there are.
        count: usize,
    },
    /// The driver refused to open the device.
    #[error("{adapter} cannot be opened: {reason}")]
    Open {
        /// The adapter's name.
        adapter: String,
        /// What the driver said.
        reason: String,
    },
    /// The arena is larger than a buffer of this device may be, or than its free memory.
    #[error(
        "{adapter} cannot hold {needed_mib} MiB of values in one buffer (limit {limit_mib} MiB); choose a smaller batch, \
         --memory-limit, or the device cpu"
    )]
    Arena {
        /// The adapter's name.
        adapter: String,
        /// What the graph needs, MiB.
        needed_mib: u64,
        /// What the device allows, MiB.
        limit_mib: u64,
    },
    /// One value is larger than a shader of this device may see.
    #[error(
        "{value} takes {needed_mib} MiB; a shader of {adapter} sees at most {limit_mib} MiB: choose a smaller batch or image"
    )]
    Binding {
        /// The adapter's name.
        adapter: String,
        /// The value's name.
        value: String,
        /// Its size, MiB.
        needed_mib: u64,
        /// What the device allows, MiB.
        limit_mib: u64,
    },
    /// The device failed: lost, out of memory, or a fault of the driver.
    #[error("{what}")]
    Failed {
        /// What the driver said.
        what: String,
    },
}

impl GpuError {
    /// What an executor said, as a failure of its device.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn of(error: fovea_graph::ExecuteError) -> Self {
        match error {
            fovea_graph::ExecuteError::Device { what } => GpuError::Failed { what },
            other => GpuError::Failed { what: other.to_string() },
        }
    }
}
