//! A small data set, settings of a small network, a trained model, and the binary.

use fovea_data::{SyntheticCamera, synthetic_sample, write_image, write_mask};
use fovea_train::{InputMode, Schedule, TrainConfig};
use fovea_unet::{Preprocessing, Scale, UNetConfig};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use tempfile::TempDir;

/// Images in the data set.
pub const IMAGES: u32 = 5;

/// What all tests share.
pub struct Workshop {
    folder: TempDir,
}

/// The data set in `data`, a model trained for 12 steps in `run`.
pub fn workshop() -> &'static Workshop {
    static SHARED: OnceLock<Workshop> = OnceLock::new();
    SHARED.get_or_init(|| {
        let shared = Workshop { folder: tempfile::tempdir().unwrap() };
        write_data(&shared.data());
        write_settings(&shared.settings(), &settings());
        let run = fovea(&shared.train_args(&shared.path("run"), &shared.settings()));
        assert!(run.ok, "{}", run.stderr);
        shared
    })
}

impl Workshop {
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn data(&self) -> PathBuf {
        self.path("data")
    }

    pub fn settings(&self) -> PathBuf {
        self.path("settings.toml")
    }

    pub fn model(&self) -> PathBuf {
        self.path("run/model.safetensors")
    }

    pub fn image(&self, index: u32) -> PathBuf {
        self.data().join(format!("images/patient{index}.png"))
    }

    /// `train` into `out`, one image held back.
    pub fn train_args(&self, out: &Path, settings: &Path) -> Vec<String> {
        let (data, settings) = (text(&self.data()), text(settings));
        words(&["train", "--data", &data, "--out", &text(out), "--config", &settings, "--test-last", "1"])
    }

    /// `predict` with the shared model into `out`.
    pub fn predict(&self, out: &Path, more: &[&str]) -> Ran {
        let mut args = words(&["predict", "--model", &text(&self.model()), "--out", &text(out)]);
        args.extend(words(more));
        fovea(&args)
    }
}

/// What a command did.
pub struct Ran {
    pub ok: bool,
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Runs the binary.
pub fn fovea(args: &[String]) -> Ran {
    ran(command(args).output().unwrap())
}

pub fn ran(output: Output) -> Ran {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran {
        ok: output.status.success(),
        code: output.status.code(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

/// The binary, not started.
pub fn command(args: &[String]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fovea"));
    command.args(args).args(["--threads", "2"]);
    command
}

/// A network of two levels, 12 steps in epochs of 3.
pub fn settings() -> TrainConfig {
    TrainConfig {
        batch: 2,
        steps: 12,
        steps_per_epoch: 3,
        input: InputMode::Crops { size: 32 },
        schedule: Schedule::CosineWarmup { peak: 1e-2, warmup_steps: 2, final_rate: 1e-4 },
        preprocessing: Preprocessing { scale: Scale::FieldDiameter { pixels: 64 }, standardise: true },
        model: UNetConfig { widths: vec![4, 8], ..UNetConfig::small() },
        ..TrainConfig::quick_profile()
    }
}

/// Writes settings as TOML.
pub fn write_settings(path: &Path, settings: &TrainConfig) {
    std::fs::write(path, toml::to_string(settings).unwrap()).unwrap();
}

pub fn words(args: &[&str]) -> Vec<String> {
    args.iter().map(ToString::to_string).collect()
}

pub fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// Names in a folder, sorted.
pub fn names(folder: &Path) -> Vec<String> {
    let name = |e: std::io::Result<std::fs::DirEntry>| e.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<String> = std::fs::read_dir(folder).unwrap().map(name).collect();
    names.sort();
    names
}

/// A JSON file.
pub fn json(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn write_data(data: &Path) {
    for folder in ["images", "labels", "masks"] {
        std::fs::create_dir_all(data.join(folder)).unwrap();
    }
    let camera = SyntheticCamera::alice().scaled(0.15);
    for index in 0..IMAGES {
        let sample = synthetic_sample(&camera, 1, index);
        let file = |folder: &str, ending: &str| data.join(format!("{folder}/patient{index}{ending}.png"));
        write_image(&file("images", ""), &sample.image).unwrap();
        write_mask(&file("labels", ""), &sample.label).unwrap();
        write_mask(&file("labels", "_manual2"), &sample.second_label.unwrap()).unwrap();
        write_mask(&file("masks", "_mask"), &sample.field).unwrap();
    }
}
