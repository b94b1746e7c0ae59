//! What a site remembers across rounds: one confirmed set per round, and how sets may differ.
//!
//! Two sums over nearly the same sites differ by the updates of a few: Lam et al. 2021 (arXiv 2106.06089)
//! and So et al. 2021 (arXiv 2106.03328) rebuild single updates that way.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::Abort;
use crate::sets::{SiteId, SiteSet};

/// What to do about a set that differs from an earlier one by fewer sites than a sum needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MultiRoundPolicy {
    /// Refuse it.
    Strict,
    /// Go on and write it down.
    Warn,
    /// Sites join and leave in fixed batches of `size` consecutive numbers (the last batch takes what is left
    /// over); a set that splits a batch is refused. Every combination of sums is then one over whole batches
    /// (So et al. 2021, arXiv 2106.03328).
    Batched {
        /// Sites per batch, at least 3.
        size: u16,
    },
}

/// Smallest batch: within it, no site is alone with the colluder who knows the difference of two sums.
pub const BATCH_MIN: u16 = 3;

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

    /// Takes over a confirmation of an earlier run, read back from the journal.
    pub fn remember(&mut self, round: u32, set: SiteSet) {
        self.confirmed.insert(round, set);
    }

    /// What was let through with a warning.
    pub fn notes(&self) -> &[AuditNote] {
        &self.notes
    }

    /// Records the confirmation of `set` in `round`.
    ///
    /// # Errors
    /// [`Abort::SecondConfirmation`]; [`Abort::IsolatingSet`] under [`MultiRoundPolicy::Strict`] when the set
    /// differs from an earlier one by 1..`sites_min` sites; [`Abort::BrokenBatch`] under
    /// [`MultiRoundPolicy::Batched`] when it splits a batch of the `roster` sites of the federation.
    pub fn admit(&mut self, round: u32, set: &SiteSet, roster: usize, sites_min: usize) -> Result<(), Abort> {
        if self.is_burned(round) {
            return Err(Abort::SecondConfirmation { round });
        }
        if let MultiRoundPolicy::Batched { size } = self.policy {
            whole_batches(round, set, roster, usize::from(size.max(BATCH_MIN)))?;
        }
        for (&earlier, other) in &self.confirmed {
            let sites = set.minus(other).len() + other.minus(set).len();
            if (1..sites_min).contains(&sites) {
                match self.policy {
                    MultiRoundPolicy::Strict => return Err(Abort::IsolatingSet { round, earlier, sites }),
                    // Whole batches that are fewer than a sum needs still deserve a note.
                    MultiRoundPolicy::Warn | MultiRoundPolicy::Batched { .. } => {
                        self.notes.push(AuditNote { round, earlier, sites });
                    }
                }
            }
        }
        self.confirmed.insert(round, set.clone());
        Ok(())
    }
}

/// Whether `set` is a union of batches.
fn whole_batches(round: u32, set: &SiteSet, roster: usize, size: usize) -> Result<(), Abort> {
    let last = (roster / size).saturating_sub(1);
    let batch = |site: SiteId| (usize::from(site.0) / size).min(last);
    let all: Vec<SiteId> = (0..roster).map(|i| SiteId(i as u16)).collect();
    match all
        .iter()
        .find(|&&absent| !set.contains(absent) && set.iter().any(|present| batch(present) == batch(absent)))
    {
        Some(&absent) => Err(Abort::BrokenBatch { round, absent }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(sites: &[u16]) -> SiteSet {
        sites.iter().map(|&s| SiteId(s)).collect()
    }

    #[test]
    fn a_round_is_confirmed_once() {
        let mut history = History::new(MultiRoundPolicy::Warn);
        let admit = |h: &mut History, round, sites: &[u16]| h.admit(round, &set(sites), 3, 3);
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
                history.admit(0, &set(&[0, 1, 2, 3]), 7, 3).unwrap();
                let verdict = history.admit(1, &set(sites), 7, 3);
                let strict = policy == MultiRoundPolicy::Strict;
                assert_eq!(verdict.is_err(), isolating && strict, "{sites:?}");
                assert_eq!(!history.notes().is_empty(), isolating && !strict, "{sites:?}");
                assert_eq!(history.is_burned(1), verdict.is_ok());
            }
        }
    }

    /// What becomes of the last set of a history.
    #[derive(Debug, PartialEq)]
    enum Verdict {
        Taken,
        Noted(usize),
        Isolates(u32),
        Breaks(u16),
    }

    fn verdict(policy: MultiRoundPolicy, roster: usize, sets: &[&[u16]]) -> Verdict {
        let mut history = History::new(policy);
        let (last, earlier) = sets.split_last().unwrap();
        for (round, sites) in earlier.iter().enumerate() {
            history.admit(round as u32, &set(sites), roster, 3).unwrap();
        }
        let before = history.notes().len();
        match history.admit(99, &set(last), roster, 3) {
            Ok(()) if history.notes().len() == before => Verdict::Taken,
            Ok(()) => Verdict::Noted(history.notes().len() - before),
            Err(Abort::IsolatingSet { round: 99, earlier, .. }) => Verdict::Isolates(earlier),
            Err(Abort::BrokenBatch { round: 99, absent }) => Verdict::Breaks(absent.0),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn histories_have_their_verdicts() {
        use MultiRoundPolicy::{Batched, Strict, Warn};
        let batches = Batched { size: 3 };
        const ALL: &[u16] = &[0, 1, 2, 3, 4, 5, 6, 7];
        const FIRST: &[u16] = &[0, 1, 2];
        const LAST: &[u16] = &[3, 4, 5, 6, 7];
        let table: [(MultiRoundPolicy, &[&[u16]], Verdict); 15] = [
            (Strict, &[ALL], Verdict::Taken),
            (Strict, &[ALL, ALL, ALL], Verdict::Taken),
            (Strict, &[ALL, &[0, 1, 2, 3, 4]], Verdict::Taken),
            (Strict, &[ALL, &[0, 1, 2, 3, 4, 5, 6]], Verdict::Isolates(0)),
            // Close to an older set, far from the last one.
            (Strict, &[ALL, FIRST, &[0, 1, 2, 3, 4, 5]], Verdict::Isolates(0)),
            // One site leaves and another comes: the difference shows both.
            (Strict, &[&[0, 1, 2, 3], &[0, 1, 2, 4]], Verdict::Isolates(0)),
            (Warn, &[ALL, ALL], Verdict::Taken),
            (Warn, &[ALL, &[0, 1, 2, 3, 4, 5, 6]], Verdict::Noted(1)),
            (Warn, &[ALL, ALL, &[0, 1, 2, 3, 4, 5]], Verdict::Noted(2)),
            (batches, &[ALL, FIRST], Verdict::Taken),
            (batches, &[FIRST, LAST, ALL], Verdict::Taken),
            (batches, &[&[0, 1]], Verdict::Breaks(2)),
            // Sites 6 and 7 are left over and belong to the last batch.
            (batches, &[&[0, 1, 2, 3, 4, 5]], Verdict::Breaks(6)),
            (batches, &[&[0, 1, 2, 6, 7]], Verdict::Breaks(3)),
            // A batch below three is not believed.
            (Batched { size: 1 }, &[&[0, 1, 2, 3]], Verdict::Breaks(4)),
        ];
        for (policy, sets, expected) in table {
            assert_eq!(verdict(policy, 8, sets), expected, "{policy:?} {sets:?}");
        }
    }
}
