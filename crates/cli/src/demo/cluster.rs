//! A federation of processes on this machine: the same commands that people type.

use crate::common;
use anyhow::{Context, Result, bail, ensure};
use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A file by which a folder is known as one of these, and may be emptied.
const MARK: &str = ".fovea-demo";

/// Longest wait for one command.
const COMMAND_MAX: Duration = Duration::from_secs(60);

const PAUSE: Duration = Duration::from_millis(50);

/// Something that a site's audit log tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Moment {
    /// Keys for an attempt have left.
    Advertised,
    /// A piece of the masked vector has left.
    SentChunk,
    /// The upload is complete.
    ClosedUpload,
    /// A round is over.
    FinishedRound,
}

impl Moment {
    /// How the log says it.
    fn mark(self) -> &'static str {
        match self {
            Moment::Advertised => r#""sends":{"phase":"advertise""#,
            Moment::SentChunk => r#""sends":{"phase":"masked-chunk""#,
            Moment::ClosedUpload => r#""sends":{"phase":"masked-close""#,
            Moment::FinishedRound => r#""finished":{"#,
        }
    }
}

impl std::fmt::Display for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(match self {
            Moment::Advertised => "had sent its keys",
            Moment::SentChunk => "was uploading",
            Moment::ClosedUpload => "had uploaded",
            Moment::FinishedRound => "had finished a round",
        })
    }
}

/// The processes and their folders.
pub struct Cluster {
    folder: PathBuf,
    running: Vec<(String, Child)>,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for (_, child) in &mut self.running {
            // One that has ended already cannot be killed, and need not be.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Cluster {
    /// An empty folder; one of an earlier cluster is emptied.
    pub fn new(folder: &Path) -> Result<Self> {
        let mark = folder.join(MARK);
        let used = std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some());
        ensure!(
            !used || mark.exists(),
            "{} is not empty and no demonstration's; choose another",
            folder.display()
        );
        let at = || folder.display().to_string();
        if used {
            std::fs::remove_dir_all(folder).with_context(at)?;
        }
        std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&mark, "")).with_context(at)?;
        Ok(Cluster { folder: folder.to_owned(), running: Vec::new() })
    }

    /// Where everything is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn dir(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// Founds a federation and starts its coordinator, `jon`.
    pub fn found(&mut self, name: &str) -> Result<()> {
        // Free now, and most likely still free in a moment.
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let port = free.context("no free port on 127.0.0.1")?.port();
        let (dir, url, listen) =
            (self.dir("jon"), format!("https://127.0.0.1:{port}"), format!("127.0.0.1:{port}"));
        call(&["federation", "init", "--dir", &dir, "--name", name, "--url", &url, "--listen", &listen])?;
        self.start("jon", &["coordinator", "--dir", &dir, "--until-over"])?;
        self.wait_for_line("jon", "listens on")
    }

    /// Invites a site and joins it; `data` says what it trains on.
    pub fn join(&self, site: &str, data: &[String]) -> Result<()> {
        let token = call(&["federation", "invite", site, "--dir", &self.dir("jon")])?;
        let dir = self.dir(site);
        let mut args = vec!["site", "join", token.trim(), "--dir", &dir];
        args.extend(data.iter().map(String::as_str));
        call(&args).map(|_| ())
    }

    /// Offers a job; its short digest.
    pub fn offer(&self, job: &Path) -> Result<String> {
        let page = call(&["federation", "offer", &job.display().to_string(), "--dir", &self.dir("jon")])?;
        let digest = page.split_whitespace().nth(1).context("the offer named no job")?;
        Ok(digest.to_owned())
    }

    /// Starts a site's process.
    pub fn run_site(&mut self, site: &str) -> Result<()> {
        let dir = self.dir(site);
        self.start(site, &["site", "run", "--dir", &dir])
    }

    /// Approves the job once the site has shown it.
    pub fn approve(&mut self, site: &str, digest: &str) -> Result<()> {
        self.wait_for_line(site, "waiting for approval")?;
        call(&["site", "approve", digest, "--dir", &self.dir(site)]).map(|_| ())
    }

    /// Waits until something happens once more at a site.
    pub fn wait_for(&self, site: &str, moment: Moment) -> Result<()> {
        let deadline = Instant::now() + COMMAND_MAX;
        let path = self.folder.join(site).join("audit.jsonl");
        let count = || {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            (text.matches(moment.mark()).count(), text.contains(r#""ends":{"#))
        };
        let (before, _) = count();
        loop {
            match count() {
                (now, _) if now > before => return Ok(()),
                (_, true) => bail!("the job is over before all kills were made: give more --rounds"),
                _ => std::thread::sleep(Duration::from_millis(1)),
            }
            ensure!(Instant::now() < deadline, "{site} never {moment}:\n{}", self.log(site));
        }
    }

    /// Kills a process as a power cut would, and starts it again.
    pub fn kill(&mut self, name: &str) -> Result<()> {
        let place = self.running.iter().position(|(n, _)| n == name).context("no such process")?;
        let (_, mut child) = self.running.remove(place);
        child.kill().and_then(|()| child.wait()).with_context(|| name.to_owned())?;
        let dir = self.dir(name);
        match name {
            "jon" => self.start("jon", &["coordinator", "--dir", &dir, "--until-over"]),
            site => self.start(site, &["site", "run", "--dir", &dir]),
        }
    }

    /// Waits until every process has ended by itself and well.
    pub fn finish(&mut self, longest: Duration) -> Result<()> {
        let deadline = Instant::now() + longest;
        while let Some((name, mut child)) = self.running.pop() {
            loop {
                match child.try_wait()? {
                    Some(status) if status.success() => break,
                    Some(status) => bail!("{name} ended with {status}:\n{}", self.log(&name)),
                    None if common::stopped() || Instant::now() > deadline => {
                        self.running.push((name.clone(), child));
                        bail!("{name} has not ended:\n{}", self.log(&name));
                    }
                    None => std::thread::sleep(PAUSE),
                }
            }
        }
        Ok(())
    }

    /// What a site's `result.json` says.
    pub fn result(&self, site: &str) -> Result<serde_json::Value> {
        let jobs = self.folder.join(site).join("jobs");
        let mut entries = std::fs::read_dir(&jobs).with_context(|| jobs.display().to_string())?;
        let path = entries.next().context("no job was done")??.path().join("result.json");
        let text = std::fs::read(&path).with_context(|| path.display().to_string())?;
        serde_json::from_slice(&text).with_context(|| path.display().to_string())
    }

    /// What a process has said.
    pub fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.join(format!("{name}.log"))).unwrap_or_default()
    }

    fn start(&mut self, name: &str, args: &[&str]) -> Result<()> {
        let path = self.folder.join(format!("{name}.log"));
        let at = || path.display().to_string();
        let log = File::options().create(true).append(true).open(&path).with_context(at)?;
        let copy = log.try_clone().with_context(at)?;
        let child = command(args)?.stdout(copy).stderr(log).spawn().with_context(|| name.to_owned())?;
        self.running.push((name.to_owned(), child));
        Ok(())
    }

    /// Waits until a process has said something.
    pub fn wait_for_line(&mut self, name: &str, part: &str) -> Result<()> {
        let deadline = Instant::now() + COMMAND_MAX;
        while !self.log(name).contains(part) {
            let child = self.running.iter_mut().find(|(n, _)| n == name).map(|(_, child)| child);
            if let Some(status) = child.context("no such process")?.try_wait()? {
                bail!("{name} ended with {status}:\n{}", self.log(name));
            }
            ensure!(Instant::now() < deadline, "{name} does not say {part:?}:\n{}", self.log(name));
            ensure!(!common::stopped(), "stopped");
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }
}

/// This program with other arguments, one thread each: the processes share this machine.
fn command(args: &[&str]) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe().context("this program's own path")?);
    command.args(args).args(["--threads", "1"]).stdin(Stdio::null());
    Ok(command)
}

/// Runs a command to its end; what it printed.
fn call(args: &[&str]) -> Result<String> {
    let output = command(args)?.output().context("a command could not be started")?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    ensure!(output.status.success(), "fovea {}: {}", args.join(" "), text(&output.stderr).trim());
    Ok(text(&output.stdout))
}
