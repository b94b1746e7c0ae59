//! What a run found out: the schema of `summary.json` and the main input of the page.

use crate::compare::{Comparison, compare};
use fovea_metrics::{Confusion, ImageScores, METRICS, Summary, batch_iou_divided_by_images, summarise};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Raised when a field of [`RunSummary`] changes its meaning or goes away.
pub const SCHEMA_VERSION: u32 = 1;

/// A whole experiment: `summary.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunSummary {
    /// [`SCHEMA_VERSION`] of the writer.
    pub schema: u32,
    /// What was run, where and when.
    pub about: About,
    /// The test sets; the first is the one that headline, charts and pictures are about.
    pub sets: Vec<TestSet>,
    /// The models, in the order in which to show them.
    pub models: Vec<Model>,
    /// How the federated model was trained, when there is one.
    pub federation: Option<Federation>,
    /// Federated against local and pooled models, per set.
    pub comparisons: Vec<Comparison>,
}

/// What was run, where and when; every text is shown as it is.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct About {
    /// Name of the experiment.
    pub experiment: String,
    /// Profile (named settings).
    pub profile: String,
    /// Seeds, one run of every model each.
    pub seeds: Vec<u64>,
    /// Optimiser steps of one model.
    pub steps: u64,
    /// Trainable parameters of one model.
    pub parameters: u64,
    /// Date of the run, ISO 8601.
    pub date: String,
    /// Commit of the program.
    pub commit: String,
    /// Processor or device.
    pub machine: String,
    /// Worker threads.
    pub threads: usize,
    /// Wall time of everything, seconds.
    pub seconds: f64,
    /// Peak resident memory, bytes, where the system tells.
    pub peak_memory_bytes: Option<u64>,
}

/// A set of test images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TestSet {
    /// Short name, unique.
    pub key: String,
    /// For people, such as "DRIVE test, 20 images".
    pub title: String,
    /// What a reader has to know: who saw which images, which model scored them.
    pub note: String,
    /// A second observer's drawings scored like a model, where the data set has them.
    pub observer: Option<SetScores>,
}

/// What trained a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// One hospital's images only.
    Local,
    /// All hospitals, each with its own images.
    Federated,
    /// All images in one place: the ceiling.
    Pooled,
}

/// A model: one run for each seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// Short name, unique.
    pub key: String,
    /// For people.
    pub title: String,
    /// What trained it.
    pub role: Role,
    /// In words, on which images the thresholds were chosen.
    pub threshold_chosen_on: String,
    /// One run for each seed.
    pub runs: Vec<ModelRun>,
}

/// One training of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelRun {
    /// Its seed.
    pub seed: u64,
    /// Probability from which a pixel counts as vessel.
    pub threshold: f32,
    /// Training loss of each epoch or round, in order; one that is not finite is `null` in JSON and NaN when read back.
    #[serde(with = "losses")]
    pub losses: Vec<f64>,
    /// Wall time of the training, seconds.
    pub seconds: f64,
    /// Hash of the trained parameters, hexadecimal.
    pub model_hash: String,
    /// Scores on each test set that it was tried on.
    pub sets: Vec<SetScores>,
}

/// Scores on one test set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SetScores {
    /// [`TestSet::key`].
    pub set: String,
    /// Each image's scores.
    pub images: Vec<ImageRow>,
    /// Over the images, by metric key (`dice`, `iou`, `roc_auc`, ...).
    pub over_images: BTreeMap<String, Summary>,
    /// See [`batch_iou_divided_by_images`]: not an IoU.
    pub batch_iou_divided_by_images: Option<f64>,
}

/// One image's scores.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImageRow {
    /// Name of the image, unique within its set.
    pub image: String,
    /// Its scores.
    pub scores: ImageScores,
}

/// How the federated model was trained (one run; the traffic of every seed is the same).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Federation {
    /// Rounds completed.
    pub rounds: u64,
    /// In words, how updates were aggregated.
    pub aggregation: String,
    /// Whether updates were masked, so that the coordinator saw no single one.
    pub secure: bool,
    /// Whether there were exactly two hospitals, so that each can subtract its own update from the sum.
    pub pair_mode: bool,
    /// The differential privacy guarantee in words; `None` when off.
    pub differential_privacy: Option<String>,
    /// Whether the run with secure aggregation ended in the same parameters, bit for bit, as one that summed in the
    /// clear; `None` when that was not checked.
    pub equals_clear: Option<bool>,
    /// The hospitals.
    pub sites: Vec<Site>,
}

/// One hospital's part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Site {
    /// Its name.
    pub name: String,
    /// Training images.
    pub images: u64,
    /// Bytes sent to the coordinator over the run.
    pub bytes_sent: u64,
    /// Bytes received from the coordinator over the run.
    pub bytes_received: u64,
    /// Rounds in which it dropped out.
    pub dropped_rounds: u64,
}

impl RunSummary {
    /// A summary with its comparisons computed.
    #[must_use]
    pub fn new(about: About, sets: Vec<TestSet>, models: Vec<Model>, federation: Option<Federation>) -> Self {
        let comparisons = sets.iter().flat_map(|set| compare(&set.key, &models)).collect();
        RunSummary { schema: SCHEMA_VERSION, about, sets, models, federation, comparisons }
    }

    /// `summary.json`, indented, with a final newline.
    ///
    /// # Errors
    /// Never for values made by this crate; serde's signature.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self).map(|json| json + "\n")
    }
}

impl Model {
    /// Its runs' scores on a set, in the order of the runs.
    pub fn on<'a>(&'a self, set: &str) -> impl Iterator<Item = &'a SetScores> + Clone {
        self.runs.iter().flat_map(|run| &run.sets).filter(move |scores| scores.set == set)
    }

    /// The mean over images of each run on a set.
    #[must_use]
    pub fn run_means(&self, set: &str, metric: fn(&ImageScores) -> Option<f64>) -> Vec<f64> {
        let mean = |s: &SetScores| summarise(s.images.iter().map(|i| metric(&i.scores))).mean;
        self.on(set).filter_map(mean).collect()
    }

    /// Each image's mean over the runs on a set, in the order of the first run.
    #[must_use]
    pub fn image_means(
        &self,
        set: &str,
        metric: fn(&ImageScores) -> Option<f64>,
    ) -> Vec<(&str, Option<f64>)> {
        let Some(first) = self.on(set).next() else { return Vec::new() };
        let of = |name: &str| {
            let rows = self.on(set).flat_map(|s| &s.images).filter(|i| i.image == name);
            summarise(rows.map(|i| metric(&i.scores))).mean
        };
        first.images.iter().map(|i| (i.image.as_str(), of(&i.image))).collect()
    }
}

impl SetScores {
    /// Scores with everything that follows from the images' rows.
    #[must_use]
    pub fn new(set: &str, images: Vec<ImageRow>) -> Self {
        let over = |of: fn(&ImageScores) -> Option<f64>| summarise(images.iter().map(|i| of(&i.scores)));
        let over_images = METRICS.iter().map(|m| (m.key.to_owned(), over(m.of))).collect();
        let counts: Vec<Confusion> = images.iter().map(|i| i.scores.counts).collect();
        let batch_iou_divided_by_images = batch_iou_divided_by_images(&counts);
        SetScores { set: set.to_owned(), images, over_images, batch_iou_divided_by_images }
    }
}

/// JSON has no NaN: losses of a run that diverged travel as `null`.
mod losses {
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(losses: &[f64], out: S) -> Result<S::Ok, S::Error> {
        out.collect_seq(losses.iter().map(|l| l.is_finite().then_some(l)))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<f64>, D::Error> {
        let losses = Vec::<Option<f64>>::deserialize(from)?;
        Ok(losses.into_iter().map(|l| l.unwrap_or(f64::NAN)).collect())
    }
}
