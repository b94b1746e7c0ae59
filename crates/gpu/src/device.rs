//! Which GPUs there are, and one of them opened.

use crate::GpuError;
use crate::shader::source;
use std::collections::HashMap;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

/// What was asked for by `--device`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// A hardware GPU where there is one, else the CPU.
    Auto,
    /// The CPU executor.
    Cpu,
    /// The first GPU: discrete before integrated before software.
    Gpu,
    /// The GPU of that number in [`adapters`].
    Numbered(usize),
}

impl FromStr for Choice {
    type Err = GpuError;

    fn from_str(text: &str) -> Result<Self, GpuError> {
        let unknown = || GpuError::Choice { found: text.to_owned() };
        match text {
            "auto" => Ok(Choice::Auto),
            "cpu" => Ok(Choice::Cpu),
            "gpu" => Ok(Choice::Gpu),
            _ => {
                let number = text.strip_prefix("gpu:").ok_or_else(unknown)?;
                number.parse().map(Choice::Numbered).map_err(|_| unknown())
            }
        }
    }
}

/// One GPU of this machine.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Description {
    /// Its number, for `gpu:N`.
    pub index: usize,
    /// Its name.
    pub name: String,
    /// Vulkan, Metal, Dx12 or BrowserWebGpu.
    pub backend: String,
    /// discrete, integrated, virtual, software or other.
    pub kind: &'static str,
    /// Driver and its version.
    pub driver: String,
    /// Largest buffer, bytes: bounds the values of one network.
    pub buffer_bytes_max: u64,
    /// Largest range of a buffer that a shader sees, bytes: bounds one value.
    pub binding_bytes_max: u64,
    /// Whether shaders may use half precision.
    pub half_precision: bool,
}

impl Description {
    fn of(index: usize, adapter: &wgpu::Adapter) -> Self {
        let (info, limits) = (adapter.get_info(), adapter.limits());
        Description {
            index,
            kind: kind(info.device_type),
            backend: format!("{:?}", info.backend),
            driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
            name: info.name,
            buffer_bytes_max: limits.max_buffer_size,
            binding_bytes_max: limits.max_storage_buffer_binding_size,
            half_precision: adapter.features().contains(wgpu::Features::SHADER_F16),
        }
    }

    /// Whether a CPU pretends to be a GPU.
    #[must_use]
    pub fn is_software(&self) -> bool {
        self.kind == "software"
    }
}

impl std::fmt::Display for Description {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({}, {})", self.name, self.backend, self.driver)
    }
}

fn kind(device_type: wgpu::DeviceType) -> &'static str {
    match device_type {
        wgpu::DeviceType::DiscreteGpu => "discrete",
        wgpu::DeviceType::IntegratedGpu => "integrated",
        wgpu::DeviceType::VirtualGpu => "virtual",
        wgpu::DeviceType::Cpu => "software",
        wgpu::DeviceType::Other => "other",
    }
}

/// The GPUs of this machine, best first: discrete, integrated, virtual, other, software.
pub async fn adapters() -> Vec<Description> {
    let found = enumerate().await;
    found.iter().enumerate().map(|(index, adapter)| Description::of(index, adapter)).collect()
}

async fn enumerate() -> Vec<wgpu::Adapter> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
        // OpenGL is left out: its compute shaders lack what the kernels need.
        backends: wgpu::Backends::from_env().unwrap_or(wgpu::Backends::PRIMARY),
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    });
    let mut found = instance.enumerate_adapters(wgpu::Backends::all()).await;
    let rank = |adapter: &wgpu::Adapter| match adapter.get_info().device_type {
        wgpu::DeviceType::DiscreteGpu => 0,
        wgpu::DeviceType::IntegratedGpu => 1,
        wgpu::DeviceType::VirtualGpu => 2,
        wgpu::DeviceType::Other => 3,
        wgpu::DeviceType::Cpu => 4,
    };
    // The sort is stable: equals keep the driver's order.
    found.sort_by_key(rank);
    found
}

/// Whether shaders are compiled with checks of bounds and loops by wgpu.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checks {
    /// Every access is checked: for tests.
    Checked,
    /// The kernels guard their own accesses; a test runs all of them checked too.
    Trusted,
}

/// An open GPU with the pipelines compiled so far.
pub struct Device {
    pub(crate) device: wgpu::Device,
    pub(crate) queue: wgpu::Queue,
    description: Description,
    checks: Checks,
    pipelines: Mutex<HashMap<PipelineKey, wgpu::ComputePipeline>>,
    failure: Arc<Mutex<Option<String>>>,
}

/// Shader name and constants, the numbers as bits.
type PipelineKey = (&'static str, Vec<(&'static str, u64)>);

impl Device {
    /// Opens the GPU of that number, or the first one.
    ///
    /// # Errors
    /// [`GpuError::NoAdapter`], [`GpuError::NoSuchAdapter`], [`GpuError::Open`].
    pub async fn open(index: Option<usize>, checks: Checks) -> Result<Self, GpuError> {
        let found = enumerate().await;
        let number = index.unwrap_or(0);
        let Some(adapter) = found.get(number) else {
            return Err(match found.len() {
                0 => GpuError::NoAdapter,
                count => GpuError::NoSuchAdapter { index: number, count },
            });
        };
        let description = Description::of(number, adapter);
        let wanted = wgpu::Features::TIMESTAMP_QUERY;
        let request = wgpu::DeviceDescriptor {
            label: Some("fovea"),
            required_features: adapter.features() & wanted,
            required_limits: adapter.limits(),
            ..Default::default()
        };
        let opened = adapter.request_device(&request).await;
        let (device, queue) = opened
            .map_err(|e| GpuError::Open { adapter: description.name.clone(), reason: e.to_string() })?;
        let failure: Arc<Mutex<Option<String>>> = Arc::default();
        let note = |what: &Arc<Mutex<Option<String>>>, text: String| {
            what.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(text);
        };
        let (lost, faulty) = (Arc::clone(&failure), Arc::clone(&failure));
        device.set_device_lost_callback(move |_, text| note(&lost, format!("the device was lost: {text}")));
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| note(&faulty, error.to_string())));
        let pipelines = Mutex::default();
        Ok(Device { device, queue, description, checks, pipelines, failure })
    }

    /// What it is.
    #[must_use]
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Gives the device back at once, as if it were lost: whatever still uses it fails.
    pub fn give_up(&self) {
        self.device.destroy();
    }

    /// The first failure since it was opened: a lost device stays lost.
    ///
    /// # Errors
    /// [`GpuError::Failed`].
    pub(crate) fn healthy(&self) -> Result<(), GpuError> {
        match &*self.failure.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(what) => Err(GpuError::Failed { what: format!("{}: {what}", self.description.name) }),
            None => Ok(()),
        }
    }

    /// The pipeline of a shader with constants, compiled at first use.
    pub(crate) fn pipeline(
        &self,
        shader: &'static str,
        constants: &[(&'static str, f64)],
    ) -> wgpu::ComputePipeline {
        let key = (shader, constants.iter().map(|(name, value)| (*name, value.to_bits())).collect());
        let mut pipelines = self.pipelines.lock().unwrap_or_else(PoisonError::into_inner);
        pipelines.entry(key).or_insert_with(|| self.compile(shader, constants)).clone()
    }

    fn compile(&self, shader: &'static str, constants: &[(&'static str, f64)]) -> wgpu::ComputePipeline {
        let text = source(shader).text();
        let descriptor = wgpu::ShaderModuleDescriptor {
            label: Some(shader),
            source: wgpu::ShaderSource::Wgsl(text.into()),
        };
        let module = match self.checks {
            Checks::Checked => self.device.create_shader_module(descriptor),
            // SAFETY: the kernels are files of this project. Each guards every index by the extents in its parameters, its loops
            // end, and its divisors are extents, which are positive; the test-suite runs each of them with wgpu's checks as well, with canaries
            // behind every output, and compares the results.
            Checks::Trusted => unsafe {
                let checks = wgpu::ShaderRuntimeChecks::unchecked();
                self.device.create_shader_module_trusted(descriptor, checks)
            },
        };
        self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(shader),
            layout: None,
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants,
                zero_initialize_workgroup_memory: false,
            },
            cache: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_read() {
        assert_eq!("auto".parse(), Ok(Choice::Auto));
        assert_eq!("cpu".parse(), Ok(Choice::Cpu));
        assert_eq!("gpu".parse(), Ok(Choice::Gpu));
        assert_eq!("gpu:3".parse(), Ok(Choice::Numbered(3)));
        for wrong in ["", "gpu:", "gpu:-1", "cuda", "gpu1", "GPU"] {
            let error = wrong.parse::<Choice>().expect_err(wrong);
            assert_eq!(error, GpuError::Choice { found: wrong.to_owned() });
        }
    }
}
