//! A finished training on disk: the model, and what a later call needs to take it up instead of training again.

use super::profile::Profile;
use crate::common;
use anyhow::{Context, Result, bail};
use fovea_report::Federation;
use fovea_train::TrainConfig;
use fovea_unet::{Checkpoint, ModelCard, UNet};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::path::PathBuf;

/// One trained model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trained {
    /// Settings and images that it is a function of.
    pub fingerprint: Value,
    /// Mean training loss of each epoch.
    pub losses: Vec<f64>,
    /// Time of the training, seconds.
    pub seconds: f64,
    /// Hash of the model.
    pub model_hash: String,
    /// What happened between the sites, for the federated model.
    pub federation: Option<Federation>,
    /// The model vector, in the order of the parameter table; kept in the checkpoint.
    #[serde(skip)]
    pub model: Vec<f32>,
}

/// Where the files of one training lie.
#[derive(Debug, Clone)]
pub struct Place {
    /// Folder of the run.
    pub folder: PathBuf,
    /// The model's key: `drive`, `stare`, `federated`, `pooled`.
    pub key: String,
}

impl Place {
    /// The checkpoint.
    pub fn checkpoint(&self) -> PathBuf {
        self.folder.join(format!("{}.safetensors", self.key))
    }

    /// The record.
    pub fn record(&self) -> PathBuf {
        self.folder.join(format!("{}.json", self.key))
    }

    /// The state of an unfinished training.
    pub fn state(&self) -> PathBuf {
        self.folder.join(format!("{}.state.safetensors", self.key))
    }
}

/// What decides a training: a finished one is taken up only where this is equal.
pub fn fingerprint(profile: &Profile, config: &TrainConfig, parts: &Value) -> Value {
    json!({ "profile": profile.name, "local_steps": profile.local_steps, "strategy": profile.strategy,
            "first_clip": profile.first_clip, "config": config, "images": parts })
}

impl Trained {
    /// A training that an earlier call finished, if there is one.
    pub fn find(place: &Place, fingerprint: &Value) -> Result<Option<Self>> {
        let (record, checkpoint) = (place.record(), place.checkpoint());
        if !record.exists() || !checkpoint.exists() {
            return Ok(None);
        }
        let text = std::fs::read_to_string(&record)
            .with_context(|| format!("{} could not be read", record.display()))?;
        let mut found: Trained = serde_json::from_str(&text)
            .with_context(|| format!("{} is damaged; --fresh starts over", record.display()))?;
        if found.fingerprint != *fingerprint {
            bail!(
                "{} is from a run with other settings or images; give another --name, or --fresh to start over",
                record.display()
            );
        }
        let checkpoint = Checkpoint::load(&checkpoint)?;
        if checkpoint.hash()? != found.model_hash {
            bail!(
                "{} does not hold the model of {}; --fresh starts over",
                place.checkpoint().display(),
                record.display()
            );
        }
        found.model = checkpoint.model;
        Ok(Some(found))
    }

    /// Writes checkpoint and record; the record last, since it says that the training is finished.
    pub fn save(&self, place: &Place, config: &TrainConfig, threshold: Option<f32>) -> Result<()> {
        let card = ModelCard {
            model: config.model.clone(),
            preprocessing: config.preprocessing,
            threshold,
            seed: config.seed,
            training: json!({ "commit": common::COMMIT, "steps": config.steps, "flips": config.flips,
                              "fingerprint": self.fingerprint }),
        };
        Checkpoint { card, model: self.model.clone() }.save(&place.checkpoint())?;
        Ok(fovea_data::write_atomically(&place.record(), &serde_json::to_vec_pretty(self)?)?)
    }
}

/// The network of a configuration.
pub fn network(config: &TrainConfig) -> Result<UNet> {
    Ok(UNet::new(config.model.clone())?)
}
