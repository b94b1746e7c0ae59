//! The files of a run.

use anyhow::{Context, Result, ensure};
use fovea_data::Split;
use fovea_train::{RunRecord, TrainConfig, TrainState};
use fovea_unet::Checkpoint;
use std::path::{Path, PathBuf};

const STATE: &str = "state.safetensors";
const MODEL: &str = "model.safetensors";
const RECORD: &str = "record.json";
const CONFIG: &str = "config.toml";
const SPLIT: &str = "split.json";
const LOSSES: &str = "losses.csv";

/// The folder of a run.
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// The folder at `path`, which need not exist.
    pub fn new(path: &Path) -> Self {
        Folder { path: path.to_path_buf() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the model is, or will be.
    pub fn model(&self) -> PathBuf {
        self.path.join(MODEL)
    }

    /// Refuses a folder that holds something, unless `force`.
    pub fn check_free(&self, force: bool) -> Result<()> {
        let used = std::fs::read_dir(&self.path).is_ok_and(|mut entries| entries.next().is_some());
        ensure!(
            force || !used,
            "--out {} is not empty: go on with --resume, start anew with --force, or choose another",
            self.path.display()
        );
        Ok(())
    }

    /// Makes the folder, clears it of an earlier run's files, and writes what never changes during the run and its
    /// first state; the state last, as it is what --resume asks for.
    pub fn begin(&self, config: &TrainConfig, split: &Split, state: &TrainState) -> Result<()> {
        std::fs::create_dir_all(&self.path).with_context(|| format!("--out {}", self.path.display()))?;
        for name in [STATE, MODEL, RECORD, CONFIG, SPLIT, LOSSES] {
            let path = self.path.join(name);
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| path.display().to_string());
                }
                _ => {}
            }
        }
        self.write(CONFIG, super::settings::to_toml(config)?.as_bytes())?;
        self.write(SPLIT, &json(split)?)?;
        self.save_progress(config, state)
    }

    /// The saved state.
    pub fn state(&self) -> Result<TrainState> {
        let path = self.path.join(STATE);
        ensure!(path.exists(), "nothing to resume: {} is missing; start without --resume", path.display());
        Ok(TrainState::load(&path)?)
    }

    /// The saved split.
    pub fn split(&self) -> Result<Split> {
        let path = self.path.join(SPLIT);
        let text = std::fs::read(&path).with_context(|| path.display().to_string())?;
        serde_json::from_slice(&text).with_context(|| format!("{} is not a split", path.display()))
    }

    /// The state between two steps.
    pub fn save_progress(&self, config: &TrainConfig, state: &TrainState) -> Result<()> {
        state.save(&self.path.join(STATE))?;
        self.write(LOSSES, &losses_csv(config, &state.losses)?)
    }

    /// The outcome.
    pub fn save_model(&self, checkpoint: &Checkpoint, record: &RunRecord) -> Result<()> {
        checkpoint.save(&self.model())?;
        self.write(RECORD, &json(record)?)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        Ok(fovea_data::write_atomically(&self.path.join(name), bytes)?)
    }
}

fn json(value: &impl serde::Serialize) -> Result<Vec<u8>> {
    let mut text = serde_json::to_vec_pretty(value)?;
    text.push(b'\n');
    Ok(text)
}

/// One line per step.
fn losses_csv(config: &TrainConfig, losses: &[f32]) -> Result<Vec<u8>> {
    let mut out = csv::Writer::from_writer(Vec::new());
    out.write_record(["step", "epoch", "loss", "learning_rate"])?;
    for (step, loss) in (0u32..).zip(losses) {
        let rate = config.schedule.rate(step, config.steps);
        let epoch = step / config.steps_per_epoch + 1;
        out.write_record([(step + 1).to_string(), epoch.to_string(), loss.to_string(), rate.to_string()])?;
    }
    out.into_inner().context("the losses could not be written")
}
