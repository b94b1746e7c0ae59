//! `fovea site run`: from a job on offer to a trained model.

use super::approval::{place, recipe, text, who};
use super::folder::{JobFolder, SiteFolder};
use super::learner::SiteLearner;
use super::saved::Saved;
use crate::common;
use crate::federation::page;
use crate::learning::Recipe;
use anyhow::{Context, Result, bail};
use fovea_data::Sample;
use fovea_fed::error::MachineError;
use fovea_fed::manifest::SignedPlan;
use fovea_fed::storage::FileStorage;
use fovea_net::api::{AskJob, Call, GiveConsent};
use fovea_net::audit::{AuditLog, Event};
use fovea_net::client::Client;
use fovea_net::document::{Offered, SiteConsent};
use fovea_net::error::NetError;
use fovea_net::site::{Session, SiteEvent, Watch};
use fovea_net::{OsEntropy, now_ms};
use fovea_secagg::error::Abort;
use fovea_secagg::journal::Journal;
use fovea_train::{Predictor, choose_threshold, predict_all};
use fovea_unet::{Checkpoint, ModelCard};
use serde_json::json;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// Between two questions whether somebody else has decided.
const PAUSE: Duration = Duration::from_millis(300);

/// Options of `fovea site run`.
#[derive(clap::Args)]
pub struct Args {
    /// The site's folder, made by fovea site join.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<ExitCode> {
    let folder = SiteFolder::open(&args.dir)?;
    match part(&folder) {
        Err(error) if common::stopped() || matches!(error.downcast_ref(), Some(NetError::Stopped)) => {
            common::say("stopped; the same command goes on from here");
            Ok(common::interrupted())
        }
        result => result.map(|()| ExitCode::SUCCESS),
    }
}

fn part(folder: &SiteFolder) -> Result<()> {
    let client = Arc::new(folder.client(common::stop_flag())?);
    let offered = job(&client)?;
    let (me, recipe, job) = (place(folder, &offered)?, recipe(&offered)?, folder.job(&offered)?);
    job.keep(&offered)?;
    // Before anybody is asked or told anything: faults of the images are this site's alone.
    let samples = folder.file.data.load().context("the images of this site")?;
    let limit = folder.file.memory_limit_mib;
    let mut learner = SiteLearner::new(&recipe, usize::from(me.0), &samples, limit, &job)?;
    common::say(&format!("{} images at hand", samples.len()));
    approval(folder, &job, &offered, &recipe)?;
    let identity = folder.identity()?;
    let consent = SiteConsent::sign(&offered, me, &identity).to_bytes()?;
    call(&client, &GiveConsent { consent: fovea_wire::Bytes(consent) })?;
    let plan = Arc::new(signed(&client, &offered)?);
    let state = learner.resume(&plan)?;
    let storage = FileStorage::open(&job.path().join("journal"))?;
    let journal = Journal::open(Box::new(storage), folder.journal_key()?, &mut OsEntropy)?;
    let (stop, rounding_seed) = (Arc::clone(common::stop_flag()), offered.document.rounding_seed);
    let digest = offered.digest;
    let audit = AuditLog::open(&folder.audit(), Arc::clone(&identity))?;
    let mut witness = Witness { audit, rounds: offered.document.job.rounds, down: false };
    witness.audit.append(now_ms(), Event::Begins { job: digest })?;
    let session = Session { client, job: digest, plan, me, identity, state, journal, rounding_seed, stop };
    let state = session.run(Box::new(learner), &mut witness)?;
    witness.audit.append(now_ms(), Event::Ends { job: digest })?;
    let saved = Saved::find(&job)?.context("no round was saved here")?;
    let hash = finish(&offered, &recipe, &samples, &job, &saved)?;
    let result = json!({ "job": digest, "rounds": saved.record.rounds, "caught_up": saved.record.caught_up,
                         "losses": saved.record.losses, "global_model": state.model_hash(), "model_hash": hash });
    fovea_data::write_atomically(&job.path().join("result.json"), &serde_json::to_vec_pretty(&result)?)?;
    common::print(&format!("{}\nmodel hash  {hash}", job.path().join("model.safetensors").display()));
    Ok(())
}

/// Waits for a job in which this site has a place.
fn job(client: &Client) -> Result<Offered> {
    let offer = call_patiently(client, &AskJob, "no job yet for this site; waiting")?;
    Ok(Offered::read(&offer.document.0)?)
}

fn call<C: Call>(client: &Client, request: &C) -> Result<C::Answer> {
    call_patiently(client, request, "the coordinator has no such job now; waiting")
}

fn call_patiently<C: Call>(client: &Client, request: &C, none: &str) -> Result<C::Answer> {
    let mut told = String::new();
    let answer = client.insist(request, |error| {
        let line = match error {
            NetError::Refused(fovea_net::api::Refused::NoJob) => none.to_owned(),
            error => format!("{error}; trying again"),
        };
        if line != told {
            common::say(&line);
            told = line;
        }
    });
    Ok(answer?)
}

/// Returns once the job may run here.
fn approval(folder: &SiteFolder, job: &JobFolder, offered: &Offered, recipe: &Recipe) -> Result<()> {
    if job.is_approved(offered)? {
        return Ok(());
    }
    common::say(&text(folder, offered)?);
    if folder.file.policy.allows(offered, recipe.local_steps) {
        common::say("within the limits of this site's policy: approved");
        return job.approve(offered, "policy");
    }
    if std::io::stdin().is_terminal() {
        return ask(job, offered);
    }
    let (short, dir) = (page::short(&offered.digest), folder.path().display());
    common::say(&format!("waiting for approval: fovea site approve {short} --dir {dir}"));
    while !job.is_approved(offered)? {
        if common::stopped() {
            return Err(NetError::Stopped.into());
        }
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

fn ask(job: &JobFolder, offered: &Offered) -> Result<()> {
    let mut stderr = std::io::stderr();
    write!(stderr, "approve this job? type yes: ").and_then(|()| stderr.flush())?;
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    match line.trim() {
        "yes" => job.approve(offered, &who()),
        _ => bail!("not approved; nothing was trained or sent"),
    }
}

/// Waits until every site has signed.
fn signed(client: &Client, offered: &Offered) -> Result<SignedPlan> {
    let mut told = None;
    loop {
        let offer = call(client, &AskJob)?;
        if offer.document.0 != offered.text {
            bail!("the coordinator withdrew this job and offers another one; run again to see it");
        }
        let consents: Vec<SiteConsent> =
            offer.consents.iter().map(|c| SiteConsent::read(&c.0)).collect::<Result<_, _>>()?;
        match offered.signed(&consents) {
            Ok(plan) => return Ok(plan),
            Err(NetError::Job(missing)) if told.as_ref() != Some(&missing) => {
                common::say(&format!("waiting: {missing}"));
                told = Some(missing);
            }
            Err(NetError::Job(_)) => {}
            Err(error) => return Err(error.into()),
        }
        if common::stopped() {
            return Err(NetError::Stopped.into());
        }
        std::thread::sleep(PAUSE);
    }
}

/// Writes the model, with the threshold that is best on this site's images; its hash.
fn finish(
    offered: &Offered,
    recipe: &Recipe,
    samples: &[Sample],
    job: &JobFolder,
    saved: &Saved,
) -> Result<String> {
    let train = &recipe.train;
    let executor = common::device::make_executor();
    let mut predictor =
        Predictor::new(recipe.network()?, &saved.average, train.preprocessing, train.flips, executor)?;
    let best = choose_threshold(&predict_all(&mut predictor, samples)?)?;
    let training = json!({ "commit": common::COMMIT, "steps": train.steps, "flips": train.flips,
                           "federation": offered.document.federation, "job": offered.digest,
                           "rounds": saved.record.rounds });
    let card = ModelCard {
        model: train.model.clone(),
        preprocessing: train.preprocessing,
        threshold: best.map(|best| best.threshold),
        seed: train.seed,
        training,
    };
    let checkpoint = Checkpoint { card, model: saved.average.clone() };
    checkpoint.save(&job.path().join("model.safetensors"))?;
    Ok(checkpoint.hash()?)
}

/// Writes down what happens, and tells a person.
struct Witness {
    audit: AuditLog,
    rounds: u32,
    down: bool,
}

impl Witness {
    fn record(&mut self, event: &SiteEvent) -> Result<(), NetError> {
        let event = match event {
            SiteEvent::Sending { phase, bytes } => Event::sends(*phase, bytes),
            SiteEvent::Received { bytes } => Event::receives(bytes),
            SiteEvent::Refused(error) => {
                Event::Refused { reason: error.to_string().chars().take(500).collect() }
            }
            SiteEvent::Finished(result) => {
                let (round, sites, model) = (result.round, result.complete.len() as u32, result.model);
                Event::Finished { round, sites, model }
            }
            SiteEvent::CaughtUp { round } => Event::CaughtUp { round: *round },
            SiteEvent::Connected | SiteEvent::Trouble(_) | SiteEvent::Training { .. } => return Ok(()),
        };
        self.audit.append(now_ms(), event)
    }
}

impl Watch for Witness {
    fn happened(&mut self, event: &SiteEvent) -> Result<(), NetError> {
        self.record(event)?;
        match event {
            SiteEvent::Connected => {
                self.down = false;
                common::say("connected");
            }
            SiteEvent::Trouble(error) if !self.down => {
                self.down = true;
                common::say(&format!("{error}; trying again until it works"));
            }
            SiteEvent::Training { round } => common::say(&format!("round {}: training", round + 1)),
            SiteEvent::Finished(result) => {
                let loss = result.means.first().copied().unwrap_or(f64::NAN);
                let (round, rounds, sites) = (result.round + 1, self.rounds, result.complete.len());
                common::say(&format!(
                    "round {round} of {rounds}: mean loss {loss:.4} over {sites} sites, saved"
                ));
            }
            SiteEvent::CaughtUp { round } => {
                common::say(&format!("was away; now stands before round {} like the others", round + 1));
            }
            // Repetitions after a connection are no news; the audit log has them.
            SiteEvent::Refused(
                MachineError::Context
                | MachineError::OutOfPhase { .. }
                | MachineError::Abort(Abort::OldAttempt { .. }),
            ) => {}
            SiteEvent::Refused(error) => common::say(&format!("note: {error}")),
            SiteEvent::Trouble(_) | SiteEvent::Sending { .. } | SiteEvent::Received { .. } => {}
        }
        Ok(())
    }
}
