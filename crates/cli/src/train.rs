//! `fovea train`.

mod folder;
mod settings;
mod split;

use crate::common::memory::TrainingMemory;
use crate::common::{self, Progress, model};
use anyhow::{Context, Result};
use folder::Folder;
use fovea_data::{Dataset, Split};
use fovea_metrics::{BestThreshold, DiceObjective, Pixels, ThresholdSearch};
use fovea_train::{PreparedSample, RunEnd, RunRecord, TrainConfig, TrainError, Trainer, prepare};
use fovea_unet::Checkpoint;
use settings::Settings;
use split::Parts;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Between two saves the run trains at least this many times as long as a save takes.
const SAVE_SHARE: u32 = 10;

const EXAMPLES: &str = "\
Examples:
  fovea train --data DRIVE/training --out run
  fovea train --data DRIVE/training --out run --resume
  fovea train --data STARE --out fold3 --fold 3/5 --seed 7
  fovea train --print-config --profile quick > mine.toml
  fovea train --data clinic/ --out run --config mine.toml --all

A data set is a folder as DRIVE, STARE, CHASE_DB1 or HRF are handed out, or one with images/ and labels/ (masks/ if
there are fields of view); which one it is, is found out.

In the run's folder:
  model.safetensors  the model, with the threshold that is best on the training images
  record.json        settings, images by name and SHA-256, losses, hash of the model
  config.toml        all settings;  split.json: which images train and which are held back
  losses.csv         loss and learning rate of each step
  state.safetensors  all that --resume needs; a resumed run ends in the same model to the bit

Exit codes: 0 done, 1 failed, 130 interrupted and saved.";

/// Options of `fovea train`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The data set's folder.
    #[arg(long, value_name = "FOLDER", required_unless_present = "print_config")]
    data: Option<PathBuf>,
    /// The run's folder; made where it is missing.
    #[arg(long, value_name = "DIR", required_unless_present = "print_config")]
    out: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    parts: Parts,
    #[command(flatten)]
    memory: TrainingMemory,
    /// Go on where the run in --out stopped.
    #[arg(long, conflicts_with = "force")]
    resume: bool,
    /// Start anew over what is in --out.
    #[arg(long)]
    force: bool,
    /// Print the settings as TOML and end.
    #[arg(long)]
    print_config: bool,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<ExitCode> {
    let (Some(data), Some(out), false) = (&args.data, &args.out, args.print_config) else {
        common::print(settings::to_toml(&args.settings.read()?)?.trim_end());
        return Ok(ExitCode::SUCCESS);
    };
    let folder = Folder::new(out);
    let saved = if args.resume { Some(folder.state()?) } else { None };
    let config = match &saved {
        Some(state) => args.settings.continued(&state.config)?,
        None => args.settings.read()?,
    };
    let dataset = Dataset::open(data)?;
    let split = if saved.is_some() {
        args.parts.continued(&folder.split()?, &dataset)?
    } else {
        args.parts.draw(&dataset)?
    };
    let (indices, _) = split.indices(&dataset).with_context(|| format!("--data {}", data.display()))?;
    announce(&dataset, &split);
    if saved.is_none() {
        folder.check_free(args.force)?;
    }
    let Some(samples) = load(&dataset, &indices, &config)? else { return Ok(common::interrupted()) };
    let limit = args.memory.limit_mib();
    let mut trainer =
        Trainer::within(config, Arc::new(samples), common::device::make_executor().as_ref(), limit)?;
    trainer.stop_on(Arc::clone(common::stop_flag()));
    match &saved {
        Some(state) => trainer.restore(state)?,
        None => folder.begin(trainer.config(), &split, &trainer.state()?)?,
    }
    drop(saved);
    let run = Run { folder, dataset, indices, split };
    if run.train(&mut trainer)? == RunEnd::Stopped {
        return Ok(common::interrupted());
    }
    run.finish(&trainer)
}

/// A run whose images are known.
struct Run {
    folder: Folder,
    dataset: Dataset,
    indices: Vec<usize>,
    split: Split,
}

impl Run {
    /// Trains to the end, or until interrupted; either way the state is saved.
    fn train(&self, trainer: &mut Trainer) -> Result<RunEnd> {
        let (steps, per_epoch) = (trainer.config().steps, trainer.config().steps_per_epoch);
        let epochs = steps.div_ceil(per_epoch);
        let mut progress = Progress::new("train", trainer.step(), steps);
        let (mut saved_at, mut cost) = (Instant::now(), Duration::ZERO);
        loop {
            let epoch = trainer.step() / per_epoch + 1;
            progress.rename(&format!("epoch {}/{epochs}", epoch.min(epochs)));
            let rest = per_epoch - trainer.step() % per_epoch;
            let stats = match trainer.run_steps(rest, &mut progress) {
                Ok(stats) => stats,
                Err(error) => return Err(self.explain(error, trainer)),
            };
            if let (false, Some(loss)) = (std::io::stderr().is_terminal(), stats.mean_loss) {
                let rate = f64::from(stats.steps) * trainer.config().batch as f64 / stats.seconds;
                common::say(&format!("epoch {epoch}/{epochs}: loss {loss:.4}, {rate:.1} images/s"));
            }
            if stats.end != RunEnd::Done || saved_at.elapsed() >= cost * SAVE_SHARE {
                let begin = Instant::now();
                self.folder.save_progress(trainer.config(), &trainer.state()?)?;
                (cost, saved_at) = (begin.elapsed(), Instant::now());
            }
            if stats.end != RunEnd::Done {
                progress.finish();
                self.tell_end(stats.end, trainer);
                return Ok(stats.end);
            }
        }
    }

    fn tell_end(&self, end: RunEnd, trainer: &Trainer) {
        if end == RunEnd::Stopped {
            let (done, steps) = (trainer.step(), trainer.config().steps);
            let out = self.folder.path().display();
            common::say(&format!(
                "stopped after step {done} of {steps}, all saved; go on with --out {out} --resume"
            ));
        }
    }

    /// After a step that was not taken the parameters are still good: they are kept.
    fn explain(&self, error: TrainError, trainer: &Trainer) -> anyhow::Error {
        if !matches!(error, TrainError::NonFinite { .. }) {
            return error.into();
        }
        let saved =
            trainer.state().map_err(Into::into).and_then(|s| self.folder.save_progress(trainer.config(), &s));
        let kept = match saved {
            Ok(()) => format!("the state before it is in {}", self.folder.path().display()),
            Err(fault) => format!("the state before it could not be saved ({})", common::describe(&fault)),
        };
        anyhow::Error::new(error).context(format!(
            "training diverged; {kept}; lower schedule's rate in the settings and start anew"
        ))
    }

    /// Chooses the threshold, writes model and record.
    fn finish(&self, trainer: &Trainer) -> Result<ExitCode> {
        let mut record = RunRecord::of(trainer, common::COMMIT, &self.split.test)?;
        let mut checkpoint = Checkpoint { card: model::card(&record, None)?, model: trainer.selected()? };
        let Some(best) = self.threshold(&checkpoint)? else {
            common::say("stopped before the threshold was chosen; finish with --resume");
            return Ok(common::interrupted());
        };
        checkpoint.card.threshold = Some(best.threshold);
        record.model_hash = checkpoint.hash()?;
        self.folder.save_model(&checkpoint, &record)?;
        let names = self.split.test.len();
        common::print(&format!(
            "{}\nmodel hash  {}\nthreshold   {:.4} (mean Dice {:.4} on the {} training images)\nheld back   {names} images",
            self.folder.model().display(),
            record.model_hash,
            best.threshold,
            best.dice,
            self.indices.len()
        ));
        Ok(ExitCode::SUCCESS)
    }

    /// The threshold that is best on the training images; `None` when interrupted. One image at a time is in memory.
    fn threshold(&self, checkpoint: &Checkpoint) -> Result<Option<BestThreshold>> {
        let used = model::Model { checkpoint: checkpoint.clone(), hash: checkpoint.hash()? };
        let mut predictor = used.predictor(used.flips())?;
        let mut search = ThresholdSearch::new();
        let bar = common::image_bar("threshold", self.indices.len());
        for &index in &self.indices {
            if common::stopped() {
                return Ok(None);
            }
            let sample = self.dataset.load(index)?;
            let found = predictor.predict(&sample.image, Some(&sample.field))?.probabilities;
            let extent = [found.height, found.width];
            search.add(&Pixels::new(extent, &found.data, &sample.label.data, &sample.field.data)?);
            bar.inc(1);
        }
        bar.finish_and_clear();
        let best = search.best(DiceObjective::MeanOfImages);
        Ok(Some(best.context("no threshold: no training image has a vessel inside its field of view")?))
    }
}

fn announce(dataset: &Dataset, split: &Split) {
    let (train, test) = (split.train.len(), split.test.len());
    common::say(&format!("{}: {train} images train, {test} are held back", dataset.name()));
    if let Some(note) = dataset.count_note() {
        let (found, published) = (note.found, note.published);
        common::say(&format!("note: {found} images here, {published} in the published set"));
    }
}

/// Training images at working scale; `None` when interrupted. One image at a time is in memory at its own size.
fn load(dataset: &Dataset, indices: &[usize], config: &TrainConfig) -> Result<Option<Vec<PreparedSample>>> {
    let mut prepared = Vec::with_capacity(indices.len());
    let bar = common::image_bar("load", indices.len());
    for &index in indices {
        if common::stopped() {
            return Ok(None);
        }
        let sample = dataset.load(index)?;
        let name = sample.name.clone();
        prepared.extend(prepare(&[sample], &config.preprocessing).with_context(|| name)?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(Some(prepared))
}
