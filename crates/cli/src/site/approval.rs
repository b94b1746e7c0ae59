//! `fovea site approve`: a person decides about a job.

use super::folder::{JobFolder, SiteFolder};
use crate::common;
use crate::federation::page;
use crate::learning::Recipe;
use anyhow::{Context, Result, bail, ensure};
use fovea_net::document::Offered;
use fovea_secagg::sets::SiteId;
use std::path::PathBuf;
use std::process::ExitCode;

/// Fewest digits by which a job is named.
const DIGITS_MIN: usize = 8;

/// Options of `fovea site approve`.
#[derive(clap::Args)]
pub struct Args {
    /// The first digits of the job's digest, at least 8; without them the jobs shown here so far are printed.
    #[arg(value_name = "HASH")]
    digest: Option<String>,
    /// The site's folder.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<ExitCode> {
    let folder = SiteFolder::open(&args.dir)?;
    let jobs = folder.jobs()?;
    let Some(wanted) = args.digest.as_ref().map(|digest| digest.to_lowercase()) else {
        ensure!(!jobs.is_empty(), "no job was shown here yet: fovea site run --dir {}", args.dir.display());
        for job in &jobs {
            show(&folder, job)?;
        }
        return Ok(ExitCode::SUCCESS);
    };
    ensure!(wanted.len() >= DIGITS_MIN, "{wanted:?}: give at least {DIGITS_MIN} digits of the job's digest");
    for job in &jobs {
        let offered = job.offered()?;
        if offered.digest.to_string().starts_with(&wanted) {
            job.approve(&offered, &who())?;
            common::print(&format!(
                "approved {} {}",
                page::short(&offered.digest),
                offered.document.job.name
            ));
            return Ok(ExitCode::SUCCESS);
        }
    }
    bail!("no job {wanted} was shown here; fovea site approve --dir {} lists them", args.dir.display())
}

fn show(folder: &SiteFolder, job: &JobFolder) -> Result<()> {
    let offered = job.offered()?;
    let approved = if job.is_approved(&offered)? { "approved" } else { "not approved" };
    common::print(&format!("{}\n{:<14}{approved}\n", text(folder, &offered)?, "here"));
    Ok(())
}

/// The page of a job at this site.
pub fn text(folder: &SiteFolder, offered: &Offered) -> Result<String> {
    page::page(offered, &recipe(offered)?, place(folder, offered)?.into())
}

/// What a job's document says about the training.
pub fn recipe(offered: &Offered) -> Result<Recipe> {
    let recipe: Recipe = serde_json::from_value(offered.document.learning.clone())
        .context("the job's training is described in a way that this release does not know")?;
    recipe.train.validate()?;
    ensure!(
        recipe.parameters()? == offered.document.parameters,
        "the job's parameter table is not that of its network in this release: install one release everywhere"
    );
    Ok(recipe)
}

/// This site's place in a job, if everything in it that concerns this site is true.
pub fn place(folder: &SiteFolder, offered: &Offered) -> Result<SiteId> {
    let (file, document) = (&folder.file, &offered.document);
    ensure!(document.federation == file.federation, "the job is of federation {}", document.federation);
    ensure!(document.coordinator == file.coordinator, "the job names another coordinator's key");
    let key = folder.identity()?.public();
    let place = offered.place_of(&key).context("this site's key is not in the job's roster")?;
    let name = &document.sites[usize::from(place.0)].name;
    ensure!(*name == file.name, "the job calls this site {name}, not {}", file.name);
    Ok(place)
}

/// Who sits here, as far as the system tells.
pub fn who() -> String {
    std::env::var("USER").or_else(|_| std::env::var("USERNAME")).unwrap_or_else(|_| "unknown".to_owned())
}
