//! Scores of a data set, as JSON and as CSV.

use anyhow::{Context, Result};
use fovea_data::Entry;
use fovea_metrics::{ImageScores, METRICS, Summary, summarise};
use fovea_unet::ModelCard;
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What was scored, and how it did: the schema of `scores.json`.
#[derive(Serialize)]
pub struct Scores {
    /// The model's file.
    pub model: String,
    /// The model's hash.
    pub model_hash: String,
    /// The data set.
    pub dataset: String,
    /// A pixel is vessel where its probability is at least this.
    pub threshold: f32,
    /// Where the threshold comes from.
    pub threshold_from: &'static str,
    /// In the order of names.
    pub images: Vec<Row>,
    /// Over images, by metric.
    pub mean: BTreeMap<&'static str, Summary>,
    /// The second observer over images, by metric; `None` where there is none.
    pub second_observer_mean: Option<BTreeMap<&'static str, Summary>>,
}

/// One image.
#[derive(Serialize)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// Whether the model was trained on these very files.
    pub trained_on: bool,
    /// The model's scores.
    pub scores: ImageScores,
    /// The second observer's.
    pub second_observer: Option<ImageScores>,
}

/// The images that a model was trained on, by content.
pub struct Trained(BTreeSet<[u8; 32]>);

impl Trained {
    /// As the model's description says, for one data set or for several; none where it does not say.
    pub fn of(card: &ModelCard) -> Self {
        let mut hashes = BTreeSet::new();
        collect(&card.training, &mut hashes);
        Trained(hashes)
    }

    /// Whether an image is among them.
    pub fn contains(&self, hash: &[u8; 32]) -> bool {
        self.0.contains(hash)
    }
}

/// Every list called `train`, however deep: a federated model's description has one per site.
fn collect(said: &Value, hashes: &mut BTreeSet<[u8; 32]>) {
    match said {
        Value::Object(fields) => {
            let train = fields.get("train").cloned().unwrap_or_default();
            let entries: Vec<Entry> = serde_json::from_value(train).unwrap_or_default();
            hashes.extend(entries.into_iter().map(|e| e.hash));
            fields.values().for_each(|value| collect(value, hashes));
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, hashes)),
        _ => {}
    }
}

impl Scores {
    /// Adds the means. `threshold` comes with whether it is the model's own.
    pub fn new(
        model: &Path,
        model_hash: String,
        dataset: &str,
        (threshold, chosen): (f32, bool),
        images: Vec<Row>,
    ) -> Self {
        let second: Vec<ImageScores> = images.iter().filter_map(|row| row.second_observer).collect();
        Scores {
            model: model.display().to_string(),
            model_hash,
            dataset: dataset.to_owned(),
            threshold,
            threshold_from: if chosen { "the model" } else { "the command line" },
            mean: means(&images.iter().map(|row| row.scores).collect::<Vec<_>>()),
            second_observer_mean: (!second.is_empty()).then(|| means(&second)),
            images,
        }
    }

    /// Indented, with a line break at the end.
    pub fn json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// A line per image and drawing; an undefined metric is empty.
    pub fn csv(&self) -> Result<Vec<u8>> {
        let mut out = csv::Writer::from_writer(Vec::new());
        let head = ["image", "drawn_by", "trained_on", "threshold"];
        out.write_record(head.into_iter().chain(METRICS.iter().map(|m| m.key)))?;
        for row in &self.images {
            let observers = [("model", Some(&row.scores)), ("second observer", row.second_observer.as_ref())];
            for (by, scores) in observers.into_iter().filter_map(|(by, s)| Some((by, s?))) {
                let threshold = if by == "model" { self.threshold.to_string() } else { String::new() };
                let head = [row.name.clone(), by.to_owned(), row.trained_on.to_string(), threshold];
                let values = METRICS.iter().map(|m| (m.of)(scores).map_or(String::new(), |v| v.to_string()));
                out.write_record(head.into_iter().chain(values))?;
            }
        }
        out.into_inner().context("the scores could not be written as CSV")
    }
}

fn means(scores: &[ImageScores]) -> BTreeMap<&'static str, Summary> {
    METRICS.iter().map(|m| (m.key, summarise(scores.iter().map(m.of)))).collect()
}
