//! What all commands share: threads, interruption, progress, executors, facts about the machine.

pub mod device;
pub mod keys;
pub mod memory;
pub mod model;
pub mod snapshots;

use anyhow::{Context, Result};
use fovea_train::{Observer, StepReport};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{ErrorKind, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// Options of every command.
#[derive(clap::Args)]
pub struct Global {
    /// Worker threads [default: all cores]. Results do not depend on it.
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    #[command(flatten)]
    device: device::Options,
}

/// The exit code of an interrupted command.
pub const INTERRUPTED: u8 = 130;
/// The exit code when some of several files failed.
pub const PARTLY: u8 = 3;

/// The source revision that this binary was built from.
pub const COMMIT: &str = env!("FOVEA_COMMIT");

static STOP: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// Sets up threads and interruption; called once, first.
pub fn prepare(global: &Global) -> Result<()> {
    if let Some(threads) = global.threads {
        rayon::ThreadPoolBuilder::new().num_threads(usize::from(threads)).build_global()?;
    }
    device::choose(&global.device);
    let flag = Arc::clone(stop_flag());
    ctrlc::set_handler(move || {
        // The first signal asks for an orderly end; the second one does not ask.
        if flag.swap(true, Ordering::SeqCst) {
            std::process::exit(i32::from(INTERRUPTED));
        }
        say("stopping after this step; again to stop at once");
    })
    .context("the interrupt handler could not be installed")
}

/// Raised by Ctrl-C and by termination.
pub fn stop_flag() -> &'static Arc<AtomicBool> {
    STOP.get_or_init(Arc::default)
}

/// Whether an orderly end was asked for.
pub fn stopped() -> bool {
    stop_flag().load(Ordering::SeqCst)
}

/// The exit code of a command that was interrupted after saving.
pub fn interrupted() -> ExitCode {
    ExitCode::from(INTERRUPTED)
}

/// A line for people, on standard error.
#[allow(clippy::print_stderr)]
pub fn say(line: &str) {
    eprintln!("{line}");
}

/// A line of results, on standard output.
pub fn print(line: &str) {
    match writeln!(std::io::stdout().lock(), "{line}") {
        // A reader that has seen enough, such as `head`, is no fault.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => say(&format!("standard output: {error}")),
        _ => {}
    }
}

/// A progress bar over optimiser steps: loss, images per second, time left. Hidden where standard error is no terminal.
pub struct Progress {
    bar: ProgressBar,
    smoothed: f32,
}

impl Progress {
    /// A bar for `steps` steps, `done` of which are done.
    pub fn new(title: &str, done: u32, steps: u32) -> Self {
        let bar = ProgressBar::new(u64::from(steps));
        let template = "{prefix:>10} {bar:32} {pos}/{len} steps  {msg}  {eta} left";
        bar.set_style(
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        bar.set_prefix(title.to_owned());
        bar.set_position(u64::from(done));
        bar.reset_eta();
        Progress { bar, smoothed: f32::NAN }
    }

    /// Changes what stands before the bar.
    pub fn rename(&self, title: &str) {
        self.bar.set_prefix(title.to_owned());
    }

    /// Clears the bar.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }

    /// A line above the bar, also where no bar is shown.
    pub fn note(&self, line: &str) {
        self.bar.suspend(|| say(line));
    }
}

impl Observer for Progress {
    fn step(&mut self, report: &StepReport) {
        let old = if self.smoothed.is_nan() { report.loss } else { self.smoothed };
        self.smoothed = old + 0.1 * (report.loss - old);
        self.bar.set_position(u64::from(report.done));
        let (loss, rate) = (self.smoothed, report.images_per_second);
        self.bar.set_message(format!("loss {loss:.4}  {rate:.0} images/s"));
    }
}

/// A progress bar over images. Hidden where standard error is no terminal.
pub fn image_bar(title: &str, images: usize) -> ProgressBar {
    let bar = ProgressBar::new(images as u64);
    let template = "{prefix:>10} {bar:32} {pos}/{len} images  {wide_msg}";
    bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_prefix(title.to_owned());
    bar
}

/// The causes of an error in one line, leaving out those that the line already quotes.
pub fn describe(error: &anyhow::Error) -> String {
    let add = |mut line: String, cause: String| {
        if !line.contains(&cause) {
            line = format!("{line}: {cause}");
        }
        line
    };
    error.chain().skip(1).map(ToString::to_string).fold(error.to_string(), add)
}

/// Peak resident memory in bytes, where the system tells (Linux).
pub fn peak_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024)
}

/// Today's date in UTC, ISO 8601.
pub fn today() -> String {
    time::OffsetDateTime::now_utc().date().to_string()
}
