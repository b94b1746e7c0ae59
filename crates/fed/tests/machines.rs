//! The machines on hostile bytes: replays, wrong phases, strangers, damage, deadlines. A refused message
//! changes nothing.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::sync::Arc;

use fovea_fed::clip::ClipRule;
use fovea_fed::coordinator::{CoordinatorEffect, CoordinatorMachine};
use fovea_fed::error::MachineError;
use fovea_fed::job::{Job, Parameter, Plan, SiteConfig};
use fovea_fed::site::{LocalUpdate, SiteEffect, SiteMachine};
use fovea_fed::state::ServerState;
use fovea_fed::strategy::Strategy;
use fovea_secagg::encode::RoundingKey;
use fovea_secagg::error::{Abort, Reject};
use fovea_secagg::history::MultiRoundPolicy;
use fovea_secagg::message::{COORDINATOR, Complaint, ENVELOPE_MAX, Envelope, Phase};
use fovea_secagg::secret::{Entropy, EntropyError, Secret};
use fovea_secagg::sets::{Profile, SiteId};
use fovea_wire::WireError;
use proptest::prelude::*;

struct Counter(u64);

impl Entropy for Counter {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), EntropyError> {
        for chunk in out.chunks_mut(32) {
            self.0 += 1;
            let block = fovea_secagg::hash::Hash::of("test entropy", &[&self.0.to_le_bytes()]);
            chunk.copy_from_slice(&block.0[..chunk.len()]);
        }
        Ok(())
    }
}

struct Net {
    coordinator: CoordinatorMachine,
    sites: Vec<SiteMachine>,
    entropy: Counter,
    /// Every message so far: sender, receiver (`None` for the coordinator), phase, bytes.
    log: Vec<(SiteId, Option<SiteId>, Phase, Vec<u8>)>,
    events: Vec<CoordinatorEffect>,
}

impl Net {
    fn new(n: u16) -> Self {
        let job = Job {
            name: "test".into(),
            rounds: 2,
            local_epochs: 1,
            strategy: Strategy::FedAvg,
            proximal_mu: 0.0,
            sites_min: 2,
            profile: Profile::Malicious,
            colluders_max: None,
            weight_max: 16,
            side_names: vec!["loss".into()],
            clip_rule: ClipRule::Fixed,
            multi_round_policy: MultiRoundPolicy::Warn,
            phase_timeout_ms: 100,
        };
        let site = |i| SiteConfig { name: format!("s{i}"), ack_two_party_disclosure: false };
        let parameters = vec![Parameter { name: "w".into(), len: 5, first_clip: 1.0 }];
        let plan = Arc::new(Plan::new(job, (0..n).map(site).collect(), parameters).unwrap());
        let state = ServerState::start(&plan, vec![0.0; 5]).unwrap();
        let machine = |i| SiteMachine::new(Arc::clone(&plan), SiteId(i), state.clone());
        Self {
            sites: (0..n).map(machine).collect(),
            coordinator: CoordinatorMachine::new(Arc::clone(&plan), state.clone()),
            entropy: Counter(0),
            log: Vec::new(),
            events: Vec::new(),
        }
    }

    /// Delivers messages, each followed by a copy of itself, until `stop` says so or nothing is under way.
    fn run(&mut self, effects: Vec<CoordinatorEffect>, stop: impl Fn(Phase) -> bool) {
        let mut queue = std::collections::VecDeque::from(effects);
        while let Some(effect) = queue.pop_front() {
            let CoordinatorEffect::Send(to, phase, bytes) = effect else {
                self.events.push(effect);
                continue;
            };
            for site in to.iter() {
                self.log.push((COORDINATOR, Some(site), phase, bytes.clone()));
                let mut out = Vec::new();
                let machine = &mut self.sites[usize::from(site.0)];
                let _ = machine.receive(&bytes, &mut self.entropy, &mut out);
                if out.iter().any(|effect| matches!(effect, SiteEffect::Ready { .. })) {
                    let update = LocalUpdate { model: vec![0.25; 5], samples: 4, side: vec![1.0] };
                    let key = RoundingKey(Secret::new([1; 32]));
                    machine.submit(&update, &key, &mut out).unwrap();
                }
                for effect in out {
                    let SiteEffect::Send(phase, bytes) = effect else { continue };
                    if stop(phase) {
                        continue;
                    }
                    self.log.push((site, None, phase, bytes.clone()));
                    if let Ok(more) = self.coordinator.receive(&bytes, 0) {
                        queue.extend(more);
                    }
                }
            }
        }
    }

    fn open(&mut self) -> Vec<CoordinatorEffect> {
        self.coordinator.open(0).unwrap()
    }

    fn ended(&self) -> Option<&MachineError> {
        self.events.iter().find_map(|event| match event {
            CoordinatorEffect::Ended { error, .. } => Some(error),
            _ => None,
        })
    }
}

fn never(_: Phase) -> bool {
    false
}

#[test]
fn a_round_ends_with_one_model_everywhere() {
    let mut net = Net::new(3);
    let opened = net.open();
    net.run(opened, never);
    assert_eq!(net.coordinator.state().model, vec![0.25; 5]);
    assert!(net.sites.iter().all(|site| site.state() == net.coordinator.state()));
    assert!(!net.coordinator.is_active());
}

#[test]
fn replayed_messages_of_an_earlier_round_are_dropped_before_their_body_is_read() {
    let mut net = Net::new(3);
    let opened = net.open();
    net.run(opened, never);
    let old = std::mem::take(&mut net.log);
    let opened = net.open();
    let before = net.coordinator.state().clone();
    for (_, to, phase, bytes) in &old {
        let result = match to {
            None => net.coordinator.receive(bytes, 0).map(|_| ()),
            Some(site) => net.sites[usize::from(site.0)].receive(bytes, &mut Counter(9), &mut Vec::new()),
        };
        assert_eq!(result, Err(MachineError::Context), "{phase:?}");
    }
    assert_eq!(*net.coordinator.state(), before);
    net.run(opened, never);
    assert_eq!(net.coordinator.state().round, 2);
}

#[test]
fn messages_out_of_phase_change_nothing() {
    let mut net = Net::new(3);
    let opened = net.open();
    net.run(opened, |phase| phase == Phase::Confirm);
    // All uploads are in; the coordinator waits for confirmations.
    let all = net.log.clone();
    for (_, _, phase, bytes) in all.iter().filter(|(_, to, ..)| to.is_none()) {
        assert_eq!(
            net.coordinator.receive(bytes, 0).unwrap_err(),
            MachineError::OutOfPhase { phase: *phase }
        );
    }
    for (_, to, phase, bytes) in all.iter().filter(|(_, to, phase, _)| to.is_some() && *phase != Phase::Open)
    {
        let machine = &mut net.sites[usize::from(to.unwrap().0)];
        let result = machine.receive(bytes, &mut Counter(9), &mut Vec::new());
        assert_eq!(result, Err(MachineError::OutOfPhase { phase: *phase }));
    }
    // Sites have confirmed: an attempt of the same round is refused from now on.
    let (_, _, _, open) = all.iter().find(|(.., phase, _)| *phase == Phase::Open).unwrap();
    let result = net.sites[0].receive(open, &mut Counter(9), &mut Vec::new());
    assert_eq!(result, Err(MachineError::Abort(Abort::SecondConfirmation { round: 0 })));
    // The deadline burns the round; the next one has a new number and succeeds on the same model.
    let effects = net.coordinator.tick(100);
    net.run(effects, never);
    assert!(matches!(net.ended(), Some(MachineError::Abort(Abort::TooFewSites { phase: "confirm", .. }))));
    assert_eq!((net.coordinator.state().round, &net.coordinator.state().model), (1, &vec![0.0; 5]));
    for site in &mut net.sites {
        assert_eq!(site.state().round, 0);
    }
    let opened = net.open();
    net.log.clear();
    net.run(opened, never);
    assert_eq!(net.coordinator.state().round, 2);
}

#[test]
fn strangers_and_other_senders_are_refused() {
    let mut net = Net::new(3);
    let opened = net.open();
    net.run(opened, |phase| phase == Phase::Advertise);
    let mut other = Net::new(3);
    let opened = other.open();
    other.run(opened, |phase| phase == Phase::Share);
    let (_, _, _, bytes) = other.log.iter().find(|(.., phase, _)| *phase == Phase::Advertise).unwrap();
    let mut envelope = Envelope::open(bytes).unwrap();
    for from in [SiteId(3), COORDINATOR] {
        envelope.from = from;
        let bytes = fovea_wire::encode(1, &envelope, ENVELOPE_MAX).unwrap();
        let refused = net.coordinator.receive(&bytes, 0).unwrap_err();
        assert_eq!(refused, MachineError::Reject(Reject::Unexpected { site: from }));
    }
    // A site listens to the coordinator alone.
    let result = net.sites[0].receive(bytes, &mut Counter(9), &mut Vec::new());
    assert_eq!(result, Err(MachineError::OutOfPhase { phase: Phase::Advertise }));
}

#[test]
fn oversize_and_truncated_messages_are_refused() {
    let mut net = Net::new(3);
    net.open();
    let long = vec![0; ENVELOPE_MAX + 1];
    let too_long = MachineError::Wire(WireError::TooLong { limit: ENVELOPE_MAX, found: ENVELOPE_MAX + 1 });
    assert_eq!(net.coordinator.receive(&long, 0).unwrap_err(), too_long);
    assert_eq!(net.sites[0].receive(&long, &mut Counter(0), &mut Vec::new()), Err(too_long));
    assert!(matches!(net.coordinator.receive(&[], 0), Err(MachineError::Wire(WireError::Truncated { .. }))));
}

#[test]
fn a_complaint_ends_the_attempt_and_the_next_one_succeeds() {
    let mut net = Net::new(3);
    let opened = net.open();
    net.run(opened, |phase| phase == Phase::MaskedClose);
    let ctx = Envelope::open(&net.log[0].3).unwrap().ctx;
    let complaint =
        Envelope::seal(ctx, Phase::Complaint, SiteId(2), &Complaint { dealer: SiteId(1) }).unwrap();
    let effects = net.coordinator.receive(&complaint, 0).unwrap();
    net.run(effects, never);
    let expected = Abort::Complaint { accuser: SiteId(2), dealer: SiteId(1) };
    assert_eq!(net.ended(), Some(&MachineError::Abort(expected)));
    let opened = net.open();
    net.run(opened, never);
    assert_eq!((net.coordinator.state().round, net.coordinator.state().model[0]), (1, 0.25));
}

#[test]
fn every_phase_ends_at_its_deadline_with_a_reason() {
    let stops = [
        (Phase::Advertise, "advertise"),
        (Phase::Share, "share"),
        (Phase::MaskedChunk, "masked"),
        (Phase::MaskedClose, "masked"),
        (Phase::Confirm, "confirm"),
        (Phase::Unmask, "unmask"),
    ];
    for (silent, expected) in stops {
        let mut net = Net::new(3);
        let opened = net.open();
        net.run(opened, |phase| phase == silent);
        assert!(net.coordinator.tick(99).is_empty());
        let effects = net.coordinator.tick(100);
        net.run(effects, never);
        let ended = net.ended().unwrap();
        assert!(matches!(ended, MachineError::Abort(Abort::TooFewSites { phase, .. }) if *phase == expected));
        assert!(!net.coordinator.is_active() && net.coordinator.tick(1000).is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn damaged_messages_never_panic(pick in any::<proptest::sample::Index>(), at in any::<usize>(), with in 1u8..) {
        let mut net = Net::new(3);
        let opened = net.open();
        net.run(opened, never);
        let (_, _, _, mut bytes) = pick.get(&net.log).clone();
        let at = at % bytes.len();
        bytes[at] ^= with;
        let mut net = Net::new(3);
        let opened = net.open();
        net.run(opened, |phase| phase == Phase::MaskedClose);
        let _ = net.coordinator.receive(&bytes, 0);
        let _ = net.sites[1].receive(&bytes, &mut Counter(5), &mut Vec::new());
    }
}
