//! `fovea site doctor`: what would keep this site from taking part, each with its remedy.

use super::folder::SiteFolder;
use crate::common;
use crate::federation::folder::host_and_port;
use anyhow::Result;
use fovea_net::api::AskStatus;
use fovea_net::client::Client;
use fovea_net::error::NetError;
use std::net::{TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// Free space below which a site is warned, MiB: states, trainer and journal of a large network.
const DISK_MIN_MIB: u64 = 2048;

/// Time for one connection.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// Options of `fovea site doctor`.
#[derive(clap::Args)]
pub struct Args {
    /// The site's folder.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
}

/// What one look found.
struct Finding {
    what: &'static str,
    result: Result<String, Fault>,
}

/// What is wrong, and what to do.
struct Fault {
    what: String,
    fix: String,
}

fn fault(what: impl Into<String>, fix: impl Into<String>) -> Fault {
    Fault { what: what.into(), fix: fix.into() }
}

/// Runs the command.
pub fn run(args: &Args) -> Result<ExitCode> {
    let folder = SiteFolder::open(&args.dir)?;
    let findings = [
        Finding { what: "keys", result: keys(&folder) },
        Finding { what: "disk", result: disk(folder.path()) },
        Finding { what: "data", result: data(&folder) },
        Finding { what: "network", result: network(&folder) },
        Finding { what: "coordinator", result: coordinator(&folder) },
    ];
    let mut healthy = true;
    for Finding { what, result } in findings {
        match result {
            Ok(text) => common::print(&format!("ok    {what:<12}{text}")),
            Err(Fault { what: text, fix }) => {
                healthy = false;
                common::print(&format!("FAULT {what:<12}{text}\n      {:<12}fix: {fix}", ""));
            }
        }
    }
    Ok(if healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn keys(folder: &SiteFolder) -> Result<String, Fault> {
    let read = folder.identity().and_then(|_| folder.journal_key());
    read.map_err(|e| {
        fault(common::describe(&e), "restore the file from a backup, or join again with a new folder")
    })?;
    Ok("private keys are there, and this user's alone".to_owned())
}

fn disk(path: &Path) -> Result<String, Fault> {
    let probe = path.join("doctor.probe");
    let written = std::fs::write(&probe, [0; 4096]).and_then(|()| std::fs::remove_file(&probe));
    let fix = "give this user the right to write there, or make room";
    written.map_err(|e| fault(format!("{}: {e}", path.display()), fix))?;
    match free_mib(path) {
        Some(free) if free < DISK_MIN_MIB => {
            Err(fault(format!("{free} MiB are free"), format!("make room: {DISK_MIN_MIB} MiB are wanted")))
        }
        Some(free) => Ok(format!("{free} MiB are free")),
        None => Ok("can be written".to_owned()),
    }
}

#[cfg(unix)]
fn free_mib(path: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(path).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize) >> 20)
}

#[cfg(not(unix))]
fn free_mib(_: &Path) -> Option<u64> {
    None
}

fn data(folder: &SiteFolder) -> Result<String, Fault> {
    let fix = "correct [data] in site.toml; fovea train --help lists the layouts that are known";
    let count = folder.file.data.check().map_err(|e| fault(common::describe(&e), fix))?;
    folder.file.data.load().map_err(|e| fault(common::describe(&e), "replace or remove the file named"))?;
    Ok(format!("{count} images, all readable"))
}

/// The bare connection: to the proxy where there is one, else to the coordinator.
fn network(folder: &SiteFolder) -> Result<String, Fault> {
    let from_environment = || {
        let names = ["ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy"];
        names.into_iter().find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    };
    let proxy = folder.file.proxy.clone().or_else(from_environment);
    let wrong = |e: anyhow::Error| fault(common::describe(&e), "correct url in site.toml");
    let (host, port) = host_and_port(&folder.file.url).map_err(wrong)?;
    let (host, port, via) = match &proxy {
        Some(proxy) => {
            let parsed = proxy.parse::<ureq::http::Uri>().ok();
            let host = parsed.as_ref().and_then(|uri| uri.host().map(str::to_owned));
            let fix = "write proxy in site.toml, or HTTPS_PROXY, as http://host:port";
            let host = host.ok_or_else(|| fault(format!("{proxy} is no address of a proxy"), fix))?;
            (host, parsed.and_then(|uri| uri.port_u16()).unwrap_or(80), "the proxy")
        }
        None => (host, port, "the coordinator"),
    };
    let fix =
        format!("ask the network's administrators to let this machine reach {host}:{port} (TCP, outgoing)");
    let addresses = (host.as_str(), port).to_socket_addrs();
    let mut addresses =
        addresses.map_err(|e| fault(format!("{host} has no address here: {e}"), "check the name and DNS"))?;
    let reached = addresses.any(|address| TcpStream::connect_timeout(&address, CONNECT_MAX).is_ok());
    if reached {
        Ok(format!("{via} at {host}:{port} is reached"))
    } else {
        Err(fault(format!("{via} at {host}:{port} is not reached"), fix))
    }
}

/// TLS, versions, clock and membership, with one signed question.
fn coordinator(folder: &SiteFolder) -> Result<String, Fault> {
    let client = folder.client(common::stop_flag());
    let client: Client = client.map_err(|e| fault(common::describe(&e), "see above"))?;
    let fix = |error: &NetError| match error {
        NetError::ForeignCertificate { .. } => "have the firewall leave this address untouched",
        NetError::Stranger { .. } => "have proxy and firewall let POST requests to this address pass",
        NetError::Version { .. } => "install the coordinator's release here, or this one there",
        NetError::Clock { .. } => "set the clock: timedatectl set-ntp true",
        NetError::Connection { .. } => "check that the coordinator runs, and the line above",
        _ => "ask the coordinator's operator for a new invitation",
    };
    let answer = client.call(&AskStatus).map_err(|error| fault(error.to_string(), fix(&error)))?;
    let status: fovea_net::hub::Status = serde_json::from_str(&answer.json)
        .map_err(|e| fault(e.to_string(), "install one release everywhere"))?;
    let off_ms = fovea_net::now_ms().abs_diff(status.at_ms);
    Ok(format!("answers, signed; {}; the clocks differ by {:.1} s", status.stage, off_ms as f64 / 1000.0))
}
