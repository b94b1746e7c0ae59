//! The invariants, checked while a run goes on and at its end.
//!
//! The monitor sees what leaves honest parties and what they take for true. It knows all updates, so it knows
//! every sum; what liars say counts only where their signatures could complete a quorum.

use std::collections::{BTreeMap, BTreeSet};

use fovea_fed::site::RoundResult;
use fovea_fed::state::ServerState;
use fovea_secagg::commit::Half;
use fovea_secagg::envelope::Envelope;
use fovea_secagg::evidence::Equivocation;
use fovea_secagg::hash::Hash;
use fovea_secagg::message::{Chunk, Confirm, Phase, Unmask};
use fovea_secagg::sets::{SiteId, SiteSet};
use serde::Serialize;

use crate::plain::Updates;
use crate::scenario::Scenario;

/// An invariant that did not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// Name of the invariant.
    pub invariant: &'static str,
    /// What was seen instead.
    pub detail: String,
}

/// Watches one run.
#[derive(Debug)]
pub struct Monitor {
    /// All updates.
    pub updates: Updates,
    liars: usize,
    /// The least quorum of any cohort.
    quorum: usize,
    /// Models and sets of each round, as sites took them.
    finished: BTreeMap<u32, (Hash, SiteSet)>,
    /// All models that some honest party held.
    models: BTreeSet<Hash>,
    /// Who confirmed what in a round.
    confirmed: BTreeMap<u32, BTreeMap<Hash, BTreeSet<SiteId>>>,
    /// What each site said where it may say one thing: context, phase, piece.
    said: BTreeMap<(SiteId, Hash, Phase, u32), Hash>,
    /// Who revealed which half of a dealer's secrets in an attempt.
    revealed: BTreeMap<(Hash, SiteId), [BTreeSet<SiteId>; 2]>,
    violations: Vec<Violation>,
}

impl Monitor {
    /// A monitor of a run that has not started.
    pub fn new(scenario: &Scenario, updates: Updates) -> Self {
        let roster = scenario.sites();
        let rule = scenario.plan.threshold_rule();
        let quorums = (2..=roster).filter_map(|sites| rule.for_cohort(roster, sites).ok());
        let quorum = quorums.map(|thresholds| thresholds.quorum).min().unwrap_or(roster);
        Self {
            updates,
            liars: scenario.liars.len(),
            quorum,
            finished: BTreeMap::new(),
            models: BTreeSet::from([scenario.first.model_hash()]),
            confirmed: BTreeMap::new(),
            said: BTreeMap::new(),
            revealed: BTreeMap::new(),
            violations: Vec::new(),
        }
    }

    /// Notes that something did not hold; the same is noted once.
    pub fn violated(&mut self, invariant: &'static str, detail: String) {
        let violation = Violation { invariant, detail };
        if !self.violations.contains(&violation) && self.violations.len() < 20 {
            self.violations.push(violation);
        }
    }

    /// What did not hold so far.
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// The sets of the rounds that sites finished.
    pub fn sets(&self) -> BTreeMap<u32, SiteSet> {
        self.finished.iter().map(|(&round, (_, set))| (round, set.clone())).collect()
    }

    /// An honest party took the sum of a round: it must be the plain sum over that set.
    pub fn took(
        &mut self,
        scenario: &Scenario,
        who: &str,
        before: &ServerState,
        result: &RoundResult,
        after: &ServerState,
    ) {
        let RoundResult { round, complete, model, .. } = result;
        let expected = self.updates.step(&scenario.plan, before, *round, complete);
        if expected.as_ref() != Some(after) || *model != after.model_hash() {
            self.violated("exact-sum", format!("{who}, round {round}: not the plain sum over {complete:?}"));
        }
        let samples = complete.iter().map(|site| self.updates.of(site, before).samples).sum::<u32>();
        if samples != result.samples {
            self.violated("exact-sum", format!("{who}, round {round}: {} samples", result.samples));
        }
        self.models.insert(*model);
    }

    /// An honest site ended a round: all that do end in the same model.
    pub fn finished_round(&mut self, site: SiteId, result: &RoundResult) {
        let first = self.finished.entry(result.round);
        let first = first.or_insert_with(|| (result.model, result.complete.clone())).0;
        if first != result.model {
            let detail = format!("round {}: {site} holds {}, another {first}", result.round, result.model);
            self.violated("one-model", detail);
        }
    }

    /// An honest site took a state that a quorum vouched for: honest parties held that model before.
    pub fn caught_up(&mut self, site: SiteId, model: Hash) {
        if !self.models.contains(&model) {
            self.violated("one-model", format!("{site} caught up to {model}, which nobody had"));
        }
    }

    /// An honest site said something in an attempt of `round`, for which it confirmed `set` if any.
    pub fn said(&mut self, site: SiteId, round: u32, set: Option<&SiteSet>, bytes: &[u8]) {
        let Ok(envelope) = Envelope::open(bytes) else {
            return self.violated("well-formed", format!("{site} sends bytes that are no message"));
        };
        let (ctx, phase) = (envelope.header.ctx, envelope.header.phase);
        let piece = envelope.body::<Chunk>().ok().filter(|_| phase == Phase::MaskedChunk);
        if Equivocation::is_once(phase) || piece.is_some() {
            let place = (site, ctx, phase, piece.map_or(0, |chunk| chunk.index));
            let (digest, _) = envelope.statement();
            if *self.said.entry(place).or_insert(digest) != digest {
                self.violated("said-once", format!("{site} says two things in {phase:?}"));
            }
        }
        match phase {
            Phase::Confirm => {
                if let Ok(Confirm { digest }) = envelope.body() {
                    self.confirm(site, round, digest);
                }
            }
            Phase::Unmask => self.unmask(site, ctx, set, &envelope),
            _ => {}
        }
    }

    /// At most one set of a round can be confirmed, even if every liar signs everything.
    fn confirm(&mut self, site: SiteId, round: u32, digest: Hash) {
        let sets = self.confirmed.entry(round).or_default();
        sets.entry(digest).or_default().insert(site);
        let twice = sets.values().filter(|signers| signers.contains(&site)).count() > 1;
        let quorums = sets.values().filter(|signers| signers.len() + self.liars >= self.quorum).count();
        if twice {
            self.violated("one-set", format!("{site} confirms two sets in round {round}"));
        }
        if quorums > 1 {
            self.violated("one-set", format!("two sets of round {round} can have a quorum"));
        }
    }

    /// Of one dealer, at most one half is revealed by enough honest sites to be rebuilt with the liars' shares.
    fn unmask(&mut self, site: SiteId, ctx: Hash, set: Option<&SiteSet>, envelope: &Envelope) {
        let (Some(set), Ok(Unmask { reveals })) = (set, envelope.body()) else {
            return self.violated("one-share", format!("{site} reveals shares without a confirmed set"));
        };
        for reveal in &reveals {
            let half = if set.contains(reveal.dealer) { Half::SelfMask } else { Half::MaskKey };
            self.reveal(site, ctx, reveal.dealer, half);
        }
    }

    /// As seen in a message, or by whoever knows that a machine gave a share away.
    pub fn reveal(&mut self, site: SiteId, ctx: Hash, dealer: SiteId, half: Half) {
        let halves = self.revealed.entry((ctx, dealer)).or_default();
        halves[usize::from(half == Half::MaskKey)].insert(site);
        let both = halves.iter().all(|sites| sites.contains(&site));
        // Shares that liars hold count for either half, so one half alone must have honest shares at all.
        let rebuilt = halves.iter().all(|sites| !sites.is_empty() && sites.len() + self.liars >= self.quorum);
        if both {
            self.violated("one-share", format!("{site} reveals both shares of {dealer}"));
        }
        if rebuilt {
            self.violated("one-share", format!("both secrets of {dealer} can be rebuilt"));
        }
    }
}
