//! Bugs put in on purpose are found, each by the invariant it breaks.
#![allow(clippy::unwrap_used, reason = "a test")]

use fovea_sim::faults::Kind;
use fovea_sim::sabotage::Sabotage;
use fovea_sim::scenario::Options;
use fovea_sim::world;

fn found(sabotage: Sabotage) -> Vec<&'static str> {
    // Some bugs need an occasion: a restart, a phase that only its deadline ends.
    let kind = match sabotage {
        Sabotage::SecondUpload => Kind::SiteCrash,
        Sabotage::Silence => Kind::MissingSite,
        _ => Kind::Calm,
    };
    let options =
        Options { sabotage: Some(sabotage), kind: Some(kind), sites: Some(5), ..Options::default() };
    let runs = (0..4).map(|seed| world::run(seed, &options, false).unwrap());
    let mut names: Vec<_> = runs.flat_map(|run| run.violations).map(|found| found.invariant).collect();
    names.sort_unstable();
    names.dedup();
    names
}

#[test]
fn a_corrupted_sum_is_found() {
    assert!(found(Sabotage::Sum).contains(&"exact-sum"));
}

#[test]
fn one_replica_that_differs_is_found() {
    let found = found(Sabotage::OneReplica);
    assert!(found.contains(&"one-model") && found.contains(&"exact-sum"), "{found:?}");
}

#[test]
fn a_second_confirmed_set_is_found() {
    let found = found(Sabotage::SecondSet);
    assert!(found.contains(&"one-set") && found.contains(&"said-once"), "{found:?}");
}

#[test]
fn both_shares_of_a_dealer_are_found() {
    assert!(found(Sabotage::BothShares).contains(&"one-share"));
}

#[test]
fn a_coordinator_that_waits_for_ever_is_found() {
    assert!(found(Sabotage::Silence).contains(&"no-hang"));
}

#[test]
fn a_second_upload_is_found() {
    assert!(found(Sabotage::SecondUpload).contains(&"said-once"));
}

#[test]
fn without_a_bug_there_is_nothing_to_find() {
    for kind in [Kind::Calm, Kind::SiteCrash, Kind::MissingSite] {
        let options = Options { kind: Some(kind), sites: Some(5), ..Options::default() };
        assert!((0..4).all(|seed| world::run(seed, &options, false).unwrap().violations.is_empty()));
    }
}
