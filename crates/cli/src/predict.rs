//! `fovea predict`.

mod inputs;
mod outcome;

use crate::common::memory::PredictionMemory;
use crate::common::{self, model};
use anyhow::{Context, Result, bail, ensure};
use fovea_data::{Mask, MaskKind, read_raster, write_mask, write_probabilities};
use fovea_train::Predictor;
use inputs::Input;
use outcome::{Done, Outcome, Status};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

/// The list of what was done.
const LIST: &str = "predictions.csv";
/// What is written for each photograph: probabilities, mask, overlay.
const ENDINGS: [&str; 3] = ["_prob.png", "_mask.png", "_overlay.png"];

const EXAMPLES: &str = "\
Examples:
  fovea predict --model run/model.safetensors --out marked photo.jpg
  fovea predict --model run/model.safetensors --out marked clinic-a/ clinic-b/
  fovea predict --model run/model.safetensors --out marked --field photo_mask.png photo.tif
  fovea predict --model run/model.safetensors --out marked --json clinic-a/ | jq .vessel_share

For each photograph NAME.* at its own size:
  NAME_prob.png     vessel probability, 16 bits: 0 to 65535 stands for 0 to 1
  NAME_mask.png     0 and 255: probability at least the threshold
  NAME_overlay.png  the photograph with the mask on top
and predictions.csv: what was done, or why a file failed.

Exit codes: 0 done, 1 all files failed, 3 some failed, 130 interrupted (finished files are whole).";

/// Options of `fovea predict`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The model, as `fovea train` wrote it.
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// Folder for the results; made where it is missing.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Photographs, or folders of them (their own files only): TIFF, PNG, JPEG, GIF, PPM, also gzipped.
    #[arg(required = true, value_name = "IMAGES")]
    images: Vec<PathBuf>,
    /// A pixel is vessel where its probability is at least this [default: the model's own].
    #[arg(long, value_name = "T", value_parser = model::parse_threshold)]
    threshold: Option<f32>,
    /// Field-of-view mask of a single photograph [default: found from the photograph].
    #[arg(long, value_name = "MASK")]
    field: Option<PathBuf>,
    /// One pass in place of the mean over four mirror images: four times as fast, a little less exact.
    #[arg(long)]
    no_flips: bool,
    #[command(flatten)]
    memory: PredictionMemory,
    /// Replace results that are already there.
    #[arg(long)]
    force: bool,
    /// One line of JSON per file on standard output.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<ExitCode> {
    let model = model::Model::load(&args.model)?;
    let threshold = model.threshold(args.threshold)?;
    let flips = model.flips() && !args.no_flips;
    let inputs = inputs::collect(&args.images)?;
    let field = read_field(args, &inputs)?;
    prepare_folder(args, &inputs)?;
    let predictor = model.predictor(flips)?.within(args.memory.limit_mib());
    let mut job = Job { out: &args.out, threshold, field, predictor };
    let mut outcomes = Vec::with_capacity(inputs.len());
    let bar = common::image_bar("predict", inputs.len());
    for input in &inputs {
        bar.set_message(input.path.display().to_string());
        let outcome = job.outcome(input);
        bar.suspend(|| tell(&outcome, args.json))?;
        outcomes.push(outcome);
        bar.inc(1);
    }
    bar.finish_and_clear();
    let list = outcome::csv(&outcomes, threshold, flips, &model.hash)?;
    fovea_data::write_atomically(&args.out.join(LIST), &list)?;
    Ok(conclude(&outcomes, &args.out))
}

/// What is the same for all photographs.
struct Job<'a> {
    out: &'a Path,
    threshold: f32,
    field: Option<Mask>,
    predictor: Predictor,
}

impl Job<'_> {
    fn outcome(&mut self, input: &Input) -> Outcome {
        let file = input.path.display().to_string();
        let status = if common::stopped() {
            Status::NotStarted
        } else if let Some(reason) = &input.skip {
            Status::Skipped(reason.clone())
        } else {
            match self.predict(input) {
                Ok(done) => Status::Done(done),
                Err(error) => Status::Failed(common::describe(&error)),
            }
        };
        Outcome { file, status }
    }

    /// Each file appears whole or not at all.
    fn predict(&mut self, input: &Input) -> Result<Done> {
        let begin = Instant::now();
        let image = read_raster(&input.path)?.to_image();
        let found = self.predictor.predict(&image, self.field.as_ref())?;
        let mask = found.probabilities.threshold(self.threshold);
        let overlay = fovea_report::prediction_overlay(&model::picture(&image)?, &mask.data)?.png()?;
        let paths = input.outputs(self.out);
        write_probabilities(&paths[0], &found.probabilities)?;
        write_mask(&paths[1], &mask)?;
        fovea_data::write_atomically(&paths[2], &overlay)?;
        Ok(Done {
            height: image.height,
            width: image.width,
            field_pixels: found.field.count(),
            vessel_pixels: mask.count(),
            seconds: begin.elapsed().as_secs_f64(),
            files: paths,
        })
    }
}

fn read_field(args: &Args, inputs: &[Input]) -> Result<Option<Mask>> {
    let Some(path) = &args.field else { return Ok(None) };
    let photographs = inputs.iter().filter(|i| i.skip.is_none()).count();
    ensure!(
        photographs == 1,
        "--field: {photographs} photographs were given, but a field of view is of one: predict them one by one"
    );
    Ok(Some(read_raster(path)?.to_mask(path, MaskKind::Field)?))
}

/// Makes the folder and refuses to touch what is in it.
fn prepare_folder(args: &Args, inputs: &[Input]) -> Result<()> {
    std::fs::create_dir_all(&args.out).with_context(|| format!("--out {}", args.out.display()))?;
    let out = args.out.canonicalize().with_context(|| format!("--out {}", args.out.display()))?;
    for folder in args.images.iter().filter(|p| p.is_dir()) {
        let same = folder.canonicalize().is_ok_and(|f| f == out);
        ensure!(!same, "--out {} is also a folder of photographs: choose another", args.out.display());
    }
    let planned = inputs.iter().filter(|i| i.skip.is_none()).flat_map(|i| i.outputs(&args.out));
    let there: Vec<PathBuf> =
        planned.chain([args.out.join(LIST)]).filter(|p| p.symlink_metadata().is_ok()).collect();
    match there.first() {
        Some(first) if !args.force => bail!(
            "{} is already there ({} such files): choose another --out, or replace them with --force",
            first.display(),
            there.len()
        ),
        _ => Ok(()),
    }
}

fn tell(outcome: &Outcome, json: bool) -> Result<()> {
    if json {
        common::print(&outcome.json()?);
    }
    match &outcome.status {
        Status::Failed(reason) => common::say(&format!("failed: {}", outcome.with_file(reason))),
        Status::Skipped(reason) => common::say(&format!("skipped: {}", outcome.with_file(reason))),
        Status::Done(_) | Status::NotStarted => {}
    }
    Ok(())
}

fn conclude(outcomes: &[Outcome], out: &Path) -> ExitCode {
    let count = |name: &str| outcomes.iter().filter(|o| o.status.name() == name).count();
    let [done, failed, waiting] = ["done", "failed", "not started"].map(count);
    let seconds: f64 = outcomes.iter().map(Outcome::seconds).sum();
    let mean = if done > 0 { format!(" at {:.2} s each", seconds / done as f64) } else { String::new() };
    let rest: Vec<String> = ["failed", "skipped", "not started"]
        .into_iter()
        .filter(|name| count(name) > 0)
        .map(|name| format!(", {} {name}", count(name)))
        .collect();
    let (rest, list) = (rest.concat(), out.join(LIST));
    let images = if done == 1 { "image" } else { "images" };
    common::say(&format!("{done} {images} marked{mean}{rest}; see {}", list.display()));
    match (waiting, failed, done) {
        (1.., _, _) => common::interrupted(),
        (0, 0, 1..) => ExitCode::SUCCESS,
        (0, _, 1..) => ExitCode::from(common::PARTLY),
        (0, _, 0) => ExitCode::FAILURE,
    }
}
