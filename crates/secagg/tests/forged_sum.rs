//! A coordinator that publishes another sum than the one it computed: every site refuses it, by name.
#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "common/parties.rs"]
mod parties;

use std::sync::Arc;

use fovea_secagg::commit::Terms;
use fovea_secagg::coordinator::Sum;
use fovea_secagg::error::Abort;
use fovea_secagg::hash::Hash;
use fovea_secagg::identity::SignatureError;
use fovea_secagg::message::{ConfirmSet, Phase};
use fovea_secagg::sets::{SiteId, SiteSet};
use fovea_secagg::site::Verifier;
use parties::{Seeded, Stops, published, signed_confirm, terms, terms_of, until_confirmed};

const WORDS: usize = 700;
const TAGS_DIFFER: Abort = Abort::Published { why: "the tags do not match the sum" };

/// A whole attempt of five sites, of which site 4 drops out before its upload.
fn attempt(terms: &Arc<Terms>, seed: u64) -> (Sum, Vec<Verifier>) {
    let stops = [Stops::Never, Stops::Never, Stops::Never, Stops::Never, Stops::BeforeMask];
    let (sites, mut coordinator, quorum) = until_confirmed(terms, &stops, &mut Seeded::new(seed)).unwrap();
    let mut verifiers = Vec::new();
    for (me, state) in sites {
        let (state, message) = state.unmask(&quorum).unwrap();
        coordinator.accept(me, &message.body).unwrap();
        verifiers.push(state.into_verifier());
    }
    (coordinator.close().unwrap(), verifiers)
}

struct Forger {
    terms: Arc<Terms>,
    sum: Sum,
    verifiers: Vec<Verifier>,
}

impl Forger {
    fn new() -> Self {
        let terms = terms(5, WORDS, 2);
        let (sum, verifiers) = attempt(&terms, 1);
        Self { terms, sum, verifiers }
    }

    /// The verdict of all sites, which is one and the same.
    fn verdict(&self, change: impl Fn(&mut Sum)) -> Result<(), Abort> {
        let mut sum = self.sum.clone();
        change(&mut sum);
        let verdicts: Vec<_> = self.verifiers.iter().map(|v| v.check(published(&sum))).collect();
        assert!(verdicts.iter().all(|verdict| *verdict == verdicts[0]));
        verdicts[0].clone()
    }
}

fn set(sites: &[u16]) -> SiteSet {
    sites.iter().map(|&s| SiteId(s)).collect()
}

#[test]
fn the_true_sum_is_accepted_and_forgeries_of_its_words_are_not() {
    let forger = Forger::new();
    assert_eq!(forger.verdict(|_| {}), Ok(()));
    for at in [0, 1, 511, 512, WORDS - 3, WORDS - 2, WORDS - 1] {
        for change in [1, u32::MAX, 1 << 31] {
            let forged = forger.verdict(|sum| sum.words[at] = sum.words[at].wrapping_add(change));
            assert_eq!(forged, Err(TAGS_DIFFER), "word {at}");
        }
    }
    // Scaled by three, with the tags scaled alike.
    let scaled = forger.verdict(|sum| {
        sum.words.iter_mut().for_each(|w| *w = w.wrapping_mul(3));
        sum.side.iter_mut().for_each(|w| *w = w.wrapping_mul(3));
    });
    assert_eq!(scaled, Err(TAGS_DIFFER));
    assert_eq!(forger.verdict(|sum| sum.words.swap(3, 300)), Err(TAGS_DIFFER));
    assert_eq!(forger.verdict(|sum| sum.words.fill(0)), Err(TAGS_DIFFER));
    let length = |what, expected| Err(Abort::Length { what, expected, found: expected - 1 });
    assert_eq!(forger.verdict(|sum| sum.words.truncate(WORDS - 1)), length("vector", WORDS));
    assert_eq!(forger.verdict(|sum| sum.side.truncate(3)), length("sidecar", 4));
    for tag in [2, 3] {
        assert_eq!(forger.verdict(|sum| sum.side[tag] ^= 1), Err(TAGS_DIFFER));
    }
}

/// The sum of another round under this round's name, and two sums added.
#[test]
fn sums_of_other_attempts_are_refused() {
    let forger = Forger::new();
    let (other, _) = attempt(&terms_of(5, WORDS, 2, 2, Hash([2; 32])), 2);
    let foreign = forger.verdict(|sum| {
        sum.words.clone_from(&other.words);
        sum.side.clone_from(&other.side);
    });
    assert_eq!(foreign, Err(TAGS_DIFFER));
    let added = forger.verdict(|sum| {
        sum.words.iter_mut().zip(&other.words).for_each(|(a, b)| *a = a.wrapping_add(*b));
        sum.side.iter_mut().zip(&other.side).for_each(|(a, b)| *a = a.wrapping_add(*b));
    });
    assert_eq!(added, Err(TAGS_DIFFER));
    let confirmed = forger.verdict(|sum| sum.quorum.clone_from(&other.quorum));
    assert_eq!(confirmed, Err(Abort::Quorum { why: "sites confirmed different sets" }));
}

#[test]
fn a_sum_over_a_set_that_no_quorum_confirmed_is_refused() {
    let forger = Forger::new();
    let quorum = |why| Err(Abort::Quorum { why });
    assert_eq!(
        forger.verdict(|sum| sum.complete = set(&[0, 1, 2, 3, 4])),
        quorum("sites confirmed different sets")
    );
    let small = forger.verdict(|sum| sum.complete = set(&[0, 1, 2]));
    assert_eq!(small, Err(Abort::TooFewSites { phase: "publish", have: 3, need: 4 }));
    let stranger = forger.verdict(|sum| sum.complete = set(&[0, 1, 2, 3, 9]));
    assert_eq!(stranger, Err(Abort::Set { phase: "publish", why: "a site that dealt no shares" }));
    assert_eq!(forger.verdict(|sum| sum.quorum = ConfirmSet::default()), quorum("too few confirmations"));
    assert_eq!(forger.verdict(|sum| sum.quorum.confirmations.truncate(3)), quorum("too few confirmations"));
    let digest = forger.sum.quorum.confirmations[0].1.body.digest;
    let forged = forger.verdict(|sum| {
        // The right digest, signed by another site.
        sum.quorum.confirmations[2].1 = signed_confirm(&forger.terms, SiteId(1), digest);
    });
    let phase = Phase::Confirm;
    assert_eq!(forged, Err(Abort::Unsigned(SignatureError { phase, from: SiteId(2) })));
}
