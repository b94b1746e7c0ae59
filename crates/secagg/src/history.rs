//! What a site remembers across rounds: one confirmed set per round, and how sets may differ.
//!
//! Two sums over nearly the same sites differ by the updates of a few: Lam et al. 2021 (arXiv 2106.06089)
//! and So et al. 2021 (arXiv 2106.03328) rebuild single updates that way.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::Abort;
use crate::sets::SiteSet;

/// What to do about a set that differs from an earlier one by fewer sites than a sum needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MultiRoundPolicy {
    /// Refuse it.
    Strict,
    /// Go on and write it down.
    Warn,
}

/// A set that was let through under [`MultiRoundPolicy::Warn`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditNote {
    /// Round of the set.
    pub round: u32,
    /// Earlier round that it is close to.
    pub earlier: u32,
    /// Number of sites by which the two differ.
    pub sites: usize,
}

/// The sets that a site confirmed, by round.
#[derive(Debug, Clone)]
pub struct History {
    policy: MultiRoundPolicy,
    confirmed: BTreeMap<u32, SiteSet>,
    notes: Vec<AuditNote>,
}

impl History {
    /// An empty history.
    pub fn new(policy: MultiRoundPolicy) -> Self {
        Self { policy, confirmed: BTreeMap::new(), notes: Vec::new() }
    }

    /// Whether a set was confirmed in `round`; if so no further attempt of it may be joined.
    pub fn is_burned(&self, round: u32) -> bool {
        self.confirmed.contains_key(&round)
    }

    /// What was let through with a warning.
    pub fn notes(&self) -> &[AuditNote] {
        &self.notes
    }

    /// Records the confirmation of `set` in `round`.
    ///
    /// # Errors
    /// [`Abort::SecondConfirmation`]; [`Abort::IsolatingSet`] under [`MultiRoundPolicy::Strict`] when the set
    /// differs from an earlier one by 1..`sites_min` sites.
    pub fn admit(&mut self, round: u32, set: &SiteSet, sites_min: usize) -> Result<(), Abort> {
        if self.is_burned(round) {
            return Err(Abort::SecondConfirmation { round });
        }
        for (&earlier, other) in &self.confirmed {
            let sites = set.minus(other).len() + other.minus(set).len();
            if (1..sites_min).contains(&sites) {
                match self.policy {
                    MultiRoundPolicy::Strict => return Err(Abort::IsolatingSet { round, earlier, sites }),
                    MultiRoundPolicy::Warn => self.notes.push(AuditNote { round, earlier, sites }),
                }
            }
        }
        self.confirmed.insert(round, set.clone());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sets::SiteId;

    fn set(sites: &[u16]) -> SiteSet {
        sites.iter().map(|&s| SiteId(s)).collect()
    }

    #[test]
    fn a_round_is_confirmed_once() {
        let mut history = History::new(MultiRoundPolicy::Warn);
        let admit = |h: &mut History, round, sites: &[u16]| h.admit(round, &set(sites), 3);
        assert_eq!(admit(&mut history, 4, &[0, 1, 2]), Ok(()));
        assert!(history.is_burned(4));
        assert_eq!(admit(&mut history, 4, &[0, 1, 2]), Err(Abort::SecondConfirmation { round: 4 }));
        assert_eq!(admit(&mut history, 5, &[0, 1, 2]), Ok(()));
    }

    #[test]
    fn sets_that_isolate_a_few_sites_are_refused_or_noted() {
        let cases: [(&[u16], usize); 5] = [
            (&[0, 1, 2, 3], 0),
            (&[0, 1, 2], 1),
            (&[0, 1, 2, 3, 4, 5], 2),
            (&[0, 1, 2, 3, 4, 5, 6], 3),
            (&[1, 2, 3, 4], 2),
        ];
        for (sites, difference) in cases {
            let isolating = (1..3).contains(&difference);
            for policy in [MultiRoundPolicy::Strict, MultiRoundPolicy::Warn] {
                let mut history = History::new(policy);
                history.admit(0, &set(&[0, 1, 2, 3]), 3).unwrap();
                let verdict = history.admit(1, &set(sites), 3);
                let strict = policy == MultiRoundPolicy::Strict;
                assert_eq!(verdict.is_err(), isolating && strict, "{sites:?}");
                assert_eq!(!history.notes().is_empty(), isolating && !strict, "{sites:?}");
                assert_eq!(history.is_burned(1), verdict.is_ok());
            }
        }
    }
}
