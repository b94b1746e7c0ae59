//! One site against every order in which a coordinator that colludes with all others can speak to it,
//! repetitions, losses and restarts included.
#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "common/net.rs"]
mod net;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use fovea_fed::error::MachineError;
use fovea_fed::site::{SiteEffect, SiteMachine};
use fovea_fed::state::ServerState;
use fovea_secagg::commit::{self, Cohort, Terms};
use fovea_secagg::encode::RoundingKey;
use fovea_secagg::envelope::{Envelope, Header, Signed};
use fovea_secagg::hash::Hash;
use fovea_secagg::message::{
    AdvertiseSet, Announce, COORDINATOR, Confirm, ConfirmSet, Open, Phase, ShareSet, Unmask,
};
use fovea_secagg::secret::Secret;
use fovea_secagg::sets::{SiteId, SiteSet};
use net::{Counter, Disk, Net, identity, machine, update};

const SITES: u16 = 7;
const DEPTH: usize = 12;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Say(usize),
    Submit,
    Restart,
}

/// What the coordinator can say: both attempts of a round, two sets U3 with full quorums that do not need
/// site 0, and the end of an attempt.
fn sayings() -> Vec<(&'static str, Vec<u8>)> {
    let mut net = Net::new(SITES);
    let opened = net.open();
    net.run(opened, |phase| phase == Phase::MaskedChunk);
    let said = |wanted: Phase| {
        let to_first = |entry: &&(SiteId, Option<SiteId>, Phase, Vec<u8>)| {
            entry.1 == Some(SiteId(0)) && entry.2 == wanted
        };
        net.log.iter().find(to_first).unwrap().3.clone()
    };
    let body = |wanted| Envelope::open(&said(wanted)).unwrap();
    let ctx = body(Phase::Open).header.ctx;
    let (terms, _) = net.coordinator.state().terms(&net.plan, 0, 0, net.plan.roster()).unwrap();
    let keys: AdvertiseSet = body(Phase::AdvertiseSet).body().unwrap();
    let shares: ShareSet = body(Phase::ShareSet).body().unwrap();
    let r1 = Cohort::new(&terms, &keys).unwrap().r1;
    let r2 = commit::r2(r1, shares.dealers.iter().map(|dealt| (dealt.dealer, dealt.root)));
    let header = |phase| Header { ctx, phase, from: COORDINATOR };
    let key = identity(COORDINATOR.0);
    let all: SiteSet = (0..SITES).map(SiteId).collect();
    let but_last: SiteSet = (0..SITES - 1).map(SiteId).collect();
    let announce = |complete: &SiteSet| {
        let body = Announce { complete: complete.clone() };
        Envelope::seal(header(Phase::Announce), &body, &key).unwrap()
    };
    let quorum = |complete: &SiteSet| {
        let confirmations = (1..SITES - 1).map(|site| (SiteId(site), confirm(&terms, site, r2, complete)));
        let body = ConfirmSet { confirmations: confirmations.collect() };
        Envelope::seal(header(Phase::ConfirmSet), &body, &key).unwrap()
    };
    let (second, _) = net.coordinator.state().terms(&net.plan, 0, 1, all.clone()).unwrap();
    let open_again = Open { round: 0, attempt: 1, invited: all.clone() };
    vec![
        ("open", said(Phase::Open)),
        ("keys", said(Phase::AdvertiseSet)),
        ("shares", said(Phase::ShareSet)),
        ("announce all", announce(&all)),
        ("announce but one", announce(&but_last)),
        ("quorum for all", quorum(&all)),
        ("quorum for all but one", quorum(&but_last)),
        ("abandon", Envelope::seal(header(Phase::Abandon), &(), &key).unwrap()),
        ("open again", Envelope::seal(second.header(Phase::Open, COORDINATOR), &open_again, &key).unwrap()),
    ]
}

fn confirm(terms: &Terms, site: u16, r2: Hash, complete: &SiteSet) -> Signed<Confirm> {
    let body = Confirm { digest: commit::r3(r2, complete) };
    Signed::new(terms.header(Phase::Confirm, SiteId(site)), body, &identity(site)).unwrap()
}

/// A site and all that it has said.
struct Walk {
    site: SiteMachine,
    disk: Disk,
    entropy: Counter,
    state: ServerState,
    said: BTreeMap<Phase, BTreeSet<Vec<u8>>>,
}

impl Walk {
    /// The first site of a new net draws the same keys as the one that the sayings were made with.
    fn new() -> Self {
        let mut net = Net::new(SITES);
        let disk = net.disks.remove(0);
        let state = net.coordinator.state().clone();
        Self {
            site: net.sites.remove(0),
            disk,
            entropy: net.entropies.remove(0),
            state,
            said: BTreeMap::new(),
        }
    }

    fn take(&mut self, step: Step, sayings: &[(&'static str, Vec<u8>)], net: &Net) {
        let mut effects = Vec::new();
        match step {
            Step::Say(index) => {
                let _ = self.site.receive(&sayings[index].1, &mut self.entropy, &mut effects);
            }
            Step::Submit => {
                let key = RoundingKey(Secret::new([8; 32]));
                let _ = self.site.submit(&update(), &key, &mut self.entropy, &mut effects);
            }
            Step::Restart => {
                let restarted = machine(&net.plan, 0, &self.state, &self.disk, &mut self.entropy).unwrap();
                self.site = restarted.0;
                effects = restarted.1;
            }
        }
        for effect in effects {
            if let SiteEffect::Send(phase, bytes) = effect {
                self.said.entry(phase).or_default().insert(bytes);
            }
        }
    }

    fn waiting(&self) -> String {
        let text = format!("{:?}", self.site);
        let active = text.split_once("active: ").unwrap().1;
        let phase = active.split_once(", phase: ").map_or("idle", |(_, rest)| rest);
        phase.split(['(', ' ']).next().unwrap().to_owned()
    }

    /// Everything that decides what the site does from here on.
    fn fingerprint(&self) -> String {
        // What was confirmed and revealed counts by content; the rest differs by fresh keys only.
        let content = |phase| matches!(phase, Phase::Confirm | Phase::Unmask);
        let digest = |bodies: &BTreeSet<Vec<u8>>| {
            Hash::of("said", &bodies.iter().map(Vec::as_slice).collect::<Vec<_>>())
        };
        let said: Vec<_> = self
            .said
            .iter()
            .map(|(phase, bodies)| (*phase, bodies.len(), content(*phase).then(|| digest(bodies))))
            .collect();
        let text = format!("{:?}", self.site);
        let joined = text.split_once("joined: ").unwrap().1;
        let joined = joined.split_once("active").unwrap().0.to_owned();
        let burned = self.site.history().is_burned(0);
        format!("{} {joined} {burned} {said:?}", self.waiting())
    }

    fn check(&self, path: &[Step]) {
        let bodies = |phase| self.said.get(&phase).map_or(0, BTreeSet::len);
        assert!(bodies(Phase::Confirm) <= 1, "two sets confirmed: {path:?}");
        assert!(bodies(Phase::MaskedClose) <= 1, "two uploads: {path:?}");
        assert!(bodies(Phase::Unmask) <= 1, "shares revealed twice: {path:?}");
        for bytes in self.said.get(&Phase::Unmask).into_iter().flatten() {
            let message: Unmask = Envelope::open(bytes).unwrap().body().unwrap();
            let dealers: BTreeSet<SiteId> = message.reveals.iter().map(|reveal| reveal.dealer).collect();
            assert_eq!(dealers.len(), message.reveals.len(), "two shares of one dealer: {path:?}");
        }
        if self.waiting() == "idle" {
            // Only the journal's local key is left.
            let text = format!("{:?}", self.site);
            assert_eq!(text.matches("redacted").count(), 1, "secrets outlive an attempt: {path:?}");
        }
    }
}

#[test]
fn no_order_of_messages_makes_a_site_say_two_things() {
    let (sayings, net) = (sayings(), Net::new(SITES));
    let mut steps: Vec<Step> = (0..sayings.len()).map(Step::Say).collect();
    steps.extend([Step::Submit, Step::Restart]);
    let (mut seen, mut queue) = (BTreeSet::new(), VecDeque::from([Vec::new()]));
    let (mut walked, mut reached) = (0, BTreeSet::new());
    let (mut confirmed, mut revealed) = (BTreeSet::new(), BTreeSet::new());
    while let Some(path) = queue.pop_front() {
        for &step in &steps {
            let mut path: Vec<Step> = path.clone();
            path.push(step);
            let mut walk = Walk::new();
            path.iter().for_each(|&step| walk.take(step, &sayings, &net));
            walked += 1;
            walk.check(&path);
            confirmed.extend(walk.said.get(&Phase::Confirm).into_iter().flatten().cloned());
            revealed.extend(walk.said.get(&Phase::Unmask).into_iter().flatten().cloned());
            reached.insert(walk.waiting());
            // A state reached before has all its continuations searched from there.
            if seen.insert(walk.fingerprint()) && path.len() < DEPTH {
                queue.push_back(path);
            }
        }
    }
    for phase in ["idle", "Advertised", "Shared", "Ready", "Uploaded", "Confirmed", "Following"] {
        assert!(reached.contains(phase), "{phase} was never reached: {reached:?}");
    }
    // Both sets can be confirmed, each in its own walk, and both can be opened.
    assert_eq!(confirmed.len(), 2);
    assert_eq!(revealed.len(), 2);
    assert!(walked > 200 && seen.len() > 20, "{walked} walks, {} states", seen.len());
}

/// The control: the messages do lead an obedient path to the end.
#[test]
fn the_intended_order_reveals_one_share_per_dealer() {
    let (sayings, net) = (sayings(), Net::new(SITES));
    let mut walk = Walk::new();
    for step in [Step::Say(0), Step::Say(1), Step::Say(2), Step::Submit, Step::Say(4), Step::Say(6)] {
        walk.take(step, &sayings, &net);
    }
    let bytes = walk.said[&Phase::Unmask].first().unwrap();
    let message: Unmask = Envelope::open(bytes).unwrap().body().unwrap();
    assert_eq!(message.reveals.len(), usize::from(SITES));
    // The other set, though a quorum signed it, gets nothing.
    let refused = walk.site.receive(&sayings[5].1, &mut walk.entropy, &mut Vec::new());
    assert_eq!(refused, Err(MachineError::OutOfPhase { phase: Phase::ConfirmSet }));
}
