//! Everything that happened in a run as one digest: two runs with one trace are the same run.

use fovea_secagg::envelope::Envelope;
use fovea_secagg::hash::Hash;
use fovea_secagg::message::COORDINATOR;
use fovea_secagg::sets::SiteId;
use sha2::{Digest, Sha256};

/// The trace of a run under way.
#[derive(Debug, Default)]
pub struct Trace {
    state: Sha256,
    events: u64,
    lines: Option<Vec<String>>,
}

impl Trace {
    /// A trace that keeps its lines for people, too.
    pub fn with_lines() -> Self {
        Self { lines: Some(Vec::new()), ..Self::default() }
    }

    /// Adds something that happened: when, what, to whom, with which bytes.
    pub fn event(&mut self, time_ms: u64, what: &str, party: SiteId, bytes: &[u8]) {
        self.events += 1;
        self.state.update(time_ms.to_le_bytes());
        self.add(what.as_bytes());
        self.state.update(party.0.to_le_bytes());
        self.add(bytes);
        if let Some(lines) = &mut self.lines {
            let phase = Envelope::open(bytes).map(|envelope| format!("{:?}", envelope.header.phase));
            let party = if party == COORDINATOR { "coordinator".to_owned() } else { party.to_string() };
            lines.push(format!("{time_ms:>7} ms  {party:<12}{what} {}", phase.unwrap_or_default()));
        }
    }

    /// Adds what became of it.
    pub fn verdict(&mut self, verdict: &str) {
        self.add(verdict.as_bytes());
        if let Some(line) = self.lines.as_mut().and_then(|lines| lines.last_mut()) {
            line.push_str(" -> ");
            line.push_str(verdict);
        }
    }

    fn add(&mut self, bytes: &[u8]) {
        self.state.update((bytes.len() as u64).to_le_bytes());
        self.state.update(bytes);
    }

    /// Number of things that happened.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// The digest, and the lines if they were kept.
    pub fn finish(self) -> (Hash, Vec<String>) {
        (Hash(self.state.finalize().into()), self.lines.unwrap_or_default())
    }
}
