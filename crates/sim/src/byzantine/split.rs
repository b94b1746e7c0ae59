//! The attack that confirmations are there for: two groups of sites hear of two sets that differ by one site. If
//! both had a quorum, one group would reveal the shares of that site's self mask and the other those of its
//! mask key.

use std::collections::BTreeMap;

use fovea_fed::state::ServerState;
use fovea_secagg::commit::{self, Cohort};
use fovea_secagg::envelope::{Envelope, Header, Signed};
use fovea_secagg::hash::Hash;
use fovea_secagg::message::{
    AdvertiseSet, Announce, COORDINATOR, Confirm, ConfirmSet, Open, Phase, ShareSet,
};
use fovea_secagg::sets::{SiteId, SiteSet};

use crate::random::Stream;
use crate::scenario::Scenario;

/// The attempt that is being split.
#[derive(Debug, Default)]
pub(super) struct Split {
    ctx: Option<Hash>,
    open: Option<Open>,
    r1: Option<Hash>,
    r2: Option<Hash>,
    quorum: usize,
    /// The other set, and who confirmed it.
    other: Option<SiteSet>,
    confirmations: BTreeMap<SiteId, Signed<Confirm>>,
    asked: bool,
}

impl Split {
    /// Passes a message on; the announcement differs from site to site, and the proof asks again.
    pub fn relay(
        &mut self,
        to: &SiteSet,
        phase: Phase,
        bytes: &[u8],
        (scenario, state): (&Scenario, &ServerState),
        stream: &mut Stream,
        out: &mut Vec<(SiteId, Vec<u8>)>,
    ) {
        self.follow(phase, bytes, scenario, state);
        match (phase, self.victim(phase, bytes, stream)) {
            (Phase::Announce, Some((other, announcement))) => {
                self.other = Some(other.clone());
                let identity = scenario.identity(COORDINATOR);
                let Some(second) = self.seal(Phase::Announce, &announcement, &identity) else { return };
                for site in to.iter() {
                    let told_other = other.contains(site) && stream.chance(0.5);
                    out.push((site, if told_other { second.clone() } else { bytes.to_vec() }));
                    // Some hear both, in either order.
                    if other.contains(site) && stream.chance(0.2) {
                        out.push((site, if told_other { bytes.to_vec() } else { second.clone() }));
                    }
                }
            }
            _ => out.extend(to.iter().map(|site| (site, bytes.to_vec()))),
        }
        if phase == Phase::ConfirmSet {
            out.extend(self.ask(scenario));
        }
    }

    /// Collects the confirmations of the other set.
    pub fn overhear(&mut self, bytes: &[u8], scenario: &Scenario) -> Vec<(SiteId, Vec<u8>)> {
        let (Ok(envelope), Some(r2), Some(other)) = (Envelope::open(bytes), self.r2, &self.other) else {
            return Vec::new();
        };
        let Header { ctx, phase, from } = envelope.header;
        if Some(ctx) != self.ctx || phase != Phase::Confirm {
            return Vec::new();
        }
        if let Ok(signed) = envelope.signed::<Confirm>()
            && signed.body.digest == commit::r3(r2, other)
        {
            self.confirmations.insert(from, signed);
        }
        self.ask(scenario)
    }

    /// Asks for the shares that belong to the other set, once liars complete its quorum.
    fn ask(&mut self, scenario: &Scenario) -> Vec<(SiteId, Vec<u8>)> {
        let (Some(ctx), Some(r2), Some(other)) = (self.ctx, self.r2, self.other.clone()) else {
            return Vec::new();
        };
        let digest = commit::r3(r2, &other);
        for &liar in scenario.liars.keys().filter(|liar| other.contains(**liar)) {
            let header = Header { ctx, phase: Phase::Confirm, from: liar };
            if let Ok(signed) = Signed::new(header, Confirm { digest }, &scenario.identity(liar)) {
                self.confirmations.entry(liar).or_insert(signed);
            }
        }
        if self.asked || self.confirmations.len() < self.quorum {
            return Vec::new();
        }
        self.asked = true;
        let proof = ConfirmSet { confirmations: self.confirmations.clone().into_iter().collect() };
        let identity = scenario.identity(COORDINATOR);
        let proof = self.seal(Phase::ConfirmSet, &proof, &identity);
        proof.map_or(Vec::new(), |bytes| other.iter().map(|site| (site, bytes.clone())).collect())
    }

    /// The set without one of its members.
    fn victim(&self, phase: Phase, bytes: &[u8], stream: &mut Stream) -> Option<(SiteSet, Announce)> {
        if phase != Phase::Announce || self.r2.is_none() {
            return None;
        }
        let Announce { complete } = Envelope::open(bytes).ok()?.body().ok()?;
        let victim = complete.iter().nth(stream.place(complete.len()))?;
        let other: SiteSet = complete.iter().filter(|site| *site != victim).collect();
        Some((other.clone(), Announce { complete: other }))
    }

    /// Learns what the digests of the attempt are made of.
    fn follow(&mut self, phase: Phase, bytes: &[u8], scenario: &Scenario, state: &ServerState) {
        let Ok(envelope) = Envelope::open(bytes) else { return };
        match phase {
            Phase::Open => {
                let open = envelope.body().ok();
                *self = Self { ctx: Some(envelope.header.ctx), open, ..Self::default() };
            }
            Phase::AdvertiseSet => {
                let Some(Open { round, attempt, invited }) = self.open.clone() else { return };
                let Ok((terms, _)) = state.terms(&scenario.plan, round, attempt, invited) else { return };
                let Ok(keys) = envelope.body::<AdvertiseSet>() else { return };
                let Ok(cohort) = Cohort::new(&terms, &keys) else { return };
                self.quorum = terms.thresholds(cohort.sites.len()).map_or(usize::MAX, |t| t.quorum);
                self.r1 = Some(cohort.r1);
            }
            Phase::ShareSet => {
                let (Ok(ShareSet { dealers }), Some(r1)) = (envelope.body(), self.r1) else { return };
                self.r2 = Some(commit::r2(r1, dealers.iter().map(|dealt| (dealt.dealer, dealt.root))));
            }
            _ => {}
        }
    }

    fn seal<T: serde::Serialize>(
        &self,
        phase: Phase,
        body: &T,
        identity: &fovea_secagg::identity::Identity,
    ) -> Option<Vec<u8>> {
        Envelope::seal(Header { ctx: self.ctx?, phase, from: COORDINATOR }, body, identity).ok()
    }
}
