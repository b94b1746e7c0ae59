//! A site's process: the machine of `fovea-fed`, its disk, and what surrounds both.

use std::collections::BTreeMap;
use std::sync::Arc;

use fovea_fed::error::MachineError;
use fovea_fed::outbox::Outbox;
use fovea_fed::site::{SiteEffect, SiteMachine};
use fovea_fed::state::ServerState;
use fovea_secagg::commit::Half;
use fovea_secagg::envelope::Envelope;
use fovea_secagg::hash::Hash;
use fovea_secagg::journal::Journal;
use fovea_secagg::message::{AdvertiseSet, Announce, Open, Phase};
use fovea_secagg::secret::Secret;
use fovea_secagg::sets::{SiteId, SiteSet};

use crate::byzantine::Liar;
use crate::check::Monitor;
use crate::disk::Disk;
use crate::random::{Keys, Stream};
use crate::sabotage::Sabotage;
use crate::scenario::Scenario;

/// What an attempt looked like to a site, for the monitor and for liars.
#[derive(Debug, Clone, Default)]
pub struct Attempt {
    /// Its opening.
    pub open: Option<Open>,
    /// The keys announced.
    pub keys: Option<AdvertiseSet>,
    /// The set this site confirmed.
    pub confirmed: Option<SiteSet>,
}

/// The process of one site.
#[derive(Debug)]
pub struct SiteNode {
    /// Which site.
    pub me: SiteId,
    /// The running machine; none while the process is dead.
    machine: Option<SiteMachine>,
    /// What outlives the process.
    pub disk: Disk,
    keys: Keys,
    outbox: Outbox,
    /// Counts processes, so that timers do not outlive theirs.
    pub life: u32,
    /// Attempts seen, by context.
    attempts: BTreeMap<Hash, Attempt>,
    /// How the site lies, if it does.
    pub liar: Option<Liar>,
}

/// What comes out of one call of the machine.
#[derive(Debug, Default)]
pub struct SiteStep {
    /// Messages for the coordinator.
    pub sends: Vec<Vec<u8>>,
    /// Whether the site is ready for its update.
    pub ready: bool,
    /// Whether the process died.
    pub died: bool,
    /// What became of the call, for the trace.
    pub verdict: String,
}

/// The rest of the world, as a site's process needs it.
#[derive(Debug)]
pub struct Around<'a> {
    /// The run.
    pub scenario: &'a Scenario,
    /// Who watches.
    pub monitor: &'a mut Monitor,
    /// Where liars draw from.
    pub stream: &'a mut Stream,
    /// Whether liars still lie.
    pub lying: bool,
}

impl SiteNode {
    /// A site whose process has not started.
    pub fn new(me: SiteId, scenario: &Scenario) -> Self {
        Self {
            me,
            machine: None,
            disk: Disk::default(),
            keys: Keys::new(scenario.seed, u64::from(me.0)),
            outbox: Outbox::default(),
            life: 0,
            attempts: BTreeMap::new(),
            liar: scenario.liars.get(&me).map(|trick| Liar::new(*trick)),
        }
    }

    /// Whether the process runs.
    pub fn is_up(&self) -> bool {
        self.machine.is_some()
    }

    /// The state in memory, or else the one on disk.
    pub fn state(&self, scenario: &Scenario) -> ServerState {
        let running = self.machine.as_ref().map(|machine| machine.state().clone());
        running.or_else(|| self.disk.state()).unwrap_or_else(|| scenario.first.clone())
    }

    /// Starts the process from the disk.
    pub fn start(&mut self, around: &mut Around<'_>) -> SiteStep {
        self.life += 1;
        self.outbox = Outbox::default();
        let state = self.state(around.scenario);
        let started = self.machine(around.scenario, state);
        match started {
            Ok((machine, effects)) => {
                self.machine = Some(machine);
                self.carry_out(Ok(()), effects, None, around)
            }
            Err(error) if self.disk.is_burnt() => self.dead(&error),
            Err(error) => {
                let detail = format!("{} cannot start from its disk: {error}", self.me);
                around.monitor.violated("restart", detail);
                self.dead(&error)
            }
        }
    }

    fn machine(
        &mut self,
        scenario: &Scenario,
        state: ServerState,
    ) -> Result<(SiteMachine, Vec<SiteEffect>), MachineError> {
        let key = Secret::new(Hash::of("fovea/sim/local-key", &[&self.me.0.to_le_bytes()]).0);
        let journal = Journal::open(Box::new(self.disk.clone()), key, &mut self.keys)?;
        let identity = Arc::new(scenario.identity(self.me));
        SiteMachine::new(Arc::clone(&scenario.plan), self.me, identity, state, journal, &mut self.keys)
    }

    /// The process ends here and now.
    pub fn kill(&mut self) {
        self.machine = None;
        self.life += 1;
    }

    /// A message of the coordinator.
    pub fn receive(&mut self, bytes: &[u8], around: &mut Around<'_>) -> SiteStep {
        let Some(machine) = &mut self.machine else { return SiteStep::default() };
        let before = machine.state().clone();
        let mut effects = Vec::new();
        let result = machine.receive(bytes, &mut self.keys, &mut effects);
        // A step that a failing disk interrupted may be on it all the same.
        if matches!(result, Ok(()) | Err(MachineError::Journal(_))) {
            self.look(bytes);
        }
        if let Some(liar) = &mut self.liar {
            liar.hear(bytes);
        }
        self.carry_out(result, effects, Some(&before), around)
    }

    /// The training is over.
    pub fn submit(&mut self, diverged: bool, around: &mut Around<'_>) -> SiteStep {
        let Some(machine) = &mut self.machine else { return SiteStep::default() };
        let updates = &around.monitor.updates;
        let mut update = updates.of(self.me, machine.state());
        if diverged {
            update.model[0] = f32::NAN;
        }
        let rounding = updates.rounding(self.me, machine.state());
        let mut effects = Vec::new();
        let result = machine.submit(&update, &rounding, &mut self.keys, &mut effects);
        self.carry_out(result, effects, None, around)
    }

    /// Says hello and everything of the newest step again.
    pub fn connect(&mut self) -> Vec<Vec<u8>> {
        let Some(machine) = &self.machine else { return Vec::new() };
        let hello = machine.hello().ok();
        let hello = hello.into_iter().filter_map(|effect| match effect {
            SiteEffect::Send(_, bytes) => Some(bytes),
            _ => None,
        });
        hello.chain(self.outbox.messages().iter().map(|(_, bytes)| bytes.clone())).collect()
    }

    /// Keeps what an accepted message says about its attempt.
    fn look(&mut self, bytes: &[u8]) {
        let Ok(envelope) = Envelope::open(bytes) else { return };
        let attempt = self.attempts.entry(envelope.header.ctx).or_default();
        match envelope.header.phase {
            Phase::Open => attempt.open = envelope.body().ok(),
            Phase::AdvertiseSet => attempt.keys = envelope.body().ok(),
            Phase::Announce => {
                let announced = envelope.body().ok();
                attempt.confirmed = announced.map(|Announce { complete }| complete);
            }
            _ => {}
        }
    }

    /// Does what the machine asks for, unless the process has died over a write.
    fn carry_out(
        &mut self,
        result: Result<(), MachineError>,
        effects: Vec<SiteEffect>,
        before: Option<&ServerState>,
        around: &mut Around<'_>,
    ) -> SiteStep {
        self.watch(&effects, before, around);
        if self.disk.is_burnt() {
            return self.dead(&"the disk failed");
        }
        let moved = |e: &SiteEffect| matches!(e, SiteEffect::Finished(_) | SiteEffect::CaughtUp { .. });
        if let Some(machine) = self.machine.as_mut().filter(|_| effects.iter().any(moved)) {
            let saved = self.disk.save_state(machine.state()).is_ok();
            if !saved || machine.state_saved(&mut self.keys).is_err() {
                return self.dead(&"the disk failed");
            }
        }
        let state = self.state(around.scenario);
        let effects = match &mut self.liar {
            Some(liar) if around.lying => {
                liar.twist(effects, self.me, &state, around.scenario, &self.attempts, around.stream)
            }
            _ => sabotaged(effects, self.me, self.life, around.scenario),
        };
        self.outbox.record(&effects);
        let ready = effects.iter().any(|effect| matches!(effect, SiteEffect::Ready { .. }));
        let sends = effects.into_iter().filter_map(|effect| match effect {
            SiteEffect::Send(_, bytes) => Some(bytes),
            _ => None,
        });
        let sends: Vec<Vec<u8>> = sends.collect();
        if self.liar.is_none() {
            self.report(&sends, around);
        }
        let verdict = result.map_or_else(|error| error.to_string(), |()| "taken".to_owned());
        SiteStep { sends, ready, died: false, verdict }
    }

    /// Shows the monitor what this site now takes for true.
    fn watch(&self, effects: &[SiteEffect], before: Option<&ServerState>, around: &mut Around<'_>) {
        if self.liar.is_some() {
            return;
        }
        let Some(machine) = &self.machine else { return };
        for effect in effects {
            match (effect, before) {
                (SiteEffect::Finished(result), Some(before)) => {
                    let (mut after, mut result) = (machine.state().clone(), result.clone());
                    let broken = match around.scenario.sabotage {
                        Some(Sabotage::Sum) => true,
                        Some(Sabotage::OneReplica) => self.me == SiteId(0),
                        _ => false,
                    };
                    if broken {
                        after.model[0] = f32::from_bits(after.model[0].to_bits() ^ 1);
                        result.model = after.model_hash();
                    }
                    around.monitor.took(around.scenario, &self.me.to_string(), before, &result, &after);
                    around.monitor.finished_round(self.me, &result);
                }
                (SiteEffect::CaughtUp { model, .. }, _) => around.monitor.caught_up(self.me, *model),
                _ => {}
            }
        }
    }

    /// Shows the monitor what leaves this site.
    fn report(&self, sends: &[Vec<u8>], around: &mut Around<'_>) {
        for bytes in sends {
            let ctx = Envelope::open(bytes).map(|envelope| envelope.header.ctx);
            let attempt = ctx.as_ref().ok().and_then(|ctx| self.attempts.get(ctx));
            let round = attempt.and_then(|attempt| attempt.open.as_ref()).map_or(0, |open| open.round);
            let set = attempt.and_then(|attempt| attempt.confirmed.as_ref());
            around.monitor.said(self.me, round, set, bytes);
            let (Some(set), Ok(ctx)) = (set, ctx) else { continue };
            if around.scenario.sabotage == Some(Sabotage::BothShares) {
                for dealer in set.iter() {
                    around.monitor.reveal(self.me, ctx, dealer, Half::MaskKey);
                }
            }
        }
    }

    fn dead(&mut self, why: &dyn std::fmt::Display) -> SiteStep {
        self.kill();
        SiteStep { died: true, verdict: why.to_string(), ..SiteStep::default() }
    }
}

/// What an honest site with a bug on purpose says.
fn sabotaged(mut effects: Vec<SiteEffect>, me: SiteId, life: u32, scenario: &Scenario) -> Vec<SiteEffect> {
    let wanted = match scenario.sabotage {
        Some(Sabotage::SecondSet) => Phase::Confirm,
        Some(Sabotage::SecondUpload) if life > 1 => Phase::MaskedClose,
        _ => return effects,
    };
    let changed = effects.iter().find_map(|effect| match effect {
        SiteEffect::Send(phase, bytes) if *phase == wanted => {
            crate::byzantine::other_statement(bytes, &scenario.identity(me))
        }
        _ => None,
    });
    effects.extend(changed.map(|bytes| SiteEffect::Send(wanted, bytes)));
    effects
}
