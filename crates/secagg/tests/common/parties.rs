//! A coordinator and its sites in one process, driven phase by phase with a chosen drop-out pattern.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::type_complexity,
    reason = "each test binary uses its own part"
)]

use std::collections::BTreeMap;
use std::sync::Arc;

use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher};
use fovea_secagg::commit::Terms;
use fovea_secagg::coordinator::{CollectA, CollectC, CollectM, CollectS, CollectU, Sum};
use fovea_secagg::encode::Encoded;
use fovea_secagg::envelope::Signed;
use fovea_secagg::error::Abort;
use fovea_secagg::group::TAGS;
use fovea_secagg::hash::Hash;
use fovea_secagg::history::{History, MultiRoundPolicy};
use fovea_secagg::identity::{Identity, Roster};
use fovea_secagg::message::{Advertise, AdvertiseSet, Announce, Confirm, ConfirmSet, Phase};
use fovea_secagg::secret::{Entropy, EntropyError, Secret};
use fovea_secagg::sets::{Attempt, Profile, SiteId, SiteSet, ThresholdRule};
use fovea_secagg::site::{Advertised, Confirmed, Masked, Published, Ready, Seat, Shared, Upload};

/// Repeatable random bytes.
pub struct Seeded(ChaCha20);

impl Seeded {
    pub fn new(seed: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        Self(ChaCha20::new(&key.into(), &[9; 12].into()))
    }

    pub fn next(&mut self) -> u64 {
        let mut out = [0; 8];
        self.0.write_keystream(&mut out);
        u64::from_le_bytes(out)
    }
}

impl Entropy for Seeded {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), EntropyError> {
        self.0.write_keystream(out);
        Ok(())
    }
}

/// When a site stops answering.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stops {
    BeforeAdvertise,
    BeforeShare,
    BeforeMask,
    BeforeConfirm,
    BeforeUnmask,
    Never,
}

pub const STOPS: [Stops; 6] = [
    Stops::BeforeAdvertise,
    Stops::BeforeShare,
    Stops::BeforeMask,
    Stops::BeforeConfirm,
    Stops::BeforeUnmask,
    Stops::Never,
];

/// The long-term key of a site; the coordinator's is that of `COORDINATOR`.
pub fn identity(site: u16) -> Identity {
    let mut seed = [0x5a; 32];
    seed[..2].copy_from_slice(&site.to_le_bytes());
    Identity::from_secret(&Secret::new(seed))
}

pub fn roster(sites: u16) -> Arc<Roster> {
    let keys = (0..sites).map(|site| identity(site).public()).collect();
    Arc::new(Roster::new(identity(u16::MAX).public(), keys).unwrap())
}

pub fn seat(terms: &Arc<Terms>, me: SiteId) -> Seat {
    Seat::new(Arc::clone(terms), me, Arc::new(identity(me.0))).unwrap()
}

/// Keys that `site` signs, for a test in which it works for the coordinator.
pub fn signed_keys(terms: &Terms, site: SiteId, keys: Advertise) -> Signed<Advertise> {
    Signed::new(terms.header(Phase::Advertise, site), keys, &identity(site.0)).unwrap()
}

/// A confirmation that `site` signs.
pub fn signed_confirm(terms: &Terms, site: SiteId, digest: Hash) -> Signed<Confirm> {
    Signed::new(terms.header(Phase::Confirm, site), Confirm { digest }, &identity(site.0)).unwrap()
}

pub fn terms(sites: u16, words: usize, side_words: usize) -> Arc<Terms> {
    terms_of(sites, words, side_words, 1, Hash([2; 32]))
}

pub fn terms_of(sites: u16, words: usize, side_words: usize, round: u32, model: Hash) -> Arc<Terms> {
    let attempt = Attempt {
        manifest: Hash([1; 32]),
        round,
        attempt: 0,
        model,
        config: Hash([3; 32]),
        invited: (0..sites).map(SiteId).collect(),
    };
    let rule = ThresholdRule { profile: Profile::Malicious, sites_min: 3, colluders_max: None };
    Terms::new(attempt, roster(sites), rule, words, side_words)
}

/// Coordinates of 24 bits in two's complement, then two unsigned closing words: sums never wrap.
pub fn input(site: SiteId, words: usize) -> Vec<u32> {
    let coordinates = words.saturating_sub(2) as u32;
    let mixed = |j: u32| j.wrapping_mul(0x9e37_79b9).wrapping_add(u32::from(site.0) << 7);
    let word = |j| if j < coordinates { (mixed(j) as i32 >> 8) as u32 } else { mixed(j) >> 8 };
    (0..words as u32).map(word).collect()
}

pub fn side(site: SiteId, words: usize) -> Vec<u64> {
    (0..words as u64).map(|j| j.wrapping_mul(0x1234_5678_9abc).wrapping_add(u64::from(site.0))).collect()
}

/// The same sum in the clear.
pub fn clear_sum(sites: &SiteSet, words: usize, side_words: usize) -> (Vec<u32>, Vec<u64>) {
    let (mut sum, mut side_sum) = (vec![0u32; words], vec![0u64; side_words]);
    for site in sites.iter() {
        sum.iter_mut().zip(input(site, words)).for_each(|(s, w)| *s = s.wrapping_add(w));
        side_sum.iter_mut().zip(side(site, side_words)).for_each(|(s, w)| *s = s.wrapping_add(w));
    }
    (sum, side_sum)
}

pub fn history() -> History {
    History::new(MultiRoundPolicy::Warn)
}

/// Phase A for all sites but those that stop before it.
pub fn advertise(
    terms: &Arc<Terms>,
    stops: &[Stops],
    entropy: &mut Seeded,
) -> (Vec<(SiteId, Advertised)>, CollectA) {
    let mut coordinator = CollectA::open(Arc::clone(terms));
    let mut sites = Vec::new();
    for (i, stop) in stops.iter().enumerate() {
        if *stop > Stops::BeforeAdvertise {
            let me = SiteId(i as u16);
            let (state, message) = Advertised::start(seat(terms, me), entropy).unwrap();
            coordinator.accept(me, &message).unwrap();
            sites.push((me, state));
        }
    }
    (sites, coordinator)
}

/// Phase S.
pub fn share(
    sites: Vec<(SiteId, Advertised)>,
    set: &AdvertiseSet,
    coordinator: &mut CollectS,
    stops: &[Stops],
    entropy: &mut Seeded,
) -> Vec<(SiteId, Shared)> {
    let mut shared = Vec::new();
    for (me, state) in sites {
        let (state, message) = state.share(set, entropy).unwrap();
        if stops[usize::from(me.0)] > Stops::BeforeShare {
            coordinator.accept(me, &message.body).unwrap();
            shared.push((me, state));
        }
    }
    shared
}

/// Everything up to the moment when all living sites can mask.
pub fn until_ready(
    terms: &Arc<Terms>,
    stops: &[Stops],
    entropy: &mut Seeded,
) -> Result<(Vec<(SiteId, Ready)>, CollectM), Abort> {
    let (sites, coordinator) = advertise(terms, stops, entropy);
    let (mut coordinator, set) = coordinator.close()?;
    let shared = share(sites, &set, &mut coordinator, stops, entropy);
    let (coordinator, relayed) = coordinator.close()?;
    let relayed: BTreeMap<_, _> = relayed.into_iter().collect();
    let ready = shared.into_iter().map(|(me, s)| (me, s.receive(&relayed[&me]).unwrap())).collect();
    Ok((ready, coordinator))
}

pub fn upload(coordinator: &mut CollectM, me: SiteId, upload: &Upload) {
    let (chunks, close) = upload.messages();
    for chunk in &chunks {
        coordinator.chunk(me, chunk).unwrap();
    }
    coordinator.finish(me, &close).unwrap();
}

/// Everything up to the announcement of U3.
pub fn until_announced(
    terms: &Arc<Terms>,
    stops: &[Stops],
    entropy: &mut Seeded,
) -> Result<(Vec<(SiteId, Masked)>, CollectC, Announce), Abort> {
    let (ready, mut coordinator) = until_ready(terms, stops, entropy)?;
    let mut masked = Vec::new();
    for (me, state) in ready {
        if stops[usize::from(me.0)] > Stops::BeforeMask {
            let encoded = Encoded { words: input(me, terms.words) };
            let (state, sent) = state.mask(encoded, side(me, terms.side_values())).unwrap();
            upload(&mut coordinator, me, &sent);
            masked.push((me, state));
        }
    }
    let (coordinator, announce) = coordinator.close()?;
    Ok((masked, coordinator, announce))
}

/// Everything up to the proof of a quorum.
pub fn until_confirmed(
    terms: &Arc<Terms>,
    stops: &[Stops],
    entropy: &mut Seeded,
) -> Result<(Vec<(SiteId, Confirmed)>, CollectU, ConfirmSet), Abort> {
    let (masked, mut coordinator, announce) = until_announced(terms, stops, entropy)?;
    let mut confirmed = Vec::new();
    for (me, state) in masked {
        if stops[usize::from(me.0)] > Stops::BeforeConfirm {
            let (state, message) = state.confirm(&announce, &mut history()).unwrap();
            coordinator.accept(me, &message).unwrap();
            confirmed.push((me, state));
        }
    }
    let (coordinator, set) = coordinator.close()?;
    Ok((confirmed, coordinator, set))
}

/// The sum as it is published.
pub fn published(sum: &Sum) -> Published<'_> {
    Published { words: &sum.words, side: &sum.side, complete: &sum.complete, quorum: &sum.quorum }
}

/// The sidecar of a sum without its tags.
pub fn side_values(sum: &Sum) -> Vec<u64> {
    sum.side[..sum.side.len() - TAGS].to_vec()
}

/// A whole attempt. Every site that is still there accepts the sum.
pub fn run(terms: &Arc<Terms>, stops: &[Stops], entropy: &mut Seeded) -> Result<Sum, Abort> {
    let (confirmed, mut coordinator, set) = until_confirmed(terms, stops, entropy)?;
    let mut verifiers = Vec::new();
    for (me, state) in confirmed {
        if stops[usize::from(me.0)] > Stops::BeforeUnmask {
            let (state, message) = state.unmask(&set).unwrap();
            coordinator.accept(me, &message.body).unwrap();
            verifiers.push(state.into_verifier());
        }
    }
    let sum = coordinator.close()?;
    for verifier in &verifiers {
        assert_eq!(verifier.check(published(&sum)), Ok(()));
    }
    Ok(sum)
}
