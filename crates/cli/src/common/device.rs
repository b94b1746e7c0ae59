//! Which device networks run on.

use super::say;
use anyhow::{Context, Result};
use fovea_cpu::CpuExecutor;
use fovea_gpu::{Checks, Choice, Description, Device, GpuError, GpuExecutor, Tuning, autotune};
use fovea_graph::{ExecuteError, Executor, Graph};
use fovea_train::MakeExecutor;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Options of every command.
#[derive(clap::Args, Clone)]
pub struct Options {
    /// What networks run on: cpu, gpu, gpu:N (see `fovea devices`), or auto: a GPU where there is one that is no
    /// software, else the CPU. Models from different devices differ by rounding.
    #[arg(long, global = true, value_name = "DEVICE", default_value = "cpu", value_parser = choice)]
    device: Choice,
    /// Take the GPU's tile shapes by rule; they are measured otherwise, once for each adapter and driver. Changes time, not
    /// results.
    #[arg(long, global = true)]
    no_autotune: bool,
}

fn choice(text: &str) -> Result<Choice, GpuError> {
    text.parse()
}

static CHOSEN: OnceLock<Options> = OnceLock::new();
static GPU: OnceLock<Result<Option<Arc<Gpu>>, GpuError>> = OnceLock::new();

/// An open GPU and what was measured on it.
struct Gpu {
    device: Arc<Device>,
    tuning: Mutex<Tuning>,
    /// Where measurements are kept; `None`: nothing is measured.
    file: Option<PathBuf>,
}

/// Notes what was asked for; a GPU is opened when the first network needs it.
pub fn choose(options: &Options) {
    let _ = CHOSEN.set(options.clone());
}

/// Makes executors on the chosen device. Nothing falls back to another device when the chosen one fails.
pub fn make_executor() -> Arc<MakeExecutor> {
    Arc::new(|graph: Graph| {
        Ok(match gpu()? {
            Some(gpu) => Box::new(gpu.executor(graph)?) as Box<dyn Executor>,
            None => Box::new(CpuExecutor::new(graph)) as Box<dyn Executor>,
        })
    })
}

/// The device in words, for reports.
pub fn describe() -> String {
    match gpu() {
        Ok(Some(gpu)) => gpu.device.description().to_string(),
        _ => format!("CPU, {:?} kernels", fovea_cpu::isa()),
    }
}

/// The chosen GPU; `None` for the CPU.
fn gpu() -> Result<Option<Arc<Gpu>>, GpuError> {
    GPU.get_or_init(|| {
        let options = CHOSEN.get();
        let index = match options.map_or(Choice::Cpu, |options| options.device) {
            Choice::Cpu => return Ok(None),
            Choice::Gpu => None,
            Choice::Numbered(index) => Some(index),
            Choice::Auto => match hardware() {
                Some(index) => Some(index),
                None => return Ok(None),
            },
        };
        let device = Arc::new(Device::open_blocking(index, Checks::Trusted)?);
        let measured = options.is_none_or(|options| !options.no_autotune);
        Ok(Some(Arc::new(Gpu::new(device, measured))))
    })
    .clone()
}

/// The number of the best GPU that is no software.
fn hardware() -> Option<usize> {
    Device::list_blocking().into_iter().find(|adapter| !adapter.is_software()).map(|adapter| adapter.index)
}

impl Gpu {
    fn new(device: Arc<Device>, measured: bool) -> Self {
        let description = device.description();
        say(&format!("device: {description}"));
        // Times of a software adapter say nothing, and measuring takes long there.
        let file = if measured && !description.is_software() { cache(&description.name) } else { None };
        let tuning = file.as_ref().map(|path| load(path, description)).transpose().unwrap_or_else(|error| {
            // A damaged cache costs a measurement, not the run.
            say(&format!("measuring anew: {}", super::describe(&error)));
            None
        });
        let tuning = Mutex::new(tuning.unwrap_or_default());
        Gpu { device, tuning, file }
    }

    fn executor(&self, graph: Graph) -> Result<GpuExecutor, ExecuteError> {
        let mut tuning = self.tuning.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = &self.file {
            let known = tuning.len();
            let mut progress = |done: usize, of: usize| {
                if done == 0 {
                    say(&format!("measuring tile shapes of {of} layers, once for this device"));
                }
            };
            autotune(&self.device, &graph, &mut tuning, &mut progress)?;
            if tuning.len() > known
                && let Err(error) = save(&tuning, file, self.device.description())
            {
                say(&format!("the measured tile shapes are not kept: {}", super::describe(&error)));
            }
        }
        Ok(GpuExecutor::new_blocking(Arc::clone(&self.device), graph, &tuning)?)
    }
}

/// The file of an adapter's measurements in the user's cache folder.
fn cache(adapter: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = folder.or_else(|| std::env::home_dir().map(|home| home.join(".cache")))?;
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let name: String = adapter.chars().map(plain).collect();
    Some(folder.join("fovea").join(format!("tiles-{name}.json")))
}

/// What was measured for an adapter with its driver; nothing where there is no file yet.
fn load(path: &Path, adapter: &Description) -> Result<Tuning> {
    let text = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Tuning::default()),
        text => text.with_context(|| format!("{} could not be read", path.display()))?,
    };
    let damaged = || format!("{} is damaged; delete it, or choose --no-autotune", path.display());
    Tuning::from_json(&text, &adapter.name, &adapter.driver).with_context(damaged)
}

fn save(tuning: &Tuning, path: &Path, adapter: &Description) -> Result<()> {
    path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
    let text = tuning.to_json(&adapter.name, &adapter.driver)?;
    Ok(fovea_data::write_atomically(path, text.as_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fovea_gpu::{Product, Tile};

    #[test]
    fn measurements_are_kept_for_one_adapter_and_a_damaged_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a").join("tiles.json");
        let adapter = Description {
            index: 0,
            name: "Card".to_owned(),
            backend: "Vulkan".to_owned(),
            kind: "discrete",
            driver: "d 1".to_owned(),
            buffer_bytes_max: 1,
            binding_bytes_max: 1,
            half_precision: false,
        };
        assert_eq!(load(&path, &adapter).unwrap(), Tuning::default());
        let (op, window, plane) = ("conv2d".to_owned(), [3, 1, 1], [8, 8]);
        let product = Product { op, window, plane, rows: 12, columns: 64, depth: 27 };
        let mut tuning = Tuning::default();
        tuning.choose(product, Tile::Four128x32);
        save(&tuning, &path, &adapter).unwrap();
        assert_eq!(load(&path, &adapter).unwrap(), tuning);
        let other = Description { driver: "d 2".to_owned(), ..adapter.clone() };
        assert!(load(&path, &other).unwrap().is_empty());
        std::fs::write(&path, "{").unwrap();
        let error = load(&path, &adapter).unwrap_err();
        assert!(error.to_string().contains("tiles.json is damaged"), "{error}");
    }
}
