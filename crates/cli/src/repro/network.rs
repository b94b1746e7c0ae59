//! The federated model once more, over TLS: hospitals and jon as processes of their own, on this machine.

use super::cohort::{Cohort, Hospital, Origin};
use super::profile::Profile;
use super::trained::{Place, Trained};
use crate::common;
use crate::demo::cluster::Cluster;
use crate::federation::job::JobFile;
use crate::site::folder::SiteFolder;
use anyhow::{Context, Result, ensure};
use fovea_net::audit::verify;
use fovea_report::{Federation, Site};
use fovea_train::TrainConfig;
use fovea_unet::Checkpoint;
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, Instant};

/// Longest training.
const TIME_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// Founds a federation for this model alone, and waits for it. An interrupted one starts anew.
pub fn train(
    place: &Place,
    profile: &Profile,
    config: &TrainConfig,
    fingerprint: Value,
    cohort: &Cohort,
) -> Result<Trained> {
    ensure!(
        profile.drop_out.is_none(),
        "--network: profile {} makes a site drop out on purpose",
        profile.name
    );
    let begin = Instant::now();
    let folder = std::path::absolute(place.folder.join(format!("{}-network", place.key)))?;
    let mut cluster = Cluster::new(&folder)?;
    let job = JobFile { rounding_seed: Some(config.seed), ..JobFile::rehearsal(profile, config) };
    let digest = begin_job(&mut cluster, &job, cohort)?;
    common::say(&format!(
        "{} processes train; their logs are in {}",
        cohort.hospitals.len() + 1,
        folder.display()
    ));
    cluster.finish(TIME_MAX)?;
    let results = cohort.hospitals.iter().map(|h| cluster.result(&h.site)).collect::<Result<Vec<Value>>>()?;
    let first = &results[0];
    ensure!(
        results.iter().all(|r| r["model_hash"] == first["model_hash"]),
        "the sites have different models"
    );
    let jobs = folder.join(&cohort.hospitals[0].site).join("jobs");
    let Checkpoint { model, .. } = Checkpoint::load(&jobs.join(digest).join("model.safetensors"))?;
    let losses: Vec<f64> = serde_json::from_value(first["losses"].clone())?;
    let per_epoch = (config.steps_per_epoch / profile.local_steps).max(1) as usize;
    Ok(Trained {
        fingerprint,
        losses: losses
            .chunks(per_epoch)
            .map(|chunk| chunk.iter().sum::<f64>() / chunk.len() as f64)
            .collect(),
        seconds: begin.elapsed().as_secs_f64(),
        model_hash: first["model_hash"].as_str().context("a site's result has no model")?.to_owned(),
        federation: Some(described(profile, cohort, &folder)?),
        model,
    })
}

/// From an empty folder to sites that train; the job's short digest.
fn begin_job(cluster: &mut Cluster, job: &JobFile, cohort: &Cohort) -> Result<String> {
    cluster.found("repro")?;
    for hospital in &cohort.hospitals {
        cluster.join(&hospital.site, &source(hospital)?)?;
    }
    let path = cluster.folder().join("job.toml");
    std::fs::write(&path, job.to_toml()?).with_context(|| path.display().to_string())?;
    let digest = cluster.offer(&path)?;
    for hospital in &cohort.hospitals {
        cluster.run_site(&hospital.site)?;
    }
    for hospital in &cohort.hospitals {
        cluster.approve(&hospital.site, &digest)?;
    }
    Ok(digest)
}

/// What happened between the processes, from the sites' audit logs.
fn described(profile: &Profile, cohort: &Cohort, folder: &Path) -> Result<Federation> {
    let site = |hospital: &Hospital| -> Result<Site> {
        let site = SiteFolder::open(&folder.join(&hospital.site))?;
        let record = verify(&site.audit(), &site.identity()?.public())?;
        Ok(Site {
            name: hospital.site.clone(),
            images: hospital.train.len() as u64,
            bytes_sent: record.sent_bytes(),
            bytes_received: record.received_bytes,
            dropped_rounds: 0,
        })
    };
    Ok(Federation {
        rounds: u64::from(profile.rounds()),
        aggregation: format!(
            "{:?} over masked fixed-point updates, {} local steps a round, over TLS between {} processes of one machine",
            profile.strategy,
            profile.local_steps,
            cohort.hospitals.len() + 1
        ),
        secure: true,
        pair_mode: cohort.hospitals.len() == 2,
        differential_privacy: None,
        equals_clear: None,
        sites: cohort.hospitals.iter().map(site).collect::<Result<_>>()?,
    })
}

/// How a site's process comes by the same images.
fn source(hospital: &Hospital) -> Result<Vec<String>> {
    let images = hospital.train.len();
    match &hospital.origin {
        Origin::Camera { scale } => {
            Ok(["--synthetic".to_owned(), format!("{}:{scale}:{images}", hospital.site)].into())
        }
        Origin::Folder(path) => {
            let path = std::path::absolute(path)?.display().to_string();
            Ok(["--data".to_owned(), path, "--first".to_owned(), images.to_string()].into())
        }
        Origin::Fold => anyhow::bail!("--network trains on whole splits, not on folds"),
    }
}
