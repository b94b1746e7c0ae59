//! A job as a file, and the document that it becomes.

use crate::learning::{Recipe, WEIGHT_MAX};
use crate::repro::profile::{Profile, ProfileName};
use anyhow::{Context, Result, ensure};
use fovea_fed::clip::ClipRule;
use fovea_fed::job::Job;
use fovea_fed::strategy::Strategy;
use fovea_net::document::{Document, Seat};
use fovea_net::store::Member;
use fovea_secagg::history::MultiRoundPolicy;
use fovea_secagg::identity::PublicKey;
use fovea_secagg::sets::Profile as Threat;
use fovea_train::TrainConfig;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The largest job file, bytes.
const BYTES_MAX: u64 = 1 << 20;

/// A job file. What it leaves out has no default but `None`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobFile {
    /// Name of the job.
    pub name: String,
    /// Optimiser steps that each site makes per round; the rounds are `train.steps` divided by it.
    pub local_steps: u32,
    /// Bound on a coordinate of the first round's update.
    pub first_clip: f32,
    /// Least number of sites in a sum.
    pub sites_min: u16,
    /// Which coordinator the thresholds defend against.
    pub profile: Threat,
    /// Colluding sites tolerated; left out: ceil(n/3) - 1 of all n.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub colluders_max: Option<u16>,
    /// Largest number of images of a site; a power of two.
    pub weight_max: u32,
    /// How clips follow the updates.
    pub clip_rule: ClipRule,
    /// Longest wait for a phase, training included, seconds.
    pub phase_timeout_s: u64,
    /// For rehearsals: rounding repeats to the bit. Left out: every site draws its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rounding_seed: Option<u64>,
    /// What to do about sums over nearly the same sites.
    pub multi_round_policy: MultiRoundPolicy,
    /// Server step.
    pub strategy: Strategy,
    /// How each site trains.
    pub train: TrainConfig,
}

impl JobFile {
    /// The job of a profile of the experiment.
    pub fn of_profile(name: ProfileName) -> Self {
        let profile = Profile::named(name);
        Self::rehearsal(&profile, &profile.train)
    }

    /// The job that `fovea repro` trains in one process.
    pub fn rehearsal(profile: &Profile, train: &TrainConfig) -> Self {
        Self {
            name: format!("retinal-vessels-{}", profile.name),
            local_steps: profile.local_steps,
            first_clip: profile.first_clip,
            sites_min: 2,
            profile: Threat::Malicious,
            colluders_max: None,
            weight_max: WEIGHT_MAX,
            clip_rule: ClipRule::FollowUpdate,
            phase_timeout_s: 3600,
            rounding_seed: None,
            multi_round_policy: MultiRoundPolicy::Warn,
            strategy: profile.strategy,
            train: train.clone(),
        }
    }

    /// Reads and checks a file.
    pub fn read(path: &Path) -> Result<Self> {
        let at = || path.display().to_string();
        let bytes = std::fs::metadata(path).with_context(at)?.len();
        ensure!(bytes <= BYTES_MAX, "{}: {bytes} bytes are too many for a job", path.display());
        let job: Self = toml::from_str(&std::fs::read_to_string(path).with_context(at)?).with_context(at)?;
        job.train.validate().with_context(at)?;
        ensure!(
            job.local_steps > 0 && job.train.steps.is_multiple_of(job.local_steps),
            "{}: train.steps = {} is not a whole number of rounds of local_steps = {}",
            path.display(),
            job.train.steps,
            job.local_steps
        );
        Ok(job)
    }

    /// As a file.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self).context("the job could not be written as TOML")
    }

    /// What all sites have in common.
    pub fn recipe(&self) -> Recipe {
        Recipe { local_steps: self.local_steps, first_clip: self.first_clip, train: self.train.clone() }
    }

    /// The document for these sites.
    pub fn document(&self, federation: &str, coordinator: PublicKey, members: &[Member]) -> Result<Document> {
        let seat = |member: &Member| Seat { name: member.site.clone(), key: member.key };
        let job = Job {
            name: self.name.clone(),
            rounds: self.train.steps / self.local_steps,
            local_epochs: self.local_steps.div_ceil(self.train.steps_per_epoch),
            strategy: self.strategy,
            proximal_mu: self.train.proximal_mu,
            sites_min: self.sites_min,
            profile: self.profile,
            colluders_max: self.colluders_max,
            weight_max: self.weight_max,
            side_names: vec!["loss".to_owned()],
            clip_rule: self.clip_rule,
            multi_round_policy: self.multi_round_policy,
            phase_timeout_ms: self.phase_timeout_s.saturating_mul(1000),
        };
        Ok(Document {
            federation: federation.to_owned(),
            coordinator,
            sites: members.iter().map(seat).collect(),
            job,
            parameters: self.recipe().parameters()?,
            rounding_seed: self.rounding_seed,
            learning: serde_json::to_value(self.recipe())?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printed_jobs_are_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("job.toml");
        for name in [ProfileName::Default, ProfileName::Quick, ProfileName::Seed] {
            let job = JobFile { rounding_seed: Some(3), colluders_max: Some(1), ..JobFile::of_profile(name) };
            std::fs::write(&path, job.to_toml().unwrap()).unwrap();
            assert_eq!(JobFile::read(&path).unwrap(), job);
        }
        let uneven = JobFile { local_steps: 7, ..JobFile::of_profile(ProfileName::Quick) };
        std::fs::write(&path, uneven.to_toml().unwrap()).unwrap();
        assert!(JobFile::read(&path).unwrap_err().to_string().contains("whole number of rounds"));
    }
}
