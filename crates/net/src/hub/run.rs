//! The rounds of a job: the durable machine, when it opens attempts, and where its messages go.

use super::intake::{Intake, Taken};
use super::mailbox::Mailbox;
use super::status::Progress;
use crate::api::{Held, Mail, Piece, Poll, Refused};
use crate::error::NetError;
use crate::limits::AWAY_AFTER_MS;
use crate::store::{Records, RoundRow, Store};
use fovea_fed::coordinator::CoordinatorEffect;
use fovea_fed::durable::DurableCoordinator;
use fovea_fed::error::MachineError;
use fovea_fed::manifest::SignedPlan;
use fovea_fed::site::RoundResult;
use fovea_fed::state::ServerState;
use fovea_secagg::envelope::Envelope;
use fovea_secagg::identity::Identity;
use fovea_secagg::message::Phase;
use fovea_secagg::sets::{SiteId, SiteSet};
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Attempts that are given up early in one round because a site came back without them.
const EARLY_MAX: u32 = 8;

/// Longest pause after an attempt without a sum, milliseconds.
const PAUSE_MAX_MS: u64 = 60_000;

/// A job under way.
#[derive(Debug)]
pub(super) struct Run {
    plan: Arc<SignedPlan>,
    machine: DurableCoordinator,
    store: Store,
    job: i64,
    sites: Vec<AtSite>,
    progress: Progress,
    /// When the next attempt may open.
    next_open_ms: u64,
    /// Since when no attempt is under way.
    idle_since_ms: u64,
    failures: u32,
    early: u32,
}

/// What is known of one site.
#[derive(Debug)]
struct AtSite {
    mailbox: Mailbox,
    intake: Intake,
    session: Option<u64>,
    heard_ms: Option<u64>,
    /// Whether it said in this process where it stands.
    greeted: bool,
    /// The process that was there when the attempt under way opened.
    invited: Option<u64>,
}

impl Run {
    pub(super) fn start(
        plan: Arc<SignedPlan>,
        identity: Identity,
        first: ServerState,
        store: &Store,
        job: i64,
        epoch: u64,
        now_ms: u64,
    ) -> Result<Self, NetError> {
        let records = Box::new(Records::of(store.clone(), job));
        let machine = DurableCoordinator::start(Arc::clone(&plan), identity, first, records, now_ms)?;
        // An attempt's messages, two publications and the state for a site that was away.
        let bytes_max = 64 * plan.coordinates() + (16 << 20);
        let site = || AtSite {
            mailbox: Mailbox::new(epoch, bytes_max),
            intake: Intake::default(),
            session: None,
            heard_ms: None,
            greeted: false,
            invited: None,
        };
        let sites = (0..plan.sites().len()).map(|_| site()).collect();
        let (store, progress) = (store.clone(), Progress::default());
        let (next_open_ms, idle_since_ms, failures, early) = (now_ms, now_ms, 0, 0);
        let mut run =
            Self { plan, machine, store, job, sites, progress, next_open_ms, idle_since_ms, failures, early };
        // The machine may have been stopped between its own writing and this.
        if let Some(result) = run.machine.last_result().cloned() {
            run.keep(&result, now_ms)?;
        }
        let rounds = run.store.rounds(job)?;
        run.progress.rounds_done = rounds.iter().filter(|row| row.model.is_some()).count() as u32;
        run.progress.phase = run.machine.is_active().then_some("going on after a restart");
        Ok(run)
    }

    pub(super) fn is_over(&self) -> bool {
        self.progress.rounds_done >= self.plan.job().rounds
    }

    /// Over, and everybody has fetched everything.
    pub(super) fn is_finished(&self) -> bool {
        self.is_over() && self.sites.iter().all(|at| at.greeted && at.mailbox.is_empty())
    }

    pub(super) fn progress(&self) -> &Progress {
        &self.progress
    }

    pub(super) fn state(&self) -> &ServerState {
        self.machine.state()
    }

    pub(super) fn heard_ms(&self, site: usize) -> Option<u64> {
        self.sites.get(site).and_then(|at| at.heard_ms)
    }

    /// Closes a phase whose time is up, or opens an attempt that is due.
    pub(super) fn tick(&mut self, now_ms: u64, news: &mut Vec<String>) -> Result<bool, NetError> {
        if self.machine.is_active() {
            let effects = self.machine.tick(now_ms)?;
            let changed = !effects.is_empty();
            self.carry(effects, now_ms, news)?;
            return Ok(changed);
        }
        if self.is_over() || now_ms < self.next_open_ms || !self.may_open(now_ms) {
            return Ok(false);
        }
        self.open(now_ms, news)?;
        Ok(true)
    }

    pub(super) fn mail(&mut self, site: SiteId, poll: &Poll, now_ms: u64) -> Result<Mail, NetError> {
        let at = self.at(site)?;
        at.heard_ms = Some(now_ms);
        if at.session != Some(poll.session) {
            let known = at.session.replace(poll.session).is_some();
            at.greeted = false;
            if known {
                // What was for the earlier process is asked for anew.
                at.mailbox.forget();
            }
            // The process that was asked to this attempt is gone, and this one has nothing of it: it may have
            // joined, and no site joins an attempt twice.
            let gone = known && poll.fresh && at.invited.is_some_and(|invited| invited != poll.session);
            if gone && self.machine.is_active() && !self.progress.fixed && self.early < EARLY_MAX {
                self.early += 1;
                self.open(now_ms, &mut Vec::new())?;
            }
        }
        let over = self.is_over();
        let at = self.at(site)?;
        let mut mail = at.mailbox.fetch(poll.epoch, poll.after);
        mail.over = over && at.greeted && at.mailbox.is_empty();
        Ok(mail)
    }

    pub(super) fn piece(
        &mut self,
        site: SiteId,
        piece: Piece,
        now_ms: u64,
        news: &mut Vec<String>,
    ) -> Result<Held, NetError> {
        let at = self.at(site)?;
        at.heard_ms = Some(now_ms);
        let (digest, message) = match at.intake.take(piece).map_err(NetError::Refused)? {
            Taken::Held(held) => return Ok(held),
            Taken::Whole(digest, message) => (digest, message),
        };
        let phase = Envelope::open(&message)
            .ok()
            .filter(|envelope| envelope.header.from == site)
            .map(|envelope| envelope.header.phase)
            .ok_or(NetError::Refused(Refused::Unexpected))?;
        match self.machine.receive(&message, now_ms) {
            Ok(effects) => {
                self.at(site)?.greeted |= phase == Phase::Hello;
                self.carry(effects, now_ms, news)?;
            }
            Err(error @ MachineError::Store(_)) => return Err(error.into()),
            // A late or repeated message is no fault of the connection: it has arrived, and changes nothing.
            Err(error) => {
                self.progress.refused += 1;
                let name = &self.plan.sites()[usize::from(site.0)].name;
                news.push(format!("{phase:?} of {name} changes nothing: {error}"));
            }
        }
        // The same hello may be said again, and is heard again.
        if phase != Phase::Hello {
            self.at(site)?.intake.accept(digest);
        }
        Ok(Held { bytes: message.len() as u32 })
    }

    fn at(&mut self, site: SiteId) -> Result<&mut AtSite, NetError> {
        self.sites.get_mut(usize::from(site.0)).ok_or(NetError::Refused(Refused::NoJob))
    }

    /// Whether enough sites are there: all of them, or after a phase's time as many as a sum needs.
    fn may_open(&self, now_ms: u64) -> bool {
        let excluded: BTreeSet<SiteId> =
            self.machine.evidence().iter().map(|evidence| evidence.header.from).collect();
        let heard =
            |at: &AtSite| at.greeted && at.heard_ms.is_some_and(|heard| now_ms < heard + AWAY_AFTER_MS);
        let invited: Vec<bool> = (0..self.sites.len())
            .filter(|&i| !excluded.contains(&SiteId(i as u16)))
            .map(|i| heard(&self.sites[i]))
            .collect();
        let there = invited.iter().filter(|there| **there).count();
        if there == invited.len() {
            return true;
        }
        let waited = now_ms >= self.idle_since_ms + self.plan.job().phase_timeout_ms;
        let all = self.sites.len();
        let least = self.plan.threshold_rule().for_cohort(there, all).map(|thresholds| thresholds.sites_min);
        all > 2 && waited && least.is_ok_and(|least| there >= least)
    }

    fn open(&mut self, now_ms: u64, news: &mut Vec<String>) -> Result<(), NetError> {
        let effects = self.machine.open(now_ms)?;
        self.sites.iter_mut().for_each(|at| at.invited = at.session);
        self.carry(effects, now_ms, news)
    }

    /// Puts messages into mailboxes and writes down what ended.
    fn carry(
        &mut self,
        effects: Vec<CoordinatorEffect>,
        now_ms: u64,
        news: &mut Vec<String>,
    ) -> Result<(), NetError> {
        for effect in effects {
            match effect {
                CoordinatorEffect::Send(to, phase, bytes) => self.send(&to, phase, &Arc::from(bytes)),
                CoordinatorEffect::Finished(result, blamed) => {
                    self.keep(&result, now_ms)?;
                    self.progress.rounds_done += 1;
                    self.progress.phase = None;
                    (self.failures, self.early, self.next_open_ms) = (0, 0, now_ms);
                    self.idle_since_ms = now_ms;
                    let (done, rounds) = (self.progress.rounds_done, self.plan.job().rounds);
                    let names = self.names(&result.complete).join(", ");
                    news.push(format!("round {done} of {rounds}: sum over {names}, model {}", result.model));
                    news.extend(blamed.iter().map(|site| format!("shares of {site} did not match")));
                    if self.is_over() {
                        self.store.job_is_over(self.job)?;
                        news.push("all rounds are done".to_owned());
                    }
                }
                CoordinatorEffect::Equivocated(evidence) => {
                    let name = self.names(&std::iter::once(evidence.header.from).collect()).join(", ");
                    news.push(format!(
                        "{name} signed two different statements for one phase and is excluded"
                    ));
                }
                CoordinatorEffect::Revoked { round, sites } => {
                    let names = self.names(&sites).join(", ");
                    let why =
                        format!("the sum was refused by {names}: a site's upload did not match its tags");
                    self.store.revoke(self.job, round, &json!({ "error": why }).to_string())?;
                    self.progress.rounds_done = self.progress.rounds_done.saturating_sub(1);
                    news.push(format!("round {round} is taken back: {why}"));
                }
                CoordinatorEffect::Ended { round, attempt, error } => {
                    self.failures += 1;
                    self.progress.phase = None;
                    self.idle_since_ms = now_ms;
                    self.next_open_ms = now_ms + (500 << self.failures.min(8)).min(PAUSE_MAX_MS);
                    let report = json!({ "attempt": attempt, "error": error.to_string() }).to_string();
                    let row = RoundRow { round, model: None, ended_ms: now_ms, report };
                    self.store.round(self.job, &row)?;
                    news.push(format!("round {round}, attempt {attempt}: no sum ({error})"));
                }
            }
        }
        Ok(())
    }

    fn send(&mut self, to: &SiteSet, phase: Phase, bytes: &Arc<[u8]>) {
        self.progress.sent(phase);
        for site in to.iter() {
            if let Some(at) = self.sites.get_mut(usize::from(site.0)) {
                at.mailbox.put(Arc::clone(bytes));
            }
        }
    }

    fn keep(&self, result: &RoundResult, now_ms: u64) -> Result<(), NetError> {
        let names = self.plan.job().side_names.iter().cloned();
        let means: serde_json::Map<_, _> = names.zip(result.means.iter().map(|mean| json!(mean))).collect();
        let report = json!({ "sites": self.names(&result.complete), "samples": result.samples,
                             "clipped_coordinates": result.clipped, "means": means });
        let (round, model) = (result.round, Some(result.model));
        self.store.round(self.job, &RoundRow { round, model, ended_ms: now_ms, report: report.to_string() })
    }

    fn names(&self, sites: &SiteSet) -> Vec<String> {
        sites.iter().map(|site| self.plan.sites()[usize::from(site.0)].name.clone()).collect()
    }
}
