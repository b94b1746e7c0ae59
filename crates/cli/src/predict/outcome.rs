//! What became of each file, for the list, for machines and for people.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::path::PathBuf;

/// One file and what became of it.
pub struct Outcome {
    /// The file as named.
    pub file: String,
    /// What became of it.
    pub status: Status,
}

/// What became of a file.
pub enum Status {
    /// Its results are written.
    Done(Done),
    /// It cannot be predicted, for this reason.
    Failed(String),
    /// It is no photograph, for this reason.
    Skipped(String),
    /// The command was interrupted before it.
    NotStarted,
}

/// What was found in a photograph.
pub struct Done {
    /// Rows, pixels.
    pub height: usize,
    /// Columns, pixels.
    pub width: usize,
    /// Pixels inside the field of view.
    pub field_pixels: usize,
    /// Pixels marked as vessel.
    pub vessel_pixels: usize,
    /// Time from opening the file to the last result, seconds.
    pub seconds: f64,
    /// The result files.
    pub files: [PathBuf; 3],
}

/// The list as CSV.
pub fn csv(outcomes: &[Outcome], threshold: f32, flips: bool, model_hash: &str) -> Result<Vec<u8>> {
    let mut out = csv::Writer::from_writer(Vec::new());
    out.write_record([
        "file",
        "status",
        "reason",
        "height",
        "width",
        "field_pixels",
        "vessel_pixels",
        "vessel_share",
        "seconds",
        "threshold",
        "flips",
        "model_hash",
    ])?;
    let (threshold, flips) = (threshold.to_string(), flips.to_string());
    for outcome in outcomes {
        let mut row = vec![outcome.file.clone(), outcome.status.name().to_owned(), outcome.reason()];
        match &outcome.status {
            Status::Done(d) => {
                let counts = [d.height, d.width, d.field_pixels, d.vessel_pixels];
                row.extend(counts.map(|n| n.to_string()));
                row.extend([format!("{:.6}", d.vessel_share()), format!("{:.3}", d.seconds)]);
            }
            _ => row.extend(std::iter::repeat_n(String::new(), 6)),
        }
        row.extend([threshold.clone(), flips.clone(), model_hash.to_owned()]);
        out.write_record(row)?;
    }
    out.into_inner().context("the list of predictions could not be made")
}

impl Outcome {
    /// One line of JSON.
    pub fn json(&self) -> Result<String> {
        let mut line = json!({ "file": self.file, "status": self.status.name() });
        match &self.status {
            Status::Done(d) => {
                line["height"] = d.height.into();
                line["width"] = d.width.into();
                line["field_pixels"] = d.field_pixels.into();
                line["vessel_pixels"] = d.vessel_pixels.into();
                line["vessel_share"] = d.vessel_share().into();
                line["seconds"] = d.seconds.into();
                for (key, path) in ["probabilities", "mask", "overlay"].into_iter().zip(&d.files) {
                    line[key] = path.display().to_string().into();
                }
            }
            Status::Failed(_) | Status::Skipped(_) => line["reason"] = Value::String(self.reason()),
            Status::NotStarted => {}
        }
        Ok(serde_json::to_string(&line)?)
    }

    /// A reason that names the file, once.
    pub fn with_file(&self, reason: &str) -> String {
        if reason.contains(&self.file) { reason.to_owned() } else { format!("{}: {reason}", self.file) }
    }

    /// Seconds spent on it.
    pub fn seconds(&self) -> f64 {
        if let Status::Done(done) = &self.status { done.seconds } else { 0.0 }
    }

    fn reason(&self) -> String {
        match &self.status {
            Status::Failed(reason) | Status::Skipped(reason) => reason.clone(),
            Status::Done(_) | Status::NotStarted => String::new(),
        }
    }
}

impl Status {
    /// In lists.
    pub fn name(&self) -> &'static str {
        match self {
            Status::Done(_) => "done",
            Status::Failed(_) => "failed",
            Status::Skipped(_) => "skipped",
            Status::NotStarted => "not started",
        }
    }
}

impl Done {
    /// The share of the field of view that is marked.
    fn vessel_share(&self) -> f64 {
        self.vessel_pixels as f64 / self.field_pixels.max(1) as f64
    }
}
