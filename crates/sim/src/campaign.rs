//! Many runs over all cores. Seeds are split by index, so results do not depend on the number of threads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use fovea_fed::job::JobError;
use fovea_secagg::hash::Hash;
use fovea_secagg::sets::SiteId;

use crate::check::Violation;
use crate::faults::Kind;
use crate::report::{Outcome, Report};
use crate::scenario::Options;
use crate::world;

/// The seed of run `index` of a campaign.
pub fn seed_of(campaign: u64, index: u64) -> u64 {
    campaign.wrapping_add(index)
}

/// Runs `count` federations on `threads` threads; `progress` hears how many are done. Reports come by index.
///
/// # Errors
/// [`JobError`] for a number of sites that no job can have.
pub fn run(
    campaign: u64,
    count: u64,
    options: &Options,
    threads: usize,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Vec<Report>, JobError> {
    let (next, done) = (AtomicU64::new(0), AtomicU64::new(0));
    let reports = Mutex::new(Vec::new());
    let work = || {
        let mut own = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                break;
            }
            own.push((index, guarded(seed_of(campaign, index), options)));
            progress(done.fetch_add(1, Ordering::Relaxed) + 1);
        }
        let mut reports = reports.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        reports.extend(own);
    };
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| alone(&work));
        }
    });
    let mut reports = reports.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    reports.sort_unstable_by_key(|(index, _)| *index);
    reports.into_iter().map(|(_, report)| report).collect()
}

/// The vectors of a simulation are tiny: inside a pool of one thread, nothing waits for another core.
fn alone(work: &(dyn Fn() + Sync)) {
    match rayon::ThreadPoolBuilder::new().num_threads(1).build() {
        Ok(pool) => pool.install(work),
        Err(_) => work(),
    }
}

/// A run whose panic is a violation like any other.
fn guarded(seed: u64, options: &Options) -> Result<Report, JobError> {
    catch_unwind(AssertUnwindSafe(|| world::run(seed, options, false))).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().cloned();
        let said = said.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
        let detail = said.unwrap_or_else(|| "a panic without a message".to_owned());
        Ok(panicked(seed, Violation { invariant: "no-panic", detail }))
    })
}

fn panicked(seed: u64, violation: Violation) -> Report {
    Report {
        seed,
        kind: Kind::Calm,
        sites: 0,
        rounds: 0,
        outcome: Outcome::Aborted,
        sums: 0,
        revoked: 0,
        attempts: 0,
        ended: Vec::new(),
        restarts: 0,
        convicted: 0,
        sets: Vec::new(),
        model: None,
        virtual_ms: 0,
        events: 0,
        trace: Hash([0; 32]),
        lines: Vec::new(),
        violations: vec![violation],
    }
}

/// One digest over the traces of all runs, in order.
pub fn digest(reports: &[Report]) -> Hash {
    let traces: Vec<&[u8]> = reports.iter().map(|report| &report.trace.0[..]).collect();
    Hash::of("fovea/sim/campaign", &traces)
}

/// What became of the runs of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Row {
    /// Runs.
    pub runs: u64,
    /// Runs that finished all rounds.
    pub complete: u64,
    /// Runs that did not, with typed reasons.
    pub aborted: u64,
    /// Runs in which an invariant did not hold.
    pub violated: u64,
    /// Sums published.
    pub sums: u64,
    /// Sums over fewer sites than there are.
    pub partial: u64,
    /// Attempts that ended without a sum.
    pub ended: u64,
    /// Sums that a quorum of sites refused.
    pub revoked: u64,
    /// Processes started again.
    pub restarts: u64,
    /// Sites found to equivocate.
    pub convicted: u64,
}

/// The summary: one row per kind that occurred.
pub fn summary(reports: &[Report]) -> Vec<(Kind, Row)> {
    let of = |kind| reports.iter().filter(move |report| report.kind == kind);
    Kind::ALL
        .into_iter()
        .filter(|kind| of(*kind).next().is_some())
        .map(|kind| (kind, row(of(kind))))
        .collect()
}

/// The rows of all kinds together.
pub fn total(reports: &[Report]) -> Row {
    row(reports.iter())
}

fn row<'a>(reports: impl Iterator<Item = &'a Report>) -> Row {
    reports.fold(Row::default(), |row, report| {
        let complete = report.outcome == Outcome::Complete;
        let last = SiteId((report.sites as u16).saturating_sub(1));
        let whole = |set: &&fovea_secagg::sets::SiteSet| set.len() < report.sites || !set.contains(last);
        Row {
            runs: row.runs + 1,
            complete: row.complete + u64::from(complete),
            aborted: row.aborted + u64::from(!complete),
            violated: row.violated + u64::from(!report.violations.is_empty()),
            sums: row.sums + u64::from(report.sums),
            partial: row.partial + report.sets.iter().filter(whole).count() as u64,
            ended: row.ended + report.ended.len() as u64,
            revoked: row.revoked + u64::from(report.revoked),
            restarts: row.restarts + u64::from(report.restarts),
            convicted: row.convicted + u64::from(report.convicted),
        }
    })
}
