//! The federated model: hospitals as sites, jon as secure aggregator, all in this process but over encoded messages.

use super::Interrupted;
use super::cohort::Cohort;
use super::profile::Profile;
use super::round_state::{RoundState, Tally};
use super::trained::{Place, Trained};
use crate::common::{self, Progress};
use crate::learning::{Recipe, WEIGHT_MAX};
use anyhow::{Result, anyhow, ensure};
use fovea_fed::clip::ClipRule;
use fovea_fed::job::{Job, SiteConfig};
use fovea_fed::local::{FederationError, LocalFederation, RoundReport};
use fovea_fed::site::LocalUpdate;
use fovea_report::{Federation, Site};
use fovea_secagg::history::MultiRoundPolicy;
use fovea_secagg::sets::Profile as Threat;
use fovea_train::{Observer, StepReport, TrainConfig, Trainer};
use serde_json::Value;

/// Attempts of one round before the run gives up.
const ATTEMPTS_MAX: u32 = 4;

/// Trains all rounds, or goes on from the last round that an interrupted call saved.
pub fn train(
    place: &Place,
    profile: &Profile,
    config: &TrainConfig,
    fingerprint: Value,
    cohort: &Cohort,
) -> Result<Trained> {
    let mut run = Run::new(profile, config, cohort)?;
    run.resume(place)?;
    let mut progress = Progress::new(&place.key, run.tally.rounds * profile.local_steps, config.steps);
    let rounds_per_save = (config.steps_per_epoch / profile.local_steps).max(1);
    while run.tally.rounds < profile.rounds() {
        run.round(&mut progress)?;
        let stopping = common::stopped();
        if stopping || run.tally.rounds.is_multiple_of(rounds_per_save) {
            run.save(place)?;
        }
        if stopping && run.tally.rounds < profile.rounds() {
            progress.finish();
            return Err(Interrupted.into());
        }
    }
    progress.finish();
    run.finish(fingerprint)
}

struct Run<'a> {
    profile: &'a Profile,
    config: &'a TrainConfig,
    recipe: Recipe,
    cohort: &'a Cohort,
    federation: LocalFederation,
    trainers: Vec<Trainer>,
    average: Vec<f32>,
    tally: Tally,
}

impl<'a> Run<'a> {
    fn new(profile: &'a Profile, config: &'a TrainConfig, cohort: &'a Cohort) -> Result<Self> {
        let recipe = profile.recipe(config);
        let trainer = |(site, hospital): (usize, &super::cohort::Hospital)| {
            recipe.trainer(site, &hospital.train, profile.memory_limit)
        };
        let trainers = cohort.hospitals.iter().enumerate().map(trainer).collect::<Result<Vec<_>>>()?;
        let initial = recipe.initial()?;
        let federation = LocalFederation::new(
            job(profile, config),
            sites(cohort),
            recipe.parameters()?,
            initial.clone(),
            Some(config.seed),
        )?;
        let tally = Tally::new(trainers.len());
        Ok(Run { profile, config, recipe, cohort, federation, trainers, average: initial, tally })
    }

    fn resume(&mut self, place: &Place) -> Result<()> {
        let Some(saved) = RoundState::find(place, self.trainers.len())? else { return Ok(()) };
        let (job, parameters) = (job(self.profile, self.config), self.recipe.parameters()?);
        let sites = sites(self.cohort);
        self.federation =
            LocalFederation::restore(job, sites, parameters, &saved.server, Some(self.config.seed))?;
        for (trainer, state) in self.trainers.iter_mut().zip(&saved.sites) {
            trainer.restore(state)?;
        }
        ensure!(saved.average.len() == self.average.len(), "the saved average has another network's length");
        self.average = saved.average;
        self.tally = saved.tally;
        Ok(())
    }

    fn save(&self, place: &Place) -> Result<()> {
        let sites = self.trainers.iter().map(Trainer::state).collect::<Result<Vec<_>, _>>()?;
        let server = self.federation.save()?;
        RoundState { server, sites, average: self.average.clone(), tally: self.tally.clone() }.save(place)
    }

    /// One round: attempts until one ends in a sum. Sites that have trained offer the same update again.
    fn round(&mut self, progress: &mut Progress) -> Result<()> {
        let mut updates: Vec<Option<LocalUpdate>> = vec![None; self.trainers.len()];
        for attempt in 0..ATTEMPTS_MAX {
            let absent =
                self.profile.drop_out.filter(|&(_, round)| attempt == 0 && round == self.tally.rounds);
            let mut failure = None;
            let (trainers, recipe) = (&mut self.trainers, &self.recipe);
            let result = self.federation.round(|site, global| {
                if absent.is_some_and(|(who, _)| who == site) {
                    return None;
                }
                if updates[site].is_none() {
                    let mut shown = FirstSite { progress, first: site == 0 };
                    match recipe.local_update(&mut trainers[site], global, &mut shown) {
                        Ok(update) => updates[site] = Some(update),
                        Err(error) => failure = Some(error.context(format!("site {site}"))),
                    }
                }
                updates[site].clone()
            });
            if let Some(error) = failure {
                return Err(error);
            }
            match result {
                Ok(report) => return self.account(&report),
                Err(FederationError::Ended { round, dropped, error, .. }) => {
                    progress.note(&format!("round {round}: no sum ({error}); trying again with fresh keys"));
                    for who in &dropped {
                        let site = self.cohort.hospitals.iter().position(|h| h.site == who.site);
                        site.into_iter().for_each(|site| self.tally.dropped[site] += 1);
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(anyhow!("round {}: no sum after {ATTEMPTS_MAX} attempts", self.tally.rounds))
    }

    fn account(&mut self, report: &RoundReport) -> Result<()> {
        ensure!(report.replicas_agree, "round {}: the sites computed different models", report.round);
        self.recipe.follow(&mut self.average, self.federation.model(), self.tally.rounds);
        let loss = report.means.iter().find(|(name, _)| name == "loss").map_or(f64::NAN, |(_, value)| *value);
        self.tally.add(report, loss);
        Ok(())
    }

    fn finish(self, fingerprint: Value) -> Result<Trained> {
        let per_epoch = (self.config.steps_per_epoch / self.profile.local_steps).max(1) as usize;
        let mean = |chunk: &[f64]| chunk.iter().sum::<f64>() / chunk.len() as f64;
        let site = |(i, hospital): (usize, &super::cohort::Hospital)| Site {
            name: hospital.site.clone(),
            images: hospital.train.len() as u64,
            bytes_sent: self.tally.bytes_up[i],
            bytes_received: self.tally.bytes_down[i],
            dropped_rounds: self.tally.dropped[i],
        };
        let sites: Vec<Site> = self.cohort.hospitals.iter().enumerate().map(site).collect();
        let clipped = self.tally.clipped_fraction / f64::from(self.tally.rounds.max(1));
        let federation = Federation {
            rounds: u64::from(self.tally.rounds),
            aggregation: format!(
                "{:?} over masked fixed-point updates, {} local steps a round, optimiser moments kept at the sites; \
                 {:.3} % of the coordinates clipped",
                self.profile.strategy,
                self.profile.local_steps,
                100.0 * clipped
            ),
            secure: true,
            pair_mode: sites.len() == 2,
            differential_privacy: None,
            equals_clear: Some(self.tally.equals_clear),
            sites,
        };
        Ok(Trained {
            fingerprint,
            losses: self.tally.losses.chunks(per_epoch).map(mean).collect(),
            seconds: self.trainers.iter().map(Trainer::seconds).sum(),
            model_hash: self.trainers[0].hash(&self.average),
            federation: Some(federation),
            model: self.average,
        })
    }
}

/// Sites step in turn; the bar counts the first one's.
struct FirstSite<'a> {
    progress: &'a mut Progress,
    first: bool,
}

impl Observer for FirstSite<'_> {
    fn step(&mut self, report: &StepReport) {
        if self.first {
            self.progress.step(report);
        }
    }
}

fn job(profile: &Profile, config: &TrainConfig) -> Job {
    Job {
        name: format!("retinal vessels, {} profile", profile.name),
        rounds: profile.rounds(),
        local_epochs: profile.local_epochs(),
        strategy: profile.strategy,
        proximal_mu: config.proximal_mu,
        sites_min: 2,
        profile: Threat::Malicious,
        colluders_max: None,
        weight_max: WEIGHT_MAX,
        side_names: vec!["loss".to_owned()],
        clip_rule: ClipRule::FollowUpdate,
        multi_round_policy: MultiRoundPolicy::Warn,
        phase_timeout_ms: 60_000,
    }
}

fn sites(cohort: &Cohort) -> Vec<SiteConfig> {
    // The experiment's two hospitals both accept what pair mode discloses; the report says what that is.
    cohort
        .hospitals
        .iter()
        .map(|h| SiteConfig { name: h.site.clone(), ack_two_party_disclosure: true })
        .collect()
}
