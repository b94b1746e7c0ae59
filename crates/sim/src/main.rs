//! Runs many simulated federations and says which invariants did not hold, and for which seeds.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use fovea_sim::campaign::{self, Row};
use fovea_sim::faults::{Faults, Kind};
use fovea_sim::report::Report;
use fovea_sim::scenario::Options;
use fovea_sim::world;

/// Simulated federations: virtual clock, bad network, crashes, liars
#[derive(Debug, Parser)]
#[command(name = "sim")]
struct Cli {
    /// Number of federations
    #[arg(long, default_value_t = 1000)]
    count: u64,
    /// Seed of the first; the others follow
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Sites per federation, instead of 2 to 10 as the seed decides
    #[arg(long)]
    sites: Option<u16>,
    /// Rounds per federation, instead of 2 or 3
    #[arg(long)]
    rounds: Option<u32>,
    /// One kind of trouble, instead of all
    #[arg(long, value_parser = kind)]
    kind: Option<Kind>,
    /// Probability of one fault in place of the kind's, as NAME=PROBABILITY; may be repeated
    #[arg(long = "fault", value_parser = fault)]
    faults: Vec<(String, f64)>,
    /// Threads [default: all cores]
    #[arg(long)]
    threads: Option<usize>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    /// Print every event of the one federation with this seed
    #[arg(long)]
    trace: bool,
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("sim: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<bool, Box<dyn std::error::Error>> {
    let Cli { sites, rounds, kind, ref faults, .. } = *cli;
    let options = Options { sites, rounds, kind, faults: faults.clone(), sabotage: None };
    let begin = Instant::now();
    let reports = if cli.trace {
        vec![world::run(cli.seed, &options, true)?]
    } else {
        let threads = cli.threads.or_else(|| std::thread::available_parallelism().ok().map(usize::from));
        let progress = |done| show(done, cli.count, begin);
        campaign::run(cli.seed, cli.count, &options, threads.unwrap_or(1), &progress)?
    };
    let mut out = std::io::stdout().lock();
    for line in reports.iter().flat_map(|report| &report.lines) {
        writeln!(out, "{line}")?;
    }
    let seconds = begin.elapsed().as_secs_f64();
    if cli.json {
        json(&mut out, cli, &reports, seconds)?;
    } else {
        table(&mut out, &reports, seconds)?;
    }
    Ok(reports.iter().all(|report| report.violations.is_empty()))
}

/// A line that is written over, on a terminal; now and then a new one elsewhere.
fn show(done: u64, count: u64, begin: Instant) {
    let terminal = std::io::stderr().is_terminal();
    let step = if terminal { (count / 200).max(1) } else { (count / 10).max(1) };
    if done.is_multiple_of(step) || done == count {
        let seconds = begin.elapsed().as_secs_f64();
        let end = if terminal && done != count { "\r" } else { "\n" };
        eprint!(
            "sim: {done}/{count} federations, {seconds:.0} s, {:.0}/s {end}",
            done as f64 / seconds.max(1e-3)
        );
    }
}

fn table(out: &mut impl Write, reports: &[Report], seconds: f64) -> std::io::Result<()> {
    writeln!(
        out,
        "{:<22}{:>7}{:>10}{:>9}{:>10}{:>8}{:>9}{:>8}{:>9}{:>10}{:>10}",
        "kind",
        "runs",
        "complete",
        "aborted",
        "VIOLATED",
        "sums",
        "partial",
        "ended",
        "revoked",
        "restarts",
        "convicted"
    )?;
    let line = |name: &str, row: &Row| {
        format!(
            "{name:<22}{:>7}{:>10}{:>9}{:>10}{:>8}{:>9}{:>8}{:>9}{:>10}{:>10}",
            row.runs,
            row.complete,
            row.aborted,
            row.violated,
            row.sums,
            row.partial,
            row.ended,
            row.revoked,
            row.restarts,
            row.convicted
        )
    };
    for (kind, row) in campaign::summary(reports) {
        writeln!(out, "{}", line(kind.name(), &row))?;
    }
    writeln!(out, "{}", line("all", &campaign::total(reports)))?;
    for report in reports.iter().filter(|report| !report.violations.is_empty()) {
        for violation in &report.violations {
            let (kind, n) = (report.kind.name(), report.sites);
            writeln!(
                out,
                "seed {} ({kind}, {n} sites): {}: {}",
                report.seed, violation.invariant, violation.detail
            )?;
        }
    }
    let events: u64 = reports.iter().map(|report| report.events).sum();
    writeln!(out, "{events} events in {seconds:.1} s; trace {}", campaign::digest(reports))
}

fn json(out: &mut impl Write, cli: &Cli, reports: &[Report], seconds: f64) -> std::io::Result<()> {
    let rows: serde_json::Map<String, serde_json::Value> = campaign::summary(reports)
        .into_iter()
        .map(|(kind, row)| (kind.name().to_owned(), serde_json::json!(row)))
        .collect();
    let failed: Vec<&Report> = reports.iter().filter(|report| !report.violations.is_empty()).collect();
    let value = serde_json::json!({
        "seed": cli.seed,
        "count": reports.len(),
        "seconds": seconds,
        "trace": campaign::digest(reports),
        "kinds": rows,
        "total": campaign::total(reports),
        "violations": failed,
    });
    serde_json::to_writer_pretty(&mut *out, &value)?;
    writeln!(out)
}

fn kind(name: &str) -> Result<Kind, String> {
    let names = || Kind::ALL.map(Kind::name).join(", ");
    Kind::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| format!("one of {}", names()))
}

fn fault(text: &str) -> Result<(String, f64), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=PROBABILITY")?;
    let value: f64 = value.parse().map_err(|_| format!("{value} is not a number"))?;
    if !Faults::NAMES.contains(&name) {
        return Err(format!("one of {}", Faults::NAMES.join(", ")));
    }
    if !(0.0..=1.0).contains(&value) {
        return Err(format!("{value} is not a probability"));
    }
    Ok((name.to_owned(), value))
}
