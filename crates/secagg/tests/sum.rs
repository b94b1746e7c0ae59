//! The sum is exact, or the attempt ends with a typed reason: drop-outs in every phase, random patterns,
//! pairs.
#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "common/parties.rs"]
mod parties;

use std::sync::Arc;

use fovea_secagg::coordinator::{CollectA, Sum};
use fovea_secagg::encode::Encoded;
use fovea_secagg::error::Abort;
use fovea_secagg::hash::Hash;
use fovea_secagg::sets::{SiteId, SiteSet};
use fovea_secagg::site::pair::{Acknowledgement, TwoPartyAcknowledged};
use fovea_secagg::site::{Advertised, Published, Verifier};
use parties::{
    STOPS, Seeded, Stops, clear_sum, identity, input, published, roster, run, seat, side, side_values, terms,
};
use proptest::prelude::*;

/// What the thresholds of the protocol promise for a pattern of drop-outs: U3, or the phase that ends it.
fn promised(stops: &[Stops]) -> Result<SiteSet, &'static str> {
    let alive = |after: Stops| -> SiteSet {
        (0..stops.len()).filter(|&i| stops[i] > after).map(|i| SiteId(i as u16)).collect()
    };
    let advertised = alive(Stops::BeforeAdvertise).len();
    // Colluders are a third of the roster, whoever takes part; two quorums of the roster share a site beyond them,
    // and a sum covers two sites beyond them.
    let colluders = stops.len().div_ceil(3) - 1;
    let quorum = (2 * advertised / 3 + 1).max(3).max((stops.len() + colluders) / 2 + 1).max(colluders + 2);
    let phases = [
        ("advertise", alive(Stops::BeforeAdvertise)),
        ("share", alive(Stops::BeforeShare)),
        ("masked", alive(Stops::BeforeMask)),
        ("confirm", alive(Stops::BeforeConfirm)),
        ("unmask", alive(Stops::BeforeUnmask)),
    ];
    match phases.iter().find(|(_, sites)| sites.len() < quorum) {
        Some((phase, _)) => Err(phase),
        None => Ok(phases[2].1.clone()),
    }
}

fn check(stops: &[Stops], words: usize, seed: u64) {
    let terms = terms(stops.len() as u16, words, 3);
    match (run(&terms, stops, &mut Seeded::new(seed)), promised(stops)) {
        (Ok(sum), Ok(complete)) => {
            let (clear, clear_side) = clear_sum(&complete, words, 3);
            assert!(sum.blamed.is_empty());
            let values = side_values(&sum);
            assert_eq!((sum.complete, sum.words, values), (complete, clear, clear_side), "{stops:?}");
        }
        (Err(Abort::TooFewSites { phase, .. }), Err(expected)) => assert_eq!(phase, expected, "{stops:?}"),
        (Err(Abort::Thresholds { .. }), Err("advertise")) => {}
        (found, expected) => panic!("{stops:?}: {expected:?} promised, found {found:?}"),
    }
}

#[test]
fn one_site_dropped_in_any_phase() {
    for n in 3..=7 {
        for who in 0..n {
            for stop in STOPS {
                let mut stops = vec![Stops::Never; n];
                stops[who] = stop;
                check(&stops, 17, 1);
            }
        }
    }
}

#[test]
fn any_two_sites_dropped_in_any_phases() {
    for n in 4..=7 {
        // Sites differ by their numbers alone: the first, a middle and the last pair stand for all.
        for (a, b) in [(0, 1), (0, n - 1), (n - 2, n - 1)] {
            for first in STOPS {
                for second in STOPS {
                    let mut stops = vec![Stops::Never; n];
                    (stops[a], stops[b]) = (first, second);
                    check(&stops, 5, 2);
                }
            }
        }
    }
}

#[test]
fn a_vector_of_several_chunks_and_tiles_sums_exactly() {
    let stops = [Stops::Never, Stops::BeforeMask, Stops::Never, Stops::Never];
    check(&stops, (1 << 18) + 12_345, 3);
}

proptest! {
    // `PROPTEST_CASES=10000` makes a long run of it.
    #![proptest_config(ProptestConfig {
        cases: std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(48),
        ..ProptestConfig::default()
    })]
    #[test]
    fn random_patterns_give_the_exact_sum_or_the_promised_end(
        picks in proptest::collection::vec(0usize..12, 3..=12),
        words in 1usize..300,
        seed in any::<u64>(),
    ) {
        // Half of the sites never stop, so that most patterns reach the end.
        let stops: Vec<Stops> = picks.iter().map(|&pick| STOPS[pick.min(5)]).collect();
        check(&stops, words, seed);
    }
}

fn acknowledged(manifest: Hash, by: &[u16]) -> Result<TwoPartyAcknowledged, Abort> {
    let signed: Vec<Acknowledgement> =
        by.iter().map(|&site| Acknowledgement::sign(manifest, SiteId(site), &identity(site))).collect();
    TwoPartyAcknowledged::by_both(manifest, &roster(2), &signed)
}

/// A pair's sum, and what each site says to it.
fn run_pair(manifest: Hash, by: &[u16]) -> Result<(Sum, Vec<Verifier>), Abort> {
    let acknowledged = acknowledged(manifest, by)?;
    let mut entropy = Seeded::new(5);
    let terms = terms(2, 9, 2);
    let mut coordinator = CollectA::open(Arc::clone(&terms));
    let mut sites = Vec::new();
    for me in [SiteId(0), SiteId(1)] {
        let (state, message) = Advertised::start(seat(&terms, me), &mut entropy)?;
        coordinator.accept(me, &message).unwrap();
        sites.push((me, state));
    }
    let (mut coordinator, set) = coordinator.close_pair()?;
    let mut verifiers = Vec::new();
    for (me, state) in sites {
        let encoded = Encoded { words: input(me, 9) };
        let (state, upload) = state.pair(&set, &acknowledged)?.mask(encoded, side(me, 2))?;
        let (chunks, close) = upload.messages();
        chunks.iter().for_each(|chunk| {
            coordinator.chunk(me, chunk).unwrap();
        });
        coordinator.finish(me, &close).unwrap();
        verifiers.push(state.into_verifier());
    }
    Ok((coordinator.close()?, verifiers))
}

#[test]
fn two_sites_sum_exactly_and_only_with_both_acknowledgements() {
    let manifest = terms(2, 9, 2).attempt.manifest;
    let (sum, verifiers) = run_pair(manifest, &[0, 1]).unwrap();
    let (clear, clear_side) = clear_sum(&sum.complete, 9, 2);
    assert_eq!((&sum.words, side_values(&sum), sum.complete.len()), (&clear, clear_side, 2));
    for verifier in &verifiers {
        assert_eq!(verifier.check(published(&sum)), Ok(()));
        let mut forged = sum.clone();
        forged.words[4] ^= 1;
        let tags = Abort::Published { why: "the tags do not match the sum" };
        assert_eq!(verifier.check(published(&forged)), Err(tags));
        let alone = [SiteId(0)].into_iter().collect();
        let refused = verifier.check(Published { complete: &alone, ..published(&sum) });
        assert!(matches!(refused, Err(Abort::Set { phase: "publish", .. })));
    }
    let refused = |manifest, by: &[u16]| run_pair(manifest, by).err();
    let missing = |site| Some(Abort::TwoPartyNotAcknowledged { site: SiteId(site) });
    assert_eq!(refused(manifest, &[]), missing(0));
    assert_eq!(refused(manifest, &[1]), missing(0));
    assert_eq!(refused(manifest, &[0]), missing(1));
    let other = refused(Hash([8; 32]), &[0, 1]);
    assert!(matches!(other, Some(Abort::Set { why: "acknowledgements of another manifest", .. })));
}

#[test]
fn an_acknowledgement_holds_for_one_manifest_one_site_and_two_parties() {
    let manifest = Hash([1; 32]);
    let sign = |manifest, site: u16, key: u16| Acknowledgement::sign(manifest, SiteId(site), &identity(key));
    let verdict =
        |second| TwoPartyAcknowledged::by_both(manifest, &roster(2), &[sign(manifest, 0, 0), second]);
    assert!(verdict(sign(manifest, 1, 1)).is_ok());
    let missing = Err(Abort::TwoPartyNotAcknowledged { site: SiteId(1) });
    assert_eq!(verdict(sign(Hash([2; 32]), 1, 1)), missing);
    assert_eq!(verdict(sign(manifest, 1, 0)), missing);
    assert_eq!(verdict(sign(manifest, 0, 1)), missing);
    let three = [0, 1, 2].map(|site| sign(manifest, site, site));
    assert!(matches!(TwoPartyAcknowledged::by_both(manifest, &roster(3), &three), Err(Abort::Set { .. })));
}
