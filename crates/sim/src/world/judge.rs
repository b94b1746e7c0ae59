//! What came of a run.

use fovea_secagg::message::COORDINATOR;

use crate::report::{Outcome, Report};
use crate::world::World;

impl World {
    /// The last checks, and the report.
    pub(super) fn judge(mut self) -> Report {
        let complete = self.is_complete();
        if self.scenario.must_finish() && !complete {
            let held = self.sites.iter().filter(|site| site.is_up()).count();
            let detail = format!(
                "{} of {} rounds after {} attempts and {} ms, {held} sites up; last reasons: {:?}",
                self.coordinator.finished - self.coordinator.revoked,
                self.scenario.rounds,
                self.attempts,
                self.now_ms,
                self.coordinator.ended.iter().rev().take(3).collect::<Vec<_>>()
            );
            self.monitor.violated("finishes", detail);
        }
        if self.scenario.trick.is_none() {
            self.agree(complete);
        }
        let model = self.coordinator.state().map(fovea_fed::state::ServerState::model_hash);
        let events = self.trace.events();
        let violations = self.monitor.violations().to_vec();
        let (trace, lines) = self.trace.finish();
        Report {
            seed: self.scenario.seed,
            kind: self.scenario.kind,
            sites: self.sites.len(),
            rounds: self.scenario.rounds,
            outcome: if complete { Outcome::Complete } else { Outcome::Aborted },
            sums: self.coordinator.finished,
            revoked: self.coordinator.revoked,
            attempts: self.attempts,
            ended: self.coordinator.ended,
            restarts: self.restarts,
            convicted: self.coordinator.convicted,
            sets: self.monitor.sets().values().cloned().collect(),
            model,
            virtual_ms: self.now_ms,
            events,
            trace,
            lines,
            violations,
        }
    }

    /// With an honest coordinator, the end is that of the same rounds in the clear, and everybody has it.
    fn agree(&mut self, complete: bool) {
        let mut state = self.scenario.first.clone();
        for (round, set) in self.monitor.sets().clone() {
            match self.monitor.updates.step(&self.scenario.plan, &state, round, &set) {
                Some(next) => state = next,
                None => self.monitor.violated("exact-sum", format!("round {round}: no such sum")),
            }
        }
        let expected = state.model_hash();
        for site in self.sites.iter().filter(|site| complete && self.scenario.is_honest(site.me)) {
            let held = site.state(&self.scenario).model_hash();
            if held != expected {
                let detail = format!("{} ends with {held}, the plain rounds with {expected}", site.me);
                self.monitor.violated("one-model", detail);
            }
        }
        let held = self.coordinator.state().map(fovea_fed::state::ServerState::model_hash);
        if complete && held != Some(expected) {
            let detail = format!("{COORDINATOR} ends with {held:?}, the plain rounds with {expected}");
            self.monitor.violated("one-model", detail);
        }
    }
}
