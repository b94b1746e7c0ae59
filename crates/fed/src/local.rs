//! A federation in one process: one coordinator and its sites, talking in encoded messages.
//!
//! Nothing but message bytes passes between the machines, the same bytes that a network would carry. What the
//! driver adds is a check that no network could make: it also sums the updates in the clear and compares the
//! outcome bit for bit.

use std::collections::VecDeque;
use std::sync::Arc;

use fovea_secagg::encode::RoundingKey;
use fovea_secagg::hash::Hash;
use fovea_secagg::journal::Journal;
use fovea_secagg::message::Phase;
use fovea_secagg::secret::{Entropy, EntropyError, Secret};
use fovea_secagg::sets::SiteId;

use crate::coordinator::{CoordinatorEffect, CoordinatorMachine};
use crate::error::MachineError;
use crate::job::{Job, JobError, Parameter, Plan, SiteConfig};
use crate::ledger::{Direction, Ledger, OpenRound};
use crate::local::clear::ClearSum;
use crate::local::parties::Parties;
use crate::manifest::SignedPlan;
use crate::site::{LocalUpdate, RoundResult, SiteEffect, SiteMachine};
use crate::state::ServerState;
use crate::storage::Forgetful;

mod clear;
mod parties;
mod report;

pub use report::{Dropped, FederationError, RoundReport};

/// Coordinator and sites in one process.
pub struct LocalFederation {
    plan: Arc<SignedPlan>,
    coordinator: CoordinatorMachine,
    sites: Vec<SiteMachine>,
    keys: Box<dyn Entropy>,
    rounding_seed: Option<u64>,
    compare_with_clear: bool,
    now_ms: u64,
    ledger: Ledger,
}

impl LocalFederation {
    /// A federation before its first round. With a seed the rounding fractions, and so every model, are a
    /// function of the seed; keys and masks come from the operating system in any case and cancel in the sum.
    ///
    /// # Errors
    /// [`FederationError::Job`].
    pub fn new(
        job: Job,
        sites: Vec<SiteConfig>,
        parameters: Vec<Parameter>,
        initial_model: Vec<f32>,
        rounding_seed: Option<u64>,
    ) -> Result<Self, FederationError> {
        let parties = Parties::enrol(job, sites, parameters)?;
        let state = ServerState::start(&parties.plan, initial_model)?;
        Self::at(parties, &state, rounding_seed)
    }

    /// A federation that goes on from a state written by [`Self::save`].
    ///
    /// # Errors
    /// [`FederationError::Job`], [`FederationError::Saved`].
    pub fn restore(
        job: Job,
        sites: Vec<SiteConfig>,
        parameters: Vec<Parameter>,
        saved: &[u8],
        rounding_seed: Option<u64>,
    ) -> Result<Self, FederationError> {
        let parties = Parties::enrol(job, sites, parameters)?;
        let state = ServerState::from_bytes::<FederationError>(saved, &parties.plan)?;
        Self::at(parties, &state, rounding_seed)
    }

    /// The replicated state as bytes, for an exact continuation.
    ///
    /// # Errors
    /// [`FederationError::Saved`] for a model above 4 GiB.
    pub fn save(&self) -> Result<Vec<u8>, FederationError> {
        Ok(self.state().to_bytes()?)
    }

    /// The global model.
    pub fn model(&self) -> &[f32] {
        &self.state().model
    }

    /// The replicated state: round, model, moments, clips.
    pub fn state(&self) -> &ServerState {
        self.coordinator.state()
    }

    /// The checked job.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The egress record so far.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Switches the comparison with the sum in the clear; on unless switched off. It costs one more encoding
    /// per site and eight bytes per coordinate.
    pub fn compare_with_clear(&mut self, on: bool) {
        self.compare_with_clear = on;
    }

    /// Runs one round. `train` gets a site's place and the global model; `None` means that the site drops out
    /// after it has shared keys. Sites train one after the other.
    ///
    /// # Errors
    /// [`FederationError::Ended`] when too few sites are left: the model is unchanged, and calling again
    /// opens a new attempt with fresh keys.
    pub fn round(
        &mut self,
        mut train: impl FnMut(usize, &[f32]) -> Option<LocalUpdate>,
    ) -> Result<RoundReport, FederationError> {
        let before = self.compare_with_clear.then(|| self.state().clone());
        let opened = self.coordinator.open(self.now_ms).map_err(|e| refused("coordinator", e))?;
        let mut run = Run::new(self.sites.len());
        run.queue.extend(opened);
        self.pump(&mut run)?;
        let mut clear =
            before.map(|state| ClearSum::new(&self.plan, state)).transpose().map_err(JobError::from)?;
        for index in 0..self.sites.len() {
            if !run.ready[index] {
                continue;
            }
            match train(index, &self.sites[index].state().model) {
                Some(update) => self.submit(index, &update, clear.as_mut(), &mut run)?,
                None => self.drop_out(index, "gave no update".to_owned(), &mut run),
            }
        }
        self.pump(&mut run)?;
        while let Some(deadline_ms) = self.coordinator.deadline_ms() {
            self.now_ms = deadline_ms;
            let effects = self.coordinator.tick(self.now_ms);
            run.queue.extend(effects);
            self.pump(&mut run)?;
        }
        self.report(run, clear)
    }

    fn at(
        parties: Parties,
        state: &ServerState,
        rounding_seed: Option<u64>,
    ) -> Result<Self, FederationError> {
        let Parties { plan, coordinator, sites: identities } = parties;
        let mut keys = Box::new(OsEntropy);
        let mut sites = Vec::with_capacity(identities.len());
        for (i, identity) in identities.into_iter().enumerate() {
            let unwritten = |e: MachineError| refused(&plan.sites()[i].name, e);
            let local_key = Secret::draw(keys.as_mut())?;
            let journal = Journal::open(Box::new(Forgetful), local_key, keys.as_mut());
            let journal = journal.map_err(|e| unwritten(e.into()))?;
            let me = SiteId(i as u16);
            let site = SiteMachine::new(
                Arc::clone(&plan),
                me,
                Arc::new(identity),
                state.clone(),
                journal,
                keys.as_mut(),
            );
            sites.push(site.map_err(unwritten)?.0);
        }
        let coordinator = CoordinatorMachine::new(Arc::clone(&plan), coordinator, state.clone());
        let (compare_with_clear, ledger) = (true, Ledger::default());
        Ok(Self { plan, coordinator, sites, keys, rounding_seed, compare_with_clear, now_ms: 0, ledger })
    }

    /// Delivers messages until none is under way.
    fn pump(&mut self, run: &mut Run) -> Result<(), FederationError> {
        while let Some(effect) = run.queue.pop_front() {
            match effect {
                CoordinatorEffect::Send(to, phase, bytes) => {
                    for site in to.iter() {
                        self.deliver(usize::from(site.0), phase, &bytes, run)?;
                    }
                }
                CoordinatorEffect::Finished(result, _) => run.outcome = Some(Ok(result)),
                // Evidence comes with the end of its attempt, which names the site; the sites of one process
                // take every sum of theirs.
                CoordinatorEffect::Equivocated(_) | CoordinatorEffect::Revoked { .. } => {}
                CoordinatorEffect::Ended { round, attempt, error } => {
                    run.outcome = Some(Err((round, attempt, error)));
                }
            }
        }
        Ok(())
    }

    fn deliver(
        &mut self,
        index: usize,
        phase: Phase,
        bytes: &[u8],
        run: &mut Run,
    ) -> Result<(), FederationError> {
        run.ledger.record(index, Direction::In, phase, bytes);
        let mut effects = Vec::new();
        let result = self.sites[index].receive(bytes, self.keys.as_mut(), &mut effects);
        self.after(index, effects, run)?;
        match result {
            Ok(()) => Ok(()),
            // A site that dropped out hears announcements that are no longer for it.
            Err(MachineError::OutOfPhase { .. }) if run.dropped[index].is_some() => Ok(()),
            Err(error) => Err(refused(&self.plan.sites()[index].name, error)),
        }
    }

    fn submit(
        &mut self,
        index: usize,
        update: &LocalUpdate,
        clear: Option<&mut ClearSum>,
        run: &mut Run,
    ) -> Result<(), FederationError> {
        let rounding = self.rounding_key(index)?;
        let mut effects = Vec::new();
        match self.sites[index].submit(update, &rounding, self.keys.as_mut(), &mut effects) {
            Ok(()) => {
                if let Some(clear) = clear {
                    clear.add(SiteId(index as u16), update, &rounding);
                }
                self.after(index, effects, run)
            }
            Err(MachineError::Encode(error)) => {
                self.drop_out(index, error.to_string(), run);
                Ok(())
            }
            Err(error) => Err(refused(&self.plan.sites()[index].name, error)),
        }
    }

    fn drop_out(&mut self, index: usize, reason: String, run: &mut Run) {
        self.sites[index].drop_out();
        run.dropped[index] = Some(reason);
    }

    /// Carries a site's messages to the coordinator.
    fn after(
        &mut self,
        index: usize,
        effects: Vec<SiteEffect>,
        run: &mut Run,
    ) -> Result<(), FederationError> {
        for effect in effects {
            match effect {
                SiteEffect::Send(phase, bytes) => {
                    run.ledger.record(index, Direction::Out, phase, &bytes);
                    let effects = self.coordinator.receive(&bytes, self.now_ms);
                    run.queue.extend(effects.map_err(|e| refused("coordinator", e))?);
                }
                SiteEffect::Ready { .. } => run.ready[index] = true,
                SiteEffect::Train { .. } => {}
                SiteEffect::Finished(result) => {
                    // Nothing of a site in memory outlives it, so its state is as safe as it gets.
                    let saved = self.sites[index].state_saved(self.keys.as_mut());
                    saved.map_err(|e| refused(&self.plan.sites()[index].name, e))?;
                    run.replicas.push(result.model);
                }
                // Nobody is away here: every message arrives.
                SiteEffect::CaughtUp { .. } => {}
            }
        }
        Ok(())
    }

    /// The key of one site's rounding fractions in this round.
    fn rounding_key(&mut self, index: usize) -> Result<RoundingKey, EntropyError> {
        Ok(match self.rounding_seed {
            Some(seed) => seeded_rounding(seed, self.state().round, SiteId(index as u16)),
            None => RoundingKey(Secret::draw(self.keys.as_mut())?),
        })
    }

    fn report(&mut self, run: Run, clear: Option<ClearSum>) -> Result<RoundReport, FederationError> {
        let names: Vec<String> = self.plan.sites().iter().map(|site| site.name.clone()).collect();
        let bytes = |way| (0..names.len()).map(|i| run.ledger.bytes(i, way)).collect();
        let (bytes_up, bytes_down) = (bytes(Direction::Out), bytes(Direction::In));
        let dropped = named(&names, run.dropped);
        let (round, result) = match run.outcome {
            Some(Ok(result)) => (result.round, Ok(result)),
            Some(Err((round, attempt, error))) => (round, Err((attempt, error))),
            None => (self.state().round, Err((0, MachineError::Context))),
        };
        run.ledger.close(round, &names, &mut self.ledger);
        let result = result.map_err(|(attempt, error)| FederationError::Ended {
            round,
            attempt,
            error,
            dropped: dropped.clone(),
        })?;
        let all = result.complete.len() as f64 * self.plan.coordinates() as f64;
        let side_names = self.plan.job().side_names.iter().cloned();
        Ok(RoundReport {
            round,
            participants: result.complete.iter().map(|site| names[usize::from(site.0)].clone()).collect(),
            dropped,
            bytes_up,
            bytes_down,
            samples: result.samples,
            clipped_coordinates: result.clipped,
            clipped_fraction: f64::from(result.clipped) / all,
            means: side_names.zip(result.means).collect(),
            model_hash: result.model,
            equals_clear: clear.map(|sum| sum.agrees(&self.plan, &result.complete, self.coordinator.state())),
            replicas_agree: run.replicas.len() == names.len()
                && run.replicas.iter().all(|hash| *hash == result.model),
            isolating_sets: self.warnings(round),
        })
    }

    fn warnings(&self, round: u32) -> usize {
        let of =
            |site: &SiteMachine| site.history().notes().iter().filter(|note| note.round == round).count();
        self.sites.iter().map(of).max().unwrap_or(0)
    }
}

/// The round under way.
struct Run {
    queue: VecDeque<CoordinatorEffect>,
    ready: Vec<bool>,
    dropped: Vec<Option<String>>,
    replicas: Vec<Hash>,
    ledger: OpenRound,
    outcome: Option<Result<RoundResult, (u32, u16, MachineError)>>,
}

impl Run {
    fn new(sites: usize) -> Self {
        Self {
            queue: VecDeque::new(),
            ready: vec![false; sites],
            dropped: vec![None; sites],
            replicas: Vec::new(),
            ledger: OpenRound::default(),
            outcome: None,
        }
    }
}

/// The operating system's source of random bytes.
struct OsEntropy;

impl Entropy for OsEntropy {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), EntropyError> {
        getrandom::fill(out).map_err(|_| EntropyError)
    }
}

fn refused(party: &str, error: MachineError) -> FederationError {
    FederationError::Machine { party: party.to_owned(), error }
}

fn named(names: &[String], reasons: Vec<Option<String>>) -> Vec<Dropped> {
    let with_name =
        |(site, reason): (&String, Option<String>)| Some(Dropped { site: site.clone(), reason: reason? });
    names.iter().zip(reasons).filter_map(with_name).collect()
}

/// The key of one site's rounding fractions in a round of a rehearsal, whose models are a function of the seed.
pub fn seeded_rounding(seed: u64, round: u32, site: SiteId) -> RoundingKey {
    let (round, site) = (round.to_le_bytes(), u64::from(site.0).to_le_bytes());
    let digest = Hash::of("fovea/rounding/v1", &[&seed.to_le_bytes(), &round, &site]);
    RoundingKey(Secret::new(digest.0))
}
