//! Coordinator and sites over a queue, each site with a disk that can fail and that survives its machine.
#![allow(dead_code, clippy::unwrap_used, reason = "each test binary uses its own part")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use fovea_fed::clip::ClipRule;
use fovea_fed::coordinator::{CoordinatorEffect, CoordinatorMachine};
use fovea_fed::error::MachineError;
use fovea_fed::job::{Job, Parameter, Plan, SiteConfig};
use fovea_fed::manifest::{Consent, SignedPlan};
use fovea_fed::site::{LocalUpdate, SiteEffect, SiteMachine};
use fovea_fed::state::ServerState;
use fovea_fed::strategy::Strategy;
use fovea_secagg::encode::RoundingKey;
use fovea_secagg::history::MultiRoundPolicy;
use fovea_secagg::identity::{Identity, Roster};
use fovea_secagg::journal::{Journal, Storage, StorageError};
use fovea_secagg::message::{COORDINATOR, Phase};
use fovea_secagg::secret::{Entropy, EntropyError, Secret};
use fovea_secagg::sets::{Profile, SiteId};

pub struct Counter(pub u64);

impl Entropy for Counter {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), EntropyError> {
        for chunk in out.chunks_mut(32) {
            self.0 += 1;
            let block = fovea_secagg::hash::Hash::of("test entropy", &[&self.0.to_le_bytes()]);
            chunk.copy_from_slice(&block.0[..chunk.len()]);
        }
        Ok(())
    }
}

/// A disk that outlives the machine that writes to it, and fails when told to.
#[derive(Debug, Clone, Default)]
pub struct Disk(pub Arc<Mutex<Files>>);

#[derive(Debug, Clone, Default)]
pub struct Files {
    pub log: Vec<u8>,
    pub head: Option<Vec<u8>>,
    /// Writes so far.
    pub writes: usize,
    /// The write that fails, and after how many of its bytes (a head is replaced whole or not at all).
    pub fails: Option<(usize, usize)>,
}

impl Files {
    fn due(&mut self) -> Option<usize> {
        self.writes += 1;
        self.fails.filter(|(write, _)| *write == self.writes).map(|(_, bytes)| bytes)
    }
}

fn dead() -> StorageError {
    StorageError { action: "writing", reason: "killed".to_owned() }
}

impl Storage for Disk {
    fn load(&mut self) -> Result<(Vec<u8>, Option<Vec<u8>>), StorageError> {
        let files = self.0.lock().unwrap();
        Ok((files.log.clone(), files.head.clone()))
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        let mut files = self.0.lock().unwrap();
        let due = files.due();
        files.log.extend_from_slice(&bytes[..due.unwrap_or(bytes.len()).min(bytes.len())]);
        due.map_or(Ok(()), |_| Err(dead()))
    }

    fn replace_head(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        let mut files = self.0.lock().unwrap();
        let due = files.due();
        if due.is_none_or(|written| written >= bytes.len()) {
            files.head = Some(bytes.to_vec());
        }
        due.map_or(Ok(()), |_| Err(dead()))
    }

    fn truncate(&mut self, len: u64) -> Result<(), StorageError> {
        self.0.lock().unwrap().log.truncate(len as usize);
        Ok(())
    }
}

pub fn identity(site: u16) -> Identity {
    let mut seed = [0x5a; 32];
    seed[..2].copy_from_slice(&site.to_le_bytes());
    Identity::from_secret(&Secret::new(seed))
}

pub fn plan(n: u16, policy: MultiRoundPolicy) -> Plan {
    plan_with(n, policy, Strategy::FedAvg)
}

pub fn plan_with(n: u16, policy: MultiRoundPolicy, strategy: Strategy) -> Plan {
    let job = Job {
        name: "test".into(),
        rounds: 2,
        local_epochs: 1,
        strategy,
        proximal_mu: 0.0,
        sites_min: 2,
        profile: Profile::Malicious,
        colluders_max: None,
        weight_max: 16,
        side_names: vec!["loss".into()],
        clip_rule: ClipRule::Fixed,
        multi_round_policy: policy,
        phase_timeout_ms: 100,
    };
    let site = |i| SiteConfig { name: format!("s{i}"), ack_two_party_disclosure: n == 2 };
    let parameters = vec![Parameter { name: "w".into(), len: 5, first_clip: 1.0 }];
    let keys = (0..n).map(|i| identity(i).public()).collect();
    let keys = Roster::new(identity(u16::MAX).public(), keys).unwrap();
    Plan::new(job, (0..n).map(site).collect(), parameters, keys).unwrap()
}

pub fn signed(plan: Plan) -> Arc<SignedPlan> {
    let consents: Vec<Consent> =
        plan.roster().iter().map(|site| Consent::sign(&plan, site, &identity(site.0))).collect();
    Arc::new(SignedPlan::new(plan, &consents).unwrap())
}

pub fn local_key(site: u16) -> Secret {
    Secret::new([site as u8 + 1; 32])
}

pub fn machine(
    plan: &Arc<SignedPlan>,
    me: u16,
    state: &ServerState,
    disk: &Disk,
    entropy: &mut Counter,
) -> Result<(SiteMachine, Vec<SiteEffect>), MachineError> {
    let journal = Journal::open(Box::new(disk.clone()), local_key(me), entropy)?;
    let (plan, identity) = (Arc::clone(plan), Arc::new(identity(me)));
    SiteMachine::new(plan, SiteId(me), identity, state.clone(), journal, entropy)
}

pub fn update() -> LocalUpdate {
    LocalUpdate { model: vec![0.25; 5], samples: 4, side: vec![1.0] }
}

pub struct Net {
    pub plan: Arc<SignedPlan>,
    pub coordinator: CoordinatorMachine,
    pub sites: Vec<SiteMachine>,
    pub disks: Vec<Disk>,
    /// One source per site: what a site draws does not depend on the others.
    pub entropies: Vec<Counter>,
    /// Every message so far: sender, receiver (`None` for the coordinator), phase, bytes.
    pub log: Vec<(SiteId, Option<SiteId>, Phase, Vec<u8>)>,
    pub events: Vec<CoordinatorEffect>,
    /// Restarts after a write that failed.
    pub restarts: usize,
    pub refusals: Vec<(SiteId, MachineError)>,
    /// Messages of sites that `stop` kept from the coordinator.
    pub lost: Vec<Vec<u8>>,
    now_ms: u64,
}

impl Net {
    pub fn new(n: u16) -> Self {
        let plan = signed(plan(n, MultiRoundPolicy::Warn));
        let state = ServerState::start(&plan, vec![0.0; 5]).unwrap();
        let mut entropies: Vec<Counter> = (0..n).map(|i| Counter(1_000_000 * u64::from(i))).collect();
        let disks = vec![(); usize::from(n)].into_iter().map(|()| Disk::default()).collect::<Vec<_>>();
        let mut sites = Vec::new();
        for i in 0..n {
            let place = usize::from(i);
            sites.push(machine(&plan, i, &state, &disks[place], &mut entropies[place]).unwrap().0);
        }
        let coordinator = CoordinatorMachine::new(Arc::clone(&plan), identity(u16::MAX), state);
        Self {
            plan,
            coordinator,
            sites,
            disks,
            entropies,
            log: Vec::new(),
            events: Vec::new(),
            restarts: 0,
            refusals: Vec::new(),
            lost: Vec::new(),
            now_ms: 0,
        }
    }

    /// Delivers messages until nothing is under way; messages of sites for which `stop` holds are lost.
    pub fn run(&mut self, effects: Vec<CoordinatorEffect>, stop: impl Fn(Phase) -> bool) {
        let mut queue = VecDeque::from(effects);
        while let Some(effect) = queue.pop_front() {
            let CoordinatorEffect::Send(to, phase, bytes) = effect else {
                self.events.push(effect);
                continue;
            };
            for site in to.iter() {
                self.log.push((COORDINATOR, Some(site), phase, bytes.clone()));
                for (phase, bytes) in self.deliver(site, &bytes) {
                    if stop(phase) {
                        self.lost.push(bytes);
                        continue;
                    }
                    self.log.push((site, None, phase, bytes.clone()));
                    if let Ok(more) = self.coordinator.receive(&bytes, self.now_ms) {
                        queue.extend(more);
                    }
                }
            }
        }
    }

    /// As [`Self::run`], letting deadlines pass until the attempt has ended.
    pub fn finish(&mut self, effects: Vec<CoordinatorEffect>) {
        self.run(effects, |_| false);
        while let Some(deadline) = self.coordinator.deadline_ms() {
            self.now_ms = deadline;
            let effects = self.coordinator.tick(deadline);
            self.run(effects, |_| false);
        }
    }

    /// One message to a site, and what it sends. A site whose disk fails is killed and started again, and the
    /// message delivered once more.
    fn deliver(&mut self, site: SiteId, bytes: &[u8]) -> Vec<(Phase, Vec<u8>)> {
        let mut effects = Vec::new();
        let mut result = self.attempt(site, bytes, &mut effects);
        if matches!(result, Err(MachineError::Journal(_))) {
            self.restart(site, &mut effects);
            result = self.attempt(site, bytes, &mut effects);
        }
        if let Err(error) = result {
            self.refusals.push((site, error));
        }
        let sent = |effect| match effect {
            SiteEffect::Send(phase, bytes) => Some((phase, bytes)),
            _ => None,
        };
        effects.into_iter().filter_map(sent).collect()
    }

    fn attempt(
        &mut self,
        site: SiteId,
        bytes: &[u8],
        effects: &mut Vec<SiteEffect>,
    ) -> Result<(), MachineError> {
        let (place, mut out) = (usize::from(site.0), Vec::new());
        let result = self.sites[place].receive(bytes, &mut self.entropies[place], &mut out);
        let ready = out.iter().any(|effect| matches!(effect, SiteEffect::Ready { .. }));
        let moved =
            |effect: &SiteEffect| matches!(effect, SiteEffect::Finished(_) | SiteEffect::CaughtUp { .. });
        if out.iter().any(moved) {
            self.sites[place].state_saved(&mut self.entropies[place])?;
        }
        effects.append(&mut out);
        result?;
        if ready { self.submit(site, effects) } else { Ok(()) }
    }

    fn submit(&mut self, site: SiteId, effects: &mut Vec<SiteEffect>) -> Result<(), MachineError> {
        // Another key every time: after a restart the journal's is the one that counts.
        let place = usize::from(site.0);
        let key = RoundingKey(Secret::draw(&mut self.entropies[place]).unwrap());
        self.sites[place].submit(&update(), &key, &mut self.entropies[place], effects)
    }

    /// Starts a site's machine again from its disk.
    pub fn restart(&mut self, site: SiteId, effects: &mut Vec<SiteEffect>) {
        let place = usize::from(site.0);
        self.disks[place].0.lock().unwrap().fails = None;
        self.restarts += 1;
        let state = self.sites[place].state().clone();
        let (machine, resumed) =
            machine(&self.plan, site.0, &state, &self.disks[place], &mut self.entropies[place]).unwrap();
        self.sites[place] = machine;
        let ready = resumed.iter().any(|effect| matches!(effect, SiteEffect::Ready { .. }));
        effects.extend(resumed);
        if ready {
            self.submit(site, effects).unwrap();
        }
    }

    pub fn open(&mut self) -> Vec<CoordinatorEffect> {
        self.coordinator.open(self.now_ms).unwrap()
    }

    pub fn ended(&self) -> Option<&MachineError> {
        self.events.iter().find_map(|event| match event {
            CoordinatorEffect::Ended { error, .. } => Some(error),
            _ => None,
        })
    }
}
