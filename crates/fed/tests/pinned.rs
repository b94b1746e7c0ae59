//! The model after four rounds, as a number: a change of the protocol must not change what is learnt.
#![allow(clippy::unwrap_used, reason = "a test")]

use fovea_fed::clip::ClipRule;
use fovea_fed::job::{Job, Parameter, SiteConfig};
use fovea_fed::local::LocalFederation;
use fovea_fed::site::LocalUpdate;
use fovea_fed::strategy::Strategy;
use fovea_secagg::history::MultiRoundPolicy;
use fovea_secagg::sets::Profile;

/// Four rounds of `count` sites; of more than three, site 1 is absent from round 1.
fn model_after_four_rounds(count: usize) -> String {
    let job = Job {
        name: "pinned".into(),
        rounds: 4,
        local_epochs: 1,
        strategy: Strategy::FedAdam { learning_rate: 0.05, beta1: 0.9, beta2: 0.99, tau: 1e-3 },
        proximal_mu: 0.0,
        sites_min: 2,
        profile: Profile::Malicious,
        colluders_max: None,
        weight_max: 128,
        side_names: vec!["loss".into()],
        clip_rule: ClipRule::FollowUpdate,
        multi_round_policy: MultiRoundPolicy::Warn,
        phase_timeout_ms: 1000,
    };
    let site = |i| SiteConfig { name: format!("hospital-{i}"), ack_two_party_disclosure: true };
    let parameters = vec![Parameter { name: "w".into(), len: 700, first_clip: 1.0 }];
    let sites = (0..count).map(site).collect();
    let mut federation = LocalFederation::new(job, sites, parameters, vec![0.1; 700], Some(7)).unwrap();
    let mut hash = String::new();
    for round in 0..4 {
        let train = |site: usize, model: &[f32]| {
            let step = |i: usize| ((i * 31 + site * 17) % 97) as f32 * 1e-3 - 0.04;
            let model = model.iter().enumerate().map(|(i, w)| w + step(i)).collect();
            let absent = count > 3 && (site, round) == (1, 1);
            (!absent).then(|| LocalUpdate { model, samples: 10 + site as u32, side: vec![1.0] })
        };
        hash = federation.round(train).unwrap().model_hash.to_string();
    }
    hash
}

#[test]
fn models_keep_their_bits() {
    let pinned = [
        (2, "0129df32d14f356e67dd6623beb371f0e6677985d6b177ebb519771d55719b29"),
        (3, "5a3e7d6b293fa456dccf5db15bd6570cc436716176f30f856285dd6a2d504341"),
        (5, "807154529d2e2f3adfccedeeb772b974ea68a22c25868c98aaddf19c3cc54213"),
    ];
    for (count, expected) in pinned {
        assert_eq!(model_after_four_rounds(count), expected, "{count} sites");
    }
}
