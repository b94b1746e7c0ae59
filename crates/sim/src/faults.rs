//! What can go wrong in a run, each with a probability that has a name.

use serde::Serialize;

/// The main trouble of a run: the row of the summary that it counts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Nothing goes wrong.
    Calm,
    /// Messages get lost.
    Loss,
    /// Messages arrive twice.
    Duplication,
    /// Messages overtake one another.
    Reordering,
    /// Messages take longer than a phase.
    Delay,
    /// Sites are cut off for a while.
    Partition,
    /// Sites are killed, at writes and between.
    SiteCrash,
    /// The coordinator is killed, at writes and between.
    CoordinatorCrash,
    /// Writes are cut short, or fail.
    Disk,
    /// Sites train longer than a phase.
    SlowSite,
    /// Sites are away for rounds, or their training diverges.
    MissingSite,
    /// All of the above together.
    Mixed,
    /// Sites that lie.
    ByzantineSite,
    /// A coordinator that lies.
    ByzantineCoordinator,
    /// Both, in collusion, on top of a bad network and crashes.
    Collusion,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 15] = [
        Self::Calm,
        Self::Loss,
        Self::Duplication,
        Self::Reordering,
        Self::Delay,
        Self::Partition,
        Self::SiteCrash,
        Self::CoordinatorCrash,
        Self::Disk,
        Self::SlowSite,
        Self::MissingSite,
        Self::Mixed,
        Self::ByzantineSite,
        Self::ByzantineCoordinator,
        Self::Collusion,
    ];

    /// The name on the command line and in the summary.
    pub fn name(self) -> &'static str {
        match self {
            Self::Calm => "calm",
            Self::Loss => "loss",
            Self::Duplication => "duplication",
            Self::Reordering => "reordering",
            Self::Delay => "delay",
            Self::Partition => "partition",
            Self::SiteCrash => "site-crash",
            Self::CoordinatorCrash => "coordinator-crash",
            Self::Disk => "disk",
            Self::SlowSite => "slow-site",
            Self::MissingSite => "missing-site",
            Self::Mixed => "mixed",
            Self::ByzantineSite => "byzantine-site",
            Self::ByzantineCoordinator => "byzantine-coordinator",
            Self::Collusion => "collusion",
        }
    }

    /// Whether sites lie.
    pub fn has_liars(self) -> bool {
        matches!(self, Self::ByzantineSite | Self::Collusion)
    }

    /// Whether the coordinator lies.
    pub fn coordinator_lies(self) -> bool {
        matches!(self, Self::ByzantineCoordinator | Self::Collusion)
    }

    /// The probabilities of a run of this kind.
    pub fn faults(self) -> Faults {
        let none = Faults::default();
        match self {
            Self::Calm => none,
            Self::Loss => Faults { loss: 0.15, ..none },
            Self::Duplication => Faults { duplication: 0.4, ..none },
            Self::Reordering => Faults { reordering: 0.4, ..none },
            Self::Delay => Faults { delay: 0.05, ..none },
            Self::Partition => Faults { partition: 0.5, ..none },
            Self::SiteCrash => Faults { site_crash: 0.4, site_crash_at_write: 0.08, ..none },
            Self::CoordinatorCrash => {
                Faults { coordinator_crash: 0.7, coordinator_crash_at_write: 0.06, ..none }
            }
            Self::Disk => Faults { torn_write: 0.06, disk_error: 0.04, ..none },
            Self::SlowSite => Faults { slow_site: 0.3, ..none },
            Self::MissingSite => Faults { missing_site: 0.3, diverged_update: 0.1, ..none },
            Self::Mixed => Self::mixed(),
            Self::ByzantineSite => Faults { lie: 0.5, ..none },
            Self::ByzantineCoordinator => Faults { lie: 0.5, ..none },
            Self::Collusion => Faults { lie: 0.5, ..Self::mixed() },
        }
    }

    fn mixed() -> Faults {
        Faults {
            loss: 0.04,
            duplication: 0.1,
            reordering: 0.1,
            delay: 0.01,
            partition: 0.2,
            site_crash: 0.15,
            site_crash_at_write: 0.02,
            coordinator_crash: 0.3,
            coordinator_crash_at_write: 0.015,
            torn_write: 0.02,
            disk_error: 0.01,
            slow_site: 0.1,
            missing_site: 0.1,
            diverged_update: 0.03,
            lie: 0.0,
        }
    }
}

/// Probabilities of single faults, while faults last.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Faults {
    /// A message is lost.
    pub loss: f64,
    /// A message arrives a second time.
    pub duplication: f64,
    /// A message is held back while later ones pass.
    pub reordering: f64,
    /// A message takes longer than a phase may.
    pub delay: f64,
    /// A site is cut off for some time, per site.
    pub partition: f64,
    /// A site is killed at some time, per site.
    pub site_crash: f64,
    /// A site is killed at a write, before or after it.
    pub site_crash_at_write: f64,
    /// The coordinator is killed at some time.
    pub coordinator_crash: f64,
    /// The coordinator is killed at a write, before or after it.
    pub coordinator_crash_at_write: f64,
    /// A site is killed in the middle of a write.
    pub torn_write: f64,
    /// A write fails, at a site or at the coordinator.
    pub disk_error: f64,
    /// A training takes longer than a phase may.
    pub slow_site: f64,
    /// A site is away for rounds, per site.
    pub missing_site: f64,
    /// A training ends in values that are not numbers.
    pub diverged_update: f64,
    /// A liar lies, per message or occasion.
    pub lie: f64,
}

impl Faults {
    /// The names of all probabilities.
    pub const NAMES: [&'static str; 15] = [
        "loss",
        "duplication",
        "reordering",
        "delay",
        "partition",
        "site-crash",
        "site-crash-at-write",
        "coordinator-crash",
        "coordinator-crash-at-write",
        "torn-write",
        "disk-error",
        "slow-site",
        "missing-site",
        "diverged-update",
        "lie",
    ];

    /// The probability of that name.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut f64> {
        Some(match name {
            "loss" => &mut self.loss,
            "duplication" => &mut self.duplication,
            "reordering" => &mut self.reordering,
            "delay" => &mut self.delay,
            "partition" => &mut self.partition,
            "site-crash" => &mut self.site_crash,
            "site-crash-at-write" => &mut self.site_crash_at_write,
            "coordinator-crash" => &mut self.coordinator_crash,
            "coordinator-crash-at-write" => &mut self.coordinator_crash_at_write,
            "torn-write" => &mut self.torn_write,
            "disk-error" => &mut self.disk_error,
            "slow-site" => &mut self.slow_site,
            "missing-site" => &mut self.missing_site,
            "diverged-update" => &mut self.diverged_update,
            "lie" => &mut self.lie,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_a_probability_of_its_own() {
        let mut faults = Faults::default();
        for (place, name) in Faults::NAMES.iter().enumerate() {
            *faults.get_mut(name).unwrap() = place as f64;
        }
        for (place, name) in Faults::NAMES.iter().enumerate() {
            assert_eq!(faults.get_mut(name).copied(), Some(place as f64), "{name}");
        }
        assert_eq!(faults.get_mut("weather"), None);
    }

    #[test]
    fn every_kind_but_the_calm_one_has_faults() {
        for kind in Kind::ALL {
            assert_eq!(kind.faults() == Faults::default(), kind == Kind::Calm, "{}", kind.name());
        }
    }
}
