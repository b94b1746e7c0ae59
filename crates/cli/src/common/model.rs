//! Models as commands use them: their description, their predictor, their pictures.

use super::device::make_executor;
use anyhow::{Context, Result, bail};
use fovea_data::Image;
use fovea_report::Rgb;
use fovea_train::{Predictor, RunRecord};
use fovea_unet::{Checkpoint, ModelCard, UNet};
use std::path::Path;

/// What a record says about the machine and the clock: left out of models, so that the same run is the same file.
const OF_THE_MACHINE: [&str; 2] = ["seconds", "threads"];

/// A model file with its hash.
pub struct Model {
    /// The file's content.
    pub checkpoint: Checkpoint,
    /// The model's hash.
    pub hash: String,
}

/// The description of a trained model: the record of its run becomes its `training`.
pub fn card(record: &RunRecord, threshold: Option<f32>) -> Result<ModelCard> {
    let mut training = serde_json::to_value(record).context("the run record could not be written")?;
    if let Some(fields) = training.as_object_mut() {
        fields.retain(|key, _| !OF_THE_MACHINE.contains(&key.as_str()));
    }
    Ok(ModelCard {
        model: record.config.model.clone(),
        preprocessing: record.config.preprocessing,
        threshold,
        seed: record.config.seed,
        training,
    })
}

impl Model {
    /// Reads a model file.
    pub fn load(path: &Path) -> Result<Self> {
        let checkpoint = Checkpoint::load(path)?;
        let hash = checkpoint.hash().with_context(|| path.display().to_string())?;
        Ok(Model { checkpoint, hash })
    }

    /// The threshold given, or the model's own.
    pub fn threshold(&self, given: Option<f32>) -> Result<f32> {
        match given.or(self.checkpoint.card.threshold) {
            Some(threshold) => Ok(threshold),
            None => bail!("the model holds no threshold: give one with --threshold, such as 0.5"),
        }
    }

    /// Whether its training asked for predictions averaged over mirror images; yes where the file does not say.
    pub fn flips(&self) -> bool {
        let training = &self.checkpoint.card.training;
        let said = training.pointer("/config/flips").or_else(|| training.get("flips"));
        said.and_then(serde_json::Value::as_bool).unwrap_or(true)
    }

    /// A predictor on this machine.
    pub fn predictor(&self, flips: bool) -> Result<Predictor> {
        let Checkpoint { card, model } = &self.checkpoint;
        let unet = UNet::new(card.model.clone())?;
        Ok(Predictor::new(unet, model, card.preprocessing, flips, make_executor())?)
    }
}

/// A photograph in 8 bits.
pub fn picture(image: &Image) -> Result<Rgb> {
    let [red, green, blue] = [0, 1, 2].map(|channel| image.channel(channel));
    let byte = |v: f32| (v.clamp(0.0, 1.0) * 255.0).round() as u8;
    let pixels = (0..image.pixels()).flat_map(|at| [red[at], green[at], blue[at]].map(byte)).collect();
    Ok(Rgb::new(image.width, image.height, pixels)?)
}

/// A threshold on the command line.
pub fn parse_threshold(text: &str) -> Result<f32, String> {
    let value = text.parse::<f32>().map_err(|_| "not a number".to_owned())?;
    // At 0 everything would be vessel, outside the field of view too.
    if value > 0.0 && value <= 1.0 { Ok(value) } else { Err("must be above 0 and at most 1".to_owned()) }
}
