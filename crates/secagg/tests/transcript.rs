//! One attempt against a transcript that a second implementation wrote (`golden/transcript.py`).
#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "common/parties.rs"]
mod parties;

use std::collections::BTreeMap;
use std::sync::Arc;

use fovea_secagg::commit::Cohort;
use fovea_secagg::coordinator::CollectA;
use fovea_secagg::encode::Encoded;
use fovea_secagg::hash::Hash;
use fovea_secagg::secret::{Entropy, EntropyError};
use fovea_secagg::sets::SiteId;
use fovea_secagg::site::Advertised;
use parties::{clear_sum, history, input, seat, side, side_values, terms, upload};
use sha2::{Digest, Sha256};

/// The transcript's source of randomness: draw k of a site is SHA-256("golden" || site || k).
struct Drawn {
    site: u16,
    count: u64,
}

impl Entropy for Drawn {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), EntropyError> {
        self.count += 1;
        let block = [&b"golden"[..], &self.site.to_le_bytes(), &self.count.to_le_bytes()].concat();
        out.copy_from_slice(&Sha256::digest(block));
        Ok(())
    }
}

fn hex(bytes: impl IntoIterator<Item = u8>) -> String {
    bytes.into_iter().map(|b| format!("{b:02x}")).collect()
}

#[test]
fn three_sites_reproduce_the_transcript_of_a_second_implementation() {
    let golden: BTreeMap<&str, &str> =
        include_str!("golden/transcript.txt").lines().map(|line| line.rsplit_once(' ').unwrap()).collect();
    let is = |name: &str, found: String| assert_eq!(golden[name], found, "{name}");
    let hash = |name: &str, found: Hash| is(name, found.to_string());
    let terms = terms(3, 16, 2);
    hash("ctx", terms.ctx());

    let mut coordinator = CollectA::open(Arc::clone(&terms));
    let mut sites = Vec::new();
    for site in 0..3 {
        let (me, mut entropy) = (SiteId(site), Drawn { site, count: 0 });
        let (state, message) = Advertised::start(seat(&terms, me), &mut entropy).unwrap();
        coordinator.accept(me, &message).unwrap();
        sites.push((me, state, entropy));
    }
    let (mut coordinator, keys) = coordinator.close().unwrap();
    hash("r1", Cohort::new(&terms, &keys).unwrap().r1);

    let mut shared = Vec::new();
    for (me, state, mut entropy) in sites {
        let (state, message) = state.share(&keys, &mut entropy).unwrap();
        hash(&format!("root {}", me.0), message.body.root);
        coordinator.accept(me, &message.body).unwrap();
        shared.push((me, state));
    }
    let (mut coordinator, relayed) = coordinator.close().unwrap();
    let roots = relayed[0].1.dealers.iter().map(|dealt| (dealt.dealer, dealt.root));
    hash("r2", fovea_secagg::commit::r2(Cohort::new(&terms, &keys).unwrap().r1, roots));

    let mut masked = Vec::new();
    for ((me, state), (_, set)) in shared.into_iter().zip(&relayed) {
        let encoded = Encoded { words: input(me, 16) };
        let (state, sent) = state.receive(set).unwrap().mask(encoded, side(me, 2)).unwrap();
        is(&format!("words {}", me.0), hex(sent.words.iter().flat_map(|w| w.to_le_bytes())));
        is(&format!("side {}", me.0), hex(sent.side.iter().flat_map(|w| w.to_le_bytes())));
        upload(&mut coordinator, me, &sent);
        masked.push((me, state));
    }
    let (mut coordinator, announce) = coordinator.close().unwrap();
    let mut confirmed = Vec::new();
    for (me, state) in masked {
        let (state, message) = state.confirm(&announce, &mut history()).unwrap();
        hash("r3", message.body.digest);
        coordinator.accept(me, &message).unwrap();
        confirmed.push((me, state));
    }
    let (mut coordinator, quorum) = coordinator.close().unwrap();
    for (me, state) in confirmed {
        coordinator.accept(me, &state.unmask(&quorum).unwrap().1.body).unwrap();
    }
    let sum = coordinator.close().unwrap();
    let values = side_values(&sum);
    is("tags", hex(sum.side[2..].iter().flat_map(|w| w.to_le_bytes())));
    assert_eq!((sum.words, values), clear_sum(&sum.complete, 16, 2));
}
