//! Parties that deviate, against the whole machines: forged publications, two statements where one is due,
//! replayed openings, unsigned manifests.
#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "common/net.rs"]
mod net;

use fovea_fed::coordinator::CoordinatorEffect;
use fovea_fed::error::MachineError;
use fovea_fed::job::{JobError, Plan};
use fovea_fed::manifest::{Consent, SignedPlan};
use fovea_secagg::envelope::{Envelope, Header};
use fovea_secagg::error::Abort;
use fovea_secagg::hash::Hash;
use fovea_secagg::history::MultiRoundPolicy;
use fovea_secagg::message::{Chunk, MaskedClose, Phase, PublishClose};
use fovea_secagg::sets::SiteId;
use fovea_secagg::site::pair::Acknowledgement;
use fovea_secagg::vector::chunks;
use net::{Counter, Net, identity, plan, signed};

/// Runs a round of four sites whose publication never reaches site 0, and what would have reached it.
fn unpublished() -> (Net, Envelope, Envelope) {
    let mut net = Net::new(4);
    let opened = net.open();
    net.run(opened, |phase| phase == Phase::Unmask);
    // Replay the reveals by hand, so that the publication is caught before it is delivered.
    let mut effects = Vec::new();
    let reveals = std::mem::take(&mut net.lost);
    for bytes in reveals {
        effects.extend(net.coordinator.receive(&bytes, 0).unwrap());
    }
    let caught = |wanted| {
        let find = |effect: &CoordinatorEffect| match effect {
            CoordinatorEffect::Send(_, phase, bytes) if *phase == wanted => {
                Some(Envelope::open(bytes).unwrap())
            }
            _ => None,
        };
        effects.iter().find_map(find).unwrap()
    };
    let (chunk, close) = (caught(Phase::PublishChunk), caught(Phase::PublishClose));
    (net, chunk, close)
}

/// What site 0 says to a publication of other words and sidecar, properly signed by the coordinator.
fn verdict(change: impl Fn(&mut Vec<u32>, &mut PublishClose)) -> (Result<(), MachineError>, bool) {
    let (mut net, chunk, close) = unpublished();
    let mut message: PublishClose = close.body().unwrap();
    let body: Chunk = chunk.body().unwrap();
    let mut words: Vec<u32> =
        body.bytes.0.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect();
    let before = words.clone();
    change(&mut words, &mut message);
    let (pieces, root) = chunks(&words);
    if words != before {
        message.root = root;
    }
    let state = net.sites[0].state().clone();
    let key = identity(u16::MAX);
    let mut say = |header: Header, bytes: Vec<u8>| {
        assert_eq!(header.ctx, close.header.ctx);
        net.sites[0].receive(&bytes, &mut Counter(77), &mut Vec::new())
    };
    for piece in &pieces {
        let sent = say(chunk.header, Envelope::seal(chunk.header, piece, &key).unwrap());
        if sent.is_err() {
            return (sent, true);
        }
    }
    let result = say(close.header, Envelope::seal(close.header, &message, &key).unwrap());
    (result, *net.sites[0].state() == state)
}

#[test]
fn a_forged_publication_changes_no_model() {
    assert_eq!(verdict(|_, _| {}), (Ok(()), false));
    let refused = |why| (Err(MachineError::Abort(Abort::Published { why })), true);
    let tags = || refused("the tags do not match the sum");
    assert_eq!(verdict(|words, _| words[0] = words[0].wrapping_add(1)), tags());
    assert_eq!(verdict(|words, _| words[5] += 1), tags());
    assert_eq!(verdict(|words, _| words.iter_mut().for_each(|w| *w = w.wrapping_mul(2))), tags());
    assert_eq!(verdict(|_, close| close.side.0[9] ^= 1), tags());
    assert_eq!(verdict(|_, close| close.side.0.truncate(23)), refused("sidecar of a wrong length"));
    assert_eq!(verdict(|_, close| close.root = Hash([0; 32])), refused("vector does not match its root"));
    let other_set = verdict(|_, close| close.complete = (0..3).map(SiteId).collect());
    assert_eq!(other_set, refused("another set than the confirmed one"));
    let no_quorum = verdict(|_, close| close.quorum.confirmations.truncate(2));
    let quorum = Abort::Quorum { why: "too few confirmations" };
    assert_eq!(no_quorum, (Err(MachineError::Abort(quorum)), true));
    let (short, unchanged) = verdict(|words, _| words.truncate(6));
    assert!(matches!(short, Err(MachineError::Reject(_))) && unchanged);
}

#[test]
fn two_statements_for_one_phase_are_evidence_and_exclude_the_site() {
    let mut net = Net::new(4);
    let opened = net.open();
    net.run(opened, |phase| phase == Phase::MaskedClose);
    let ctx = Envelope::open(&net.log[0].3).unwrap().header.ctx;
    let header = Header { ctx, phase: Phase::MaskedClose, from: SiteId(2) };
    let close = |byte| MaskedClose { root: Hash([byte; 32]), side: fovea_wire::Bytes(vec![0; 24]) };
    let say = |byte| Envelope::seal(header, &close(byte), &identity(2)).unwrap();
    assert!(net.coordinator.receive(&say(1), 0).is_err(), "a root that does not match");
    // The same again is no evidence, a forged copy neither.
    assert!(net.coordinator.receive(&say(1), 0).is_err());
    let forged = Envelope::seal(header, &close(2), &identity(3)).unwrap();
    assert!(matches!(net.coordinator.receive(&forged, 0), Err(MachineError::Unsigned(_))));
    let effects = net.coordinator.receive(&say(2), 0).unwrap();
    let Some(CoordinatorEffect::Equivocated(evidence)) = effects.first() else { panic!("{effects:?}") };
    assert_eq!(evidence.check(net.plan.keys()), Ok(SiteId(2)));
    net.run(effects, |_| false);
    assert_eq!(net.ended(), Some(&MachineError::Abort(Abort::Equivocation { site: SiteId(2) })));
    // The next attempt goes on without it.
    let opened = net.open();
    net.finish(opened);
    let finished = net.events.iter().find_map(|event| match event {
        CoordinatorEffect::Finished(result, _) => Some(result.complete.clone()),
        _ => None,
    });
    assert_eq!(finished, Some([0, 1, 3].map(SiteId).into_iter().collect()));
}

#[test]
fn after_the_set_is_fixed_an_equivocation_is_kept_and_the_round_goes_on() {
    let mut net = Net::new(4);
    let opened = net.open();
    net.run(opened, |phase| phase == Phase::Confirm);
    let ctx = Envelope::open(&net.log[0].3).unwrap().header.ctx;
    let header = Header { ctx, phase: Phase::Confirm, from: SiteId(3) };
    let say = |byte| {
        let body = fovea_secagg::message::Confirm { digest: Hash([byte; 32]) };
        Envelope::seal(header, &body, &identity(3)).unwrap()
    };
    assert!(net.coordinator.receive(&say(1), 0).is_err(), "confirms another set");
    let effects = net.coordinator.receive(&say(2), 0).unwrap();
    assert!(matches!(effects[..], [CoordinatorEffect::Equivocated(_)]));
    assert!(net.coordinator.is_active());
}

#[test]
fn an_attempt_is_joined_once() {
    let mut net = Net::new(3);
    let opened = net.open();
    net.run(opened, |phase| phase == Phase::Advertise);
    let (_, _, _, open) = net.log[0].clone();
    let again = net.sites[0].receive(&open, &mut Counter(5), &mut Vec::new());
    assert_eq!(again, Err(MachineError::Abort(Abort::OldAttempt { round: 0, attempt: 0 })));
    // A newer attempt is joined; the old one is then over for good.
    let second = net.open();
    net.run(second, |phase| phase == Phase::Advertise);
    let again = net.sites[0].receive(&open, &mut Counter(5), &mut Vec::new());
    assert_eq!(again, Err(MachineError::Abort(Abort::OldAttempt { round: 0, attempt: 0 })));
}

#[test]
fn a_manifest_without_all_signatures_is_refused() {
    let consents = |plan: &Plan| -> Vec<Consent> {
        plan.roster().iter().map(|site| Consent::sign(plan, site, &identity(site.0))).collect()
    };
    let refused = |n, change: &dyn Fn(&mut Vec<Consent>)| {
        let plan = plan(n, MultiRoundPolicy::Warn);
        let mut signed = consents(&plan);
        change(&mut signed);
        SignedPlan::new(plan, &signed).err()
    };
    let unsigned = |site: u16| Some(JobError::ManifestNotSigned { name: format!("s{site}") });
    assert_eq!(refused(3, &|_| {}), None);
    assert_eq!(refused(3, &|c| c.retain(|consent| consent.site != SiteId(1))), unsigned(1));
    assert_eq!(refused(3, &|c| c.clear()), unsigned(0));
    assert_eq!(refused(3, &|c| c[2].signature.0[0] ^= 1), unsigned(2));
    assert_eq!(refused(3, &|c| c[2].signature = c[1].signature), unsigned(2));
    // Signatures on another manifest.
    let other = consents(&plan(3, MultiRoundPolicy::Strict));
    assert_eq!(refused(3, &|c| c.clone_from(&other)), unsigned(0));
    // Two sites: both acknowledgements, each signed by its site for this manifest.
    let missing = |site: u16| Some(JobError::TwoPartyNotAcknowledged { name: format!("s{site}") });
    assert_eq!(refused(2, &|_| {}), None);
    assert_eq!(refused(2, &|c| c[1].two_party = None), missing(1));
    assert_eq!(refused(2, &|c| c[0].two_party = None), missing(0));
    let elsewhere = Acknowledgement::sign(Hash([9; 32]), SiteId(1), &identity(1));
    assert!(refused(2, &|c| c[1].two_party = Some(elsewhere)).is_some());
}

#[test]
fn machines_of_two_manifests_do_not_talk() {
    let mut net = Net::new(3);
    let opened = net.open();
    let other = signed(plan(3, MultiRoundPolicy::Strict));
    let disk = net::Disk::default();
    let state = net.coordinator.state().clone();
    let (mut site, _) = net::machine(&other, 0, &state, &disk, &mut Counter(0)).unwrap();
    let CoordinatorEffect::Send(_, _, bytes) = &opened[0] else { panic!() };
    assert_eq!(site.receive(bytes, &mut Counter(1), &mut Vec::new()), Err(MachineError::Context));
}
