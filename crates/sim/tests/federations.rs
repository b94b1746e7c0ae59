//! A few hundred federations, and what a campaign promises: the same results for the same seeds.
#![allow(clippy::unwrap_used, reason = "a test")]

use fovea_secagg::sets::SiteSet;
use fovea_sim::campaign;
use fovea_sim::faults::Kind;
use fovea_sim::report::{Outcome, Report};
use fovea_sim::scenario::Options;
use fovea_sim::world;

fn seeds(first: u64, count: u64, options: &Options) -> Vec<Report> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let reports = campaign::run(first, count, options, threads, &|_| {}).unwrap();
    for report in &reports {
        assert_eq!(report.violations, [], "seed {} ({})", report.seed, report.kind.name());
    }
    reports
}

fn of(kind: Kind) -> Options {
    Options { kind: Some(kind), ..Options::default() }
}

#[test]
fn no_invariant_breaks_whatever_goes_wrong() {
    let reports = seeds(1, 200, &Options::default());
    for kind in Kind::ALL {
        let own = reports.iter().filter(|report| report.kind == kind);
        let complete = own.clone().filter(|report| report.outcome == Outcome::Complete).count();
        assert!(own.count() >= 3 && complete >= 1, "{}", kind.name());
    }
    // The faults do happen, and what they lead to is seen.
    let sum = |f: fn(&Report) -> u64| reports.iter().map(f).sum::<u64>();
    assert!(sum(|report| report.restarts.into()) > 200);
    assert!(sum(|report| report.ended.len() as u64) > 100);
    assert!(sum(|report| report.convicted.into()) > 0);
    assert!(sum(|report| report.revoked.into()) > 0);
    let partial = |report: &Report| report.sets.iter().filter(|set| set.len() < report.sites).count() as u64;
    assert!(sum(partial) > 20);
}

#[test]
fn one_seed_gives_one_trace_and_another_seed_another() {
    for kind in [Kind::Mixed, Kind::Collusion] {
        let run = |seed| world::run(seed, &of(kind), false).unwrap();
        let first = run(7);
        assert_eq!(first, run(7));
        assert!(first.events > 100);
        assert_ne!(first.trace, run(8).trace);
    }
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let on = |threads| campaign::run(40, 12, &Options::default(), threads, &|_| {}).unwrap();
    let one = on(1);
    assert_eq!(one, on(3));
    assert_eq!(campaign::digest(&one), campaign::digest(&on(2)));
    assert!(one.iter().map(|report| report.seed).eq(40..52));
}

#[test]
fn crashes_change_no_model_when_the_same_sites_contribute() {
    let mut compared = 0;
    for kind in [Kind::SiteCrash, Kind::CoordinatorCrash, Kind::Disk, Kind::Duplication, Kind::Reordering] {
        for seed in 0..8 {
            let sites = Some(4);
            let calm = world::run(seed, &Options { sites, ..of(Kind::Calm) }, false).unwrap();
            let troubled = world::run(seed, &Options { sites, ..of(kind) }, false).unwrap();
            assert_eq!(troubled.violations, []);
            let whole = |set: &SiteSet| set.len() == 4;
            assert!(calm.sets.iter().all(whole) && calm.ended.is_empty());
            if troubled.sets == calm.sets {
                compared += 1;
                assert_eq!(troubled.model, calm.model, "seed {seed} ({})", kind.name());
            }
        }
    }
    assert!(compared >= 15, "{compared} comparisons");
}

#[test]
fn a_hundred_sites_train_together_in_one_process() {
    let options = Options { sites: Some(100), rounds: Some(1), ..of(Kind::MissingSite) };
    let reports = seeds(5, 1, &Options { faults: vec![("missing-site".into(), 0.1)], ..options });
    assert_eq!(reports[0].outcome, Outcome::Complete);
    let set = &reports[0].sets[0];
    assert!((67..=100).contains(&set.len()), "{} sites in the sum", set.len());
}
