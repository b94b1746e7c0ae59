//! A site's audit log: what was approved, what left, what came, what followed. One line per event, chained and signed.
//!
//! chain(n) = SHA-256("fovea/net/audit/v1", chain(n - 1), entry n as JSON); the signature is the site's Ed25519 over
//! ("fovea/net/audit-signature/v1", chain(n)). Changing, removing or reordering lines breaks the chain from there on. Lines
//! taken off the end leave no trace in the file itself: who wants to notice that keeps the head that `fovea audit verify`
//! prints. A line is written before what it tells of leaves.

use crate::error::NetError;
use crate::hex;
use fovea_secagg::hash::Hash;
use fovea_secagg::identity::{Identity, PublicKey, Signature};
use fovea_secagg::message::Phase;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const CHAIN: &str = "fovea/net/audit/v1";
const SIGNATURE: &str = "fovea/net/audit-signature/v1";

/// Longest line, bytes.
const LINE_MAX: usize = 16 << 10;

/// Something that happened at a site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The site takes part in a job that was approved.
    Begins {
        /// Digest of the job's document.
        job: Hash,
    },
    /// A message leaves.
    Sends {
        /// What it is.
        phase: Phase,
        /// Its length.
        bytes: u64,
        /// SHA-256 of it.
        sha256: Hash,
    },
    /// A message has come.
    Receives {
        /// Its length.
        bytes: u64,
        /// SHA-256 of it.
        sha256: Hash,
    },
    /// A round is over.
    Finished {
        /// Round.
        round: u32,
        /// Sites in the sum.
        sites: u32,
        /// The new global model.
        model: Hash,
    },
    /// The site was away, and took the others' state.
    CaughtUp {
        /// The round that comes next.
        round: u32,
    },
    /// A message was not taken, or an attempt ended.
    Refused {
        /// Why.
        reason: String,
    },
    /// The job is over.
    Ends {
        /// Digest of the job's document.
        job: Hash,
    },
}

impl Event {
    /// A message that leaves.
    pub fn sends(phase: Phase, message: &[u8]) -> Self {
        let sha256 = Hash(Sha256::digest(message).into());
        Self::Sends { phase, bytes: message.len() as u64, sha256 }
    }

    /// A message that has come.
    pub fn receives(message: &[u8]) -> Self {
        Self::Receives { bytes: message.len() as u64, sha256: Hash(Sha256::digest(message).into()) }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    number: u64,
    at_ms: u64,
    event: Event,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    entry: Entry,
    chain: Hash,
    signature: String,
}

/// The log, open for writing.
#[derive(Debug)]
pub struct AuditLog {
    path: PathBuf,
    file: File,
    identity: Arc<Identity>,
    number: u64,
    chain: Hash,
}

impl AuditLog {
    /// Opens or makes a log. A last line that was cut short told of something that did not happen, and is taken off.
    ///
    /// # Errors
    /// [`NetError::File`], [`NetError::Unusable`] for a log that is not whole.
    pub fn open(path: &Path, identity: Arc<Identity>) -> Result<Self, NetError> {
        let options = OpenOptions::new().read(true).append(true).create(true).clone();
        let file = options.open(path).map_err(NetError::file(path, "opening"))?;
        let found = read(path, &identity.public(), false)?;
        file.set_len(found.whole_bytes).map_err(NetError::file(path, "cutting"))?;
        Ok(Self { path: path.to_owned(), file, identity, number: found.entries, chain: found.head })
    }

    /// Adds an event. It survives this process when this returns; pieces of vectors, of which there are many, reach the
    /// disk with the next other event.
    ///
    /// # Errors
    /// [`NetError::File`]: the event is not recorded, and must not be acted on.
    pub fn append(&mut self, at_ms: u64, event: Event) -> Result<(), NetError> {
        let many = matches!(event, Event::Receives { .. } | Event::Sends { phase: Phase::MaskedChunk, .. });
        let entry = Entry { number: self.number, at_ms, event };
        let chain = chained(self.chain, &entry)?;
        let signature = hex::encode(&self.identity.sign(SIGNATURE, &[&chain.0]).0);
        let mut line = to_json(&Line { entry, chain, signature })?;
        line.push(b'\n');
        let written = self.file.write_all(&line);
        let written = written.and_then(|()| if many { Ok(()) } else { self.file.sync_data() });
        written.map_err(NetError::file(&self.path, "writing"))?;
        (self.number, self.chain) = (self.number + 1, chain);
        Ok(())
    }
}

/// What a log adds up to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Number of entries.
    pub entries: u64,
    /// The chain's last link: it stands for all of the log.
    pub head: Hash,
    /// Times of the first and the last entry, milliseconds since 1970.
    pub between_ms: Option<(u64, u64)>,
    /// Messages and bytes that left, by purpose.
    pub sent: BTreeMap<Phase, (u64, u64)>,
    /// Bytes that came.
    pub received_bytes: u64,
    /// Rounds that were finished.
    pub rounds: u64,
    /// Bytes of whole lines; more than these are a line that was cut short.
    pub whole_bytes: u64,
}

/// Checks every line of a log: form, order, chain and signature.
///
/// # Errors
/// [`NetError::Unusable`] names the first line that does not hold; [`NetError::File`].
pub fn verify(path: &Path, key: &PublicKey) -> Result<Summary, NetError> {
    read(path, key, true)
}

fn read(path: &Path, key: &PublicKey, all_signatures: bool) -> Result<Summary, NetError> {
    let mut found = Summary {
        entries: 0,
        head: Hash([0; 32]),
        between_ms: None,
        sent: BTreeMap::new(),
        received_bytes: 0,
        rounds: 0,
        whole_bytes: 0,
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound && !all_signatures => return Ok(found),
        Err(error) => return Err(NetError::file(path, "reading")(error)),
    };
    let (mut reader, mut text, mut last) = (BufReader::new(file), Vec::new(), None);
    loop {
        text.clear();
        let limited = &mut std::io::Read::take(&mut reader, LINE_MAX as u64);
        let length = limited.read_until(b'\n', &mut text).map_err(NetError::file(path, "reading"))?;
        if length == 0 || (text.last() != Some(&b'\n') && length < LINE_MAX) {
            break;
        }
        let broken = |why: &str| NetError::Unusable {
            what: format!("line {} of {}", found.entries + 1, path.display()),
            why: format!("{why}; the log was changed, or is another site's"),
        };
        let line: Line = serde_json::from_slice(&text).map_err(|_| broken("it is no entry"))?;
        let mut again = to_json(&line)?;
        again.push(b'\n');
        if again != text || line.entry.number != found.entries {
            return Err(broken("it is not where or what it was"));
        }
        if line.chain != chained(found.head, &line.entry)? {
            return Err(broken("it does not continue the chain"));
        }
        if all_signatures && !is_signed(&line, key) {
            return Err(broken("it is not signed by this site"));
        }
        found.add(&line, length as u64);
        last = Some(line);
    }
    match last {
        Some(line) if !is_signed(&line, key) => Err(NetError::Unusable {
            what: path.display().to_string(),
            why: "its last entry is not signed by this site".to_owned(),
        }),
        _ => Ok(found),
    }
}

impl Summary {
    fn add(&mut self, line: &Line, length: u64) {
        let at_ms = line.entry.at_ms;
        self.entries += 1;
        self.head = line.chain;
        self.whole_bytes += length;
        self.between_ms = Some((self.between_ms.map_or(at_ms, |(first, _)| first), at_ms));
        match &line.entry.event {
            Event::Sends { phase, bytes, .. } => {
                let (messages, sum) = self.sent.entry(*phase).or_default();
                *messages += 1;
                *sum = sum.saturating_add(*bytes);
            }
            Event::Receives { bytes, .. } => self.received_bytes = self.received_bytes.saturating_add(*bytes),
            Event::Finished { .. } => self.rounds += 1,
            Event::Begins { .. } | Event::CaughtUp { .. } | Event::Refused { .. } | Event::Ends { .. } => {}
        }
    }

    /// Bytes that left.
    pub fn sent_bytes(&self) -> u64 {
        self.sent.values().fold(0, |sum, (_, bytes)| sum.saturating_add(*bytes))
    }
}

fn is_signed(line: &Line, key: &PublicKey) -> bool {
    let signature = hex::decode(&line.signature).map(Signature);
    signature.is_some_and(|signature| key.verify(SIGNATURE, &[&line.chain.0], &signature))
}

fn chained(chain: Hash, entry: &Entry) -> Result<Hash, NetError> {
    Ok(Hash::of(CHAIN, &[&chain.0, &to_json(entry)?]))
}

fn to_json<T: Serialize>(value: &T) -> Result<Vec<u8>, NetError> {
    serde_json::to_vec(value)
        .map_err(|e| NetError::State(format!("an audit entry could not be written: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use fovea_secagg::secret::Secret;

    fn identity(seed: u8) -> Arc<Identity> {
        Arc::new(Identity::from_secret(&Secret::new([seed; 32])))
    }

    fn written(path: &Path) -> Vec<u8> {
        let mut log = AuditLog::open(path, identity(1)).unwrap();
        log.append(5, Event::Begins { job: Hash([2; 32]) }).unwrap();
        log.append(6, Event::sends(Phase::MaskedChunk, b"chunk")).unwrap();
        drop(log);
        let mut log = AuditLog::open(path, identity(1)).unwrap();
        log.append(7, Event::sends(Phase::MaskedClose, b"close")).unwrap();
        log.append(8, Event::receives(b"answer")).unwrap();
        log.append(9, Event::Finished { round: 0, sites: 2, model: Hash([3; 32]) }).unwrap();
        std::fs::read(path).unwrap()
    }

    #[test]
    fn a_log_adds_up_and_goes_on_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let text = written(&path);
        let found = verify(&path, &identity(1).public()).unwrap();
        assert_eq!((found.entries, found.rounds, found.sent_bytes(), found.received_bytes), (5, 1, 10, 6));
        assert_eq!((found.between_ms, found.sent[&Phase::MaskedClose]), (Some((5, 9)), (1, 5)));
        // A line cut short is taken off, and the next one takes its place.
        std::fs::write(&path, &text[..text.len() - 7]).unwrap();
        let mut log = AuditLog::open(&path, identity(1)).unwrap();
        log.append(9, Event::Finished { round: 0, sites: 2, model: Hash([3; 32]) }).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), text);
        assert!(verify(&folder.path().join("none"), &identity(1).public()).is_err());
    }

    #[test]
    fn every_change_is_noticed_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let text = written(&path);
        let refused = |changed: &[u8], key: u8| {
            std::fs::write(&path, changed).unwrap();
            verify(&path, &identity(key).public()).map(|found| found.entries).map_err(|e| e.to_string())
        };
        assert!(refused(&text, 2).unwrap_err().contains("line 1"));
        for at in (0..text.len()).step_by(13) {
            let mut changed = text.clone();
            changed[at] ^= 1;
            let whole = refused(&changed, 1);
            assert!(whole.is_err() || at + 1 == text.len(), "byte {at}: {whole:?}");
        }
        let lines: Vec<&[u8]> = text.split_inclusive(|b| *b == b'\n').collect();
        assert!(refused(&[lines[0], lines[2]].concat(), 1).unwrap_err().contains("line 2"));
        assert!(refused(&[lines[0], lines[2], lines[1]].concat(), 1).unwrap_err().contains("line 2"));
        assert!(refused(&[lines[0], lines[0]].concat(), 1).unwrap_err().contains("line 2"));
        assert!(refused(&[&text[..], &vec![b'x'; 2 * LINE_MAX]].concat(), 1).is_err());
        // Somebody with another key cannot continue it.
        std::fs::write(&path, &text).unwrap();
        assert!(AuditLog::open(&path, identity(2)).is_err());
    }
}
