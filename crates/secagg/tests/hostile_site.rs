//! Sites that deviate: refused, named, or left out; the others finish where the thresholds allow it.
#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "common/parties.rs"]
mod parties;
#[path = "common/scripted.rs"]
mod scripted;

use std::sync::Arc;

use fovea_secagg::commit::Cohort;
use fovea_secagg::coordinator::{CollectA, Sum};
use fovea_secagg::encode::Encoded;
use fovea_secagg::error::{Abort, Accepted, Reject};
use fovea_secagg::hash::Hash;
use fovea_secagg::message::{MaskedClose, Share};
use fovea_secagg::sets::SiteId;
use fovea_secagg::site::{Advertised, Ready};
use fovea_secagg::vector::side_to_bytes;
use fovea_wire::Bytes;
use parties::{
    Seeded, Stops, advertise, clear_sum, history, input, seat, share, side, side_values, signed_confirm,
    terms, until_announced, until_confirmed, until_ready, upload,
};
use scripted::{Fault, Scripted};

const NEVER: [Stops; 4] = [Stops::Never; 4];

fn is_content(result: &Result<Accepted, Reject>, site: u16) -> bool {
    matches!(result, Err(Reject::Content { site: who, .. }) if *who == SiteId(site))
}

#[test]
fn key_messages_are_checked_and_taken_once() {
    let terms = terms(3, 3, 1);
    let mut entropy = Seeded::new(1);
    let mut coordinator = CollectA::open(Arc::clone(&terms));
    let mut fresh = || Advertised::start(seat(&terms, SiteId(0)), &mut entropy).unwrap().1;
    let (first, second) = (fresh(), fresh());
    assert_eq!(coordinator.accept(SiteId(0), &first), Ok(Accepted::New));
    assert_eq!(coordinator.accept(SiteId(0), &first), Ok(Accepted::Again));
    assert_eq!(coordinator.accept(SiteId(0), &second), Err(Reject::Conflicting { site: SiteId(0) }));
    assert_eq!(coordinator.accept(SiteId(3), &second), Err(Reject::Unexpected { site: SiteId(3) }));
    assert!(is_content(&coordinator.accept(SiteId(1), &first), 1));
    let mut other = second.clone();
    other.body.model = Hash([9; 32]);
    assert!(is_content(&coordinator.accept(SiteId(1), &other), 1));
    assert_eq!(coordinator.missing().len(), 2);
}

#[test]
fn share_messages_are_checked_and_taken_once() {
    let mut entropy = Seeded::new(2);
    let terms = terms(4, 3, 1);
    let (sites, coordinator) = advertise(&terms, &NEVER, &mut entropy);
    let (mut coordinator, keys) = coordinator.close().unwrap();
    let (_, good) = sites.into_iter().next().unwrap().1.share(&keys, &mut entropy).unwrap();
    let good = good.body;
    let mut sent = |change: &dyn Fn(&mut Share)| {
        let mut message = good.clone();
        change(&mut message);
        coordinator.accept(SiteId(0), &message)
    };
    assert!(is_content(&sent(&|m| drop(m.leaves.pop())), 0));
    assert!(is_content(&sent(&|m| m.leaves[1].sealed = Bytes(vec![0; 5])), 0));
    assert!(is_content(&sent(&|m| m.leaves[0].sealed = Bytes(vec![0; 144])), 0));
    assert!(is_content(&sent(&|m| m.leaves[1].sealed.0[0] ^= 1), 0));
    assert!(is_content(&sent(&|m| m.head.group = Hash([0; 32])), 0));
    assert!(is_content(&sent(&|m| m.signature.0[7] ^= 1), 0));
    assert_eq!(sent(&|_| {}), Ok(Accepted::New));
    assert_eq!(sent(&|_| {}), Ok(Accepted::Again));
    assert_eq!(coordinator.accept(SiteId(7), &good), Err(Reject::Unexpected { site: SiteId(7) }));
}

#[test]
fn uploads_are_checked_and_added_once() {
    let terms = terms(4, 3, 1);
    let (ready, mut coordinator) = until_ready(&terms, &NEVER, &mut Seeded::new(3)).unwrap();
    let (me, state) = ready.into_iter().next().unwrap();
    let (_, sent) = state.mask(Encoded { words: input(me, 3) }, side(me, 1)).unwrap();
    let (pieces, MaskedClose { root, .. }) = sent.messages();
    // One value and two tags.
    let close = |root, words: usize| MaskedClose { root, side: side_to_bytes(&vec![5; words]) };
    assert_eq!(coordinator.finish(me, &close(root, 3)), Err(Reject::Unexpected { site: me }));
    assert_eq!(coordinator.chunk(SiteId(8), &pieces[0]), Err(Reject::Unexpected { site: SiteId(8) }));
    assert_eq!(coordinator.chunk(me, &pieces[0]), Ok(Accepted::New));
    assert!(is_content(&coordinator.finish(me, &close(root, 2)), 0));
    assert!(is_content(&coordinator.finish(me, &close(Hash([0; 32]), 3)), 0));
    assert_eq!(coordinator.finish(me, &close(root, 3)), Ok(Accepted::New));
    assert_eq!(coordinator.finish(me, &close(root, 3)), Ok(Accepted::Again));
    assert_eq!(coordinator.finish(me, &close(Hash([0; 32]), 3)), Err(Reject::Conflicting { site: me }));
    assert_eq!(coordinator.chunk(me, &pieces[0]), Err(Reject::Unexpected { site: me }));
}

#[test]
fn confirmations_are_checked_and_taken_once() {
    let stops = [Stops::Never, Stops::Never, Stops::Never, Stops::BeforeMask];
    let terms = terms(4, 3, 1);
    let (masked, mut coordinator, announce) = until_announced(&terms, &stops, &mut Seeded::new(4)).unwrap();
    let (me, state) = masked.into_iter().next().unwrap();
    let (_, message) = state.confirm(&announce, &mut history()).unwrap();
    assert!(is_content(&coordinator.accept(me, &signed_confirm(&terms, me, Hash([0; 32]))), 0));
    assert_eq!(coordinator.accept(SiteId(3), &message), Err(Reject::Unexpected { site: SiteId(3) }));
    assert_eq!(coordinator.accept(me, &message), Ok(Accepted::New));
    assert_eq!(coordinator.accept(me, &message), Ok(Accepted::Again));
    assert!(matches!(coordinator.close(), Err(Abort::TooFewSites { phase: "confirm", have: 1, need: 3 })));
}

/// Runs `n` sites of which site 1 reveals a changed share.
fn run_with_bad_reveal(n: u16) -> Result<Sum, Abort> {
    let stops = vec![Stops::Never; usize::from(n)];
    let (sites, mut coordinator, quorum) =
        until_confirmed(&terms(n, 3, 1), &stops, &mut Seeded::new(5)).unwrap();
    for (me, state) in sites {
        let mut message = state.unmask(&quorum).unwrap().1.body;
        if me == SiteId(1) {
            let mut short = message.clone();
            short.reveals.pop();
            assert!(is_content(&coordinator.accept(me, &short), 1));
            message.reveals[2].share[0] ^= 1;
            assert!(is_content(&coordinator.accept(me, &message), 1));
        } else {
            coordinator.accept(me, &message).unwrap();
        }
    }
    assert!(coordinator.missing().is_empty());
    coordinator.close()
}

#[test]
fn a_site_with_a_bad_share_is_blamed_and_the_others_finish_if_enough() {
    let sum = run_with_bad_reveal(4).unwrap();
    assert_eq!(sum.blamed, [SiteId(1)]);
    let (words, side) = clear_sum(&sum.complete, 3, 1);
    assert_eq!((&sum.words, side_values(&sum)), (&words, side));
    assert!(matches!(run_with_bad_reveal(3), Err(Abort::TooFewSites { phase: "unmask", have: 2, need: 3 })));
}

/// Runs four sites of which site 3 deals with the given fault and, if so asked, uploads nothing.
fn run_with_faulty_dealer(fault: Fault, uploads: bool) -> Result<Sum, Abort> {
    let (terms, mut entropy) = (terms(4, 3, 1), Seeded::new(6));
    let stops = [Stops::Never, Stops::Never, Stops::Never, Stops::BeforeAdvertise];
    let (sites, mut coordinator) = advertise(&terms, &stops, &mut entropy);
    let dealer = Scripted::new(SiteId(3), &mut entropy);
    coordinator.accept(dealer.id, &dealer.advertise(&terms)).unwrap();
    let (mut coordinator, keys) = coordinator.close()?;
    let cohort = Cohort::new(&terms, &keys)?;
    let shared = share(sites, &keys, &mut coordinator, &stops, &mut entropy);
    coordinator.accept(dealer.id, &dealer.deal(&terms, &cohort, fault, &mut entropy)).unwrap();
    let (mut coordinator, relayed) = coordinator.close()?;
    let ready = shared.into_iter().zip(&relayed).map(|((me, state), (_, set))| Ok((me, state.receive(set)?)));
    let ready = ready.collect::<Result<Vec<(SiteId, Ready)>, Abort>>()?;
    let mut masked = Vec::new();
    for (me, state) in ready {
        let (state, sent) = state.mask(Encoded { words: input(me, 3) }, side(me, 1))?;
        upload(&mut coordinator, me, &sent);
        masked.push((me, state));
    }
    if uploads {
        let sent = fovea_secagg::site::Upload { words: vec![1; 3], side: vec![1; terms.side_words] };
        upload(&mut coordinator, dealer.id, &sent);
    }
    let (mut coordinator, announce) = coordinator.close()?;
    let mut confirmed = Vec::new();
    for (me, state) in masked {
        let (state, message) = state.confirm(&announce, &mut history())?;
        coordinator.accept(me, &message).unwrap();
        confirmed.push((me, state));
    }
    let (mut coordinator, quorum) = coordinator.close()?;
    for (me, state) in confirmed {
        coordinator.accept(me, &state.unmask(&quorum)?.1.body).unwrap();
    }
    coordinator.close()
}

#[test]
fn faulty_dealers_are_named() {
    let named = |fault, uploads| match run_with_faulty_dealer(fault, uploads) {
        Err(Abort::BadDealer { dealer: SiteId(3), what }) => Some(what),
        _ => None,
    };
    for fault in [Fault::NotCommitted, Fault::GroupEquivocation, Fault::Garbage, Fault::Swapped] {
        assert!(named(fault, true).is_some(), "{fault:?}");
    }
    for fault in [Fault::OffPolynomial, Fault::OtherSelfMask] {
        assert_eq!(named(fault, true), Some("self-mask seed does not match B"), "{fault:?}");
    }
    let wrong_key = named(Fault::OtherMaskKey, false);
    assert_eq!(wrong_key, Some("mask key does not match its public key"));
    // The control: a scripted dealer without a fault that drops out is recovered exactly.
    let sum = run_with_faulty_dealer(Fault::None, false).unwrap();
    let values = side_values(&sum);
    assert_eq!((sum.words, values), clear_sum(&sum.complete, 3, 1));
}
