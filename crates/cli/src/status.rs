//! `fovea status`: how a federation is doing, from the coordinator's folder or a site's.

use crate::common;
use crate::federation::folder::Folder;
use crate::federation::page::short;
use crate::site::folder::SiteFolder;
use anyhow::{Context, Result, bail};
use fovea_net::api::AskStatus;
use fovea_net::hub::{SiteStatus, Status};
use fovea_net::limits::AWAY_AFTER_MS;
use fovea_net::now_ms;
use std::path::PathBuf;
use std::process::ExitCode;

/// A status file older than this is from a coordinator that does not run, milliseconds.
const STALE_MS: u64 = 10_000;

/// Options of `fovea status`.
#[derive(clap::Args)]
pub struct Args {
    /// The coordinator's or the site's folder.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<ExitCode> {
    let dir = &args.dir;
    let (json, stale) = if Folder::is(dir) {
        let path = Folder::open(dir)?.status();
        let text = std::fs::read_to_string(&path).with_context(|| {
            format!("the coordinator has not run yet: fovea coordinator --dir {}", dir.display())
        })?;
        let at_ms = serde_json::from_str::<Status>(&text).context("status.json is damaged")?.at_ms;
        (text, now_ms().saturating_sub(at_ms) > STALE_MS)
    } else if SiteFolder::is(dir) {
        (SiteFolder::open(dir)?.client(common::stop_flag())?.call(&AskStatus)?.json, false)
    } else {
        bail!("{} is neither a coordinator's folder nor a site's", dir.display());
    };
    let status: Status = serde_json::from_str(&json).context("the status is of another release")?;
    if args.json {
        common::print(&serde_json::to_string_pretty(&status)?);
    } else {
        common::print(&text(&status, now_ms()));
    }
    if stale {
        common::say(&format!("the coordinator does not run; this is {}", ago(status.at_ms, now_ms())));
    }
    Ok(ExitCode::SUCCESS)
}

fn text(status: &Status, now_ms: u64) -> String {
    let mut lines = vec![format!("federation  {}: {}", status.federation, status.stage)];
    if let Some((job, digest)) = status.job.as_ref().zip(status.job_digest.as_ref()) {
        lines.push(format!("job         {}   {job}", short(digest)));
        let phase = status.phase.as_ref().map_or(String::new(), |phase| format!(", waiting for {phase}"));
        lines.push(format!("rounds      {} of {}{phase}", status.rounds_done, status.rounds));
    }
    if let Some(loss) = status.last_round.as_ref().and_then(|round| round["means"]["loss"].as_f64()) {
        lines.push(format!("mean loss   {loss:.4}"));
    }
    if let Some(model) = status.model.as_ref().filter(|_| status.rounds_done > 0) {
        lines.push(format!("model       {}", short(model)));
    }
    if let Some(failure) = &status.last_failure {
        lines.push(format!("attempts    {} without a sum, the last: {failure}", status.attempts_failed));
    }
    for site in &status.sites {
        lines.push(format!("{:<12}{}", site.name, site_text(site, status.job.is_some(), now_ms)));
    }
    lines.join("\n")
}

fn site_text(site: &SiteStatus, job: bool, now_ms: u64) -> String {
    let part = match (job, site.in_job, site.signed) {
        (false, ..) => "has joined",
        (true, false, _) => "not in this job",
        (true, true, false) => "has not approved yet",
        (true, true, true) => "takes part",
    };
    let heard = match site.heard_ms {
        Some(at) if now_ms.saturating_sub(at) < AWAY_AFTER_MS => "connected".to_owned(),
        Some(at) => format!("away, last heard {}", ago(at, now_ms)),
        None => "not heard since the coordinator started".to_owned(),
    };
    format!("{part}; {heard}")
}

fn ago(at_ms: u64, now_ms: u64) -> String {
    let seconds = now_ms.saturating_sub(at_ms) / 1000;
    match seconds {
        0..120 => format!("{seconds} s ago"),
        120..7200 => format!("{} min ago", seconds / 60),
        _ => format!("{} h ago", seconds / 3600),
    }
}
