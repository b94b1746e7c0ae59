//! Which faults happen when: drawn at the start of a run, of a process, of a message.

use fovea_secagg::sets::SiteId;

use crate::disk::{Fault, Fuse};
use crate::event::Event;
use crate::scenario::{CALM_MS, PHASE_MS};
use crate::world::World;

impl World {
    /// Draws what happens at given times: crashes, partitions, absences.
    pub(super) fn plan_faults(&mut self) {
        let faults = self.scenario.faults;
        self.queue.at(CALM_MS, Event::Calm);
        if self.stream.chance(faults.coordinator_crash) {
            for _ in 0..self.stream.between(1, 3) {
                let at = self.stream.below(2 * PHASE_MS);
                self.queue.at(at, Event::KillCoordinator);
            }
        }
        for i in 0..self.sites.len() {
            let site = SiteId(i as u16);
            if self.stream.chance(faults.site_crash) {
                let at = self.stream.below(2 * PHASE_MS);
                self.queue.at(at, Event::KillSite(site));
            }
            if self.stream.chance(faults.partition) {
                let from = self.stream.below(2 * PHASE_MS);
                let to = from + self.stream.below(2 * PHASE_MS);
                self.queue.at(from, Event::Cut(site, true));
                self.queue.at(to, Event::Cut(site, false));
            }
            if self.stream.chance(faults.missing_site) {
                let from = self.stream.below(PHASE_MS);
                self.queue.at(from, Event::Cut(site, true));
                self.queue.at(self.stream.between(3 * PHASE_MS, CALM_MS), Event::Cut(site, false));
            }
        }
    }

    /// Which write of a new process goes wrong, and how.
    pub(super) fn fuse(&mut self, killed: f64, torn: f64, error: f64) -> Option<Fuse> {
        let any = killed + torn + error;
        let mut place = 0;
        while !self.stream.chance(any) {
            place += 1;
            if place > 60 {
                return None;
            }
        }
        let pick = any * (self.stream.below(1 << 20) as f64 / f64::from(1 << 20));
        let fault = if pick < torn {
            Fault::Torn(self.stream.place(200))
        } else if pick < torn + error {
            Fault::Error
        } else if self.stream.chance(0.5) {
            Fault::Before
        } else {
            Fault::After
        };
        (!self.is_calm()).then_some(Fuse(place, fault))
    }

    /// Nothing goes wrong any more.
    pub(super) fn calm_down(&mut self) {
        self.coordinator.disk.disarm();
        self.sites.iter().for_each(|site| site.disk.disarm());
        self.cut.fill(false);
    }
}
