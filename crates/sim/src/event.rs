//! The virtual clock: events in the order of their time, and of their making where times are equal.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use fovea_secagg::message::COORDINATOR;
use fovea_secagg::sets::SiteId;

/// Something that happens at a point of virtual time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Bytes arrive at the coordinator, from a site.
    ToCoordinator(SiteId, Vec<u8>),
    /// Bytes arrive at a site.
    ToSite(SiteId, Vec<u8>),
    /// The coordinator looks at the clock; its life, so that a timer does not outlive a crash.
    Tick(u32),
    /// The coordinator opens an attempt if it is idle; its life.
    Open(u32),
    /// The coordinator is killed.
    KillCoordinator,
    /// The coordinator starts again.
    StartCoordinator,
    /// A site is killed.
    KillSite(SiteId),
    /// A site starts again.
    StartSite(SiteId),
    /// A site says hello and repeats itself, as after a new connection; its life.
    Connect(SiteId, u32),
    /// The same, again and again.
    Retry(SiteId, u32),
    /// A site's training ends; its life.
    Trained(SiteId, u32),
    /// A site is cut off, or no longer.
    Cut(SiteId, bool),
    /// From now on nothing goes wrong any more.
    Calm,
}

impl Event {
    /// What happens, to whom, and with which bytes.
    pub fn describe(&self) -> (&'static str, SiteId, &[u8]) {
        match self {
            Self::ToCoordinator(from, bytes) => ("to coordinator", *from, bytes),
            Self::ToSite(site, bytes) => ("to site", *site, bytes),
            Self::Tick(_) => ("tick", COORDINATOR, &[]),
            Self::Open(_) => ("open", COORDINATOR, &[]),
            Self::KillCoordinator => ("kill", COORDINATOR, &[]),
            Self::StartCoordinator => ("start", COORDINATOR, &[]),
            Self::KillSite(site) => ("kill", *site, &[]),
            Self::StartSite(site) => ("start", *site, &[]),
            Self::Connect(site, _) => ("connect", *site, &[]),
            Self::Retry(site, _) => ("retry", *site, &[]),
            Self::Trained(site, _) => ("trained", *site, &[]),
            Self::Cut(site, true) => ("cut off", *site, &[]),
            Self::Cut(site, false) => ("back", *site, &[]),
            Self::Calm => ("calm", COORDINATOR, &[]),
        }
    }
}

/// An event of a time and a number, without an order of its own.
#[derive(Debug)]
struct Due(u64, u64, Event);

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        (self.0, self.1) == (other.0, other.1)
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0, self.1).cmp(&(other.0, other.1))
    }
}

/// All events to come.
#[derive(Debug, Default)]
pub struct Queue {
    due: BinaryHeap<Reverse<Due>>,
    made: u64,
}

impl Queue {
    /// Adds an event at a time, in milliseconds.
    pub fn at(&mut self, time_ms: u64, event: Event) {
        self.made += 1;
        self.due.push(Reverse(Due(time_ms, self.made, event)));
    }

    /// The next event and its time.
    pub fn pop(&mut self) -> Option<(u64, Event)> {
        self.due.pop().map(|Reverse(Due(time, _, event))| (time, event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_time_then_by_making() {
        let mut queue = Queue::default();
        for (time, life) in [(5, 0), (1, 1), (5, 2), (0, 3)] {
            queue.at(time, Event::Tick(life));
        }
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(order, [(0, 3), (1, 1), (5, 0), (5, 2)].map(|(time, life)| (time, Event::Tick(life))));
    }
}
