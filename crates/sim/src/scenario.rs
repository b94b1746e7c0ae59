//! What one run is about, drawn from its seed: sites, job, faults, liars.

use std::collections::BTreeMap;
use std::sync::Arc;

use fovea_fed::clip::ClipRule;
use fovea_fed::job::{Job, JobError, Parameter, Plan, SiteConfig};
use fovea_fed::manifest::{Consent, SignedPlan};
use fovea_fed::state::ServerState;
use fovea_fed::strategy::Strategy;
use fovea_secagg::hash::Hash;
use fovea_secagg::history::MultiRoundPolicy;
use fovea_secagg::identity::{Identity, Roster};
use fovea_secagg::message::COORDINATOR;
use fovea_secagg::secret::Secret;
use fovea_secagg::sets::{Profile, SiteId};

use crate::byzantine::{CoordinatorTrick, SiteTrick};
use crate::faults::{Faults, Kind};
use crate::random::Stream;
use crate::sabotage::Sabotage;

/// Longest wait for a phase, in virtual milliseconds.
pub const PHASE_MS: u64 = 1000;
/// Until then faults happen and liars lie; from then on everybody is well and the network is reliable.
pub const CALM_MS: u64 = 12_000;
/// A run that is not over by then hangs.
pub const LIMIT_MS: u64 = 90_000;
/// A site that heard nothing new connects again after this time.
pub const RETRY_MS: u64 = 450;
/// Most samples of a site.
pub const SAMPLES_MAX: u32 = 16;

/// What the caller fixes; the seed decides the rest.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Number of sites.
    pub sites: Option<u16>,
    /// Rounds to finish.
    pub rounds: Option<u32>,
    /// The main trouble.
    pub kind: Option<Kind>,
    /// Probabilities in place of the kind's, by name.
    pub faults: Vec<(String, f64)>,
    /// A bug put in on purpose, which the checks must find.
    pub sabotage: Option<Sabotage>,
}

/// One run, before it starts.
#[derive(Debug)]
pub struct Scenario {
    /// Seed of everything.
    pub seed: u64,
    /// The main trouble.
    pub kind: Kind,
    /// Probabilities of single faults.
    pub faults: Faults,
    /// Rounds to finish.
    pub rounds: u32,
    /// The manifest, signed by all sites.
    pub plan: Arc<SignedPlan>,
    /// The state before the first round.
    pub first: ServerState,
    /// Sites that lie, and how.
    pub liars: BTreeMap<SiteId, SiteTrick>,
    /// How the coordinator lies, if it does.
    pub trick: Option<CoordinatorTrick>,
    /// The bug put in, if any.
    pub sabotage: Option<Sabotage>,
    /// Where later decisions are drawn from.
    pub stream: Stream,
}

impl Scenario {
    /// Draws the scenario of a seed.
    ///
    /// # Errors
    /// [`JobError`] for a number of sites that no job can have.
    pub fn draw(seed: u64, options: &Options) -> Result<Self, JobError> {
        let mut stream = Stream::new(seed);
        let drawn = Kind::ALL[stream.place(Kind::ALL.len())];
        let kind = options.kind.unwrap_or(drawn);
        let mut faults = kind.faults();
        for (name, probability) in &options.faults {
            if let Some(fault) = faults.get_mut(name) {
                *fault = *probability;
            }
        }
        // Small federations are cheap and have the sharp thresholds; below four sites nobody may collude.
        let least = if kind.has_liars() { 4 } else { 2 };
        let drawn = least + stream.below(11 - least).min(stream.below(11 - least));
        let n = options.sites.unwrap_or(drawn as u16);
        let drawn = 2 + u32::from(stream.chance(0.25));
        let rounds = options.rounds.unwrap_or(drawn);
        let plan = plan(seed, n, rounds, &mut stream)?;
        let model = (0..plan.coordinates()).map(|i| (i % 7) as f32 * 0.125 - 0.375).collect();
        let first = ServerState::start(&plan, model)?;
        let liars = if kind.has_liars() { liars(n, &mut stream) } else { BTreeMap::new() };
        let drawn = CoordinatorTrick::ALL[stream.place(CoordinatorTrick::ALL.len())];
        let trick = kind.coordinator_lies().then_some(drawn);
        let sabotage = options.sabotage;
        Ok(Self { seed, kind, faults, rounds, plan, first, liars, trick, sabotage, stream })
    }

    /// The signing key of a party.
    pub fn identity(&self, party: SiteId) -> Identity {
        identity(self.seed, party)
    }

    /// Number of sites.
    pub fn sites(&self) -> usize {
        self.plan.sites().len()
    }

    /// Whether a site follows the protocol.
    pub fn is_honest(&self, site: SiteId) -> bool {
        !self.liars.contains_key(&site)
    }

    /// Whether every run like this one has to finish all its rounds once all is calm. Under `strict` a site
    /// that missed one sum may be too close to another for ever.
    pub fn must_finish(&self) -> bool {
        self.trick.is_none() && self.plan.job().multi_round_policy == MultiRoundPolicy::Warn
    }
}

fn identity(seed: u64, party: SiteId) -> Identity {
    let bytes = Hash::of("fovea/sim/identity", &[&seed.to_le_bytes(), &party.0.to_le_bytes()]);
    Identity::from_secret(&Secret::new(bytes.0))
}

fn plan(seed: u64, n: u16, rounds: u32, stream: &mut Stream) -> Result<Arc<SignedPlan>, JobError> {
    let strategies = [
        Strategy::FedAvg,
        Strategy::FedAvgM { learning_rate: 0.5, momentum: 0.75 },
        Strategy::FedAdam { learning_rate: 0.1, beta1: 0.5, beta2: 0.75, tau: 0.25 },
    ];
    let strategy = strategies[stream.place(strategies.len())];
    let clip_rule = if stream.chance(0.5) { ClipRule::Fixed } else { ClipRule::FollowUpdate };
    let strict = stream.chance(0.1);
    let job = Job {
        name: "simulation".to_owned(),
        rounds,
        local_epochs: 1,
        strategy,
        proximal_mu: 0.0,
        sites_min: 2,
        profile: Profile::Malicious,
        colluders_max: None,
        weight_max: SAMPLES_MAX,
        side_names: vec!["loss".to_owned()],
        clip_rule,
        multi_round_policy: if strict { MultiRoundPolicy::Strict } else { MultiRoundPolicy::Warn },
        phase_timeout_ms: PHASE_MS,
    };
    let site = |i| SiteConfig { name: format!("hospital-{i}"), ack_two_party_disclosure: n == 2 };
    let parameter = |name: &str, len, first_clip| Parameter { name: name.to_owned(), len, first_clip };
    let parameters = vec![
        parameter("weight", stream.between(8, 30) as usize, 0.25),
        parameter("bias", stream.between(1, 6) as usize, 1.0),
    ];
    let keys = (0..n).map(|i| identity(seed, SiteId(i)).public()).collect();
    let keys = Roster::new(identity(seed, COORDINATOR).public(), keys)?;
    let plan = Plan::new(job, (0..n).map(site).collect(), parameters, keys)?;
    let consent = |site| Consent::sign(&plan, site, &identity(seed, site));
    let consents: Vec<Consent> = plan.roster().iter().map(consent).collect();
    Ok(Arc::new(SignedPlan::new(plan, &consents)?))
}

/// As many liars as the thresholds tolerate at most, each with its trick.
fn liars(n: u16, stream: &mut Stream) -> BTreeMap<SiteId, SiteTrick> {
    let most = u64::from(n.div_ceil(3).saturating_sub(1));
    let count = stream.between(1, most.max(1));
    let mut liars = BTreeMap::new();
    while (liars.len() as u64) < count {
        let site = SiteId(stream.below(u64::from(n)) as u16);
        liars.insert(site, SiteTrick::ALL[stream.place(SiteTrick::ALL.len())]);
    }
    liars
}
