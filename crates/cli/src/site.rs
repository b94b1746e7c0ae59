//! `fovea site`: a hospital's side: join, run, approve, look for faults.

mod approval;
mod data;
mod doctor;
pub mod folder;
mod learner;
mod run;
mod saved;

use crate::common;
use crate::federation::page;
use anyhow::{Result, bail};
use data::DataSource;
use folder::{Policy, SiteFile, SiteFolder};
use fovea_net::client::{Roots, enrol};
use fovea_net::token::Token;
use std::path::PathBuf;
use std::process::ExitCode;

const EXAMPLES: &str = "\
Two commands bring a hospital in:
  fovea site join LINE --dir site --data /images/DRIVE/training
  fovea site run --dir site

Keys are made here and never leave. Only this machine dials out, over HTTPS; HTTPS_PROXY and NO_PROXY are honoured.
Before anything is trained the job is shown on one page and waits for approval:
  fovea site approve HASH --dir site
Killed at any moment and started again, a site goes on and ends in the same model. site.toml holds its settings.";

/// Options of `fovea site`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Accepts an invitation: makes keys in a new folder and enrols.
    Join(Join),
    /// Takes part in the job on offer, until it is over.
    Run(run::Args),
    /// Shows the job on offer, or approves the one with this digest.
    Approve(approval::Args),
    /// Looks for what would keep this site from taking part, and says how to mend it.
    Doctor(doctor::Args),
}

#[derive(clap::Args)]
struct Join {
    /// The line that fovea federation invite printed.
    #[arg(value_name = "LINE")]
    token: String,
    /// The site's folder; made.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// The data set's folder.
    #[arg(long, value_name = "FOLDER", required_unless_present = "synthetic")]
    data: Option<PathBuf>,
    /// Train on the first N images by name only, and keep the others out.
    #[arg(long, value_name = "N", requires = "data")]
    first: Option<usize>,
    /// Synthetic images in place of real ones, as CAMERA:SCALE:IMAGES, such as alice:0.4:16.
    #[arg(long, value_name = "CAMERA:SCALE:IMAGES", conflicts_with = "data")]
    synthetic: Option<data::Synthetic>,
    /// Proxy, http://[user:password@]host:port [default: HTTPS_PROXY of the environment].
    #[arg(long, value_name = "URL")]
    proxy: Option<String>,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<ExitCode> {
    match &args.command {
        Command::Join(args) => join(args),
        Command::Run(args) => run::run(args),
        Command::Approve(args) => approval::run(args),
        Command::Doctor(args) => doctor::run(args),
    }
}

fn join(args: &Join) -> Result<ExitCode> {
    let token = Token::from_text(&args.token)?;
    if SiteFolder::is(&args.dir) {
        bail!("{} is a site already; choose another --dir", args.dir.display());
    }
    let source = DataSource {
        folder: args.data.as_ref().map(std::path::absolute).transpose()?,
        first: args.first,
        synthetic: args.synthetic.clone(),
    };
    source.check()?;
    let keys = folder::make_keys(&args.dir)?;
    let enrolled = enrol(&token, args.proxy.clone(), &keys)?;
    let file = SiteFile {
        name: token.site.clone(),
        federation: enrolled.federation.clone(),
        url: token.url,
        coordinator: token.coordinator,
        platform_roots: enrolled.endpoint.roots == Roots::Platform,
        proxy: args.proxy.clone(),
        memory_limit_mib: None,
        data: source,
        policy: Policy::ask(),
    };
    SiteFolder::create(&args.dir, &file, &enrolled.endpoint.roots)?;
    let dir = args.dir.display();
    common::print(&format!(
        "{} has joined {}\nkey         {}\nfolder      {dir}",
        file.name,
        file.federation,
        page::fingerprint(&keys.public())
    ));
    common::say(&format!("next: fovea site run --dir {dir}"));
    Ok(ExitCode::SUCCESS)
}
