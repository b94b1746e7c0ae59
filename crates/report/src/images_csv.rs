//! `images.csv`: one row for each model, seed, set and image.

use crate::ReportError;
use crate::schema::{RunSummary, SetScores};
use fovea_metrics::METRICS;

/// The whole file. An undefined metric is an empty cell; the second observer's rows have the model `second_observer` and no seed.
///
/// # Errors
/// When the writer fails.
pub fn images_csv(summary: &RunSummary) -> Result<Vec<u8>, ReportError> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mut header = vec!["model", "seed", "set", "image", "threshold"];
    header.extend(METRICS.iter().map(|m| m.key));
    header.extend(["true_positives", "false_positives", "false_negatives", "true_negatives"]);
    writer.write_record(&header)?;
    for model in &summary.models {
        for run in &model.runs {
            for scores in &run.sets {
                rows(&mut writer, [&model.key, &run.seed.to_string(), &run.threshold.to_string()], scores)?;
            }
        }
    }
    for scores in summary.sets.iter().filter_map(|s| s.observer.as_ref()) {
        rows(&mut writer, ["second_observer", "", ""], scores)?;
    }
    writer.into_inner().map_err(|e| ReportError::Csv(e.into_error().into()))
}

fn rows(
    writer: &mut csv::Writer<Vec<u8>>,
    [model, seed, threshold]: [&str; 3],
    scores: &SetScores,
) -> Result<(), ReportError> {
    for row in &scores.images {
        let counts = row.scores.counts;
        let mut record: Vec<String> =
            [model, seed, &scores.set, &row.image, threshold].map(str::to_owned).to_vec();
        record.extend(
            METRICS.iter().map(|m| (m.of)(&row.scores).map_or_else(String::new, |v| format!("{v:.6}"))),
        );
        let counts =
            [counts.true_positives, counts.false_positives, counts.false_negatives, counts.true_negatives];
        record.extend(counts.map(|c| c.to_string()));
        writer.write_record(&record)?;
    }
    Ok(())
}
