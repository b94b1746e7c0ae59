//! Whole jobs over TLS on loopback: the same models as in one process, through restarts of either side.
#![allow(clippy::unwrap_used, reason = "the helpers of these tests are not test functions")]

#[path = "common/world.rs"]
mod world;

use fovea_fed::job::SiteConfig;
use fovea_fed::local::LocalFederation;
use fovea_fed::state::ServerState;
use fovea_net::error::NetError;
use fovea_secagg::hash::Hash;
use fovea_secagg::message::Phase;
use std::thread::JoinHandle;
use std::time::Duration;
use world::{Hospital, SEED, WEIGHTS, World, job, parameters, until, update};

const NAMES: [&str; 4] = ["alice", "bob", "carol", "dan"];

/// The model after the same rounds in one process.
fn rehearsed(sites: usize, rounds: u32) -> Hash {
    let config = |name: &&str| SiteConfig { name: (*name).to_owned(), ack_two_party_disclosure: true };
    let sites = NAMES[..sites].iter().map(config).collect();
    let mut federation =
        LocalFederation::new(job(rounds, 1000), sites, parameters(), vec![0.1; WEIGHTS], Some(SEED)).unwrap();
    for _ in 0..rounds {
        assert_eq!(federation.round(|s, model| Some(update(s, model))).unwrap().equals_clear, Some(true));
    }
    federation.state().model_hash()
}

fn hospitals(world: &World, count: usize) -> Vec<Hospital> {
    let hospital = |place: usize| Hospital::new(world, place, &world.join(NAMES[place], place as u8 + 1));
    (0..count).map(hospital).collect()
}

fn joined(handle: JoinHandle<Result<ServerState, NetError>>) -> ServerState {
    handle.join().unwrap().unwrap()
}

#[test]
fn two_and_three_sites_end_in_the_model_of_one_process() {
    for sites in [2, 3] {
        let world = World::new();
        let running = world.start();
        let hospitals = hospitals(&world, sites);
        world.offer(&NAMES[..sites], 3, 30_000);
        let handles: Vec<_> = hospitals.iter().map(Hospital::start).collect();
        for handle in handles {
            let state = joined(handle);
            assert_eq!((state.round, state.model_hash()), (3, rehearsed(sites, 3)));
        }
        let status = running.service.status().unwrap();
        assert_eq!((status.stage.as_str(), status.rounds_done), ("over", 3));
        assert_eq!(status.model, Some(rehearsed(sites, 3)));
        assert!(status.sites.iter().all(|site| site.in_job && site.signed && site.heard_ms.is_some()));
        until("all mail is fetched", || running.service.is_finished());
    }
}

#[test]
fn a_coordinator_that_is_stopped_at_any_phase_goes_on_from_its_disk() {
    let world = World::new();
    let mut running = Some(world.start());
    let mut hospitals = hospitals(&world, 3);
    hospitals.iter_mut().for_each(|hospital| hospital.train_ms = 30);
    world.offer(&NAMES[..3], 4, 30_000);
    let handles: Vec<_> = hospitals.iter().map(Hospital::start).collect();
    // Stopped as soon as the first site has said this in the round after the last stop.
    for (stop, phase) in
        [Phase::Advertise, Phase::Share, Phase::MaskedClose, Phase::Unmask].iter().enumerate()
    {
        let line = format!("sends {phase:?}");
        until("the phase comes", || hospitals[0].log().iter().filter(|l| **l == line).count() > stop);
        drop(running.take());
        running = Some(world.start());
    }
    let expected = rehearsed(3, 4);
    assert!(handles.into_iter().map(joined).all(|state| state.model_hash() == expected));
    let connected = hospitals[0].log().iter().filter(|line| *line == "Connected").count();
    assert!(connected > 2, "the site noticed {connected} processes");
}

#[test]
fn a_site_that_dies_before_any_message_comes_back_to_the_same_model() {
    let phases = [Phase::Advertise, Phase::MaskedChunk, Phase::MaskedClose];
    for (sites, phases) in [(2, &phases[..]), (3, &[Phase::Share, Phase::Confirm, Phase::Unmask])] {
        let world = World::new();
        let _running = world.start();
        let hospitals = hospitals(&world, sites);
        // Longer than the test: nobody waits for a deadline.
        world.offer(&NAMES[..sites], phases.len() as u32, 300_000);
        let others: Vec<_> = hospitals[1..].iter().map(Hospital::start).collect();
        for phase in phases {
            let dying = Hospital { dies_before: Some((*phase, 1)), ..hospitals[0].clone() };
            assert!(matches!(dying.work(), Err(NetError::Stopped)), "{phase:?}");
        }
        let state = hospitals[0].work().unwrap();
        let expected = rehearsed(sites, phases.len() as u32);
        assert_eq!(state.model_hash(), expected);
        assert!(others.into_iter().map(joined).all(|state| state.model_hash() == expected));
    }
}

#[test]
fn one_of_four_sites_may_stay_away_and_catches_up() {
    let world = World::new();
    let running = world.start();
    let hospitals = hospitals(&world, 4);
    world.offer(&NAMES, 3, 1_500);
    let others: Vec<_> = hospitals[1..].iter().map(Hospital::start).collect();
    // Away for the end of the first round.
    let dying = Hospital { dies_before: Some((Phase::MaskedChunk, 1)), ..hospitals[0].clone() };
    assert!(matches!(dying.work(), Err(NetError::Stopped)));
    until("a round without it", || running.service.status().unwrap().rounds_done > 0);
    std::thread::sleep(Duration::from_millis(50));
    let state = hospitals[0].work().unwrap();
    let model = running.service.status().unwrap().model;
    assert_eq!(Some(state.model_hash()), model);
    assert!(others.into_iter().map(joined).all(|state| Some(state.model_hash()) == model));
    let log = hospitals[0].log();
    assert!(log.iter().any(|line| line.contains("CaughtUp") || line.contains("Finished")), "{log:?}");
}
