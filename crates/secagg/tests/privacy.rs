//! What the coordinator sees is uniform, and stays so when it sends other models, waits, or asks again.
#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "common/parties.rs"]
mod parties;
#[path = "common/scripted.rs"]
mod scripted;

use std::sync::Arc;

use fovea_secagg::commit::{self, Cohort};
use fovea_secagg::coordinator::CollectA;
use fovea_secagg::encode::Encoded;
use fovea_secagg::envelope::Signed;
use fovea_secagg::error::Abort;
use fovea_secagg::hash::Hash;
use fovea_secagg::identity::SignatureError;
use fovea_secagg::keys::PrivateKey;
use fovea_secagg::message::{Advertise, AdvertiseSet, Phase};
use fovea_secagg::prg::{Label, Mask, Sign, add_masks, fill_stream};
use fovea_secagg::secret::Secret;
use fovea_secagg::sets::SiteId;
use fovea_secagg::shamir::Weights;
use fovea_secagg::site::pair::{Acknowledgement, TwoPartyAcknowledged};
use fovea_secagg::site::{Advertised, Ready};
use parties::{Seeded, Stops, identity, roster, seat, signed_keys, terms, terms_of, until_ready};
use scripted::{Fault, Scripted};

const WORDS: usize = 1 << 18;

/// Pearson's statistic over the bytes of `words` (255 degrees of freedom: mean 255, deviation 22.6), and
/// the correlation of neighbouring words in deviations.
fn assert_uniform(words: &[u32], what: &str) {
    let mut counts = [0u32; 256];
    words.iter().flat_map(|w| w.to_le_bytes()).for_each(|byte| counts[usize::from(byte)] += 1);
    let expected = words.len() as f64 * 4.0 / 256.0;
    let chi_square: f64 = counts.iter().map(|&c| (f64::from(c) - expected).powi(2) / expected).sum();
    assert!((130.0..390.0).contains(&chi_square), "{what}: chi-square {chi_square}");
    let centred = |w: u32| f64::from(w) / f64::from(u32::MAX) - 0.5;
    let serial: f64 = words.windows(2).map(|w| centred(w[0]) * centred(w[1])).sum();
    let z = serial * 12.0 / (words.len() as f64).sqrt();
    assert!(z.abs() < 6.0, "{what}: neighbours correlate, {z} deviations");
}

fn masked(state: Ready, words: usize) -> Vec<u32> {
    state.mask(Encoded { words: vec![7; words] }, vec![1; 2]).unwrap().1.words
}

#[test]
fn an_upload_of_a_constant_vector_is_uniform_and_the_test_can_fail() {
    let terms = terms(3, WORDS, 2);
    let (ready, _) = until_ready(&terms, &[Stops::Never; 3], &mut Seeded::new(1)).unwrap();
    let mut uploads: Vec<Vec<u32>> = ready.into_iter().map(|(_, state)| masked(state, WORDS)).collect();
    for upload in &uploads {
        assert_uniform(upload, "upload");
    }
    // Pair masks alone would cancel here; the self masks do not.
    let (first, rest) = uploads.split_first_mut().unwrap();
    for other in rest {
        first.iter_mut().zip(other).for_each(|(a, b)| *a = a.wrapping_add(*b));
    }
    assert_uniform(first, "sum of all uploads before unmasking");
    assert!(std::panic::catch_unwind(|| assert_uniform(&vec![7; WORDS], "constant")).is_err());
}

#[test]
fn a_retry_with_fresh_keys_hides_even_the_difference() {
    let terms = terms(3, WORDS, 2);
    let upload = |seed| {
        let (ready, _) = until_ready(&terms, &[Stops::Never; 3], &mut Seeded::new(seed)).unwrap();
        masked(ready.into_iter().next().unwrap().1, WORDS)
    };
    let difference: Vec<u32> = upload(1).iter().zip(upload(2)).map(|(a, b)| a.wrapping_sub(b)).collect();
    assert_uniform(&difference, "difference of two attempts");
}

/// A coordinator that sends another model to one of two sites: masks are bound to the model, so they no
/// longer cancel.
#[test]
fn masks_of_sites_with_different_models_do_not_cancel() {
    let mut entropy = Seeded::new(4);
    let models = [Hash([2; 32]), Hash([3; 32])];
    let manifest = terms(2, WORDS, 2).attempt.manifest;
    let signed = [0, 1].map(|site| Acknowledgement::sign(manifest, SiteId(site), &identity(site)));
    let acknowledged = TwoPartyAcknowledged::by_both(manifest, &roster(2), &signed).unwrap();
    let mut sites = Vec::new();
    for (i, model) in models.iter().enumerate() {
        let terms = terms_of(2, WORDS, 2, 1, *model);
        let started = Advertised::start(seat(&terms, SiteId(i as u16)), &mut entropy).unwrap();
        sites.push((terms, started));
    }
    let keys: Vec<Signed<Advertise>> = sites.iter().map(|(_, (_, message))| message.clone()).collect();
    // The keys that the other site signed for another model are refused.
    let relayed = AdvertiseSet { sites: (0..2).map(SiteId).zip(keys.clone()).collect() };
    for (i, (terms, _)) in sites.iter().enumerate() {
        let phase = Phase::Advertise;
        let unsigned = Abort::Unsigned(SignatureError { phase, from: SiteId(1 - i as u16) });
        assert_eq!(Cohort::new(terms, &relayed).err(), Some(unsigned));
    }
    // Suppose that the coordinator could sign for the sites: then the masks do not cancel.
    let mut sum = vec![0u32; WORDS];
    for (terms, (state, _)) in sites {
        let model = terms.attempt.model;
        let forged = |i: u16| {
            let keys = Advertise { model, ..keys[usize::from(i)].body.clone() };
            (SiteId(i), signed_keys(&terms, SiteId(i), keys))
        };
        let set = AdvertiseSet { sites: vec![forged(0), forged(1)] };
        let ready = state.pair(&set, &acknowledged).unwrap();
        let upload = ready.mask(Encoded { words: vec![7; WORDS] }, vec![0; 2]).unwrap().1;
        assert_uniform(&upload.words, "upload of one of two sites");
        sum.iter_mut().zip(upload.words).for_each(|(s, w)| *s = s.wrapping_add(w));
    }
    assert_uniform(&sum, "sum over two models");
}

/// Three of four sites give their keys away and the coordinator declares the fourth dropped, then gets its
/// upload: every pair mask is known, two shares of its self-mask seed as well. The control opens it with a
/// third share.
#[test]
fn a_late_upload_stays_masked_below_the_quorum() {
    let terms = terms(4, WORDS, 2);
    let mut entropy = Seeded::new(5);
    let colluders: Vec<Scripted> = (1..4).map(|i| Scripted::new(SiteId(i), &mut entropy)).collect();
    let (state, message) = Advertised::start(seat(&terms, SiteId(0)), &mut entropy).unwrap();
    let mut sites = vec![(SiteId(0), message)];
    sites.extend(colluders.iter().map(|c| (c.id, c.advertise(&terms))));
    let set = AdvertiseSet { sites };
    let cohort = Cohort::new(&terms, &set).unwrap();
    let mut coordinator = CollectA::open(Arc::clone(&terms));
    set.sites.iter().for_each(|(site, keys)| {
        coordinator.accept(*site, keys).unwrap();
    });
    let (mut coordinator, _) = coordinator.close().unwrap();
    let (state, dealt) = state.share(&set, &mut entropy).unwrap();
    let dealt = dealt.body;
    coordinator.accept(SiteId(0), &dealt).unwrap();
    let mut roots = vec![(SiteId(0), dealt.root)];
    for colluder in &colluders {
        let share = colluder.deal(&terms, &cohort, Fault::None, &mut entropy);
        coordinator.accept(colluder.id, &share).unwrap();
        roots.push((colluder.id, share.root));
    }
    let (_, relayed) = coordinator.close().unwrap();
    let mut upload = masked(state.receive(&relayed[0].1).unwrap(), WORDS);

    let r2 = commit::r2(cohort.r1, roots);
    let theirs = &cohort.keys[0];
    let known: Vec<Mask> = colluders
        .iter()
        .map(|c| c.mask.mask_seed(&theirs.mask_key, r2, terms.ctx(), c.id, SiteId(0)).unwrap())
        .map(|seed| Mask { seed, sign: Sign::Minus })
        .collect();
    add_masks(&mut upload, &known, Label::Vector);
    assert_uniform(&upload, "late upload without its pair masks");

    let shares: Vec<Secret> =
        colluders.iter().map(|c| c.open_self_mask_share(&cohort, SiteId(0), &dealt)).collect();
    let opened = |count: usize| {
        let points: Vec<u8> = (2..2 + count as u8).collect();
        let seed = Weights::at_zero(&points).unwrap();
        let seed = seed.combine(&shares[..count].iter().collect::<Vec<_>>()).unwrap();
        let mut words = upload.clone();
        add_masks(&mut words, &[Mask { seed, sign: Sign::Minus }], Label::Vector);
        words
    };
    assert_uniform(&opened(2), "late upload with two shares");
    assert_eq!(opened(3), vec![7; WORDS]);
}

#[test]
fn a_site_whose_key_was_swapped_refuses() {
    let terms = terms(3, 4, 2);
    let mut entropy = Seeded::new(6);
    let mut coordinator = CollectA::open(Arc::clone(&terms));
    let (state, message) = Advertised::start(seat(&terms, SiteId(0)), &mut entropy).unwrap();
    coordinator.accept(SiteId(0), &message).unwrap();
    for i in 1..3 {
        let (_, message) = Advertised::start(seat(&terms, SiteId(i)), &mut entropy).unwrap();
        coordinator.accept(SiteId(i), &message).unwrap();
    }
    let (_, mut set) = coordinator.close().unwrap();
    // The coordinator's own key under the name of a site, with the site's signature on the old one.
    let swapped = PrivateKey::draw(&mut entropy).unwrap().public();
    set.sites[1].1.body.mask_key = swapped;
    let unsigned = Abort::Unsigned(SignatureError { phase: Phase::Advertise, from: SiteId(1) });
    assert_eq!(state.share(&set, &mut entropy).err(), Some(unsigned));
}

#[test]
fn every_bit_of_a_mask_seed_is_used() {
    let mut entropy = Seeded::new(7);
    let mut ones = [0u32; 256];
    const DRAWS: u32 = 2000;
    let theirs = PrivateKey::draw(&mut entropy).unwrap().public();
    for _ in 0..DRAWS {
        let mine = PrivateKey::draw(&mut entropy).unwrap();
        let seed = mine.mask_seed(&theirs, Hash([1; 32]), Hash([2; 32]), SiteId(0), SiteId(1)).unwrap();
        for (bit, count) in ones.iter_mut().enumerate() {
            *count += u32::from(seed.expose()[bit / 8] >> (bit % 8) & 1);
        }
    }
    assert!(ones.iter().all(|&n| (DRAWS * 2 / 5..DRAWS * 3 / 5).contains(&n)));
}

#[test]
fn every_input_of_a_mask_seed_changes_about_half_of_its_mask() {
    let key = PrivateKey::from_secret(&Secret::new([1; 32]));
    let theirs = PrivateKey::from_secret(&Secret::new([2; 32])).public();
    let mask = |salt: [u8; 32], ctx: [u8; 32], me: u16, peer: u16| -> [u8; 32] {
        let seed = key.mask_seed(&theirs, Hash(salt), Hash(ctx), SiteId(me), SiteId(peer)).unwrap();
        let mut out = [0; 32];
        fill_stream(&seed, Label::Vector, 0, &mut out);
        out
    };
    let base = mask([0; 32], [0; 32], 0, 1);
    let differing =
        |other: [u8; 32]| -> u32 { base.iter().zip(other).map(|(a, b)| (a ^ b).count_ones()).sum() };
    for bit in 0..256 {
        let mut flipped = [0; 32];
        flipped[bit / 8] = 1 << (bit % 8);
        assert!((80..=176).contains(&differing(mask(flipped, [0; 32], 0, 1))), "salt bit {bit}");
        assert!((80..=176).contains(&differing(mask([0; 32], flipped, 0, 1))), "ctx bit {bit}");
    }
    assert!(differing(mask([0; 32], [0; 32], 0, 2)) >= 80);
    assert_eq!(differing(mask([0; 32], [0; 32], 1, 0)), 0);
}
