//! `fovea evaluate`.

mod scores;
mod table;

use crate::common::memory::PredictionMemory;
use crate::common::{self, model};
use anyhow::{Context, Result, ensure};
use fovea_data::{Dataset, Sample};
use fovea_metrics::{ImageScores, Mask, Pixels};
use fovea_train::Predictor;
use scores::{Row, Scores, Trained};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  fovea evaluate --model run/model.safetensors --data DRIVE/test
  fovea evaluate --model run/model.safetensors --data DRIVE/training --last 4 --out scores
  fovea evaluate --model run/model.safetensors --data STARE --json | jq .mean.dice

Every figure counts the pixels inside the field of view, at the image's own size. The threshold is the one in the
model, chosen on its training images; it is never chosen on the images scored here. Where the set has a second
observer, that person's drawing is scored against the first one's in the same way.

With --out: scores.csv (a line per image) and scores.json.";

/// Options of `fovea evaluate`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The model, as `fovea train` wrote it.
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// The labelled data set's folder.
    #[arg(long, value_name = "FOLDER")]
    data: PathBuf,
    /// Only the last K images by name.
    #[arg(long, value_name = "K")]
    last: Option<usize>,
    /// Folder for scores.csv and scores.json.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// A threshold in place of the model's own.
    #[arg(long, value_name = "T", value_parser = model::parse_threshold)]
    threshold: Option<f32>,
    #[command(flatten)]
    memory: PredictionMemory,
    /// JSON on standard output in place of the table.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<ExitCode> {
    let model = model::Model::load(&args.model)?;
    let threshold = model.threshold(args.threshold)?;
    let dataset = Dataset::open(&args.data)?;
    let count = args.last.unwrap_or(dataset.len());
    ensure!(
        (1..=dataset.len()).contains(&count),
        "--last {count}: {} has {} images",
        args.data.display(),
        dataset.len()
    );
    let trained = Trained::of(&model.checkpoint.card);
    let mut predictor = model.predictor(model.flips())?.within(args.memory.limit_mib());
    let mut rows = Vec::with_capacity(count);
    let bar = common::image_bar("evaluate", count);
    for index in dataset.len() - count..dataset.len() {
        if common::stopped() {
            bar.finish_and_clear();
            common::say("stopped; nothing was written");
            return Ok(common::interrupted());
        }
        let sample = dataset.load(index)?;
        rows.push(score(&mut predictor, &sample, threshold, &trained)?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    let chosen = args.threshold.is_none();
    let scores = Scores::new(&args.model, model.hash, dataset.name(), (threshold, chosen), rows);
    conclude(args, &scores, &dataset)?;
    Ok(ExitCode::SUCCESS)
}

fn score(predictor: &mut Predictor, sample: &Sample, threshold: f32, trained: &Trained) -> Result<Row> {
    let found = predictor.predict(&sample.image, Some(&sample.field));
    let probabilities = found.with_context(|| sample.name.clone())?.probabilities;
    let extent = [sample.image.height, sample.image.width];
    let pixels = Pixels::new(extent, &probabilities.data, &sample.label.data, &sample.field.data)?;
    let human = |second: &fovea_data::Mask| {
        let mask = Mask::new(extent, &second.data, &sample.label.data, &sample.field.data)?;
        anyhow::Ok(ImageScores::of_mask(&mask))
    };
    Ok(Row {
        name: sample.name.clone(),
        trained_on: trained.contains(&sample.hash),
        scores: ImageScores::of(&pixels, threshold),
        second_observer: sample.second_label.as_ref().map(human).transpose()?,
    })
}

fn conclude(args: &Args, scores: &Scores, dataset: &Dataset) -> Result<()> {
    if let Some(out) = &args.out {
        write(out, scores)?;
    }
    if args.json {
        common::print(scores.json()?.trim_end());
    } else {
        common::print(table::of(scores).trim_end());
    }
    if let Some(note) = dataset.count_note() {
        let (found, published) = (note.found, note.published);
        common::say(&format!("note: {found} images here, {published} in the published set"));
    }
    let known = scores.images.iter().filter(|row| row.trained_on).count();
    if known > 0 {
        let all = scores.images.len();
        common::say(&format!(
            "warning: {known} of {all} images were trained on; these are not the scores of unseen images"
        ));
    }
    Ok(())
}

fn write(out: &Path, scores: &Scores) -> Result<()> {
    std::fs::create_dir_all(out).with_context(|| format!("--out {}", out.display()))?;
    fovea_data::write_atomically(&out.join("scores.csv"), &scores.csv()?)?;
    Ok(fovea_data::write_atomically(&out.join("scores.json"), scores.json()?.as_bytes())?)
}
