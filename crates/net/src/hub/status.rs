//! What can be told about a federation: for people, for programs, for monitoring.

use super::Hub;
use crate::error::NetError;
use fovea_secagg::hash::Hash;
use fovea_secagg::message::Phase;
use serde::{Deserialize, Serialize};

/// How far a job is, as the coordinator's process sees it.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress {
    /// Rounds that gave a sum.
    pub rounds_done: u32,
    /// What the attempt under way waits for.
    pub phase: Option<&'static str>,
    /// Whether the set to be summed over is fixed.
    pub fixed: bool,
    /// Messages that changed nothing.
    pub refused: u64,
}

impl Progress {
    /// Follows the coordinator's own messages: each opens a phase.
    pub(super) fn sent(&mut self, phase: Phase) {
        let next = match phase {
            Phase::Open => Some("keys"),
            Phase::AdvertiseSet => Some("shares and training"),
            Phase::ShareSet => Some("training and uploads"),
            Phase::Announce => Some("confirmations"),
            Phase::ConfirmSet => Some("shares of the masks"),
            _ => return,
        };
        self.fixed = matches!(phase, Phase::Announce | Phase::ConfirmSet);
        self.phase = next;
    }
}

/// The state of a federation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Name of the federation.
    pub federation: String,
    /// When this was true, milliseconds since 1970.
    pub at_ms: u64,
    /// `waiting for a job`, `waiting for signatures`, `running`, `over`.
    pub stage: String,
    /// Name of the job.
    pub job: Option<String>,
    /// Digest of the job's document.
    pub job_digest: Option<Hash>,
    /// Rounds that gave a sum.
    pub rounds_done: u32,
    /// Rounds to do.
    pub rounds: u32,
    /// What the attempt under way waits for; none between attempts.
    pub phase: Option<String>,
    /// Digest of the newest global model.
    pub model: Option<Hash>,
    /// Report of the last round that gave a sum.
    pub last_round: Option<serde_json::Value>,
    /// Attempts that ended without a sum.
    pub attempts_failed: u64,
    /// Why the last of them did.
    pub last_failure: Option<String>,
    /// Messages of sites that changed nothing.
    pub messages_refused: u64,
    /// All sites that have joined.
    pub sites: Vec<SiteStatus>,
}

/// The state of one site.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SiteStatus {
    /// Name.
    pub name: String,
    /// Public key, hexadecimal.
    pub key: Hash,
    /// When it joined, milliseconds since 1970.
    pub joined_ms: u64,
    /// Whether it is in the job.
    pub in_job: bool,
    /// Whether it has signed the job.
    pub signed: bool,
    /// When it was heard of last, milliseconds since 1970; none since the coordinator started.
    pub heard_ms: Option<u64>,
}

impl Hub {
    /// The state of everything.
    ///
    /// # Errors
    /// [`NetError::Database`].
    pub fn status(&self, now_ms: u64) -> Result<Status, NetError> {
        let run = self.job.as_ref().and_then(|stage| stage.run.as_ref());
        let stage = match (&self.job, run) {
            (None, _) => "waiting for a job",
            (Some(_), None) => "waiting for signatures",
            (Some(_), Some(run)) if run.is_over() => "over",
            (Some(_), Some(_)) => "running",
        };
        let mut sites = Vec::new();
        for member in self.store.members()? {
            let place = self.job.as_ref().and_then(|stage| stage.offered.place_of(&member.key));
            let signed =
                self.job.as_ref().zip(place).is_some_and(|(s, place)| s.consents.contains_key(&place));
            let at_job = place.zip(run).and_then(|(place, run)| run.heard_ms(usize::from(place.0)));
            let key = member.key.to_bytes();
            let heard_ms = at_job.max(self.heard_ms.get(&key).copied());
            let (name, joined_ms, in_job) = (member.site, member.joined_ms, place.is_some());
            sites.push(SiteStatus { name, key: Hash(key), joined_ms, in_job, signed, heard_ms });
        }
        let rounds = self.job.as_ref().map_or(Ok(Vec::new()), |stage| self.store.rounds(stage.number))?;
        let last = rounds.iter().rfind(|row| row.model.is_some());
        let failed: Vec<_> = rounds.iter().filter(|row| row.model.is_none()).collect();
        let reason = |report: &str| serde_json::from_str::<serde_json::Value>(report).ok();
        Ok(Status {
            federation: self.federation.clone(),
            at_ms: now_ms,
            stage: stage.to_owned(),
            job: self.job.as_ref().map(|stage| stage.offered.document.job.name.clone()),
            job_digest: self.job.as_ref().map(|stage| stage.offered.digest),
            rounds_done: run.map_or(0, |run| run.progress().rounds_done),
            rounds: self.job.as_ref().map_or(0, |stage| stage.offered.document.job.rounds),
            phase: run.and_then(|run| run.progress().phase).map(str::to_owned),
            model: run.map(|run| run.state().model_hash()),
            last_round: last.and_then(|row| reason(&row.report)),
            attempts_failed: failed.len() as u64,
            last_failure: failed.last().map(|row| row.report.clone()),
            messages_refused: run.map_or(0, |run| run.progress().refused),
            sites,
        })
    }
}
