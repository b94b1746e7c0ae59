//! The job description: what is trained together, by whom, and under which rules. Data, not code: every party
//! computes the same digest of it.

use std::sync::Arc;

use fovea_secagg::hash::Hash;
use fovea_secagg::history::{BATCH_MIN, MultiRoundPolicy};
use fovea_secagg::identity::{Roster, RosterError};
use fovea_secagg::layout::{Layout, LayoutError, Proven};
use fovea_secagg::sets::{Profile, SiteId, SiteSet, ThresholdRule};
use serde::{Deserialize, Serialize};

use crate::clip::ClipRule;
use crate::strategy::Strategy;

/// A federated training job. No field has a default: a job file states them all.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// Name of the job.
    pub name: String,
    /// Rounds to run.
    pub rounds: u32,
    /// Epochs that a site trains per round.
    pub local_epochs: u32,
    /// Server step.
    pub strategy: Strategy,
    /// FedProx: weight mu of the term mu/2 |w - w_global|^2 in the local loss (Li et al. 2020, arXiv
    /// 1812.06127); zero for none. Applied by the sites.
    pub proximal_mu: f32,
    /// Least number of sites in a sum, beyond what the profile asks.
    pub sites_min: u16,
    /// Which coordinator the thresholds defend against.
    pub profile: Profile,
    /// Colluding sites tolerated; `None` takes ceil(n/3) - 1 of all n sites.
    pub colluders_max: Option<u16>,
    /// Largest sample count of a site; a power of two.
    pub weight_max: u32,
    /// Names of the sidecar values that every site reports, of which only the mean is seen.
    pub side_names: Vec<String>,
    /// How clips follow the updates.
    pub clip_rule: ClipRule,
    /// What to do about sums over nearly the same sites.
    pub multi_round_policy: MultiRoundPolicy,
    /// Longest wait for a phase, in milliseconds.
    pub phase_timeout_ms: u64,
}

/// A site of the federation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteConfig {
    /// Name, unique within the job.
    pub name: String,
    /// With two sites in all, each can compute the other's update from the sum. Both must accept that.
    pub ack_two_party_disclosure: bool,
}

/// One tensor of the parameter table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Parameter {
    /// Name.
    pub name: String,
    /// Number of coordinates.
    pub len: usize,
    /// Bound on an update's coordinates in the first round.
    pub first_clip: f32,
}

/// A job that cannot run.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum JobError {
    /// Too few or too many sites.
    #[error("{found} sites: need 2..=255")]
    Sites {
        /// Sites given.
        found: usize,
    },
    /// Two sites with one name.
    #[error("two sites are called {name}")]
    RepeatedSite {
        /// The name.
        name: String,
    },
    /// More sites asked for than there are.
    #[error("sites_min is {sites_min}, but the job has {sites} sites")]
    SitesMin {
        /// Asked for.
        sites_min: u16,
        /// Given.
        sites: usize,
    },
    /// A batch of sites too small to hide one.
    #[error("batches of {size} sites: need at least {BATCH_MIN}")]
    Batch {
        /// Size asked for.
        size: u16,
    },
    /// A roster that does not fit the sites.
    #[error(transparent)]
    Roster(RosterError),
    /// Not one public key per site.
    #[error("{keys} public keys for {sites} sites")]
    Keys {
        /// Sites of the roster.
        keys: usize,
        /// Sites of the job.
        sites: usize,
    },
    /// A site that has not signed the manifest.
    #[error("{name} has not signed this manifest; every site signs before the first round")]
    ManifestNotSigned {
        /// The site.
        name: String,
    },
    /// Two sites without both acknowledgements.
    #[error(
        "two sites see each other's update: set ack_two_party_disclosure for {name}, or add a third site"
    )]
    TwoPartyNotAcknowledged {
        /// Site without the acknowledgement.
        name: String,
    },
    /// The initial model does not have the length of the parameter table.
    #[error("initial model has {found} values, the parameter table {expected}")]
    ModelLength {
        /// Length of the table.
        expected: usize,
        /// Length found.
        found: usize,
    },
    /// A hyperparameter out of range.
    #[error("{field} is {value}, need {need}")]
    Hyperparameter {
        /// Field.
        field: &'static str,
        /// Its value.
        value: f32,
        /// What is needed.
        need: &'static str,
    },
    /// A clip or weight that the encoding refuses.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The plan could not be written as bytes.
    #[error(transparent)]
    Wire(#[from] fovea_wire::WireError),
    /// Thresholds that cannot hold.
    #[error("thresholds: {0}")]
    Thresholds(String),
}

impl From<RosterError> for JobError {
    fn from(error: RosterError) -> Self {
        match error {
            RosterError::Sites { found } => Self::Sites { found },
            RosterError::RepeatedKey { .. } => Self::Roster(error),
        }
    }
}

/// A checked job with its roster and parameter table: everything public that all parties share.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    job: Job,
    sites: Vec<SiteConfig>,
    parameters: Vec<Parameter>,
    keys: Arc<Roster>,
    digest: Hash,
}

impl Plan {
    /// Checks a job. Site `i` gets number `i` and the roster's key `i`.
    ///
    /// # Errors
    /// [`JobError`] names the field to change.
    pub fn new(
        job: Job,
        sites: Vec<SiteConfig>,
        parameters: Vec<Parameter>,
        keys: Roster,
    ) -> Result<Self, JobError> {
        check_sites(&job, &sites)?;
        if keys.sites() != sites.len() {
            return Err(JobError::Keys { keys: keys.sites(), sites: sites.len() });
        }
        job.strategy.check()?;
        if !(job.proximal_mu.is_finite() && job.proximal_mu >= 0.0) {
            let (field, value, need) = ("proximal_mu", job.proximal_mu, "zero or a positive number");
            return Err(JobError::Hyperparameter { field, value, need });
        }
        let bytes = fovea_wire::to_body(&(&job, &sites, &parameters, &keys), usize::MAX)?;
        let digest = Hash::of("fovea/manifest/v1", &[&bytes]);
        let plan = Self { job, sites, parameters, keys: Arc::new(keys), digest };
        plan.proven(&plan.first_clips())?;
        Ok(plan)
    }

    /// The job.
    pub fn job(&self) -> &Job {
        &self.job
    }

    /// The sites; their places are their numbers.
    pub fn sites(&self) -> &[SiteConfig] {
        &self.sites
    }

    /// The parameter table.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// H_M: digest of everything in the plan, public keys included.
    pub fn digest(&self) -> Hash {
        self.digest
    }

    /// The context of messages that belong to no attempt: hello, and catching up.
    pub fn hello_ctx(&self) -> Hash {
        Hash::of("fovea/hello/v1", &[&self.digest.0])
    }

    /// The least quorum of any attempt: as many sites must stand at a state before one that was away takes it.
    /// Both of two.
    pub fn quorum_min(&self) -> usize {
        let sites = self.sites.len();
        self.threshold_rule().least(sites).map_or(sites, |thresholds| thresholds.quorum)
    }

    /// As many sites must say that they refuse a sum before it is taken back: more than may lie. Both of two.
    pub fn refusals_min(&self) -> usize {
        let sites = self.sites.len();
        self.threshold_rule().least(sites).map_or(sites, |thresholds| thresholds.colluders_max + 1)
    }

    /// All sites.
    pub fn roster(&self) -> SiteSet {
        (0..self.sites.len()).map(|i| SiteId(i as u16)).collect()
    }

    /// The public keys of all parties.
    pub fn keys(&self) -> &Arc<Roster> {
        &self.keys
    }

    /// Number of model coordinates.
    pub fn coordinates(&self) -> usize {
        self.parameters.iter().map(|parameter| parameter.len).sum()
    }

    /// Clips of the first round.
    pub fn first_clips(&self) -> Vec<f32> {
        self.parameters.iter().map(|parameter| parameter.first_clip).collect()
    }

    /// The layout for the given clips, with the largest safe exponents, proven.
    ///
    /// # Errors
    /// [`LayoutError`].
    pub fn proven(&self, clips: &[f32]) -> Result<Proven, LayoutError> {
        let tensors = self.parameters.iter().zip(clips).map(|(p, &clip)| (p.name.clone(), p.len, clip));
        let layout = Layout::with_largest_exponents(tensors, self.sites.len())?;
        Proven::new(layout, self.sites.len(), self.job.weight_max)
    }

    /// Rules for thresholds.
    pub fn threshold_rule(&self) -> ThresholdRule {
        let Job { profile, sites_min, colluders_max, .. } = self.job;
        ThresholdRule { profile, sites_min, colluders_max }
    }
}

fn check_sites(job: &Job, sites: &[SiteConfig]) -> Result<(), JobError> {
    if !(2..=255).contains(&sites.len()) {
        return Err(JobError::Sites { found: sites.len() });
    }
    for (i, site) in sites.iter().enumerate() {
        if sites[..i].iter().any(|other| other.name == site.name) {
            return Err(JobError::RepeatedSite { name: site.name.clone() });
        }
    }
    if usize::from(job.sites_min) > sites.len() {
        return Err(JobError::SitesMin { sites_min: job.sites_min, sites: sites.len() });
    }
    if let MultiRoundPolicy::Batched { size } = job.multi_round_policy
        && size < BATCH_MIN
    {
        return Err(JobError::Batch { size });
    }
    if sites.len() == 2 {
        return match sites.iter().find(|site| !site.ack_two_party_disclosure) {
            Some(site) => Err(JobError::TwoPartyNotAcknowledged { name: site.name.clone() }),
            None => Ok(()),
        };
    }
    let Job { profile, sites_min, colluders_max, .. } = *job;
    ThresholdRule { profile, sites_min, colluders_max }
        .for_cohort(sites.len(), sites.len())
        .map(|_| ())
        .map_err(|abort| JobError::Thresholds(abort.to_string()))
}
