//! A coordinator that is killed and started again says what it said before; sites that were away catch up or
//! are refused with a reason.
#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "common/net.rs"]
mod net;
#[path = "common/ward.rs"]
mod ward;

use std::sync::Arc;

use fovea_fed::error::{CatchUpError, MachineError, StoreError};
use fovea_fed::manifest::SignedPlan;
use fovea_fed::site::SiteEffect;
use fovea_fed::state::ServerState;
use fovea_fed::store::Store;
use fovea_fed::strategy::Strategy;
use fovea_secagg::envelope::{Envelope, Header};
use fovea_secagg::error::Abort;
use fovea_secagg::evidence::Equivocation;
use fovea_secagg::hash::Hash;
use fovea_secagg::history::MultiRoundPolicy;
use fovea_secagg::message::{COORDINATOR, CatchUpClose, Chunk, MaskedClose, Phase};
use fovea_secagg::sets::SiteId;
use net::{Counter, identity, plan_with, signed};
use ward::{Faulty, Ward, start};

/// A strategy with moments: a site that catches up needs them too.
fn plan(n: u16) -> Arc<SignedPlan> {
    let strategy = Strategy::FedAdam { learning_rate: 0.1, beta1: 0.5, beta2: 0.75, tau: 0.5 };
    signed(plan_with(n, MultiRoundPolicy::Warn, strategy))
}

/// What may be said once per attempt was said once.
fn assert_said_once(ward: &Ward) {
    for ((ctx, phase), bodies) in &ward.said {
        assert!(!Equivocation::is_once(*phase) || bodies.len() == 1, "{phase:?} of {ctx}");
    }
}

fn assert_one_state(ward: &Ward) {
    for site in &ward.sites {
        assert_eq!(site.state().model, ward.coordinator.state().model);
        assert_eq!(site.state().moments, ward.coordinator.state().moments);
    }
}

#[test]
fn a_coordinator_killed_at_any_write_says_the_same_and_ends_in_the_same_model() {
    for n in [2, 4] {
        let mut calm = Ward::new(plan(n));
        (0..2).for_each(|_| calm.round());
        let writes = calm.store.fails.lock().unwrap().0;
        let (expected, steps) = (calm.coordinator.state().clone(), 2 + 2 * usize::from(n));
        assert!(writes > steps && calm.results.len() == 2, "{writes} writes");
        // The first write is that of the new store.
        for (write, after) in (2..=writes).flat_map(|write| [(write, false), (write, true)]) {
            let mut ward = Ward::new(plan(n));
            ward.store.fails.lock().unwrap().1 = Some((write, after));
            while ward.coordinator.state().round < 2 {
                ward.round();
            }
            assert_eq!(ward.restarts, 1, "write {write}");
            assert_said_once(&ward);
            assert_eq!(*ward.coordinator.state(), expected, "write {write}, done: {after}");
            assert_eq!(ward.coordinator.last_result(), calm.results.last());
            assert_one_state(&ward);
        }
    }
}

#[test]
fn attempts_given_up_and_rounds_burned_keep_their_numbers_over_restarts() {
    let mut ward = Ward::new(plan(4));
    ward.coordinator.open(0).unwrap();
    ward.restart_coordinator();
    ward.cut.extend([0, 1, 2, 3].map(SiteId));
    ward.round();
    ward.restart_coordinator();
    ward.cut.clear();
    ward.lost.extend([0, 1, 2, 3].map(|site| (SiteId(site), Phase::ConfirmSet)));
    ward.round();
    let too_few = |error: &MachineError, wanted| matches!(error, MachineError::Abort(Abort::TooFewSites { phase, .. }) if *phase == wanted);
    assert!(too_few(&ward.ended[0], "advertise") && too_few(&ward.ended[1], "unmask"), "{:?}", ward.ended);
    ward.restart_coordinator();
    assert_eq!(ward.coordinator.state().round, 1, "the round was burned");
    ward.lost.clear();
    ward.round();
    assert_eq!(ward.results.len(), 1, "{:?}", ward.ended);
    assert_said_once(&ward);
    assert_one_state(&ward);
}

#[test]
fn evidence_survives_a_restart() {
    let mut ward = Ward::new(plan(4));
    ward.lost.extend((0..4).map(|site| (SiteId(site), Phase::ShareSet)));
    let opened = ward.coordinator.open(0).unwrap();
    let fovea_fed::coordinator::CoordinatorEffect::Send(_, _, open) = &opened[0] else { panic!() };
    let ctx = Envelope::open(open).unwrap().header.ctx;
    let header = Header { ctx, phase: Phase::MaskedClose, from: SiteId(2) };
    let say = |byte| {
        let body = MaskedClose { root: Hash([byte; 32]), side: fovea_wire::Bytes(vec![0; 24]) };
        Envelope::seal(header, &body, &identity(2)).unwrap()
    };
    // The first statement is refused, and remembered over a restart all the same.
    assert!(ward.coordinator.receive(&say(1), 0).is_err());
    ward.restart_coordinator();
    assert_eq!(ward.coordinator.receive(&say(2), 0).unwrap().len(), 3);
    ward.restart_coordinator();
    assert_eq!(ward.coordinator.evidence()[0].check(ward.plan.keys()), Ok(SiteId(2)));
    ward.lost.clear();
    ward.round();
    assert_eq!(ward.results[0].complete, [0, 1, 3].map(SiteId).into_iter().collect());
}

#[test]
fn a_site_that_missed_a_publication_gets_it_again_even_after_a_restart() {
    for restart in [false, true] {
        // All three are needed for a sum, so nobody could vouch for a state to the one that is behind.
        let mut ward = Ward::new(plan(3));
        ward.lost.insert((SiteId(1), Phase::PublishClose));
        ward.round();
        assert_eq!((ward.coordinator.state().round, ward.sites[1].state().round), (1, 0));
        ward.lost.clear();
        if restart {
            ward.restart_site(SiteId(1));
            ward.pump();
            assert_eq!(ward.sites[1].state().round, 1);
        }
        // Without a new connection, the next opening tells it what it missed.
        ward.round();
        assert_eq!(ward.results.len(), 2, "{:?}", ward.ended);
        assert_one_state(&ward);
        assert!(ward.caught_up.is_empty());
    }
}

#[test]
fn a_site_killed_before_its_new_state_is_saved_follows_the_publication_again() {
    let mut ward = Ward::new(plan(3));
    let before = ward.saved[1].clone();
    ward.lost.insert((SiteId(1), Phase::PublishClose));
    ward.round();
    // The publication arrives, and the site is killed before it has saved the state.
    let publication = ward.said.iter().filter(|((_, phase), _)| *phase == Phase::PublishClose);
    let close = publication.flat_map(|(_, bodies)| bodies).next().unwrap().clone();
    let mut effects = Vec::new();
    ward.sites[1].receive(&close, &mut Counter(77), &mut effects).unwrap();
    assert!(matches!(effects[..], [SiteEffect::Finished(_), SiteEffect::Send(Phase::Hello, _)]));
    assert_eq!(ward.saved[1], before);
    ward.lost.clear();
    ward.restart_site(SiteId(1));
    ward.pump();
    assert_eq!(ward.sites[1].state(), ward.sites[0].state());
    ward.round();
    assert_one_state(&ward);
}

#[test]
fn a_site_that_was_away_takes_the_state_that_a_quorum_stands_at() {
    let mut ward = Ward::new(plan(4));
    let away = SiteId(3);
    ward.round();
    ward.cut.insert(away);
    (0..3).for_each(|_| ward.round());
    assert_eq!((ward.results.len(), ward.sites[3].state().round), (4, 1));
    ward.cut.clear();
    // It learns at the opening that it is behind, catches up, and joins.
    ward.round();
    assert_eq!(ward.caught_up, [away]);
    assert!(ward.results[4].complete.contains(away), "{:?}", ward.refusals);
    assert_one_state(&ward);
    // The state after the last round reaches it too: no attempt is needed for that.
    ward.cut.insert(away);
    ward.round();
    ward.cut.clear();
    ward.restart_coordinator();
    ward.pump();
    assert_eq!(ward.caught_up, [away, away]);
    assert_one_state(&ward);
}

#[test]
fn two_sites_cannot_vouch_for_a_state_but_follow_publications_late() {
    let mut ward = Ward::new(plan(2));
    ward.lost.insert((SiteId(0), Phase::PublishChunk));
    ward.round();
    assert_eq!(ward.sites[0].state().round, 0);
    ward.lost.clear();
    ward.round();
    // Its late publication was incomplete at first; the hello at the next opening brings it again.
    assert!(ward.caught_up.is_empty());
    assert_eq!(ward.coordinator.state().round, 2, "{:?} {:?}", ward.ended, ward.refusals);
    assert_one_state(&ward);
}

/// A site one round behind, and the offer that would bring it to the present state.
fn offered() -> (Ward, Chunk, CatchUpClose) {
    let mut ward = Ward::new(plan(4));
    let away = SiteId(3);
    ward.cut.insert(away);
    ward.round();
    ward.lost.extend([Phase::CatchUpChunk, Phase::CatchUpClose].map(|phase| (away, phase)));
    ward.cut.clear();
    ward.connect(away);
    ward.pump();
    let said = |wanted| {
        let bytes = ward.said.iter().find(|((_, phase), _)| *phase == wanted).unwrap().1.first().unwrap();
        Envelope::open(bytes).unwrap()
    };
    let (chunk, close) = (said(Phase::CatchUpChunk).body(), said(Phase::CatchUpClose).body());
    let (chunk, close) = (chunk.unwrap(), close.unwrap());
    (ward, chunk, close)
}

/// What site 3 says to an offer, signed by the coordinator, and whether it moved.
fn verdict(change: impl FnOnce(&mut Chunk, &mut CatchUpClose)) -> (Result<(), MachineError>, bool) {
    let (mut ward, mut chunk, mut close) = offered();
    change(&mut chunk, &mut close);
    let header = |phase| Header { ctx: ward.plan.hello_ctx(), phase, from: COORDINATOR };
    let key = identity(COORDINATOR.0);
    let site = &mut ward.sites[3];
    let before = site.state().clone();
    let bytes = Envelope::seal(header(Phase::CatchUpChunk), &chunk, &key).unwrap();
    let _ = site.receive(&bytes, &mut Counter(5), &mut Vec::new());
    let bytes = Envelope::seal(header(Phase::CatchUpClose), &close, &key).unwrap();
    let result = site.receive(&bytes, &mut Counter(5), &mut Vec::new());
    (result, *site.state() != before)
}

#[test]
fn a_state_at_which_no_quorum_stands_is_refused() {
    let refused = |change: fn(&mut Chunk, &mut CatchUpClose)| match verdict(change) {
        (Err(MachineError::CatchUp(error)), false) => error,
        other => panic!("{other:?}"),
    };
    let unproven = |why| CatchUpError::Unproven { why };
    assert_eq!(verdict(|_, _| {}), (Ok(()), true));
    let other_root = CatchUpError::Words { why: "vector does not match its root" };
    assert_eq!(refused(|chunk, _| chunk.bytes.0[0] ^= 1), other_root);
    // With its root the word is consistent, but no site stands there: model, both moments, clips.
    for at in [0, 4 * 5, 4 * 10, 4 * 15] {
        let changed = |chunk: &mut Chunk, close: &mut CatchUpClose| {
            chunk.bytes.0[at + 3] ^= 2;
            let (words, _) = chunk.bytes.0.as_chunks();
            let words: Vec<u32> = words.iter().map(|word| u32::from_le_bytes(*word)).collect();
            close.root = fovea_secagg::vector::chunks(&words).1;
        };
        let (result, moved) = verdict(changed);
        let refused = matches!(result, Err(MachineError::CatchUp(_)));
        assert!(refused && !moved, "word at byte {at}: {result:?}");
    }
    assert!(matches!(refused(|chunk, _| chunk.index = 1), CatchUpError::Words { .. }));
    assert_eq!(refused(|_, close| close.proof.truncate(2)), unproven("too few sites"));
    let twice = unproven("its sites are not strictly ascending");
    assert_eq!(refused(|_, close| close.proof[1] = close.proof[0].clone()), twice);
    assert_eq!(refused(|_, close| close.round += 1), unproven("a site stands elsewhere"));
    let forged = unproven("a hello that its site has not signed");
    assert_eq!(refused(|_, close| close.proof[2].1.signature.0[0] ^= 1), forged);
    assert_eq!(refused(|_, close| close.proof[2].0 = SiteId(3)), forged);
    assert_eq!(refused(|_, close| close.proof[2].0 = COORDINATOR), forged);
    assert_eq!(refused(|_, close| close.round = 0), CatchUpError::NotNewer { own: 0, offered: 0 });
}

/// A round in which site 2 uploads another vector than its tags are for.
fn spoiled(n: u16) -> Ward {
    let mut ward = Ward::new(plan(n));
    ward.spoiler = Some(SiteId(2));
    ward.round();
    ward.spoiler = None;
    ward
}

#[test]
fn a_sum_that_sites_refuse_is_taken_back_and_the_federation_goes_on() {
    for restart in [false, true] {
        let mut ward = spoiled(4);
        assert_eq!((ward.results.len(), &ward.revoked[..]), (1, &[0][..]));
        let first = vec![0.0; 5];
        assert!(ward.sites.iter().all(|site| site.state().model == first));
        assert_eq!((&ward.coordinator.state().model, ward.coordinator.state().round), (&first, 2));
        if restart {
            ward.restart_coordinator();
            (0..4).for_each(|site| ward.restart_site(SiteId(site)));
            ward.pump();
        }
        ward.round();
        assert_eq!((ward.results.len(), ward.revoked.len()), (2, 1), "{:?}", ward.ended);
        assert_ne!(ward.coordinator.state().model, first);
        assert_one_state(&ward);
    }
}

#[test]
fn refusals_are_remembered_and_fewer_than_may_lie_take_nothing_back() {
    let mut ward = Ward::new(plan(4));
    ward.spoiler = Some(SiteId(2));
    // Nobody's refusal arrives, and all processes are started again.
    ward.deaf = true;
    ward.round();
    assert_eq!((ward.coordinator.state().round, ward.revoked.len()), (1, 0));
    ward.restart_coordinator();
    (ward.spoiler, ward.deaf) = (None, false);
    ward.restart_site(SiteId(0));
    ward.pump();
    assert!(ward.revoked.is_empty(), "one site may lie");
    ward.restart_site(SiteId(1));
    ward.pump();
    assert_eq!(ward.revoked, [0]);
    ward.round();
    assert_eq!(ward.coordinator.state().round, 3, "{:?}", ward.ended);
    assert_one_state(&ward);
}

#[test]
fn a_site_ahead_of_the_coordinator_is_an_error_that_says_so() {
    let mut ward = Ward::new(plan(3));
    let new = ward.store.memory.load().unwrap();
    ward.round();
    // The store is put back to its first snapshot.
    ward.store.memory.commit(&new.snapshot.unwrap()).unwrap();
    ward.restart_coordinator();
    let ahead = MachineError::SiteAhead { site: SiteId(0), round: 1, state: 0 };
    assert!(ward.refusals.contains(&ahead), "{:?}", ward.refusals);
}

#[test]
fn what_does_not_fit_together_in_a_store_is_refused() {
    let mut ward = Ward::new(plan(3));
    ward.coordinator.open(0).unwrap();
    let stored = ward.store.memory.load().unwrap();
    let first = ServerState::start(&ward.plan, vec![0.0; 5]).unwrap();
    let opened = |snapshot: Option<&[u8]>, log: &[Vec<u8>]| {
        let mut store = Faulty::default();
        snapshot.iter().for_each(|bytes| store.memory.commit(bytes).unwrap());
        log.iter().for_each(|record| store.memory.append(record).unwrap());
        start(&ward.plan, &first, &store, 0).err()
    };
    let snapshot = stored.snapshot.unwrap();
    assert_eq!(opened(Some(&snapshot), &stored.log), None);
    let damaged = |error: Option<MachineError>| {
        assert!(matches!(error, Some(MachineError::Store(StoreError::Damaged { .. }))), "{error:?}");
    };
    damaged(opened(None, &stored.log));
    damaged(opened(Some(&snapshot[..snapshot.len() - 1]), &[]));
    damaged(opened(Some(&snapshot), &[vec![9, 9]]));
    damaged(opened(Some(&snapshot), &[vec![2]]));
    let other = start(&plan(4), &ServerState::start(&plan(4), vec![0.0; 5]).unwrap(), &ward.store, 0);
    assert!(matches!(other.err(), Some(MachineError::Store(StoreError::OtherManifest { .. }))));
}
