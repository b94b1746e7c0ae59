//! Settings from a profile, a file, single options, or a saved run.

use anyhow::{Context, Result, bail};
use fovea_train::{Selection, TrainConfig};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The largest settings file, bytes.
const BYTES_MAX: u64 = 1 << 20;

/// Where settings come from.
#[derive(clap::Args)]
pub struct Settings {
    /// Settings made for a purpose [default: default]. With --resume the run's own are used.
    #[arg(long, value_enum, conflicts_with = "config")]
    profile: Option<Profile>,
    /// Settings from a TOML file; --print-config shows its form.
    #[arg(long, value_name = "FILE.toml")]
    config: Option<PathBuf>,
    /// Optimiser steps, in place of those of the settings.
    #[arg(long, value_name = "N")]
    steps: Option<u32>,
    /// Seed of initialisation, order and augmentation, in place of that of the settings.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Profile {
    /// Under 0.1 million parameters at a field diameter of 512 pixels.
    Default,
    /// A small network for trying things out: minutes on two cores.
    Quick,
    /// The published experiment: 224x224, Dice loss, 100 steps.
    Seed,
}

impl Settings {
    /// The settings asked for, checked.
    pub fn read(&self) -> Result<TrainConfig> {
        let mut config = match (&self.config, self.profile) {
            (Some(path), _) => read_toml(path)?,
            (None, Some(Profile::Quick)) => TrainConfig::quick_profile(),
            (None, Some(Profile::Seed)) => TrainConfig::seed_profile(),
            (None, Some(Profile::Default) | None) => TrainConfig::default_profile(),
        };
        self.override_single(&mut config);
        match &self.config {
            Some(path) => config.validate().with_context(|| path.display().to_string())?,
            None => config.validate()?,
        }
        if config.selection == Selection::BestValidation {
            bail!(
                "selection = \"best_validation\" needs validation images, which `fovea train` does not set apart: \
                 take \"last\" or \"best_training_loss\""
            );
        }
        Ok(config)
    }

    /// A saved run's settings, where nothing else was asked for.
    pub fn continued(&self, saved: &TrainConfig) -> Result<TrainConfig> {
        let asked = if self.config.is_some() || self.profile.is_some() {
            self.read()?
        } else {
            let mut asked = saved.clone();
            self.override_single(&mut asked);
            asked
        };
        let (here, there) = (serde_json::to_value(&asked)?, serde_json::to_value(saved)?);
        match difference("", &here, &there) {
            Some((field, here, there)) => bail!(
                "cannot resume: {field} is {here} here and {there} in the saved run; \
                 leave the settings out, or start anew in another --out"
            ),
            None => Ok(asked),
        }
    }

    fn override_single(&self, config: &mut TrainConfig) {
        config.steps = self.steps.unwrap_or(config.steps);
        config.seed = self.seed.unwrap_or(config.seed);
    }
}

/// Settings as a file.
pub fn to_toml(config: &TrainConfig) -> Result<String> {
    toml::to_string(config).context("the settings could not be written as TOML")
}

fn read_toml(path: &Path) -> Result<TrainConfig> {
    let at = || path.display().to_string();
    let bytes = std::fs::metadata(path).with_context(at)?.len();
    if bytes > BYTES_MAX {
        bail!("{}: {bytes} bytes are too many for settings", path.display());
    }
    let text = std::fs::read_to_string(path).with_context(at)?;
    toml::from_str(&text).with_context(at)
}

/// The first field that differs, with both values.
fn difference(field: &str, here: &Value, there: &Value) -> Option<(String, String, String)> {
    let (Value::Object(a), Value::Object(b)) = (here, there) else {
        return (here != there).then(|| (field.to_owned(), here.to_string(), there.to_string()));
    };
    let keys = a.keys().chain(b.keys().filter(|k| !a.contains_key(*k)));
    keys.into_iter().find_map(|key| {
        let name = if field.is_empty() { key.clone() } else { format!("{field}.{key}") };
        let side = |map: &serde_json::Map<String, Value>| map.get(key).cloned().unwrap_or(Value::Null);
        difference(&name, &side(a), &side(b))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_differing_field_is_named() {
        let saved = TrainConfig::default_profile();
        let mut here = saved.clone();
        let value = |c: &TrainConfig| serde_json::to_value(c).unwrap();
        assert_eq!(difference("", &value(&here), &value(&saved)), None);
        here.model.widths[0] += 1;
        let (field, ..) = difference("", &value(&here), &value(&saved)).unwrap();
        assert_eq!(field, "model.widths");
        here = TrainConfig { average_decay: None, ..saved.clone() };
        let found = difference("", &value(&here), &value(&saved)).unwrap();
        assert_eq!((found.0.as_str(), found.1.as_str()), ("average_decay", "null"));
    }
}
