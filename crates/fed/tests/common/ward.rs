//! A coordinator with a store and sites with disks, over a network that can be cut: machines come and go, what
//! they stored stays.
#![allow(dead_code, clippy::unwrap_used, reason = "each test binary uses its own part")]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};

use fovea_fed::coordinator::CoordinatorEffect;
use fovea_fed::durable::DurableCoordinator;
use fovea_fed::error::MachineError;
use fovea_fed::manifest::SignedPlan;
use fovea_fed::outbox::Outbox;
use fovea_fed::site::{RoundResult, SiteEffect, SiteMachine};
use fovea_fed::state::ServerState;
use fovea_fed::store::{MemoryStore, Store, Stored};
use fovea_secagg::encode::RoundingKey;
use fovea_secagg::envelope::Envelope;
use fovea_secagg::hash::Hash;
use fovea_secagg::journal::StorageError;
use fovea_secagg::message::{Chunk, MaskedClose, Phase};
use fovea_secagg::secret::Secret;
use fovea_secagg::sets::SiteId;

use crate::net::{Counter, Disk, identity, machine, update};

/// A store that fails at one write, before or after it.
#[derive(Debug, Clone, Default)]
pub struct Faulty {
    pub memory: MemoryStore,
    pub fails: Arc<Mutex<Fails>>,
}

/// Writes so far, and the one that fails: `true` when it is done before.
pub type Fails = (usize, Option<(usize, bool)>);

impl Faulty {
    fn write(&mut self, write: impl FnOnce(&mut MemoryStore)) -> Result<(), StorageError> {
        let mut fails = self.fails.lock().unwrap();
        fails.0 += 1;
        let due = fails.1.filter(|(at, _)| *at == fails.0);
        if due.is_none_or(|(_, after)| after) {
            write(&mut self.memory);
        }
        let killed = StorageError { action: "writing", reason: "killed".to_owned() };
        due.map_or(Ok(()), |_| Err(killed))
    }
}

impl Store for Faulty {
    fn load(&mut self) -> Result<Stored, StorageError> {
        self.memory.load()
    }

    fn append(&mut self, record: &[u8]) -> Result<(), StorageError> {
        self.write(|memory| memory.append(record).unwrap())
    }

    fn commit(&mut self, snapshot: &[u8]) -> Result<(), StorageError> {
        self.write(|memory| memory.commit(snapshot).unwrap())
    }
}

pub struct Ward {
    pub plan: Arc<SignedPlan>,
    pub store: Faulty,
    pub coordinator: DurableCoordinator,
    pub sites: Vec<SiteMachine>,
    pub outboxes: Vec<Outbox>,
    pub disks: Vec<Disk>,
    pub saved: Vec<ServerState>,
    pub entropies: Vec<Counter>,
    /// Sites that nothing reaches.
    pub cut: BTreeSet<SiteId>,
    /// Kinds of messages that get lost on their way to a site.
    pub lost: BTreeSet<(SiteId, Phase)>,
    /// Everything the coordinator said: context and phase, receivers, bytes.
    pub said: BTreeMap<(Hash, Phase), BTreeSet<Vec<u8>>>,
    pub results: Vec<RoundResult>,
    pub ended: Vec<MachineError>,
    pub caught_up: Vec<SiteId>,
    pub revoked: Vec<u32>,
    pub refusals: Vec<MachineError>,
    pub restarts: usize,
    /// A site that changes its masked vector after its tags were made.
    pub spoiler: Option<SiteId>,
    /// Whether no hello reaches the coordinator.
    pub deaf: bool,
    first: ServerState,
    queue: VecDeque<CoordinatorEffect>,
    now_ms: u64,
}

impl Ward {
    pub fn new(plan: Arc<SignedPlan>) -> Self {
        let first = ServerState::start(&plan, vec![0.0; 5]).unwrap();
        let n = plan.sites().len();
        let mut entropies: Vec<Counter> = (0..n as u64).map(|i| Counter(1_000_000 * i)).collect();
        let disks: Vec<Disk> = (0..n).map(|_| Disk::default()).collect();
        let sites = (0..n)
            .map(|i| machine(&plan, i as u16, &first, &disks[i], &mut entropies[i]).unwrap().0)
            .collect();
        let store = Faulty::default();
        let coordinator = start(&plan, &first, &store, 0).unwrap();
        Self {
            store,
            coordinator,
            sites,
            outboxes: vec![Outbox::default(); n],
            disks,
            saved: vec![first.clone(); n],
            entropies,
            cut: BTreeSet::new(),
            lost: BTreeSet::new(),
            said: BTreeMap::new(),
            results: Vec::new(),
            ended: Vec::new(),
            caught_up: Vec::new(),
            revoked: Vec::new(),
            refusals: Vec::new(),
            restarts: 0,
            spoiler: None,
            deaf: false,
            first,
            queue: VecDeque::new(),
            plan,
            now_ms: 0,
        }
    }

    /// Opens an attempt and runs it to its end.
    pub fn round(&mut self) {
        let now = self.now_ms;
        match self.coordinator.open(now) {
            Ok(effects) => self.queue.extend(effects),
            Err(error) => self.coordinator_failed(&error),
        }
        self.settle();
        if self.coordinator.is_active() {
            self.settle();
        }
    }

    /// Lets messages and deadlines pass until the coordinator waits for nothing.
    pub fn settle(&mut self) {
        self.pump();
        while let Some(deadline) = self.coordinator.deadline_ms() {
            self.now_ms = deadline;
            match self.coordinator.tick(deadline) {
                Ok(effects) => self.queue.extend(effects),
                Err(error) => self.coordinator_failed(&error),
            }
            self.pump();
        }
    }

    pub fn pump(&mut self) {
        while let Some(effect) = self.queue.pop_front() {
            match effect {
                CoordinatorEffect::Send(to, phase, bytes) => {
                    let ctx = Envelope::open(&bytes).unwrap().header.ctx;
                    self.said.entry((ctx, phase)).or_default().insert(bytes.clone());
                    for site in to.iter() {
                        self.deliver(site, phase, &bytes);
                    }
                }
                CoordinatorEffect::Finished(result, _) => self.results.push(result),
                CoordinatorEffect::Ended { error, .. } => self.ended.push(error),
                CoordinatorEffect::Revoked { round, .. } => self.revoked.push(round),
                CoordinatorEffect::Equivocated(_) => {}
            }
        }
    }

    fn deliver(&mut self, site: SiteId, phase: Phase, bytes: &[u8]) {
        if self.cut.contains(&site) || self.lost.contains(&(site, phase)) {
            return;
        }
        let (place, mut effects) = (usize::from(site.0), Vec::new());
        let result = self.sites[place].receive(bytes, &mut self.entropies[place], &mut effects);
        self.refusals.extend(result.err());
        self.after(site, effects);
    }

    /// Carries out what a site asks for.
    pub fn after(&mut self, site: SiteId, mut effects: Vec<SiteEffect>) {
        let place = usize::from(site.0);
        let entropy = &mut self.entropies[place];
        if effects.iter().any(|effect| matches!(effect, SiteEffect::Ready { .. })) {
            let key = RoundingKey(Secret::draw(entropy).unwrap());
            self.sites[place].submit(&update(), &key, entropy, &mut effects).unwrap();
        }
        if effects.iter().any(|e| matches!(e, SiteEffect::Finished(_) | SiteEffect::CaughtUp { .. })) {
            self.saved[place] = self.sites[place].state().clone();
            self.sites[place].state_saved(entropy).unwrap();
        }
        if self.spoiler == Some(site) {
            spoil(site, &mut effects);
        }
        self.outboxes[place].record(&effects);
        for effect in effects {
            match effect {
                SiteEffect::Send(_, bytes) => self.hand_in(&bytes),
                SiteEffect::CaughtUp { .. } => self.caught_up.push(site),
                _ => {}
            }
        }
    }

    pub fn hand_in(&mut self, bytes: &[u8]) {
        if self.deaf && Envelope::open(bytes).unwrap().header.phase == Phase::Hello {
            return;
        }
        match self.coordinator.receive(bytes, self.now_ms) {
            Ok(effects) => self.queue.extend(effects),
            Err(error @ MachineError::Store(_)) => self.coordinator_failed(&error),
            Err(error) => self.refusals.push(error),
        }
    }

    /// Starts the coordinator again from its store; all sites connect anew.
    pub fn restart_coordinator(&mut self) {
        self.restarts += 1;
        self.queue.clear();
        self.store.fails.lock().unwrap().1 = None;
        self.coordinator = start(&self.plan, &self.first, &self.store, self.now_ms).unwrap();
        for site in 0..self.sites.len() {
            self.connect(SiteId(site as u16));
        }
    }

    fn coordinator_failed(&mut self, error: &MachineError) {
        assert!(matches!(error, MachineError::Store(_)), "{error}");
        // Until it is started again it takes nothing.
        assert!(self.coordinator.receive(&[], 0).is_err() && self.coordinator.open(0).is_err());
        self.restart_coordinator();
    }

    /// A site connects and says where it stands.
    pub fn connect(&mut self, site: SiteId) {
        if self.cut.contains(&site) {
            return;
        }
        let place = usize::from(site.0);
        let SiteEffect::Send(_, hello) = self.sites[place].hello().unwrap() else { panic!() };
        self.hand_in(&hello);
        for (_, bytes) in self.outboxes[place].clone().messages() {
            self.hand_in(bytes);
        }
    }

    /// Starts a site again from its disk and the state it saved last.
    pub fn restart_site(&mut self, site: SiteId) {
        let place = usize::from(site.0);
        let entropy = &mut self.entropies[place];
        let (machine, effects) =
            machine(&self.plan, site.0, &self.saved[place], &self.disks[place], entropy).unwrap();
        self.sites[place] = machine;
        self.outboxes[place] = Outbox::default();
        self.after(site, effects);
        self.connect(site);
    }
}

pub fn start(
    plan: &Arc<SignedPlan>,
    first: &ServerState,
    store: &Faulty,
    now_ms: u64,
) -> Result<DurableCoordinator, MachineError> {
    let (plan, store) = (Arc::clone(plan), Box::new(store.clone()));
    DurableCoordinator::start(plan, identity(u16::MAX), first.clone(), store, now_ms)
}

/// One more in the first word of a masked vector, and the root over that.
fn spoil(site: SiteId, effects: &mut [SiteEffect]) {
    let (key, mut root) = (identity(site.0), None);
    for effect in effects {
        let SiteEffect::Send(phase, bytes) = effect else { continue };
        let Envelope { header, .. } = Envelope::open(bytes).unwrap();
        let body = Envelope::open(bytes).unwrap();
        match phase {
            Phase::MaskedChunk => {
                let chunk: Chunk = body.body().unwrap();
                let (words, _) = chunk.bytes.0.as_chunks();
                let mut words: Vec<u32> = words.iter().map(|word| u32::from_le_bytes(*word)).collect();
                words[0] = words[0].wrapping_add(1);
                let (chunks, changed) = fovea_secagg::vector::chunks(&words);
                root = Some(changed);
                *bytes = Envelope::seal(header, &chunks[0], &key).unwrap();
            }
            Phase::MaskedClose => {
                let close = MaskedClose { root: root.unwrap(), ..body.body().unwrap() };
                *bytes = Envelope::seal(header, &close, &key).unwrap();
            }
            _ => {}
        }
    }
}
