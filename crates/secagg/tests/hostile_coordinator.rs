//! A coordinator that deviates: every site refuses with the reason, and never reveals both shares of one
//! dealer.
#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "common/parties.rs"]
mod parties;

use std::sync::Arc;

use fovea_secagg::commit::Terms;
use fovea_secagg::envelope::Signed;
use fovea_secagg::error::Abort;
use fovea_secagg::hash::Hash;
use fovea_secagg::history::{History, MultiRoundPolicy};
use fovea_secagg::identity::SignatureError;
use fovea_secagg::message::{Advertise, AdvertiseSet, Announce, Confirm, ConfirmSet, Phase, Share, ShareSet};
use fovea_secagg::sets::{SiteId, SiteSet};
use fovea_secagg::site::{Advertised, Masked, Seat, Shared};
use parties::{
    Seeded, Stops, advertise, history, identity, seat, share, signed_confirm, signed_keys, terms, terms_of,
    until_announced, until_confirmed, upload,
};

type Keys = Vec<(SiteId, Signed<Advertise>)>;
type Confirmations = Vec<(SiteId, Signed<Confirm>)>;

fn set(sites: &[u16]) -> SiteSet {
    sites.iter().map(|&s| SiteId(s)).collect()
}

/// What site 0 answers to a changed key list. All sites but site 0 sign what the coordinator likes, unless
/// it has to do `without` them.
fn answer_to_keys(
    n: u16,
    without: bool,
    change: impl Fn(&mut Keys),
) -> Result<(Shared, Signed<Share>), Abort> {
    let mut entropy = Seeded::new(1);
    let terms = terms(n, 3, 1);
    let (sites, coordinator) = advertise(&terms, &vec![Stops::Never; usize::from(n)], &mut entropy);
    let (_, mut keys) = coordinator.close().unwrap();
    change(&mut keys.sites);
    for (site, signed) in keys.sites.iter_mut().filter(|(site, _)| !without && site.0 != 0 && site.0 < n) {
        *signed = signed_keys(&terms, *site, signed.body.clone());
    }
    sites.into_iter().next().unwrap().1.share(&AdvertiseSet { sites: keys.sites }, &mut entropy)
}

#[test]
fn changed_key_lists_are_refused() {
    let refused = |change: &dyn Fn(&mut Keys)| answer_to_keys(4, false, change).err();
    assert_eq!(refused(&|_| {}), None);
    assert_eq!(refused(&|keys| keys.retain(|(site, _)| site.0 != 0)), Some(Abort::OwnEntryChanged));
    assert!(matches!(refused(&|keys| keys.swap(1, 2)), Some(Abort::Set { .. })));
    assert!(matches!(refused(&|keys| keys[3].0 = SiteId(9)), Some(Abort::Set { .. })));
    assert!(matches!(refused(&|keys| keys.truncate(2)), Some(Abort::TooFewSites { have: 2, .. })));
    let model = |keys: &mut Keys| keys[2].1.body.model = Hash([9; 32]);
    assert_eq!(refused(&model), Some(Abort::OtherModel { site: SiteId(2) }));
    let copied = |keys: &mut Keys| keys[3].1.body.mask_key = keys[1].1.body.share_key;
    assert_eq!(refused(&copied), Some(Abort::RepeatedKey { site: SiteId(3) }));
    let low_order = |keys: &mut Keys| keys[2].1.body.share_key = [0; 32];
    assert_eq!(refused(&low_order), Some(Abort::LowOrderKey { site: SiteId(2) }));
}

#[test]
fn keys_without_the_signature_of_their_site_are_refused() {
    let refused = |change: &dyn Fn(&mut Keys)| answer_to_keys(4, true, change).err();
    let unsigned = |site| Some(unsigned(Phase::Advertise, site));
    assert_eq!(refused(&|_| {}), None);
    assert_eq!(refused(&|keys| keys[0].1.body.share_key[0] ^= 1), unsigned(0));
    assert_eq!(refused(&|keys| keys[2].1.body.mask_key[5] ^= 1), unsigned(2));
    assert_eq!(refused(&|keys| keys[2].1.signature.0[9] ^= 1), unsigned(2));
    assert_eq!(refused(&|keys| keys[2].1 = keys[3].1.clone()), unsigned(2));
    assert_eq!(refused(&|keys| keys[1].1.signature.0 = [0; 64]), unsigned(1));
}

/// Keys that site 0 signed for another attempt, or earlier in this one.
#[test]
fn old_keys_of_a_site_are_refused() {
    let earlier = |terms: &Arc<Terms>| {
        let (_, message) = Advertised::start(seat(terms, SiteId(0)), &mut Seeded::new(99)).unwrap();
        message
    };
    let same_attempt = earlier(&terms(4, 3, 1));
    let refused = answer_to_keys(4, true, |keys| keys[0].1 = same_attempt.clone()).err();
    assert_eq!(refused, Some(Abort::OwnEntryChanged));
    let other_round = earlier(&terms_of(4, 3, 1, 2, Hash([2; 32])));
    let refused = answer_to_keys(4, true, |keys| keys[0].1 = other_round.clone()).err();
    assert_eq!(refused, Some(unsigned(Phase::Advertise, 0)));
}

fn unsigned(phase: Phase, site: u16) -> Abort {
    Abort::Unsigned(SignatureError { phase, from: SiteId(site) })
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
    let not_under_root = |change: &dyn Fn(&mut ShareSet, &ShareSet)| {
        let refused = answer_to_shares(change);
        let expected = Abort::Set { phase: "share", why: "shares that are not under their signed root" };
        assert_eq!(refused, Some(expected));
    };
    not_under_root(&|mine, other| mine.dealers[2].leaf = other.dealers[2].leaf.clone());
    not_under_root(&|mine, other| mine.dealers[2] = other.dealers[2].clone());
    not_under_root(&|mine, _| mine.dealers[2].head.self_mask = Hash([0; 32]));
    not_under_root(&|mine, _| mine.dealers[2].leaf.commitment = Hash([0; 32]));
    not_under_root(&|mine, _| mine.dealers[2].leaf_path.clear());
    let root = answer_to_shares(|mine, _| mine.dealers[2].root = Hash([0; 32]));
    assert_eq!(root, Some(unsigned(Phase::Share, 2)));
    let signature = answer_to_shares(|mine, _| mine.dealers[3].signature = mine.dealers[2].signature);
    assert_eq!(signature, Some(unsigned(Phase::Share, 3)));
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
    let mut confirmations = Vec::new();
    let mut confirmed = Vec::new();
    for (me, state) in masked {
        let complete = sets[usize::from(me.0 % 2)].clone();
        if complete.contains(me) {
            let (state, message) = state.confirm(&Announce { complete }, &mut history()).unwrap();
            confirmations.push((me, message));
            confirmed.push(state);
        }
    }
    let quorum = ConfirmSet { confirmations };
    for state in confirmed {
        assert!(matches!(state.unmask(&quorum), Err(Abort::Quorum { .. })));
    }
}

const ONE_UPLOAD_MISSING: [Stops; 5] =
    [Stops::Never, Stops::Never, Stops::Never, Stops::Never, Stops::BeforeMask];

#[test]
fn only_a_signed_quorum_of_members_for_one_set_releases_shares() {
    let terms = terms(5, 3, 1);
    let answer = |change: &dyn Fn(&mut Confirmations)| {
        let (sites, _, mut quorum) =
            until_confirmed(&terms, &ONE_UPLOAD_MISSING, &mut Seeded::new(8)).unwrap();
        change(&mut quorum.confirmations);
        sites.into_iter().next().unwrap().1.unmask(&quorum).map(|(_, message)| message.body.reveals.len())
    };
    let quorum = |why| Err(Abort::Quorum { why });
    assert_eq!(answer(&|_| {}), Ok(5));
    assert_eq!(answer(&|c| c.truncate(3)), quorum("too few confirmations"));
    assert_eq!(answer(&|c| c[3] = c[2].clone()), quorum("not strictly ascending"));
    let outside = |c: &mut Confirmations| c.push((SiteId(4), c[0].1.clone()));
    assert_eq!(answer(&outside), quorum("a confirmation from outside the set"));
    let other = |c: &mut Confirmations| c[1].1 = signed_confirm(&terms, SiteId(1), Hash([0; 32]));
    assert_eq!(answer(&other), quorum("sites confirmed different sets"));
    // The coordinator answers in a site's name.
    let forged = |c: &mut Confirmations| c[3].1.signature = c[2].1.signature;
    assert_eq!(answer(&forged), Err(unsigned(Phase::Confirm, 3)));
    let omitted = |c: &mut Confirmations| c[2].1.signature.0 = [0; 64];
    assert_eq!(answer(&omitted), Err(unsigned(Phase::Confirm, 2)));
}

/// The best that a coordinator gets who collects confirmations for two sets: with 2 t - n above the number of
/// colluders, the honest sites that would have to sign both do not.
#[test]
fn colluders_cannot_complete_two_quorums() {
    for n in 4u16..=7 {
        let terms = terms(n, 3, 1);
        let thresholds = terms.thresholds(usize::from(n)).unwrap();
        let honest = usize::from(n) - thresholds.colluders_max;
        // Each honest site signs one set, each colluder signs both.
        for signed_first in 0..=honest {
            let quorums = [signed_first, honest - signed_first]
                .map(|signers| signers + thresholds.colluders_max >= thresholds.quorum);
            assert_ne!(quorums, [true, true], "{n} sites, {signed_first} sign the first set");
        }
    }
}

#[test]
fn exactly_one_share_per_dealer_is_revealed_and_nothing_can_be_asked_twice() {
    let terms = terms(5, 3, 1);
    let (sites, _, quorum) = until_confirmed(&terms, &ONE_UPLOAD_MISSING, &mut Seeded::new(9)).unwrap();
    let (_, state) = sites.into_iter().next().unwrap();
    // `unmask` consumes the state: asking again does not compile.
    let (unmasked, message) = state.unmask(&quorum).unwrap();
    let dealers: Vec<u16> = message.body.reveals.iter().map(|reveal| reveal.dealer.0).collect();
    assert_eq!(dealers, [0, 1, 2, 3, 4]);
    assert_eq!(*unmasked.complete(), set(&[0, 1, 2, 3]));
}

#[test]
fn a_site_that_is_not_invited_does_not_start() {
    let terms = terms(3, 3, 1);
    let sits = |me, key| Seat::new(Arc::clone(&terms), SiteId(me), Arc::new(identity(key))).map(|_| ());
    assert!(matches!(sits(3, 3), Err(Abort::Set { phase: "open", .. })));
    assert_eq!(sits(2, 3), Err(Abort::OtherIdentity { site: SiteId(2) }));
    assert_eq!(sits(2, 2), Ok(()));
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
