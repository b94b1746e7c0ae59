//! Waiting for messages in a thread of its own.

use super::Event;
use crate::OsEntropy;
use crate::api::{Mail, Poll};
use crate::client::{Client, Pause};
use crate::error::NetError;
use crate::limits::POLL_MAX;
use fovea_secagg::hash::Hash;
use fovea_secagg::secret::Entropy;
use fovea_wire::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;

/// Fetches messages until the job is over or the session has ended.
pub(super) struct Postman {
    pub client: Arc<Client>,
    pub job: Hash,
    pub fresh: bool,
    pub ended: Arc<AtomicBool>,
}

impl Postman {
    pub(super) fn start(self, events: Sender<Event>) -> Result<(), NetError> {
        let mut drawn = [0; 8];
        OsEntropy.fill(&mut drawn)?;
        let session = u64::from_le_bytes(drawn);
        std::thread::spawn(move || self.fetch(session, &events));
        Ok(())
    }

    fn fetch(&self, session: u64, events: &Sender<Event>) {
        let wait_ms = POLL_MAX.as_millis() as u32;
        let mut poll = Poll { job: self.job, epoch: 0, after: 0, wait_ms, session, fresh: self.fresh };
        let mut pause = Pause::new();
        while !self.ended.load(Ordering::SeqCst) {
            let event = match self.client.call(&poll) {
                Ok(Mail { epoch, messages, over }) => {
                    pause = Pause::new();
                    let new_epoch = epoch != poll.epoch;
                    poll.after = messages.last().map_or(if new_epoch { 0 } else { poll.after }, |(n, _)| *n);
                    poll.epoch = epoch;
                    let messages = messages.into_iter().map(|(_, Bytes(bytes))| bytes).collect();
                    Event::Mail { new_epoch, messages, over }
                }
                Err(error) if error.is_passing() => {
                    if events.send(Event::Trouble(error)).is_err() || pause.wait(&self.ended).is_err() {
                        return;
                    }
                    continue;
                }
                Err(error) => Event::Failed(error),
            };
            let last = matches!(event, Event::Failed(_) | Event::Mail { over: true, .. });
            if events.send(event).is_err() || last {
                return;
            }
        }
    }
}
