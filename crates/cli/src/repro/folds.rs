//! Cross-validation on STARE: a federated model for each fold, tested on the images it did not see.

use super::cohort::Cohort;
use super::profile::Profile;
use super::trained::{Place, Trained, fingerprint};
use super::{federated, score};
use crate::common;
use anyhow::Result;
use fovea_report::{ImageRow, SetScores};
use fovea_train::TrainConfig;
use std::path::Path;

/// Key of the test set.
pub const KEY: &str = "stare-folds";

/// Trains a federated model per fold, or takes up finished ones, and joins their scores.
pub fn run(
    root: &Path,
    folder: &Path,
    profile: &Profile,
    config: &TrainConfig,
    folds: usize,
) -> Result<SetScores> {
    let mut rows: Vec<ImageRow> = Vec::new();
    for fold in 0..folds {
        let cohort = Cohort::stare_fold(root, folds, fold)?;
        let place =
            Place { folder: folder.to_owned(), key: format!("federated-fold-{}-of-{folds}", fold + 1) };
        let fingerprint = fingerprint(profile, config, &serde_json::to_value(cohort.parts())?);
        let trained = match Trained::find(&place, &fingerprint)? {
            Some(trained) => trained,
            None => {
                common::say(&format!("training {}", place.key));
                let trained = federated::train(&place, profile, config, fingerprint, &cohort)?;
                super::conclude(&trained, &place, config)?;
                trained
            }
        };
        let seen: Vec<_> = cohort.hospitals.iter().collect();
        rows.extend(score::judge_fold(&trained.model, config, &seen, &cohort.hospitals[1])?);
    }
    Ok(SetScores::new(KEY, rows))
}
