//! How each program is started, what it needs, and which of its times count.

use crate::child;
use crate::work::{Mode, Model, Standard};
use anyhow::Result;
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;

/// Where the peers' programs are and what they run on.
pub struct Site {
    /// The interpreter.
    pub python: PathBuf,
    /// The folder of the peers' programs.
    pub directory: Option<PathBuf>,
    /// Where onnxruntime's models go.
    pub scratch: PathBuf,
    /// Threads of every program.
    pub threads: usize,
}

/// One contestant.
pub enum Program {
    /// This program.
    Ours,
    /// PyTorch; tuned, its allocator keeps what it has: see [`TUNED`].
    Torch {
        /// `--variant` of unet_torch.py.
        variant: String,
        /// With the tuned allocator.
        tuned: bool,
    },
    /// onnxruntime, inference alone.
    Onnx,
    /// A built program with this program's arguments.
    Built {
        /// Its name.
        name: &'static str,
        /// Its file.
        path: PathBuf,
    },
}

/// The C library's allocator gives large blocks back to the system and gets them anew, zeroed page by page, at every step.
/// These settings of glibc make it keep them; with more than one arena they would not reach autograd's thread.
const TUNED: [(&str, &str); 4] = [
    ("MALLOC_MMAP_MAX_", "0"),
    ("MALLOC_ARENA_MAX", "1"),
    ("MALLOC_TRIM_THRESHOLD_", "17179869184"),
    ("MALLOC_TOP_PAD_", "268435456"),
];

const TORCH: &str = "torch/unet_torch.py";
const ONNX: &str = "torch/ort_infer.py";

impl Program {
    /// Its name in tables and records.
    pub fn name(&self) -> String {
        match self {
            Program::Ours => "fovea-cpu".to_owned(),
            Program::Torch { variant, tuned: false } => format!("pytorch {variant}"),
            Program::Torch { variant, tuned: true } => format!("pytorch {variant} tuned"),
            Program::Onnx => "onnxruntime".to_owned(),
            Program::Built { name, .. } => (*name).to_owned(),
        }
    }

    /// Why it cannot run at all, and what to do about it.
    pub fn missing(&self, site: &Site) -> Option<String> {
        let (script, modules, packages) = match self {
            Program::Ours => return None,
            Program::Built { path, .. } => {
                return (!path.is_file()).then(|| format!("{} is no file: build it first", path.display()));
            }
            Program::Torch { .. } => (TORCH, "torch, numpy", "torch numpy"),
            Program::Onnx => (ONNX, "torch, onnx, onnxruntime", "torch numpy onnx onnxruntime onnxscript"),
        };
        let found = site.directory.as_ref().is_some_and(|d| d.join(script).is_file());
        if !found {
            return Some(format!("no {script} in the folder of the peers' programs: give it by --peers-dir"));
        }
        let python = site.python.display();
        let install = format!(
            "python3 -m venv venv && venv/bin/pip install {packages}, then give --python venv/bin/python"
        );
        match Command::new(&site.python).args(["-c", &format!("import {modules}")]).output() {
            Err(error) => Some(format!("{python} does not start ({error}): {install}")),
            Ok(output) if !output.status.success() => {
                Some(format!("{python} lacks one of {modules}: {install}"))
            }
            Ok(_) => None,
        }
    }

    /// The command for a work; none where the program has no such work.
    ///
    /// # Errors
    /// When this program's own file is unknown.
    pub fn command(&self, standard: &Standard, site: &Site) -> Result<Option<Command>> {
        let (work, threads) = (&standard.work, site.threads.to_string());
        let [batch, height, width, steps] =
            [work.batch, work.height, work.width, work.steps].map(|n| n.to_string());
        let (h, w, model) = (height.as_str(), width.as_str(), work.model.name());
        let same_steps = ["--threads", &threads, "--steps", &steps, "--h", h, "--w", w, "--model", model];
        Ok(Some(match self {
            Program::Ours => {
                let mut command = child::ourselves(site.threads)?;
                command.args(standard.arguments());
                command
            }
            Program::Torch { variant, tuned } => {
                let mut command = site.script(TORCH);
                command.args(same_steps).args(["--mode", standard.mode.name(), "--batch", &batch]);
                command.args(["--variant", variant]).envs(TUNED.iter().copied().filter(|_| *tuned));
                command
            }
            Program::Onnx
                if standard.mode == Mode::Infer && work.batch == 1 && work.model != Model::Default =>
            {
                let mut command = site.script(ONNX);
                let file = site.scratch.join(format!("{model}-{h}x{w}.onnx"));
                command.args(same_steps).arg("--onnx").arg(file);
                command
            }
            Program::Built { path, .. } if work.model != Model::Default => {
                let mut command = Command::new(path);
                command.args(standard.arguments()).env("RAYON_NUM_THREADS", threads);
                command
            }
            Program::Onnx | Program::Built { .. } => return Ok(None),
        }))
    }

    /// Seconds of the steps that count: ours and the built peers list their first, uncounted step too.
    pub fn counted(&self, line: &Value) -> Vec<f64> {
        let all: Vec<f64> =
            line["all_s"].as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
        let first = match self {
            Program::Ours | Program::Built { .. } => 1,
            Program::Torch { .. } | Program::Onnx => 0,
        };
        all.get(first..).unwrap_or_default().to_vec()
    }
}

impl Site {
    fn script(&self, script: &str) -> Command {
        let mut command = Command::new(&self.python);
        command.arg(self.directory.clone().unwrap_or_default().join(script));
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::work::STANDARD;
    use serde_json::json;

    fn site() -> Site {
        Site { python: "no-python-here".into(), directory: None, scratch: "scratch".into(), threads: 2 }
    }

    fn text(command: &Command) -> String {
        command.get_args().map(|a| a.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn first_step_of_ours_is_not_counted() {
        let line = json!({ "all_s": [9.0, 2.0, 3.0] });
        assert_eq!(Program::Ours.counted(&line), [2.0, 3.0]);
        assert_eq!(Program::Onnx.counted(&line), [9.0, 2.0, 3.0]);
        assert!(Program::Ours.counted(&json!({})).is_empty());
    }

    #[test]
    fn torch_gets_the_same_work_and_the_allocator_only_when_tuned() {
        for tuned in [false, true] {
            let program = Program::Torch { variant: "eager".to_owned(), tuned };
            let command = program.command(&STANDARD[0], &site()).unwrap().unwrap();
            let expected = "torch/unet_torch.py --threads 2 --steps 3 --h 224 --w 224 --model seed --mode train --batch 4 --variant eager";
            assert_eq!(text(&command), expected);
            assert_eq!(command.get_envs().count(), if tuned { TUNED.len() } else { 0 });
        }
    }

    #[test]
    fn onnxruntime_only_infers() {
        assert!(Program::Onnx.command(&STANDARD[0], &site()).unwrap().is_none());
        let command = Program::Onnx.command(&STANDARD[3], &site()).unwrap().unwrap();
        assert!(text(&command).ends_with("seed-592x576.onnx"), "{command:?}");
    }

    #[test]
    fn what_is_missing_is_named_with_its_remedy() {
        let torch = Program::Torch { variant: "eager".to_owned(), tuned: false };
        assert!(torch.missing(&site()).unwrap().contains("--peers-dir"));
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("torch")).unwrap();
        std::fs::write(folder.path().join(TORCH), "").unwrap();
        let here = Site { directory: Some(folder.path().to_path_buf()), ..site() };
        assert!(torch.missing(&here).unwrap().contains("pip install torch"));
        let built = Program::Built { name: "burn", path: "no-file".into() };
        assert!(built.missing(&here).unwrap().contains("build it"));
        assert_eq!(Program::Ours.missing(&here), None);
    }
}
