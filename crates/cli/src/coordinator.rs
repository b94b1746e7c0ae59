//! `fovea coordinator`: serves a federation until it is told to end.

use crate::common;
use crate::federation::folder::Folder;
use anyhow::{Context, Result};
use fovea_net::hub::Hub;
use fovea_net::server::{Service, serve};
use fovea_net::{now_ms, tls};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long the sites have to hear that the job is over.
const LINGER: Duration = Duration::from_secs(2);

const EXAMPLES: &str = "\
Examples:
  fovea federation init --dir jon --name retina --url https://jon.example.org:8443
  fovea coordinator --dir jon
  fovea federation invite alice --dir jon
  fovea federation offer --print-job > job.toml
  fovea federation offer job.toml --dir jon
  fovea status --dir jon

What was accepted is on disk: killed at any moment and started again, it goes on. It runs without a terminal, for example
as a service that is restarted when it ends.";

/// Options of `fovea coordinator`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The coordinator's folder, made by fovea federation init.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Address to listen on, in place of the folder's.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// End when the job is over and all sites know it.
    #[arg(long)]
    until_over: bool,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<ExitCode> {
    let folder = Folder::open(&args.dir)?;
    let (store, key) = (folder.store()?, folder.identity()?);
    let hub = Hub::open(store, folder.file.name.clone(), key.secret, now_ms())?;
    let service = Arc::new(Service::new(hub, folder.authority()?));
    let tls = tls::server_config(&folder.server()?)?;
    let address = args.listen.as_ref().unwrap_or(&folder.file.listen);
    let listener = TcpListener::bind(address)
        .with_context(|| format!("cannot listen on {address}; --listen takes another address"))?;
    common::say(&format!("coordinator of {} listens on {address}", folder.file.name));
    let ended = Arc::new(AtomicBool::new(false));
    let teller = {
        let (service, ended, status, until_over) =
            (Arc::clone(&service), Arc::clone(&ended), folder.status(), args.until_over);
        std::thread::spawn(move || tell(&service, &ended, &status, until_over))
    };
    let result = serve(&service, listener, tls, common::stop_flag());
    ended.store(true, Ordering::SeqCst);
    // A teller that panicked has said so; what was served stands.
    let _ = teller.join();
    result?;
    Ok(if service.is_finished() { ExitCode::SUCCESS } else { common::interrupted() })
}

/// Says what happens and keeps the status file fresh, until the coordinator ends.
fn tell(service: &Service, ended: &AtomicBool, status: &Path, until_over: bool) {
    let (mut written, mut finished): (Option<Instant>, Option<Instant>) = (None, None);
    loop {
        let last = ended.load(Ordering::SeqCst);
        let news = service.take_news();
        let changed = !news.is_empty();
        news.iter().for_each(|line| common::say(line));
        if last || changed || written.is_none_or(|at| at.elapsed() > Duration::from_secs(1)) {
            written = Some(Instant::now());
            let text = service.status().map(|status| serde_json::to_vec_pretty(&status).unwrap_or_default());
            if let Ok(text) = text
                && let Err(error) = fovea_data::write_atomically(status, &text)
            {
                common::say(&format!("the status could not be written: {error}"));
            }
        }
        if last {
            return;
        }
        if until_over && service.is_finished() {
            let since = *finished.get_or_insert_with(Instant::now);
            if since.elapsed() > LINGER {
                common::stop_flag().store(true, Ordering::SeqCst);
            }
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}
