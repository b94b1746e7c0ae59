//! Whole rounds in one process: exact sums, drop-outs, pairs, resume, and what is recorded.

use fovea_fed::clip::ClipRule;
use fovea_fed::job::{Job, JobError, Parameter, SiteConfig};
use fovea_fed::ledger::{Direction, Ledger};
use fovea_fed::local::{FederationError, LocalFederation, RoundReport};
use fovea_fed::site::LocalUpdate;
use fovea_fed::strategy::Strategy;
use fovea_secagg::history::MultiRoundPolicy;
use fovea_secagg::message::Phase;
use fovea_secagg::sets::Profile;

const ADAM: Strategy = Strategy::FedAdam { learning_rate: 0.05, beta1: 0.9, beta2: 0.99, tau: 1e-3 };

fn job(strategy: Strategy) -> Job {
    Job {
        name: "test".into(),
        rounds: 3,
        local_epochs: 1,
        strategy,
        proximal_mu: 0.0,
        sites_min: 2,
        profile: Profile::Malicious,
        colluders_max: None,
        weight_max: 128,
        side_names: vec!["loss".into(), "dice".into()],
        clip_rule: ClipRule::FollowUpdate,
        multi_round_policy: MultiRoundPolicy::Warn,
        phase_timeout_ms: 1000,
    }
}

fn sites(count: usize) -> Vec<SiteConfig> {
    let site = |i| SiteConfig { name: format!("hospital-{i}"), ack_two_party_disclosure: true };
    (0..count).map(site).collect()
}

fn parameters() -> Vec<Parameter> {
    let parameter = |name: &str, len| Parameter { name: name.into(), len, first_clip: 1.0 };
    vec![parameter("conv.weight", 900), parameter("conv.bias", 10)]
}

fn federation(count: usize, strategy: Strategy) -> LocalFederation {
    LocalFederation::new(job(strategy), sites(count), parameters(), vec![0.1; 910], Some(7))
        .expect("a valid job")
}

/// A stand-in for training: moves every coordinate a little, differently at each site.
fn update(site: usize, model: &[f32]) -> LocalUpdate {
    let step = |i: usize| ((i * 31 + site * 17) % 97) as f32 * 1e-3 - 0.04;
    LocalUpdate {
        model: model.iter().enumerate().map(|(i, w)| w + step(i)).collect(),
        samples: 10 + 5 * site as u32,
        side: vec![0.5 + site as f64, -1.0],
    }
}

fn bits(federation: &LocalFederation) -> Vec<u32> {
    federation.model().iter().map(|w| w.to_bits()).collect()
}

fn assert_sound(report: &RoundReport) {
    assert_eq!((report.equals_clear, report.replicas_agree), (Some(true), true), "{report:?}");
}

#[test]
fn three_sites_average_exactly_round_after_round() {
    for strategy in [Strategy::FedAvg, Strategy::FedAvgM { learning_rate: 0.5, momentum: 0.5 }, ADAM] {
        let mut federation = federation(3, strategy);
        for round in 0..3 {
            let report = federation.round(|site, model| Some(update(site, model))).unwrap();
            assert_sound(&report);
            assert_eq!((report.round, report.samples), (round, 45));
            assert_eq!(report.participants, ["hospital-0", "hospital-1", "hospital-2"]);
            assert_eq!(report.clipped_coordinates, 0);
            let loss = (10.0 * 0.5 + 15.0 * 1.5 + 20.0 * 2.5) / 45.0;
            assert!((report.means[0].1 - loss).abs() < 1e-6 && (report.means[1].1 + 1.0).abs() < 1e-6);
        }
    }
}

#[test]
fn the_average_is_the_weighted_mean_of_the_updates() {
    let mut federation = federation(3, Strategy::FedAvg);
    federation.round(|site, model| Some(update(site, model))).unwrap();
    for i in 0..910 {
        let weighted: f64 =
            (0..3).map(|s| f64::from(update(s, &[0.1; 910]).model[i] - 0.1) * (10 + 5 * s) as f64).sum();
        assert!((f64::from(federation.model()[i]) - 0.1 - weighted / 45.0).abs() < 2e-8, "{i}");
    }
}

#[test]
fn one_of_four_sites_may_drop_out_and_follows_the_round() {
    let mut federation = federation(4, ADAM);
    let report = federation.round(|site, model| (site != 2).then(|| update(site, model))).unwrap();
    assert_sound(&report);
    assert_eq!(report.participants.len(), 3);
    assert_eq!(report.dropped[0].site, "hospital-2");
    let report = federation.round(|site, model| Some(update(site, model))).unwrap();
    assert_sound(&report);
    // The two sums differ by one hospital: every site notes that.
    assert_eq!((report.participants.len(), report.isolating_sets), (4, 1));
}

#[test]
fn one_of_three_sites_dropping_out_ends_the_round_and_leaves_the_model() {
    let mut federation = federation(3, Strategy::FedAvg);
    let before = bits(&federation);
    let ended = federation.round(|site, model| (site != 1).then(|| update(site, model)));
    assert!(matches!(ended, Err(FederationError::Ended { round: 0, attempt: 0, .. })), "{ended:?}");
    assert!(ended.unwrap_err().to_string().contains("hospital-1"));
    assert_eq!(bits(&federation), before);
    let report = federation.round(|site, model| Some(update(site, model))).unwrap();
    assert_sound(&report);
    assert_eq!(report.round, 0);
}

#[test]
fn a_site_whose_training_diverged_drops_out_by_name() {
    let mut federation = federation(4, Strategy::FedAvg);
    let report = federation
        .round(|site, model| {
            let mut update = update(site, model);
            if site == 3 {
                update.model[905] = f32::NAN;
            }
            Some(update)
        })
        .unwrap();
    assert_sound(&report);
    assert!(
        report.dropped[0].reason.contains("conv.bias") && report.dropped[0].reason.contains("coordinate 5")
    );
}

#[test]
fn two_sites_need_both_acknowledgements_and_then_sum_exactly() {
    let mut pair = federation(2, Strategy::FedAvg);
    let report = pair.round(|site, model| Some(update(site, model))).unwrap();
    assert_sound(&report);
    let ended = pair.round(|site, model| (site == 0).then(|| update(site, model)));
    assert!(matches!(ended, Err(FederationError::Ended { round: 1, .. })));
    assert_sound(&pair.round(|site, model| Some(update(site, model))).unwrap());
    let mut silent = sites(2);
    silent[1].ack_two_party_disclosure = false;
    let refused = LocalFederation::new(job(Strategy::FedAvg), silent, parameters(), vec![0.0; 910], None)
        .err()
        .unwrap();
    assert!(
        matches!(refused, FederationError::Job(JobError::TwoPartyNotAcknowledged { name }) if name == "hospital-1")
    );
}

#[test]
fn clipping_is_counted_and_the_clips_grow() {
    let mut federation = federation(3, Strategy::FedAvg);
    let wild = |site: usize, model: &[f32]| {
        let mut update = update(site, model);
        update.model[..100].iter_mut().for_each(|w| *w += 50.0);
        Some(update)
    };
    let report = federation.round(wild).unwrap();
    assert_sound(&report);
    assert_eq!(report.clipped_coordinates, 300);
    assert!((report.clipped_fraction - 300.0 / (3.0 * 910.0)).abs() < 1e-12);
    assert_eq!(federation.state().clips, [4.0, 2.0]);
}

#[test]
fn a_resumed_run_ends_in_the_same_bits_and_the_seed_decides_them() {
    let train = |site: usize, model: &[f32]| (site != 1).then(|| update(site, model));
    let run = |seed, stop_after: Option<u32>| {
        let start = LocalFederation::new(job(ADAM), sites(4), parameters(), vec![0.1; 910], Some(seed));
        let mut federation = start.unwrap();
        for round in 0..4 {
            federation.round(train).unwrap();
            if stop_after == Some(round) {
                let saved = federation.save().unwrap();
                let restored =
                    LocalFederation::restore(job(ADAM), sites(4), parameters(), &saved, Some(seed));
                federation = restored.unwrap();
            }
        }
        bits(&federation)
    };
    let undisturbed = run(7, None);
    assert_eq!(run(7, None), undisturbed);
    assert_eq!(run(7, Some(0)), undisturbed);
    assert_eq!(run(7, Some(2)), undisturbed);
    assert_ne!(run(8, None), undisturbed);
}

#[test]
fn a_saved_state_of_another_job_or_with_damage_is_refused() {
    let mut federation = federation(3, ADAM);
    federation.round(|site, model| Some(update(site, model))).unwrap();
    let saved = federation.save().unwrap();
    let restore =
        |job, bytes: &[u8]| LocalFederation::restore(job, sites(3), parameters(), bytes, None).err();
    assert!(restore(job(ADAM), &saved).is_none());
    assert!(matches!(restore(job(Strategy::FedAvg), &saved), Some(FederationError::Job(_))));
    assert!(matches!(restore(job(ADAM), &saved[..100]), Some(FederationError::Saved(_))));
}

#[test]
fn a_job_is_text_and_a_bad_one_is_named() {
    let text = serde_json::to_string(&job(ADAM)).unwrap();
    assert!(
        text.contains(r#""strategy":{"name":"fedadam","#) && text.contains(r#""clip_rule":"follow-update""#)
    );
    assert_eq!(serde_json::from_str::<Job>(&text).unwrap(), job(ADAM));
    assert!(serde_json::from_str::<Job>(&text.replace("\"rounds\"", "\"round\"")).is_err());
    let refused =
        |job, count| match LocalFederation::new(job, sites(count), parameters(), vec![0.1; 910], None)
            .err()
            .unwrap()
        {
            FederationError::Job(error) => error,
            other => panic!("{other}"),
        };
    assert!(matches!(refused(job(ADAM), 1), JobError::Sites { found: 1 }));
    assert!(matches!(refused(Job { sites_min: 4, ..job(ADAM) }, 3), JobError::SitesMin { .. }));
    assert!(matches!(refused(Job { colluders_max: Some(3), ..job(ADAM) }, 3), JobError::Thresholds(_)));
    assert!(matches!(refused(Job { weight_max: 100, ..job(ADAM) }, 3), JobError::Layout(_)));
    let batched = Job { multi_round_policy: MultiRoundPolicy::Batched { size: 2 }, ..job(ADAM) };
    assert!(matches!(refused(batched, 6), JobError::Batch { size: 2 }));
    let bad = Job { proximal_mu: -1.0, ..job(ADAM) };
    assert!(matches!(refused(bad, 3), JobError::Hyperparameter { field: "proximal_mu", .. }));
    let short = LocalFederation::new(job(ADAM), sites(3), parameters(), vec![0.1; 909], None).err().unwrap();
    assert!(matches!(short, FederationError::Job(JobError::ModelLength { expected: 910, found: 909 })));
}

/// With batches of three, one absent site ends the round; with its whole batch absent, the rest go on.
#[test]
fn whole_batches_may_be_absent_and_parts_may_not() {
    let batched = Job { multi_round_policy: MultiRoundPolicy::Batched { size: 3 }, ..job(Strategy::FedAvg) };
    let start = LocalFederation::new(batched, sites(12), parameters(), vec![0.1; 910], Some(7));
    let mut federation = start.expect("a valid job");
    let report = federation.round(|site, model| Some(update(site, model))).expect("all are there");
    assert_sound(&report);
    let report =
        federation.round(|site, model| (site >= 3).then(|| update(site, model))).expect("three batches");
    assert_sound(&report);
    // Three sites are fewer than a sum needs: that is written down.
    assert_eq!((report.participants.len(), report.isolating_sets), (9, 1));
    let part = federation.round(|site, model| (site != 4).then(|| update(site, model)));
    let refused = part.expect_err("a batch without one of its sites").to_string();
    assert!(refused.contains("site 4") && refused.contains("batch"), "{refused}");
}

#[test]
fn the_ledger_accounts_for_every_byte() {
    let mut federation = federation(3, Strategy::FedAvg);
    let report = federation.round(|site, model| Some(update(site, model))).unwrap();
    let ledger = federation.ledger();
    for (i, site) in sites(3).iter().enumerate() {
        let bytes = |way| -> u64 {
            let mine = ledger.entries.iter().filter(|e| e.site == site.name && e.direction == way);
            mine.map(|e| e.bytes).sum()
        };
        assert_eq!((bytes(Direction::Out), bytes(Direction::In)), (report.bytes_up[i], report.bytes_down[i]));
    }
    let vector = ledger.entries.iter().find(|e| e.purpose == Phase::MaskedChunk).unwrap();
    assert!(vector.bytes > 4 * 912 && vector.bytes < 4 * 912 + 164);
    let text = serde_json::to_string(ledger).unwrap();
    assert!(text.contains("\"purpose\":\"masked-chunk\""));
    assert_eq!(serde_json::from_str::<Ledger>(&text).unwrap(), *ledger);
}
