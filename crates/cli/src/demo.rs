//! `fovea demo`: a federation from nothing to a trained model, on this machine.

pub mod cluster;

use crate::common;
use crate::federation::job::JobFile;
use crate::repro::profile::ProfileName;
use anyhow::{Context, Result, ensure};
use cluster::{Cluster, Moment};
use fovea_data::{SyntheticCamera, synthetic_sample, write_image, write_mask};
use fovea_train::{InputMode, Schedule, TrainConfig};
use fovea_unet::{Preprocessing, Scale, UNetConfig};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// The hospitals.
const SITES: [&str; 2] = ["alice", "bob"];

/// After what processes are killed.
const KILLS: [Moment; 4] =
    [Moment::Advertised, Moment::SentChunk, Moment::ClosedUpload, Moment::FinishedRound];

/// Photographs of each.
const IMAGES: u32 = 4;

/// Longest wait for the whole demonstration.
const TIME_MAX: Duration = Duration::from_secs(300);

/// Options of `fovea demo`.
#[derive(clap::Args)]
pub struct Args {
    /// Folder for everything; emptied first if it is a demonstration's [default: target/demo].
    #[arg(long, value_name = "DIR", default_value = "target/demo")]
    dir: PathBuf,
    /// Rounds [default: 2, or 16 with --kills].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: Option<u32>,
    /// Then do it again, killing each process at each phase; it has to end in the same model.
    #[arg(long)]
    kills: bool,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<ExitCode> {
    let dir = std::path::absolute(&args.dir)?;
    let rounds = args.rounds.unwrap_or(if args.kills { 16 } else { 2 });
    let (cluster, digest, result) = rehearse(&dir, rounds, &[])?;
    report(&cluster, rounds, &digest, &result);
    if args.kills {
        drop(cluster);
        let (again, _, killed) = rehearse(&dir.join("killed"), rounds, &KILLS)?;
        let (expected, found) = (&result["model_hash"], &killed["model_hash"]);
        ensure!(
            expected == found,
            "killed {} times, the model is {found} instead of {expected}",
            3 * KILLS.len()
        );
        let (dir, kills) = (again.folder().display(), 3 * KILLS.len());
        common::print(&format!(
            "\nAgain with {kills} kills, each process at each phase: the same model\n            {dir}"
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// A whole federation. Each process is killed once after each of `kills` happened, and started again.
fn rehearse(dir: &Path, rounds: u32, kills: &[Moment]) -> Result<(Cluster, String, serde_json::Value)> {
    let begin = Instant::now();
    let step = |text: &str| common::say(&format!("{:6.1} s  {text}", begin.elapsed().as_secs_f64()));
    let mut cluster = Cluster::new(dir)?;
    cluster.found("demo")?;
    step("jon founded federation demo and listens, with an authority of its own");
    for site in SITES {
        let data = dir.join(format!("{site}-images"));
        write_photographs(&data, site)?;
        cluster.join(site, &["--data".to_owned(), data.display().to_string()])?;
        step(&format!("{site} joined by invitation; its private key was made in its own folder"));
    }
    let job = dir.join("job.toml");
    std::fs::write(&job, tiny(rounds).to_toml()?).with_context(|| job.display().to_string())?;
    let digest = cluster.offer(&job)?;
    step(&format!("jon offered job {digest}"));
    for site in SITES {
        cluster.run_site(site)?;
    }
    for site in SITES {
        cluster.approve(site, &digest)?;
        step(&format!("{site} read the page and approved"));
    }
    for moment in kills {
        for (name, witness) in [("alice", "alice"), ("bob", "bob"), ("jon", "alice")] {
            cluster.wait_for(witness, *moment)?;
            cluster.kill(name)?;
            step(&format!("{name} was killed when {witness} {moment}, and started again"));
        }
    }
    cluster.finish(TIME_MAX)?;
    step("all processes ended by themselves");
    let (first, second) = (cluster.result(SITES[0])?, cluster.result(SITES[1])?);
    ensure!(first["model_hash"] == second["model_hash"], "the sites have different models");
    ensure!(first["rounds"] == rounds, "{} rounds of {rounds}", first["rounds"]);
    Ok((cluster, digest, first))
}

fn report(cluster: &Cluster, rounds: u32, digest: &str, result: &serde_json::Value) {
    let dir = cluster.folder().display();
    let losses: Vec<String> = result["losses"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|loss| format!("{:.4}", loss.as_f64().unwrap_or(f64::NAN)))
        .collect();
    let model_hash = result["model_hash"].as_str().unwrap_or_default();
    common::print(&format!(
        "Two hospitals trained one model in {rounds} rounds over TLS, in three processes. Each sent masked updates only;\n\
         jon saw their sums. Both computed the same model by themselves.\n\n\
         model hash  {model_hash}\n\
         mean loss   {}\n\
         models      {dir}/alice/jobs/{digest}/model.safetensors\n            {dir}/bob/jobs/{digest}/model.safetensors\n\
         logs        {dir}/jon.log, alice.log, bob.log\n\
         status      fovea status --dir {dir}/jon",
        losses.join(", ")
    ));
}

/// A network of a few hundred parameters and a second of training.
fn tiny(rounds: u32) -> JobFile {
    let quick = JobFile::of_profile(ProfileName::Quick);
    let train = TrainConfig {
        batch: 2,
        steps: rounds * quick.local_steps,
        steps_per_epoch: quick.local_steps,
        input: InputMode::Crops { size: 32 },
        schedule: Schedule::Constant { rate: 1e-2 },
        preprocessing: Preprocessing { scale: Scale::FieldDiameter { pixels: 64 }, standardise: true },
        model: UNetConfig { widths: vec![4, 8], ..UNetConfig::small() },
        average_decay: None,
        ..quick.train
    };
    JobFile { name: "demo".to_owned(), phase_timeout_s: 30, rounding_seed: Some(1), train, ..quick }
}

/// A data set as a hospital would have it, of synthetic photographs.
fn write_photographs(folder: &Path, site: &str) -> Result<()> {
    for part in ["images", "labels", "masks"] {
        let path = folder.join(part);
        std::fs::create_dir_all(&path).with_context(|| path.display().to_string())?;
    }
    let camera = if site == "alice" { SyntheticCamera::alice() } else { SyntheticCamera::bob() }.scaled(0.15);
    for index in 0..IMAGES {
        let sample = synthetic_sample(&camera, 1, index);
        let file = |part: &str, ending: &str| folder.join(format!("{part}/patient{index}{ending}.png"));
        write_image(&file("images", ""), &sample.image)?;
        write_mask(&file("labels", ""), &sample.label)?;
        write_mask(&file("masks", "_mask"), &sample.field)?;
    }
    Ok(())
}
