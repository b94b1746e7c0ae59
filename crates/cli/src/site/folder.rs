//! A site's folder: keys, settings, and one folder per job.

use super::data::DataSource;
use crate::common::keys;
use crate::federation::page;
use anyhow::{Context, Result, bail};
use fovea_net::client::{Client, Endpoint, Roots};
use fovea_net::document::Offered;
use fovea_secagg::identity::{Identity, PublicKey};
use fovea_secagg::secret::Secret;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

const FILE: &str = "site.toml";
const IDENTITY: &str = "identity.key";
const JOURNAL_KEY: &str = "journal.key";
const AUTHORITY: &str = "authority.pem";
const AUDIT: &str = "audit.jsonl";
const DOCUMENT: &str = "job.json";
const APPROVED: &str = "approved.json";

/// What `site.toml` says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteFile {
    /// Name of this site.
    pub name: String,
    /// Name of the federation.
    pub federation: String,
    /// The coordinator's address.
    pub url: String,
    /// The coordinator's key.
    pub coordinator: PublicKey,
    /// Whether this machine's own authorities vouch for the coordinator, instead of the federation's.
    pub platform_roots: bool,
    /// Proxy; left out: HTTPS_PROXY of the environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<String>,
    /// Limit on the memory of a training step, MiB; changes no result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_limit_mib: Option<usize>,
    /// What is trained on.
    pub data: DataSource,
    /// Which jobs run.
    pub policy: Policy,
}

/// Which jobs run without asking.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// `ask`: every job waits for approval. `within-limits`: one within the limits below does not.
    pub approve: Approve,
    /// Most rounds of a job.
    pub rounds_max: u32,
    /// Most optimiser steps in a round.
    pub local_steps_max: u32,
    /// Fewest sites of a job.
    pub sites_min: usize,
}

/// Whether to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Approve {
    /// Always.
    Ask,
    /// For jobs beyond the limits.
    WithinLimits,
}

impl Policy {
    /// Always asks; limits for who changes that.
    pub fn ask() -> Self {
        Policy { approve: Approve::Ask, rounds_max: 10_000, local_steps_max: 200, sites_min: 3 }
    }

    /// Whether a job needs nobody's approval.
    pub fn allows(&self, offered: &Offered, local_steps: u32) -> bool {
        self.approve == Approve::WithinLimits
            && offered.document.job.rounds <= self.rounds_max
            && local_steps <= self.local_steps_max
            && offered.document.sites.len() >= self.sites_min
    }
}

/// Makes or takes up the keys of a site that is joining: a join that failed halfway can be tried again.
pub fn make_keys(path: &Path) -> Result<Arc<Identity>> {
    std::fs::create_dir_all(path).with_context(|| format!("--dir {}", path.display()))?;
    let identity = path.join(IDENTITY);
    let secret = if identity.exists() { keys::read(&identity)? } else { keys::create(&identity)? };
    if !path.join(JOURNAL_KEY).exists() {
        keys::create(&path.join(JOURNAL_KEY))?;
    }
    Ok(Arc::new(Identity::from_secret(&secret)))
}

/// A site's folder.
#[derive(Debug)]
pub struct SiteFolder {
    path: PathBuf,
    /// Its settings.
    pub file: SiteFile,
}

impl SiteFolder {
    /// Writes the settings of a site that has joined.
    pub fn create(path: &Path, file: &SiteFile, roots: &Roots) -> Result<()> {
        if let Roots::Federation(pem) = roots {
            fovea_data::write_atomically(&path.join(AUTHORITY), pem.as_bytes())?;
        }
        // Last: a folder with this file is complete.
        Ok(fovea_data::write_atomically(&path.join(FILE), toml::to_string(file)?.as_bytes())?)
    }

    /// Whether this is a site's folder.
    pub fn is(path: &Path) -> bool {
        path.join(FILE).exists()
    }

    /// Opens a folder.
    pub fn open(path: &Path) -> Result<Self> {
        let file = path.join(FILE);
        if !file.exists() {
            bail!("{} is no site's folder: make one with fovea site join", path.display());
        }
        let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        let file = toml::from_str(&text).with_context(|| file.display().to_string())?;
        Ok(SiteFolder { path: path.to_owned(), file })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its audit log.
    pub fn audit(&self) -> PathBuf {
        self.path.join(AUDIT)
    }

    /// This site's key.
    pub fn identity(&self) -> Result<Arc<Identity>> {
        Ok(Arc::new(Identity::from_secret(&keys::read(&self.path.join(IDENTITY))?)))
    }

    /// The key that seals the journal.
    pub fn journal_key(&self) -> Result<Secret> {
        keys::read(&self.path.join(JOURNAL_KEY))
    }

    /// The coordinator.
    pub fn endpoint(&self) -> Result<Endpoint> {
        let roots = if self.file.platform_roots {
            Roots::Platform
        } else {
            let path = self.path.join(AUTHORITY);
            Roots::Federation(std::fs::read_to_string(&path).with_context(|| path.display().to_string())?)
        };
        let (url, proxy) = (self.file.url.clone(), self.file.proxy.clone());
        Ok(Endpoint { url, coordinator: self.file.coordinator, roots, proxy })
    }

    /// A line to the coordinator.
    pub fn client(&self, stop: &Arc<AtomicBool>) -> Result<Client> {
        Ok(Client::new(self.endpoint()?, self.identity()?, Arc::clone(stop))?)
    }

    /// The folder of a job; made.
    pub fn job(&self, offered: &Offered) -> Result<JobFolder> {
        let path = self.path.join("jobs").join(page::short(&offered.digest));
        std::fs::create_dir_all(&path).with_context(|| path.display().to_string())?;
        Ok(JobFolder { path })
    }

    /// The folders of all jobs that were shown here, oldest name first.
    pub fn jobs(&self) -> Result<Vec<JobFolder>> {
        let path = self.path.join("jobs");
        if !path.exists() {
            return Ok(Vec::new());
        }
        let entries = std::fs::read_dir(&path).with_context(|| path.display().to_string())?;
        let mut jobs: Vec<JobFolder> =
            entries.filter_map(Result::ok).map(|entry| JobFolder { path: entry.path() }).collect();
        jobs.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(jobs)
    }
}

/// The folder of one job at a site.
#[derive(Debug, Clone)]
pub struct JobFolder {
    path: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Approval {
    digest: fovea_secagg::hash::Hash,
    approved_ms: u64,
    by: String,
}

impl JobFolder {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps the document, so that it can be read and approved.
    pub fn keep(&self, offered: &Offered) -> Result<()> {
        Ok(fovea_data::write_atomically(&self.path.join(DOCUMENT), &offered.text)?)
    }

    /// The document kept here.
    pub fn offered(&self) -> Result<Offered> {
        let path = self.path.join(DOCUMENT);
        let text = std::fs::read(&path).with_context(|| path.display().to_string())?;
        Ok(Offered::read(&text)?)
    }

    /// Writes down that somebody approved exactly this document.
    pub fn approve(&self, offered: &Offered, by: &str) -> Result<()> {
        let (digest, approved_ms, by) = (offered.digest, fovea_net::now_ms(), by.to_owned());
        let text = serde_json::to_vec_pretty(&Approval { digest, approved_ms, by })?;
        Ok(fovea_data::write_atomically(&self.path.join(APPROVED), &text)?)
    }

    /// Whether exactly this document was approved.
    pub fn is_approved(&self, offered: &Offered) -> Result<bool> {
        let path = self.path.join(APPROVED);
        if !path.exists() {
            return Ok(false);
        }
        let text = std::fs::read(&path).with_context(|| path.display().to_string())?;
        let approval: Approval =
            serde_json::from_slice(&text).with_context(|| format!("{} is damaged", path.display()))?;
        Ok(approval.digest == offered.digest)
    }
}
