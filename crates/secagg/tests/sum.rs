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
use fovea_secagg::message::MaskedClose;
use fovea_secagg::sets::{SiteId, SiteSet};
use fovea_secagg::site::Advertised;
use fovea_secagg::site::pair::TwoPartyAcknowledged;
use fovea_secagg::vector::{chunks, side_to_bytes};
use parties::{STOPS, Seeded, Stops, clear_sum, input, run, side, terms, terms_of};
use proptest::prelude::*;

/// What the thresholds of the protocol promise for a pattern of drop-outs: U3, or the phase that ends it.
fn promised(stops: &[Stops]) -> Result<SiteSet, &'static str> {
    let alive = |after: Stops| -> SiteSet {
        (0..stops.len()).filter(|&i| stops[i] > after).map(|i| SiteId(i as u16)).collect()
    };
    let advertised = alive(Stops::BeforeAdvertise).len();
    let quorum = (2 * advertised / 3 + 1).max(3);
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
            assert_eq!((sum.complete, sum.words, sum.side), (complete, clear, clear_side), "{stops:?}");
            assert!(sum.blamed.is_empty());
        }
        (Err(Abort::TooFewSites { phase, .. }), Err(expected)) => assert_eq!(phase, expected, "{stops:?}"),
        (found, expected) => panic!("{stops:?}: {expected:?} promised, found {found:?}"),
    }
}

#[test]
fn one_site_dropped_in_any_phase() {
    for n in 3..=6 {
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
fn any_two_of_seven_sites_dropped_in_any_phases() {
    for (a, b) in [(0, 1), (0, 6), (2, 5)] {
        for first in STOPS {
            for second in STOPS {
                let mut stops = vec![Stops::Never; 7];
                (stops[a], stops[b]) = (first, second);
                check(&stops, 5, 2);
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
    #![proptest_config(ProptestConfig::with_cases(48))]
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

fn run_pair(models: [Hash; 2], acknowledged: &[u16]) -> Result<Sum, Abort> {
    let acknowledged = TwoPartyAcknowledged(acknowledged.iter().map(|&s| SiteId(s)).collect());
    let mut entropy = Seeded::new(5);
    let terms = models.map(|model| terms_of(2, 9, 2, 1, model));
    let mut coordinator = CollectA::open(Arc::clone(&terms[0]));
    let mut sites = Vec::new();
    for (i, terms) in terms.iter().enumerate() {
        let me = SiteId(i as u16);
        let (state, message) = Advertised::start(Arc::clone(terms), me, &mut entropy)?;
        coordinator.accept(me, &message).unwrap();
        sites.push((me, state));
    }
    let (mut coordinator, set) = coordinator.close_pair()?;
    for (me, state) in sites {
        let encoded = Encoded { words: input(me, 9) };
        let (_, upload) = state.pair(&set, &acknowledged)?.mask(encoded, side(me, 2))?;
        let (chunks, root) = chunks(&upload.words);
        chunks.iter().for_each(|chunk| {
            coordinator.chunk(me, chunk).unwrap();
        });
        let close = MaskedClose { root, side: side_to_bytes(&upload.side) };
        coordinator.finish(me, &close).unwrap();
    }
    coordinator.close()
}

#[test]
fn two_sites_sum_exactly_and_only_with_both_acknowledgements() {
    let model = [Hash([2; 32]); 2];
    let sum = run_pair(model, &[0, 1]).unwrap();
    let (clear, clear_side) = clear_sum(&sum.complete, 9, 2);
    assert_eq!((sum.words, sum.side, sum.complete.len()), (clear, clear_side, 2));
    for (acknowledged, missing) in [(&[][..], 0), (&[1][..], 0), (&[0][..], 1)] {
        assert_eq!(
            run_pair(model, acknowledged),
            Err(Abort::TwoPartyNotAcknowledged { site: SiteId(missing) })
        );
    }
}
