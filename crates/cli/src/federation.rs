//! `fovea federation`: the coordinator's side before any round: found it, invite sites, offer jobs.

pub mod folder;
pub mod job;
pub mod page;

use crate::common;
use crate::repro::profile::ProfileName;
use anyhow::{Context, Result, ensure};
use folder::{Folder, NewFederation};
use fovea_fed::state::ServerState;
use fovea_net::document::Offered;
use fovea_net::limits::INVITATION_MS;
use fovea_net::token::{Token, check_name};
use fovea_net::{OsEntropy, now_ms};
use job::JobFile;
use std::path::PathBuf;
use std::process::ExitCode;

/// Options of `fovea federation`.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Founds a federation: keys, certificates and an empty database in a new folder.
    Init(Init),
    /// Invites one site: prints a line that holds for 15 minutes, once, and for that name.
    Invite(Invite),
    /// Offers a job to the sites that have joined.
    Offer(Offer),
}

#[derive(clap::Args)]
struct Init {
    /// The coordinator's folder; made.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Name of the federation: letters, digits, - and _.
    #[arg(long)]
    name: String,
    /// Address under which sites reach the coordinator, such as https://jon.example.org:8443.
    #[arg(long, value_name = "https://HOST:PORT")]
    url: String,
    /// Address to listen on [default: all addresses, at the port of --url].
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// A certificate chain (PEM) that the platforms of all sites trust [default: an authority of the federation's own].
    #[arg(long, value_name = "FILE", requires = "key")]
    certificate: Option<PathBuf>,
    /// Its private key (PEM).
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
}

#[derive(clap::Args)]
struct Invite {
    /// Name of the site: letters, digits, - and _.
    name: String,
    /// The coordinator's folder.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
}

#[derive(clap::Args)]
struct Offer {
    /// The job, as --print-job writes it.
    #[arg(value_name = "JOB.toml", required_unless_present = "print_job")]
    job: Option<PathBuf>,
    /// The coordinator's folder.
    #[arg(long, value_name = "DIR", required_unless_present = "print_job")]
    dir: Option<PathBuf>,
    /// Sites that take part [default: all that have joined].
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    sites: Vec<String>,
    /// Print a job as TOML and end.
    #[arg(long)]
    print_job: bool,
    /// Settings of the printed job [default: default].
    #[arg(long, requires = "print_job")]
    profile: Option<ProfileName>,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<ExitCode> {
    match &args.command {
        Command::Init(args) => init(args)?,
        Command::Invite(args) => invite(args)?,
        Command::Offer(args) => offer(args)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn init(args: &Init) -> Result<()> {
    check_name(&args.name)?;
    let own = args.certificate.as_ref().zip(args.key.as_ref());
    let new = NewFederation { name: &args.name, url: &args.url, listen: args.listen.as_deref(), own };
    let folder = Folder::create(&args.dir, &new)?;
    let dir = args.dir.display();
    common::print(&format!(
        "federation  {}\naddress     {}\nkey         {}\nfolder      {dir}",
        args.name,
        args.url,
        folder.identity()?.public_text()
    ));
    common::say(&format!(
        "next: fovea coordinator --dir {dir}, and fovea federation invite NAME --dir {dir}"
    ));
    Ok(())
}

fn invite(args: &Invite) -> Result<()> {
    check_name(&args.name)?;
    let folder = Folder::open(&args.dir)?;
    let (url, key) = (folder.file.url.clone(), folder.identity()?.key);
    let token = Token::draw(url, args.name.clone(), key, folder.authority_digest()?, &mut OsEntropy)?;
    folder.store()?.invite(&args.name, token.verifier(), now_ms() + INVITATION_MS)?;
    common::print(&token.to_text()?);
    common::say(&format!(
        "give this line to {} by a way you trust; within 15 minutes: fovea site join LINE --dir site --data FOLDER",
        args.name
    ));
    Ok(())
}

fn offer(args: &Offer) -> Result<()> {
    let (Some(path), Some(dir), false) = (&args.job, &args.dir, args.print_job) else {
        let job = JobFile::of_profile(args.profile.unwrap_or(ProfileName::Default));
        common::print(job.to_toml()?.trim_end());
        return Ok(());
    };
    let (job, folder) = (JobFile::read(path)?, Folder::open(dir)?);
    let store = folder.store()?;
    let mut members = store.members()?;
    for name in &args.sites {
        ensure!(members.iter().any(|m| m.site == *name), "{name} has not joined; invite it first");
    }
    members.retain(|member| args.sites.is_empty() || args.sites.contains(&member.site));
    let text = job.document(&folder.file.name, folder.identity()?.key, &members)?.to_text()?;
    let offered = Offered::read(text.as_bytes()).with_context(|| path.display().to_string())?;
    let first = ServerState::start(&offered.plan, job.recipe().initial()?)?;
    store.offer(offered.digest, text.as_bytes(), &first.to_bytes()?, now_ms())?;
    common::print(&page::page(&offered, &job.recipe(), None)?);
    common::say("offered; each site shows this page and asks for its approval");
    Ok(())
}
