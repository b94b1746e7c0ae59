//! Sites that are killed and started again: the same bytes or a reason, never a second statement.
#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "common/net.rs"]
mod net;

use std::collections::BTreeMap;

use fovea_fed::coordinator::CoordinatorEffect;
use fovea_fed::error::MachineError;
use fovea_fed::site::{LocalUpdate, SiteEffect};
use fovea_fed::storage::FileStorage;
use fovea_secagg::encode::RoundingKey;
use fovea_secagg::envelope::Envelope;
use fovea_secagg::error::Abort;
use fovea_secagg::evidence::Equivocation;
use fovea_secagg::journal::{Attempt, Journal, JournalError, Storage};
use fovea_secagg::message::{Chunk, Phase};
use fovea_secagg::secret::Secret;
use fovea_secagg::sets::SiteId;
use net::{Counter, Net, local_key, machine, update};

const VICTIM: SiteId = SiteId(1);

/// Everything that the victim said, by attempt, phase and piece: one body each.
fn assert_said_once(net: &Net) {
    let mut said: BTreeMap<(Vec<u8>, Phase, u32), Vec<u8>> = BTreeMap::new();
    let of_victim = |entry: &&(SiteId, _, Phase, Vec<u8>)| entry.0 == VICTIM && entry.2 != Phase::Hello;
    for (_, _, phase, bytes) in net.log.iter().filter(of_victim) {
        let envelope = Envelope::open(bytes).unwrap();
        let piece = if *phase == Phase::MaskedChunk { envelope.body::<Chunk>().unwrap().index } else { 0 };
        assert!(*phase == Phase::MaskedChunk || Equivocation::is_once(*phase), "{phase:?}");
        let place = (envelope.header.ctx.0.to_vec(), *phase, piece);
        let first = said.entry(place).or_insert_with(|| bytes.clone());
        assert_eq!(first, bytes, "{phase:?} said twice");
    }
}

#[test]
fn a_site_killed_at_any_write_says_the_same_or_drops_out() {
    // One write starts the journal; a round makes five records of two writes each.
    let (mut finished_with, mut finished_without) = (0, 0);
    for write in 2..=11 {
        for written in [0, 1, 40, usize::MAX] {
            let mut net = Net::new(4);
            net.disks[1].0.lock().unwrap().fails = Some((write, written));
            let opened = net.open();
            net.finish(opened);
            assert_eq!(net.restarts, 1, "write {write}");
            assert_said_once(&net);
            let result = net.events.iter().find_map(|event| match event {
                CoordinatorEffect::Finished(result, _) => Some(result.clone()),
                _ => None,
            });
            let result = result.unwrap_or_else(|| panic!("write {write}: {:?}", net.events));
            assert_eq!(net.coordinator.state().model, [0.25; 5]);
            if result.complete.contains(VICTIM) {
                finished_with += 1;
            } else {
                finished_without += 1;
            }
            // A second round works whatever happened; the victim may have missed the first.
            let opened = net.open();
            net.finish(opened);
            assert_eq!(net.coordinator.state().round, 2, "write {write}, {written} bytes");
            assert_said_once(&net);
        }
    }
    // Before its upload was on record the victim drops out; afterwards it goes on.
    assert!(finished_with >= 16 && finished_without >= 8, "{finished_with} {finished_without}");
}

/// A round, stopped before any message of `phase` reaches the coordinator.
fn stopped_at(phase: Phase) -> Net {
    stopped(4, phase)
}

fn stopped(sites: u16, phase: Phase) -> Net {
    let mut net = Net::new(sites);
    let opened = net.open();
    net.run(opened, |sent| sent == phase);
    net
}

fn sent(effects: &[SiteEffect], wanted: Phase) -> Vec<Vec<u8>> {
    let bytes = |effect: &SiteEffect| match effect {
        SiteEffect::Send(phase, bytes) if *phase == wanted => Some(bytes.clone()),
        _ => None,
    };
    effects.iter().filter_map(bytes).collect()
}

#[test]
fn every_journalled_message_is_sent_again_byte_for_byte() {
    let pair = [Phase::MaskedChunk, Phase::MaskedClose].map(|phase| (2, phase));
    let more =
        [Phase::MaskedChunk, Phase::MaskedClose, Phase::Confirm, Phase::Unmask].map(|phase| (4, phase));
    for (sites, phase) in pair.into_iter().chain(more) {
        let mut net = stopped(sites, phase);
        let of_victim = |bytes: &&Vec<u8>| Envelope::open(bytes).unwrap().header.from == VICTIM;
        let before: Vec<_> = net.lost.iter().filter(of_victim).cloned().collect();
        assert!(!before.is_empty());
        for _ in 0..3 {
            let mut effects = Vec::new();
            net.restart(VICTIM, &mut effects);
            assert_eq!(sent(&effects, phase), before, "{phase:?}");
        }
    }
}

#[test]
fn a_pair_finishes_its_round_after_a_restart_of_one_site() {
    let mut net = stopped(2, Phase::MaskedClose);
    let (mut effects, mut all) = (Vec::new(), Vec::new());
    net.restart(VICTIM, &mut effects);
    let again = sent(&effects, Phase::MaskedClose);
    assert!(again.iter().all(|bytes| net.lost.contains(bytes)));
    for bytes in std::mem::take(&mut net.lost) {
        all.extend(net.coordinator.receive(&bytes, 0).unwrap());
    }
    net.finish(all);
    assert_eq!(net.coordinator.state().model, [0.25; 5]);
    assert!(net.sites.iter().all(|site| site.state() == net.coordinator.state()));
}

#[test]
fn another_update_after_a_restart_is_not_uploaded() {
    let net = stopped_at(Phase::MaskedClose);
    let state = net.coordinator.state().clone();
    let (mut site, effects) = machine(&net.plan, 1, &state, &net.disks[1], &mut Counter(5000)).unwrap();
    assert_eq!(effects, [SiteEffect::Ready { round: 0 }]);
    let other = LocalUpdate { model: vec![0.26; 5], ..update() };
    let (key, mut effects) = (RoundingKey(Secret::new([3; 32])), Vec::new());
    let refused = site.submit(&other, &key, &mut Counter(6000), &mut effects);
    assert_eq!(refused, Err(MachineError::Abort(Abort::OtherUpload { round: 0 })));
    assert_eq!(effects, []);
}

#[test]
fn a_restart_does_not_confirm_a_second_set() {
    let net = stopped_at(Phase::Confirm);
    let state = net.coordinator.state().clone();
    let (mut site, effects) = machine(&net.plan, 1, &state, &net.disks[1], &mut Counter(5000)).unwrap();
    assert_eq!(sent(&effects, Phase::Confirm).len(), 1);
    assert!(site.history().is_burned(0));
    // The same announcement again, then a new attempt of the round.
    let announce = net.log.iter().find(|(.., phase, _)| *phase == Phase::Announce).unwrap();
    let again = site.receive(&announce.3, &mut Counter(6000), &mut Vec::new());
    assert_eq!(again, Err(MachineError::OutOfPhase { phase: Phase::Announce }));
    let mut later = Net::new(4);
    later.open();
    let second = later.open();
    let CoordinatorEffect::Send(_, Phase::Open, bytes) = &second[0] else { panic!("{second:?}") };
    let refused = site.receive(bytes, &mut Counter(6000), &mut Vec::new());
    assert_eq!(refused, Err(MachineError::Abort(Abort::SecondConfirmation { round: 0 })));
}

#[test]
fn a_journal_beside_another_state_is_refused_by_name() {
    let net = stopped_at(Phase::Confirm);
    let mut state = net.coordinator.state().clone();
    state.model[2] = 1.0;
    let refused = machine(&net.plan, 1, &state, &net.disks[1], &mut Counter(5000)).err();
    assert_eq!(refused, Some(MachineError::OtherState { round: 0, state: 0 }));
}

#[test]
fn the_journal_forgets_the_secrets_of_a_finished_attempt() {
    let entries = |net: &Net| {
        let disk = Box::new(net.disks[1].clone());
        Journal::open(disk, local_key(1), &mut Counter(9)).unwrap().1
    };
    let net = stopped_at(Phase::Unmask);
    assert_eq!(entries(&net).iter().filter(|entry| entry.secrets.is_some()).count(), 1);
    let mut net = Net::new(4);
    let opened = net.open();
    net.finish(opened);
    let after = entries(&net);
    assert_eq!(after.len(), 5);
    assert!(after.iter().all(|entry| entry.secrets.is_none()));
}

/// Five records in files, as a site leaves them in the middle of a round.
fn written(folder: &std::path::Path) {
    let storage = Box::new(FileStorage::open(folder).unwrap());
    let mut entropy = Counter(0);
    let (mut journal, entries) = Journal::open(storage, local_key(0), &mut entropy).unwrap();
    assert!(entries.is_empty());
    journal.append(b"first", Attempt::End, &mut entropy).unwrap();
    journal.append(b"second", Attempt::Begin(&[7; 100]), &mut entropy).unwrap();
    for record in [&b"third"[..], b"", b"fifth"] {
        journal.append(record, Attempt::Keep, &mut entropy).unwrap();
    }
}

#[test]
fn files_keep_a_journal_and_every_damaged_byte_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path());
    let path = |name: &str| folder.path().join(name);
    let open = || {
        let storage = Box::new(FileStorage::open(folder.path()).unwrap());
        Journal::open(storage, local_key(0), &mut Counter(900)).map(|(_, entries)| entries)
    };
    let whole = open().unwrap();
    let records: Vec<&[u8]> = whole.iter().map(|entry| &entry.record[..]).collect();
    assert_eq!(records, [&b"first"[..], b"second", b"third", b"", b"fifth"]);
    assert_eq!(whole[1].secrets.as_ref().unwrap()[..], [7; 100]);
    for name in ["journal.log", "journal.head"] {
        let bytes = std::fs::read(path(name)).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << (at % 8);
            std::fs::write(path(name), &changed).unwrap();
            let refused = open().unwrap_err();
            let named = matches!(refused, JournalError::Record { .. } | JournalError::Head { .. });
            assert!(named, "{name}, byte {at}: {refused}");
            std::fs::write(path(name), &bytes[..at]).unwrap();
            assert!(open().is_err(), "{name} cut to {at} bytes");
        }
        std::fs::write(path(name), &bytes).unwrap();
        assert_eq!(open().unwrap(), whole);
    }
    // A write that was cut short behind the last whole record is taken off.
    let log = std::fs::read(path("journal.log")).unwrap();
    std::fs::write(path("journal.log"), [&log[..], &[9; 30]].concat()).unwrap();
    assert_eq!(open().unwrap(), whole);
    assert_eq!(std::fs::read(path("journal.log")).unwrap(), log);
    std::fs::remove_file(path("journal.head")).unwrap();
    assert_eq!(open().unwrap_err(), JournalError::Head { what: "missing" });
}

#[test]
fn a_journal_belongs_to_one_key_and_one_process() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path());
    let mut first = FileStorage::open(folder.path()).unwrap();
    let second = FileStorage::open(folder.path()).unwrap_err();
    assert_eq!(second.action, "locking the log");
    assert!(first.load().is_ok());
    let refused = Journal::open(Box::new(first), local_key(1), &mut Counter(0)).unwrap_err();
    assert!(matches!(refused, JournalError::Head { .. }));
}

#[test]
fn a_journal_whose_storage_failed_takes_no_more() {
    let disk = net::Disk::default();
    let mut entropy = Counter(0);
    let (mut journal, _) = Journal::open(Box::new(disk.clone()), local_key(0), &mut entropy).unwrap();
    disk.0.lock().unwrap().fails = Some((2, 10));
    assert!(matches!(journal.append(b"a", Attempt::Keep, &mut entropy), Err(JournalError::Storage(_))));
    assert_eq!(journal.append(b"b", Attempt::Keep, &mut entropy), Err(JournalError::Broken));
    disk.0.lock().unwrap().fails = None;
    let (mut journal, entries) = Journal::open(Box::new(disk.clone()), local_key(0), &mut entropy).unwrap();
    assert!(entries.is_empty() && journal.is_empty());
    journal.append(b"c", Attempt::Keep, &mut entropy).unwrap();
    assert_eq!(journal.len(), 1);
}
