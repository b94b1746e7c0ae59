//! `fovea audit`: whether a site's log is whole, and what it says left the house.

use crate::common;
use crate::site::folder::SiteFolder;
use anyhow::Result;
use fovea_net::audit::{Summary, verify};
use std::path::PathBuf;
use std::process::ExitCode;

/// Options of `fovea audit`.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Checks every line of the log, and adds up what left and what came.
    Verify(Verify),
}

#[derive(clap::Args)]
struct Verify {
    /// The site's folder.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<ExitCode> {
    let Command::Verify(args) = &args.command;
    let folder = SiteFolder::open(&args.dir)?;
    let found = verify(&folder.audit(), &folder.identity()?.public())?;
    common::print(&text(&found));
    Ok(ExitCode::SUCCESS)
}

fn text(found: &Summary) -> String {
    let mut lines = vec![format!("whole       {} entries, chained and signed", found.entries)];
    let time = |ms: u64| {
        let at = time::OffsetDateTime::from_unix_timestamp((ms / 1000) as i64);
        at.map_or_else(|_| ms.to_string(), |at| at.to_string())
    };
    if let Some((first, last)) = found.between_ms {
        lines.push(format!("from        {}\nto          {}", time(first), time(last)));
    }
    lines.push(format!("rounds      {}", found.rounds));
    lines.push(format!("left        {} bytes", found.sent_bytes()));
    for (phase, (messages, bytes)) in &found.sent {
        lines
            .push(format!("            {:<14}{messages:>8} messages{bytes:>16} bytes", format!("{phase:?}")));
    }
    lines.push(format!("came        {} bytes", found.received_bytes));
    lines.push(format!("head        {}", found.head));
    lines.join("\n")
}
