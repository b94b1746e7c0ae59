//! `fovea repro`: the whole experiment, from images to a report.

mod central;
mod cohort;
mod federated;
mod folds;
mod network;
mod present;
pub mod profile;
mod round_state;
mod score;
mod trained;

use crate::common::snapshots::remove;
use crate::common::{self, memory::TrainingMemory};
use anyhow::{Context, Result, bail, ensure};
use cohort::{Cohort, Hospital};
use fovea_report::{Federation, Model, ModelRun, Role, RunSummary};
use fovea_train::TrainConfig;
use present::Shown;
use profile::{Profile, ProfileName, StrategyName};
use round_state::RoundState;
use score::Judged;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;
use trained::{Place, Trained, fingerprint};

const EXAMPLES: &str = "Examples:
  fovea repro                          synthetic hospitals, a few minutes
  fovea repro --data data              data/DRIVE and data/STARE, the default profile
  fovea repro --data data --seeds 3    three runs of every model, mean and range in the report
  fovea repro --data data --test-drive --folds
                                       also DRIVE's official test images and 5-fold STARE
  fovea repro --profile three-sites    three synthetic hospitals, one drops out once

An interrupted run goes on where it was when the same command is given again.";

/// Options of `fovea repro`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Folder that holds DRIVE/ and STARE/ in their official layouts [default: synthetic images].
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Settings [default: default with --data, quick without].
    #[arg(long)]
    profile: Option<ProfileName>,
    /// Training settings that replace the profile's, as `fovea train --print-config` writes them.
    #[arg(long, value_name = "FILE.toml")]
    config: Option<PathBuf>,
    /// Train these models only, such as drive,federated [default: all].
    #[arg(long, value_name = "KEYS", value_delimiter = ',')]
    models: Vec<String>,
    /// First seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Number of seeds: seed, seed + 1, ...
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=100))]
    seeds: u16,
    /// Shorten or lengthen: epochs as the profile counts them.
    #[arg(long, value_name = "N", conflicts_with = "steps", value_parser = clap::value_parser!(u32).range(1..))]
    epochs: Option<u32>,
    /// Shorten or lengthen: optimiser steps of each model.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    steps: Option<u32>,
    /// Also score on DRIVE's official test images 01-20 (needs DRIVE/test).
    #[arg(long, requires = "data")]
    test_drive: bool,
    /// Also cross-validate the federated model on STARE [default when given without a number: 5].
    #[arg(long, requires = "data", value_name = "K", num_args = 0..=1, default_missing_value = "5",
          value_parser = clap::value_parser!(u16).range(2..=20))]
    folds: Option<u16>,
    /// Epochs over its own images that each site trains per round [default: 1].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    local_epochs: Option<u32>,
    /// The server's step [default: fed-avg]. FedProx is fed-avg with a pull.
    #[arg(long)]
    strategy: Option<StrategyName>,
    /// FedProx: weight of the pull towards the round's global model.
    #[arg(long, value_name = "MU")]
    proximal_mu: Option<f32>,
    /// Train the federated model over TLS on this machine, one process for each hospital and one for the coordinator; the
    /// model is the same to the bit.
    #[arg(long)]
    network: bool,
    #[command(flatten)]
    memory: TrainingMemory,
    /// Folder for results.
    #[arg(long, value_name = "FOLDER", default_value = "target/repro")]
    out: PathBuf,
    /// Name of the folder inside --out [default: the profile's name].
    #[arg(long)]
    name: Option<String>,
    /// Forget an earlier run of that name.
    #[arg(long)]
    fresh: bool,
    /// Print summary.json on standard output instead of the table.
    #[arg(long)]
    json: bool,
}

/// The run was stopped on purpose and can go on.
#[derive(Debug)]
struct Interrupted;

impl std::fmt::Display for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "interrupted; the same command goes on from here")
    }
}

impl std::error::Error for Interrupted {}

/// Runs the command.
pub fn run(args: &Args) -> Result<ExitCode> {
    match experiment(args) {
        Err(error) if error.is::<Interrupted>() => {
            common::say(&error.to_string());
            Ok(common::interrupted())
        }
        result => result.map(|()| ExitCode::SUCCESS),
    }
}

fn experiment(args: &Args) -> Result<()> {
    let begin = Instant::now();
    let fallback = if args.data.is_some() { ProfileName::Default } else { ProfileName::Quick };
    let mut profile = Profile::named(args.profile.unwrap_or(fallback));
    if let Some(path) = &args.config {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("{} could not be read", path.display()))?;
        profile.train = toml::from_str(&text).with_context(|| format!("{} is refused", path.display()))?;
    }
    profile.memory_limit = args.memory.limit_mib();
    let profile = profile
        .with_rounds(args.local_epochs, args.strategy, args.proximal_mu)?
        .with_steps(args.steps, args.epochs)?;
    ensure!(
        args.data.is_none() || profile.synthetic.sites == 2,
        "--profile three-sites runs on synthetic images; leave --data out"
    );
    let folder = folder(args, &profile)?;
    common::say(&format!("profile {}, results in {}", profile.name, folder.display()));
    let cohort = match &args.data {
        Some(root) => Cohort::real(root, args.test_drive)?,
        None => Cohort::synthetic(&profile.synthetic),
    };
    let seeds: Vec<u64> = (0..u64::from(args.seeds)).map(|i| args.seed + i).collect();
    let mut models = wanted(blank_models(&cohort), &args.models)?;
    let (mut federation, mut shown) = (None, Shown { seed: args.seed, judged: Vec::new() });
    for &seed in &seeds {
        let place = if seed == args.seed { folder.clone() } else { folder.join(format!("seed-{seed}")) };
        std::fs::create_dir_all(&place).with_context(|| format!("{} could not be made", place.display()))?;
        let mut one = Seed { args, profile: &profile, cohort: &cohort, folder: place, seed };
        for model in &mut models {
            let (run, judged, fed) = one.model(model)?;
            model.runs.push(run);
            federation = federation.or(fed);
            if seed == args.seed {
                shown.judged.push((model.key.clone(), judged));
            }
        }
    }
    let sets = present::test_sets(&cohort, args.folds.map(usize::from))?;
    let parameters = trained::network(&profile.train)?.parameters().trainable();
    let about = present::about(&cohort, &profile, &seeds, parameters, begin.elapsed().as_secs_f64());
    let summary = RunSummary::new(about, sets, models, federation);
    present::write(&folder, &summary, &cohort, &profile, &shown, &command_line())?;
    if args.json {
        common::print(summary.to_json()?.trim_end());
    } else {
        present::table(&summary);
    }
    common::say(&format!("\nreport: {}", folder.join("report.html").display()));
    Ok(())
}

fn folder(args: &Args, profile: &Profile) -> Result<PathBuf> {
    let source = if args.data.is_some() { "" } else { "-synthetic" };
    let name = args.name.clone().unwrap_or_else(|| format!("{}{source}", profile.name));
    if name.is_empty() || name.contains(['/', '\\']) || name.starts_with('.') {
        bail!("--name {name:?}: give a plain folder name");
    }
    let folder = args.out.join(name);
    if args.fresh {
        remove(&folder)?;
    }
    std::fs::create_dir_all(&folder).with_context(|| format!("{} could not be made", folder.display()))?;
    Ok(folder)
}

/// The models in the order of training and of the report.
fn blank_models(cohort: &Cohort) -> Vec<Model> {
    let model = |key: &str, title: String, role, chosen: &str| Model {
        key: key.to_owned(),
        title,
        role,
        threshold_chosen_on: format!("{chosen}'s training images"),
        runs: Vec::new(),
    };
    let all = cohort.titles();
    let mut models: Vec<Model> = cohort
        .hospitals
        .iter()
        .map(|h| model(&h.key, format!("{} alone", h.title), Role::Local, &h.title))
        .collect();
    models.push(model("federated", "Federated".to_owned(), Role::Federated, &all));
    models.push(model("pooled", "Pooled".to_owned(), Role::Pooled, &all));
    models
}

/// The models asked for, in their own order; all when none is named.
fn wanted(models: Vec<Model>, keys: &[String]) -> Result<Vec<Model>> {
    if let Some(unknown) = keys.iter().find(|key| models.iter().all(|m| m.key != **key)) {
        let known: Vec<&str> = models.iter().map(|m| m.key.as_str()).collect();
        bail!("--models: there is no model {unknown:?}; choose from {}", known.join(", "));
    }
    Ok(models.into_iter().filter(|m| keys.is_empty() || keys.contains(&m.key)).collect())
}

/// One seed's trainings.
struct Seed<'a> {
    args: &'a Args,
    profile: &'a Profile,
    cohort: &'a Cohort,
    folder: PathBuf,
    seed: u64,
}

impl Seed<'_> {
    fn model(&mut self, model: &Model) -> Result<(ModelRun, Judged, Option<Federation>)> {
        let place = Place { folder: self.folder.clone(), key: model.key.clone() };
        let config = TrainConfig { seed: self.seed, ..self.profile.train.clone() };
        let seen: Vec<&Hospital> = self
            .cohort
            .hospitals
            .iter()
            .filter(|h| model.role != Role::Local || h.key == model.key)
            .collect();
        let trained = self.trained(&place, &config, model.role, &seen)?;
        common::say(&format!("{}: {:.0} s of training, scoring", model.key, trained.seconds));
        let mut judged = score::judge(&model.key, &trained.model, &config, &seen, self.cohort)?;
        trained.save(&place, &config, Some(judged.threshold))?;
        if let (Role::Federated, Some(folds), Some(root)) = (model.role, self.args.folds, &self.args.data) {
            judged.sets.push(folds::run(root, &self.folder, self.profile, &config, usize::from(folds))?);
        }
        let run = ModelRun {
            seed: self.seed,
            threshold: judged.threshold,
            losses: trained.losses,
            seconds: trained.seconds,
            model_hash: trained.model_hash,
            sets: judged.sets.clone(),
        };
        Ok((run, judged, trained.federation))
    }

    fn trained(
        &self,
        place: &Place,
        config: &TrainConfig,
        role: Role,
        seen: &[&Hospital],
    ) -> Result<Trained> {
        let parts: BTreeMap<_, _> = self
            .cohort
            .parts()
            .into_iter()
            .filter(|part| seen.iter().any(|h| h.site == part.site))
            .map(|part| (part.site.clone(), part.split))
            .collect();
        let fingerprint = fingerprint(self.profile, config, &serde_json::to_value(parts)?);
        if let Some(trained) = Trained::find(place, &fingerprint)? {
            return Ok(trained);
        }
        common::say(&format!("seed {}: training {}", self.seed, place.key));
        let trained = if role == Role::Federated && self.args.network {
            network::train(place, self.profile, config, fingerprint, self.cohort)?
        } else if role == Role::Federated {
            federated::train(place, self.profile, config, fingerprint, self.cohort)?
        } else {
            let images: Vec<&[fovea_data::Sample]> = seen.iter().map(|h| h.train.as_slice()).collect();
            central::train(place, self.profile, config, fingerprint, &images)?
        };
        conclude(&trained, place, config)?;
        Ok(trained)
    }
}

/// Writes a finished training and only then removes what an unfinished one would go on from, so that a kill at any
/// moment, also while scoring, costs no training.
fn conclude(trained: &Trained, place: &Place, config: &TrainConfig) -> Result<()> {
    trained.save(place, config, None)?;
    remove(&place.state())?;
    RoundState::clear(place)
}

/// The command as given, for the report.
fn command_line() -> String {
    let words: Vec<String> = std::env::args().skip(1).collect();
    format!("fovea {}", words.join(" "))
}
