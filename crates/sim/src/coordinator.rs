//! The coordinator's process: the machine of `fovea-fed`, its store, and a driver that opens attempts.

use std::sync::Arc;

use fovea_fed::coordinator::CoordinatorEffect;
use fovea_fed::durable::DurableCoordinator;
use fovea_fed::error::MachineError;
use fovea_fed::state::ServerState;
use fovea_fed::store::Stored;
use fovea_secagg::message::COORDINATOR;
use fovea_secagg::sets::SiteId;

use crate::byzantine::Cheat;
use crate::disk::Disk;
use crate::sabotage::Sabotage;
use crate::scenario::Scenario;
use crate::site::Around;

/// The process of the coordinator.
#[derive(Debug)]
pub struct CoordinatorNode {
    machine: Option<DurableCoordinator>,
    /// What outlives the process.
    pub disk: Disk,
    /// Counts processes, so that timers do not outlive theirs.
    pub life: u32,
    /// How the coordinator lies, if it does.
    pub cheat: Option<Cheat>,
    kept: Option<Stored>,
    /// Attempts that ended without a sum, by reason.
    pub ended: Vec<String>,
    /// Rounds with a sum.
    pub finished: u32,
    /// Rounds whose sum a quorum of sites refused.
    pub revoked: u32,
    /// Sites that equivocated.
    pub convicted: u32,
}

/// What comes out of one call of the machine.
#[derive(Debug, Default)]
pub struct CoordinatorStep {
    /// Messages for sites.
    pub sends: Vec<(SiteId, Vec<u8>)>,
    /// Whether the process died.
    pub died: bool,
    /// What became of the call, for the trace.
    pub verdict: String,
}

impl CoordinatorNode {
    /// A coordinator whose process has not started.
    pub fn new(scenario: &Scenario) -> Self {
        Self {
            machine: None,
            disk: Disk::default(),
            life: 0,
            cheat: scenario.trick.map(Cheat::new),
            kept: None,
            ended: Vec::new(),
            finished: 0,
            revoked: 0,
            convicted: 0,
        }
    }

    /// Whether the process runs.
    pub fn is_up(&self) -> bool {
        self.machine.is_some()
    }

    /// The state, while the process runs.
    pub fn state(&self) -> Option<&ServerState> {
        self.machine.as_ref().map(DurableCoordinator::state)
    }

    /// Whether an attempt is under way.
    pub fn is_active(&self) -> bool {
        self.machine.as_ref().is_some_and(DurableCoordinator::is_active)
    }

    /// When the phase under way ends.
    pub fn deadline_ms(&self) -> Option<u64> {
        self.machine.as_ref().and_then(DurableCoordinator::deadline_ms)
    }

    /// Starts the process from the store. One that rolls back may start from an old one.
    pub fn start(&mut self, now_ms: u64, around: &mut Around<'_>) -> CoordinatorStep {
        self.life += 1;
        self.roll_back(around);
        let scenario = around.scenario;
        let started = DurableCoordinator::start(
            Arc::clone(&scenario.plan),
            scenario.identity(COORDINATOR),
            scenario.first.clone(),
            Box::new(self.disk.clone()),
            now_ms,
        );
        match started {
            Ok(machine) => {
                self.machine = Some(machine);
                CoordinatorStep { verdict: "started".to_owned(), ..CoordinatorStep::default() }
            }
            Err(error) => {
                if !self.disk.is_burnt() {
                    let detail = format!("the coordinator cannot start from its store: {error}");
                    around.monitor.violated("restart", detail);
                }
                self.dead(&error)
            }
        }
    }

    fn roll_back(&mut self, around: &mut Around<'_>) {
        if !self.cheat.as_ref().is_some_and(Cheat::rolls_back) || !around.lying {
            return;
        }
        match self.kept.take().filter(|_| around.stream.chance(around.scenario.faults.lie)) {
            Some(old) => self.disk.put_back(old),
            None => self.kept = Some(self.disk.stored()),
        }
    }

    /// The process ends here and now.
    pub fn kill(&mut self) {
        self.machine = None;
        self.life += 1;
    }

    /// A message of a site.
    pub fn receive(&mut self, bytes: &[u8], now_ms: u64, around: &mut Around<'_>) -> CoordinatorStep {
        let lying = around.lying;
        let overheard =
            self.cheat.as_mut().filter(|_| lying).map(|cheat| cheat.overhear(bytes, around.scenario));
        let mut step = self.call(around, |machine| machine.receive(bytes, now_ms));
        if !step.died {
            step.sends.extend(overheard.into_iter().flatten());
        }
        step
    }

    /// The clock moves.
    pub fn tick(&mut self, now_ms: u64, around: &mut Around<'_>) -> CoordinatorStep {
        if around.scenario.sabotage == Some(Sabotage::Silence) {
            return CoordinatorStep::default();
        }
        self.call(around, |machine| machine.tick(now_ms))
    }

    /// Opens the next attempt.
    pub fn open(&mut self, now_ms: u64, around: &mut Around<'_>) -> CoordinatorStep {
        self.call(around, |machine| machine.open(now_ms))
    }

    fn call(
        &mut self,
        around: &mut Around<'_>,
        f: impl FnOnce(&mut DurableCoordinator) -> Result<Vec<CoordinatorEffect>, MachineError>,
    ) -> CoordinatorStep {
        let Some(machine) = &mut self.machine else { return CoordinatorStep::default() };
        let before = machine.state().clone();
        let result = f(machine);
        let after = machine.state().clone();
        if self.disk.is_burnt() {
            return self.dead(&"the disk failed");
        }
        let effects = match result {
            Ok(effects) => effects,
            Err(error) => {
                return CoordinatorStep { verdict: error.to_string(), ..CoordinatorStep::default() };
            }
        };
        self.note(&effects, &before, &after, around);
        let sends = match &mut self.cheat {
            Some(cheat) if around.lying => cheat.twist(&effects, &before, around.scenario, around.stream),
            _ => sends(&effects),
        };
        CoordinatorStep { sends, died: false, verdict: "taken".to_owned() }
    }

    /// Counts what happened; a sum must be the plain one, unless a site put another vector in.
    fn note(
        &mut self,
        effects: &[CoordinatorEffect],
        before: &ServerState,
        after: &ServerState,
        around: &mut Around<'_>,
    ) {
        for effect in effects {
            match effect {
                CoordinatorEffect::Send(..) => {}
                CoordinatorEffect::Finished(result, _) => {
                    self.finished += 1;
                    if around.scenario.liars.is_empty() {
                        around.monitor.took(around.scenario, "coordinator", before, result, after);
                    }
                }
                CoordinatorEffect::Equivocated(evidence) => {
                    self.convicted += 1;
                    let convicted = evidence.check(around.scenario.plan.keys());
                    if convicted.is_err() || convicted.is_ok_and(|site| around.scenario.is_honest(site)) {
                        let detail = format!("evidence against {}", evidence.header.from);
                        around.monitor.violated("no-false-evidence", detail);
                    }
                }
                CoordinatorEffect::Revoked { .. } => self.revoked += 1,
                CoordinatorEffect::Ended { error, .. } => self.ended.push(error.to_string()),
            }
        }
    }

    fn dead(&mut self, why: &dyn std::fmt::Display) -> CoordinatorStep {
        self.kill();
        CoordinatorStep { died: true, verdict: why.to_string(), ..CoordinatorStep::default() }
    }
}

fn sends(effects: &[CoordinatorEffect]) -> Vec<(SiteId, Vec<u8>)> {
    let mut out = Vec::new();
    for effect in effects {
        if let CoordinatorEffect::Send(to, _, bytes) = effect {
            out.extend(to.iter().map(|site| (site, bytes.clone())));
        }
    }
    out
}
