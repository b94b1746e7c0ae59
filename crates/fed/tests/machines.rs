//! The machines on hostile bytes: replays, wrong phases, strangers, damage, deadlines. A refused message
//! changes nothing.
#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "common/net.rs"]
mod net;

use fovea_fed::error::MachineError;
use fovea_secagg::envelope::{ENVELOPE_MAX, Envelope, Header};
use fovea_secagg::error::{Abort, Reject};
use fovea_secagg::identity::SignatureError;
use fovea_secagg::message::{COORDINATOR, Complaint, Phase};
use fovea_secagg::sets::SiteId;
use fovea_wire::WireError;
use net::{Counter, Net, identity};
use proptest::prelude::*;

fn never(_: Phase) -> bool {
    false
}

#[test]
fn a_round_ends_with_one_model_everywhere() {
    let mut net = Net::new(3);
    let opened = net.open();
    net.run(opened, never);
    assert_eq!(net.coordinator.state().model, vec![0.25; 5]);
    assert!(net.sites.iter().all(|site| site.state() == net.coordinator.state()));
    assert!(!net.coordinator.is_active());
}

#[test]
fn replayed_messages_of_an_earlier_round_are_dropped_before_their_body_is_read() {
    let mut net = Net::new(3);
    let opened = net.open();
    net.run(opened, never);
    let old = std::mem::take(&mut net.log);
    let opened = net.open();
    let before = net.coordinator.state().clone();
    // A hello belongs to no attempt and is true for as long as the site stands there.
    for (_, to, phase, bytes) in old.iter().filter(|(.., phase, _)| *phase != Phase::Hello) {
        let result = match to {
            None => net.coordinator.receive(bytes, 0).map(|_| ()),
            Some(site) => net.sites[usize::from(site.0)].receive(bytes, &mut Counter(9), &mut Vec::new()),
        };
        assert_eq!(result, Err(MachineError::Context), "{phase:?}");
    }
    assert_eq!(*net.coordinator.state(), before);
    net.run(opened, never);
    assert_eq!(net.coordinator.state().round, 2);
}

#[test]
fn messages_out_of_phase_change_nothing() {
    let mut net = Net::new(3);
    let opened = net.open();
    net.run(opened, |phase| phase == Phase::Confirm);
    // All uploads are in; the coordinator waits for confirmations.
    let all = net.log.clone();
    for (_, _, phase, bytes) in all.iter().filter(|(_, to, ..)| to.is_none()) {
        assert_eq!(
            net.coordinator.receive(bytes, 0).unwrap_err(),
            MachineError::OutOfPhase { phase: *phase }
        );
    }
    for (_, to, phase, bytes) in all.iter().filter(|(_, to, phase, _)| to.is_some() && *phase != Phase::Open)
    {
        let machine = &mut net.sites[usize::from(to.unwrap().0)];
        let result = machine.receive(bytes, &mut Counter(9), &mut Vec::new());
        assert_eq!(result, Err(MachineError::OutOfPhase { phase: *phase }));
    }
    // Sites have confirmed: every attempt of the same round is refused from now on.
    let (_, _, _, open) = all.iter().find(|(.., phase, _)| *phase == Phase::Open).unwrap();
    let result = net.sites[0].receive(open, &mut Counter(9), &mut Vec::new());
    assert_eq!(result, Err(MachineError::Abort(Abort::SecondConfirmation { round: 0 })));
    // The deadline burns the round; the next one has a new number and succeeds on the same model.
    let effects = net.coordinator.tick(100);
    net.run(effects, never);
    assert!(matches!(net.ended(), Some(MachineError::Abort(Abort::TooFewSites { phase: "confirm", .. }))));
    assert_eq!((net.coordinator.state().round, &net.coordinator.state().model), (1, &vec![0.0; 5]));
    for site in &mut net.sites {
        assert_eq!(site.state().round, 0);
    }
    let opened = net.open();
    net.log.clear();
    net.run(opened, never);
    assert_eq!(net.coordinator.state().round, 2);
}

#[test]
fn strangers_and_other_senders_are_refused() {
    let mut net = Net::new(3);
    let opened = net.open();
    net.run(opened, |phase| phase == Phase::Advertise);
    let (_, _, _, open) = &net.log[0];
    let ctx = Envelope::open(open).unwrap().header.ctx;
    // A stranger signs for itself, then in the name of others.
    for from in [SiteId(3), SiteId(1), COORDINATOR] {
        let header = Header { ctx, phase: Phase::Advertise, from };
        let bytes = Envelope::seal(header, &(), &identity(3)).unwrap();
        let unsigned = SignatureError { phase: Phase::Advertise, from };
        assert_eq!(net.coordinator.receive(&bytes, 0).unwrap_err(), MachineError::Unsigned(unsigned));
    }
    // The coordinator takes no part as a site.
    let header = Header { ctx, phase: Phase::Advertise, from: COORDINATOR };
    let own = Envelope::seal(header, &keys_of(&net), &identity(u16::MAX)).unwrap();
    let refused = net.coordinator.receive(&own, 0).unwrap_err();
    assert_eq!(refused, MachineError::Reject(Reject::Unexpected { site: COORDINATOR }));
    // A site listens to the coordinator alone, and only to what it signed.
    let header = Header { ctx, phase: Phase::AdvertiseSet, from: SiteId(1) };
    let bytes = Envelope::seal(header, &(), &identity(1)).unwrap();
    let result = net.sites[0].receive(&bytes, &mut Counter(9), &mut Vec::new());
    assert_eq!(result, Err(MachineError::OutOfPhase { phase: Phase::AdvertiseSet }));
    let header = Header { from: COORDINATOR, ..header };
    let bytes = Envelope::seal(header, &(), &identity(1)).unwrap();
    let result = net.sites[0].receive(&bytes, &mut Counter(9), &mut Vec::new());
    let unsigned = SignatureError { phase: Phase::AdvertiseSet, from: COORDINATOR };
    assert_eq!(result, Err(MachineError::Unsigned(unsigned)));
}

fn keys_of(net: &Net) -> fovea_secagg::message::Advertise {
    let model = net.coordinator.state().model_hash();
    fovea_secagg::message::Advertise { share_key: [3; 32], mask_key: [4; 32], model }
}

#[test]
fn oversize_and_truncated_messages_are_refused() {
    let mut net = Net::new(3);
    net.open();
    let long = vec![0; ENVELOPE_MAX + 1];
    let too_long = MachineError::Wire(WireError::TooLong { limit: ENVELOPE_MAX, found: ENVELOPE_MAX + 1 });
    assert_eq!(net.coordinator.receive(&long, 0).unwrap_err(), too_long);
    assert_eq!(net.sites[0].receive(&long, &mut Counter(0), &mut Vec::new()), Err(too_long));
    assert!(matches!(net.coordinator.receive(&[], 0), Err(MachineError::Wire(WireError::Truncated { .. }))));
}

#[test]
fn a_complaint_ends_the_attempt_and_the_next_one_succeeds() {
    let mut net = Net::new(3);
    let opened = net.open();
    net.run(opened, |phase| phase == Phase::MaskedClose);
    let ctx = Envelope::open(&net.log[0].3).unwrap().header.ctx;
    let header = Header { ctx, phase: Phase::Complaint, from: SiteId(2) };
    let complaint = Envelope::seal(header, &Complaint { dealer: SiteId(1) }, &identity(2)).unwrap();
    let effects = net.coordinator.receive(&complaint, 0).unwrap();
    net.run(effects, never);
    let expected = Abort::Complaint { accuser: SiteId(2), dealer: SiteId(1) };
    assert_eq!(net.ended(), Some(&MachineError::Abort(expected)));
    let opened = net.open();
    net.run(opened, never);
    assert_eq!((net.coordinator.state().round, net.coordinator.state().model[0]), (1, 0.25));
}

#[test]
fn every_phase_ends_at_its_deadline_with_a_reason() {
    let stops = [
        (Phase::Advertise, "advertise"),
        (Phase::Share, "share"),
        (Phase::MaskedChunk, "masked"),
        (Phase::MaskedClose, "masked"),
        (Phase::Confirm, "confirm"),
        (Phase::Unmask, "unmask"),
    ];
    for (silent, expected) in stops {
        let mut net = Net::new(3);
        let opened = net.open();
        net.run(opened, |phase| phase == silent);
        assert!(net.coordinator.tick(99).is_empty());
        let effects = net.coordinator.tick(100);
        net.run(effects, never);
        let ended = net.ended().unwrap();
        assert!(matches!(ended, MachineError::Abort(Abort::TooFewSites { phase, .. }) if *phase == expected));
        assert!(!net.coordinator.is_active() && net.coordinator.tick(1000).is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn damaged_messages_never_panic(pick in any::<proptest::sample::Index>(), at in any::<usize>(), with in 1u8..) {
        let mut net = Net::new(3);
        let opened = net.open();
        net.run(opened, never);
        let (_, _, _, mut bytes) = pick.get(&net.log).clone();
        let at = at % bytes.len();
        bytes[at] ^= with;
        let mut net = Net::new(3);
        let opened = net.open();
        net.run(opened, |phase| phase == Phase::MaskedClose);
        let _ = net.coordinator.receive(&bytes, 0);
        let _ = net.sites[1].receive(&bytes, &mut Counter(5), &mut Vec::new());
    }
}
