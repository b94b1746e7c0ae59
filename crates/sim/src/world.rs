//! One federation from its first attempt to its end, event by event.

use fovea_fed::job::JobError;
use fovea_secagg::sets::{SiteId, SiteSet};

use crate::byzantine::SiteTrick;
use crate::check::Monitor;
use crate::coordinator::{CoordinatorNode, CoordinatorStep};
use crate::event::{Event, Queue};
use crate::plain::Updates;
use crate::random::Stream;
use crate::report::Report;
use crate::scenario::{CALM_MS, LIMIT_MS, Options, PHASE_MS, RETRY_MS, Scenario};
use crate::site::{Around, SiteNode, SiteStep};
use crate::trace::Trace;

mod faults;
mod judge;

/// Longest that an attempt can take: every phase to its deadline, and some time for the messages.
const ATTEMPT_MS: u64 = 8 * PHASE_MS;

/// A run under way.
#[derive(Debug)]
struct World {
    scenario: Scenario,
    stream: Stream,
    queue: Queue,
    now_ms: u64,
    coordinator: CoordinatorNode,
    sites: Vec<SiteNode>,
    /// Sites that nothing reaches.
    cut: Vec<bool>,
    monitor: Monitor,
    trace: Trace,
    restarts: u32,
    attempts: u32,
    opened_ms: u64,
    /// The coordinator's timer that was set last.
    timer: Option<(u64, Event)>,
}

/// More than any run needs: messages that cause one another for ever are a hang too.
const EVENTS_MAX: u64 = 1_000_000;

/// Runs the federation of a seed.
///
/// # Errors
/// [`JobError`] for a number of sites that no job can have.
pub fn run(seed: u64, options: &Options, lines: bool) -> Result<Report, JobError> {
    let scenario = Scenario::draw(seed, options)?;
    let trace = if lines { Trace::with_lines() } else { Trace::default() };
    let mut world = World::new(scenario, trace);
    world.plan_faults();
    world.begin();
    world.play();
    Ok(world.judge())
}

impl World {
    fn new(mut scenario: Scenario, trace: Trace) -> Self {
        let inflates =
            |(site, trick): (&SiteId, &SiteTrick)| (*trick == SiteTrick::Inflates).then_some(*site);
        let inflated: SiteSet = scenario.liars.iter().filter_map(inflates).collect();
        let monitor = Monitor::new(&scenario, Updates { seed: scenario.seed, inflated });
        let stream = std::mem::replace(&mut scenario.stream, Stream::new(0));
        let n = scenario.sites();
        Self {
            stream,
            queue: Queue::default(),
            now_ms: 0,
            coordinator: CoordinatorNode::new(&scenario),
            sites: (0..n).map(|i| SiteNode::new(SiteId(i as u16), &scenario)).collect(),
            cut: vec![false; n],
            monitor,
            trace,
            restarts: 0,
            attempts: 0,
            opened_ms: 0,
            timer: None,
            scenario,
        }
    }

    fn begin(&mut self) {
        self.queue.at(0, Event::StartCoordinator);
        for i in 0..self.sites.len() {
            self.queue.at(0, Event::StartSite(SiteId(i as u16)));
        }
    }

    fn play(&mut self) {
        while let Some((time, event)) = self.queue.pop() {
            if time > LIMIT_MS || self.is_over() {
                break;
            }
            self.now_ms = time;
            self.happen(event);
            let since = self.now_ms.saturating_sub(self.opened_ms);
            if self.scenario.trick.is_none() && self.coordinator.is_active() && since > ATTEMPT_MS {
                self.monitor.violated("no-hang", format!("an attempt is under way for {since} ms"));
                break;
            }
            if self.trace.events() > EVENTS_MAX {
                self.monitor.violated("no-hang", format!("{EVENTS_MAX} events in {time} ms"));
                break;
            }
        }
    }

    /// Over when all rounds are done and everybody knows, or nothing more can be expected.
    fn is_over(&self) -> bool {
        let waits = self.scenario.must_finish() || self.now_ms < CALM_MS + ATTEMPT_MS;
        !waits || self.is_complete()
    }

    /// Whether all rounds gave a sum that everybody has.
    fn is_complete(&self) -> bool {
        let Some(state) = self.coordinator.state() else { return false };
        let synced =
            |site: &SiteNode| site.is_up() && site.state(&self.scenario).model_hash() == state.model_hash();
        self.coordinator.finished >= self.coordinator.revoked + self.scenario.rounds
            && !self.coordinator.is_active()
            && self.sites.iter().all(synced)
    }

    fn is_calm(&self) -> bool {
        self.now_ms >= CALM_MS
    }

    fn happen(&mut self, event: Event) {
        let (what, party, bytes) = event.describe();
        self.trace.event(self.now_ms, what, party, bytes);
        match event {
            Event::ToCoordinator(_, bytes) => {
                self.coordinate(|node, now, around| node.receive(&bytes, now, around));
            }
            Event::ToSite(site, bytes) => self.visit(site, |node, around| node.receive(&bytes, around)),
            Event::Tick(life) if life == self.coordinator.life => {
                self.coordinate(CoordinatorNode::tick);
            }
            Event::Open(life) if life == self.coordinator.life => self.open(),
            Event::KillCoordinator => self.kill_coordinator(),
            Event::StartCoordinator => self.start_coordinator(),
            Event::KillSite(site) => self.kill_site(site),
            Event::StartSite(site) => self.start_site(site),
            Event::Connect(site, life) if life == self.site(site).life => self.connect(site),
            Event::Retry(site, life) if life == self.site(site).life => {
                self.connect(site);
                let wait = RETRY_MS + self.stream.below(RETRY_MS);
                self.queue.at(self.now_ms + wait, Event::Retry(site, life));
            }
            Event::Trained(site, life) if life == self.site(site).life => {
                let diverged = !self.is_calm() && self.stream.chance(self.scenario.faults.diverged_update);
                self.visit(site, |node, around| node.submit(diverged, around));
            }
            Event::Cut(site, cut) => self.cut[usize::from(site.0)] = cut && !self.is_calm(),
            Event::Calm => self.calm_down(),
            // Timers of a process that is gone.
            Event::Tick(_) | Event::Open(_) | Event::Connect(..) | Event::Retry(..) | Event::Trained(..) => {}
        }
    }

    fn site(&mut self, site: SiteId) -> &mut SiteNode {
        &mut self.sites[usize::from(site.0)]
    }

    fn coordinate(
        &mut self,
        call: impl FnOnce(&mut CoordinatorNode, u64, &mut Around<'_>) -> CoordinatorStep,
    ) {
        let lying = !self.is_calm();
        let Self { scenario, monitor, stream, coordinator, .. } = self;
        let step = call(coordinator, self.now_ms, &mut Around { scenario, monitor, stream, lying });
        self.trace.verdict(&step.verdict);
        for (site, bytes) in step.sends {
            self.send(site, Event::ToSite(site, bytes));
        }
        if step.died {
            self.after_coordinator_death();
        } else if self.coordinator.is_up() {
            self.set_timer();
        }
    }

    /// One timer: the end of the phase under way, or the next opening.
    fn set_timer(&mut self) {
        let life = self.coordinator.life;
        let timer = match self.coordinator.deadline_ms() {
            Some(deadline) => (deadline.max(self.now_ms + 10), Event::Tick(life)),
            None if matches!(self.timer, Some((_, Event::Open(of))) if of == life) => return,
            None => (self.now_ms + 60, Event::Open(life)),
        };
        if self.timer.as_ref() != Some(&timer) {
            self.queue.at(timer.0, timer.1.clone());
            self.timer = Some(timer);
        }
    }

    fn open(&mut self) {
        self.timer = None;
        let done = self.coordinator.finished >= self.coordinator.revoked + self.scenario.rounds;
        if self.coordinator.is_up() && !self.coordinator.is_active() && !done {
            self.attempts += 1;
            self.opened_ms = self.now_ms;
            self.coordinate(CoordinatorNode::open);
        }
    }

    fn visit(&mut self, site: SiteId, call: impl FnOnce(&mut SiteNode, &mut Around<'_>) -> SiteStep) {
        let lying = !self.is_calm();
        let Self { scenario, monitor, stream, sites, .. } = self;
        let node = &mut sites[usize::from(site.0)];
        let was_up = node.is_up();
        let step = call(node, &mut Around { scenario, monitor, stream, lying });
        let life = node.life;
        self.trace.verdict(&step.verdict);
        for bytes in step.sends {
            self.send(site, Event::ToCoordinator(site, bytes));
        }
        if step.ready {
            let slow = !self.is_calm() && self.stream.chance(self.scenario.faults.slow_site);
            let training =
                if slow { PHASE_MS + self.stream.below(PHASE_MS) } else { self.stream.between(20, 200) };
            self.queue.at(self.now_ms + training, Event::Trained(site, life));
        }
        if step.died && was_up {
            self.after_site_death(site);
        }
    }

    /// One message on its way: lost, late, twice, or as it should be.
    fn send(&mut self, site: SiteId, event: Event) {
        let faults = self.scenario.faults;
        let base = self.stream.between(1, 20);
        let fates = [faults.loss, faults.duplication, faults.reordering, faults.delay];
        let [lost, twice, held, late] = fates.map(|fault| self.stream.chance(fault) && !self.is_calm());
        if self.cut[usize::from(site.0)] || lost {
            return;
        }
        let mut at = self.now_ms + base;
        if held {
            at += self.stream.below(120);
        }
        if late {
            at += PHASE_MS + self.stream.below(PHASE_MS);
        }
        if twice {
            let again = at + self.stream.below(400);
            self.queue.at(again, event.clone());
        }
        self.queue.at(at, event);
    }

    fn connect(&mut self, site: SiteId) {
        let messages = self.site(site).connect();
        for bytes in messages {
            self.send(site, Event::ToCoordinator(site, bytes));
        }
    }

    fn kill_coordinator(&mut self) {
        if self.coordinator.is_up() {
            self.coordinator.kill();
            self.after_coordinator_death();
        }
    }

    fn after_coordinator_death(&mut self) {
        self.restarts += 1;
        let wait = self.stream.between(10, 600);
        self.queue.at(self.now_ms + wait, Event::StartCoordinator);
    }

    fn start_coordinator(&mut self) {
        let faults = self.scenario.faults;
        let fuse = self.fuse(faults.coordinator_crash_at_write, 0.0, faults.disk_error);
        self.coordinator.disk.arm(fuse);
        self.coordinate(CoordinatorNode::start);
        // The phase under way has its time again.
        self.opened_ms = self.now_ms;
        // Connections break with the process, and come back one by one.
        for i in 0..self.sites.len() {
            let (site, wait) = (SiteId(i as u16), self.stream.between(5, 80));
            let life = self.sites[i].life;
            self.queue.at(self.now_ms + wait, Event::Connect(site, life));
        }
    }

    fn kill_site(&mut self, site: SiteId) {
        if self.site(site).is_up() {
            self.site(site).kill();
            self.after_site_death(site);
        }
    }

    fn after_site_death(&mut self, site: SiteId) {
        self.restarts += 1;
        let wait = self.stream.between(10, 1500);
        self.queue.at(self.now_ms + wait, Event::StartSite(site));
    }

    fn start_site(&mut self, site: SiteId) {
        let faults = self.scenario.faults;
        let fuse = self.fuse(faults.site_crash_at_write, faults.torn_write, faults.disk_error);
        self.site(site).disk.arm(fuse);
        let before = self.site(site).life;
        self.visit(site, SiteNode::start);
        let (life, up) = (self.site(site).life, self.site(site).is_up());
        if !up && life == before + 2 {
            self.after_site_death(site);
        }
        self.queue.at(self.now_ms + 1, Event::Retry(site, life));
    }
}
