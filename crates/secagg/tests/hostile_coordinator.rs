//! A coordinator that deviates: every site refuses with the reason, and never reveals both shares of one
//! dealer.
#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "common/parties.rs"]
mod parties;

use std::sync::Arc;

use fovea_secagg::error::Abort;
use fovea_secagg::hash::Hash;
use fovea_secagg::history::{History, MultiRoundPolicy};
use fovea_secagg::message::{Advertise, AdvertiseSet, Announce, ConfirmSet, Share, ShareSet};
use fovea_secagg::sets::{SiteId, SiteSet};
use fovea_secagg::site::{Advertised, Masked, Shared};
use parties::{Seeded, Stops, advertise, history, share, terms, until_announced, until_confirmed, upload};

type Keys = Vec<(SiteId, Advertise)>;
type Digests = Vec<(SiteId, Hash)>;

fn set(sites: &[u16]) -> SiteSet {
    sites.iter().map(|&s| SiteId(s)).collect()
}

/// What site 0 answers to a changed key list.
fn answer_to_keys(n: u16, change: impl Fn(&mut Keys)) -> Result<(Shared, Share), Abort> {
    let mut entropy = Seeded::new(1);
    let terms = terms(n, 3, 1);
    let (sites, coordinator) = advertise(&terms, &vec![Stops::Never; usize::from(n)], &mut entropy);
    let (_, mut keys) = coordinator.close().unwrap();
    change(&mut keys.sites);
    sites.into_iter().next().unwrap().1.share(&AdvertiseSet { sites: keys.sites }, &mut entropy)
}

#[test]
fn changed_key_lists_are_refused() {
    let refused = |change: &dyn Fn(&mut Keys)| answer_to_keys(4, change).err();
    assert_eq!(refused(&|_| {}), None);
    assert_eq!(refused(&|keys| keys[0].1.share_key[0] ^= 1), Some(Abort::OwnEntryChanged));
    assert_eq!(refused(&|keys| keys.retain(|(site, _)| site.0 != 0)), Some(Abort::OwnEntryChanged));
    assert!(matches!(refused(&|keys| keys.swap(1, 2)), Some(Abort::Set { .. })));
    assert!(matches!(refused(&|keys| keys[3].0 = SiteId(9)), Some(Abort::Set { .. })));
    assert!(matches!(refused(&|keys| keys.truncate(2)), Some(Abort::TooFewSites { have: 2, .. })));
    assert_eq!(refused(&|keys| keys[2].1.model = Hash([9; 32])), Some(Abort::OtherModel { site: SiteId(2) }));
    assert_eq!(
        refused(&|keys| keys[3].1.mask_key = keys[1].1.share_key),
        Some(Abort::RepeatedKey { site: SiteId(3) })
    );
    assert_eq!(refused(&|keys| keys[2].1.share_key = [0; 32]), Some(Abort::LowOrderKey { site: SiteId(2) }));
}

/// What site 0 answers to a changed share list.
fn answer_to_shares(change: impl Fn(&mut ShareSet, &ShareSet)) -> Option<Abort> {
    let mut entropy = Seeded::new(2);
    let (terms, stops) = (terms(4, 3, 1), [Stops::Never; 4]);
    let (sites, coordinator) = advertise(&terms, &stops, &mut entropy);
    let (mut coordinator, keys) = coordinator.close().unwrap();
    let shared = share(sites, &keys, &mut coordinator, &stops, &mut entropy);
    let (_, mut relayed) = coordinator.close().unwrap();
    let other = relayed[1].1.clone();
    change(&mut relayed[0].1, &other);
    shared.into_iter().next().unwrap().1.receive(&relayed[0].1).err()
}

#[test]
fn changed_share_lists_are_refused() {
    assert_eq!(answer_to_shares(|_, _| {}), None);
    let dealer = |abort| match abort {
        Some(Abort::BadDealer { dealer, .. }) => Some(dealer),
        _ => None,
    };
    let of_2 = Some(SiteId(2));
    assert_eq!(
        dealer(answer_to_shares(|mine, other| mine.dealers[2].leaf = other.dealers[2].leaf.clone())),
        of_2
    );
    assert_eq!(dealer(answer_to_shares(|mine, other| mine.dealers[2] = other.dealers[2].clone())), of_2);
    assert_eq!(dealer(answer_to_shares(|mine, _| mine.dealers[2].head.self_mask = Hash([0; 32]))), of_2);
    assert_eq!(dealer(answer_to_shares(|mine, _| mine.dealers[2].leaf.commitment = Hash([0; 32]))), of_2);
    assert_eq!(dealer(answer_to_shares(|mine, _| mine.dealers[2].leaf_path.clear())), of_2);
    assert_eq!(
        answer_to_shares(|mine, _| mine.dealers[0].root = Hash([0; 32])),
        Some(Abort::OwnEntryChanged)
    );
    let is_set = |abort| matches!(abort, Some(Abort::Set { .. }));
    assert!(is_set(answer_to_shares(|mine, _| mine.dealers.retain(|d| d.dealer.0 != 0))));
    assert!(is_set(answer_to_shares(|mine, _| mine.dealers.swap(1, 3))));
    assert!(is_set(answer_to_shares(|mine, _| mine.dealers[3].dealer = SiteId(7))));
    assert!(matches!(
        answer_to_shares(|mine, _| mine.dealers.truncate(2)),
        Some(Abort::TooFewSites { have: 2, need: 3, .. })
    ));
}

fn announced(stops: &[Stops], seed: u64) -> Vec<(SiteId, Masked)> {
    until_announced(&terms(stops.len() as u16, 3, 1), stops, &mut Seeded::new(seed)).unwrap().0
}

#[test]
fn unacceptable_sets_are_not_confirmed() {
    let stops = [Stops::Never, Stops::Never, Stops::Never, Stops::BeforeShare, Stops::Never];
    let answer = |sites: &[u16]| {
        let (_, state) = announced(&stops, 3).into_iter().next().unwrap();
        state.confirm(&Announce { complete: set(sites) }, &mut history()).err()
    };
    assert_eq!(answer(&[0, 1, 2, 4]), None);
    assert!(matches!(answer(&[0, 1, 2]), Some(Abort::TooFewSites { have: 3, need: 4, .. })));
    assert!(matches!(answer(&[1, 2, 4]), Some(Abort::Set { why: "this site's upload is missing", .. })));
    assert!(matches!(answer(&[0, 1, 2, 3, 4]), Some(Abort::Set { why: "a site that dealt no shares", .. })));
    assert!(matches!(answer(&[0, 1, 2, 4, 99]), Some(Abort::Set { .. })));
}

#[test]
fn a_round_is_confirmed_once_over_all_attempts() {
    let mut history = History::new(MultiRoundPolicy::Warn);
    let confirm = |history: &mut History, seed, sites: &[u16]| {
        let (_, state) = announced(&[Stops::Never; 4], seed).into_iter().next().unwrap();
        state.confirm(&Announce { complete: set(sites) }, history).err()
    };
    assert_eq!(confirm(&mut history, 4, &[0, 1, 2, 3]), None);
    // A second attempt of the same round, whatever its set, would isolate a difference of sums.
    assert_eq!(confirm(&mut history, 5, &[0, 1, 2]), Some(Abort::SecondConfirmation { round: 1 }));
    assert_eq!(confirm(&mut history, 6, &[0, 1, 2, 3]), Some(Abort::SecondConfirmation { round: 1 }));
}

#[test]
fn two_sets_announced_to_two_groups_reach_no_quorum() {
    let masked = announced(&[Stops::Never; 6], 7);
    let sets = [set(&[0, 1, 2, 3, 4]), set(&[0, 1, 2, 3, 5])];
    let mut digests = Vec::new();
    let mut confirmed = Vec::new();
    for (me, state) in masked {
        let complete = sets[usize::from(me.0 % 2)].clone();
        if complete.contains(me) {
            let (state, message) = state.confirm(&Announce { complete }, &mut history()).unwrap();
            digests.push((me, message.digest));
            confirmed.push(state);
        }
    }
    let quorum = ConfirmSet { confirmations: digests };
    for state in confirmed {
        assert!(matches!(state.unmask(&quorum), Err(Abort::Quorum { .. })));
    }
}

#[test]
fn only_a_quorum_of_members_for_one_set_releases_shares() {
    let answer = |change: &dyn Fn(&mut Digests)| {
        let terms = terms(5, 3, 1);
        let stops = [Stops::Never, Stops::Never, Stops::Never, Stops::Never, Stops::BeforeMask];
        let (sites, _, mut quorum) = until_confirmed(&terms, &stops, &mut Seeded::new(8)).unwrap();
        change(&mut quorum.confirmations);
        match sites.into_iter().next().unwrap().1.unmask(&quorum) {
            Ok((_, message)) => Ok(message.reveals.len()),
            Err(Abort::Quorum { why }) => Err(why),
            Err(other) => panic!("{other}"),
        }
    };
    assert_eq!(answer(&|_| {}), Ok(5));
    assert_eq!(answer(&|c| c.truncate(3)), Err("too few confirmations"));
    assert_eq!(answer(&|c| c[3] = c[2]), Err("not strictly ascending"));
    assert_eq!(answer(&|c| c.push((SiteId(4), c[0].1))), Err("a confirmation from outside the set"));
    assert_eq!(answer(&|c| c[1].1 = Hash([0; 32])), Err("sites confirmed different sets"));
}

#[test]
fn exactly_one_share_per_dealer_is_revealed_and_nothing_can_be_asked_twice() {
    let terms = terms(5, 3, 1);
    let stops = [Stops::Never, Stops::Never, Stops::Never, Stops::Never, Stops::BeforeMask];
    let (sites, _, quorum) = until_confirmed(&terms, &stops, &mut Seeded::new(9)).unwrap();
    let (_, state) = sites.into_iter().next().unwrap();
    // `unmask` consumes the state: asking again does not compile.
    let (unmasked, message) = state.unmask(&quorum).unwrap();
    let dealers: Vec<u16> = message.reveals.iter().map(|reveal| reveal.dealer.0).collect();
    assert_eq!(dealers, [0, 1, 2, 3, 4]);
    assert_eq!(*unmasked.complete(), set(&[0, 1, 2, 3]));
}

#[test]
fn a_site_that_is_not_invited_does_not_start() {
    let terms = terms(3, 3, 1);
    let started = Advertised::start(Arc::clone(&terms), SiteId(3), &mut Seeded::new(1));
    assert!(matches!(started, Err(Abort::Set { phase: "open", .. })));
}

#[test]
fn vectors_of_another_length_are_not_masked() {
    let terms = terms(3, 3, 1);
    let (ready, mut coordinator) =
        parties::until_ready(&terms, &[Stops::Never; 3], &mut Seeded::new(1)).unwrap();
    let mut ready = ready.into_iter();
    let encoded = |words: usize| fovea_secagg::encode::Encoded { words: vec![0; words] };
    let refused = ready.next().unwrap().1.mask(encoded(4), vec![0]).err();
    assert_eq!(refused, Some(Abort::Length { what: "vector", expected: 3, found: 4 }));
    let refused = ready.next().unwrap().1.mask(encoded(3), vec![]).err();
    assert_eq!(refused, Some(Abort::Length { what: "sidecar", expected: 1, found: 0 }));
    let (me, state) = ready.next().unwrap();
    upload(&mut coordinator, me, &state.mask(encoded(3), vec![0]).unwrap().1);
}
