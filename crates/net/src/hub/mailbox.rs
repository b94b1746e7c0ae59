//! Messages that wait for one site.

use crate::api::Mail;
use crate::limits::MAIL_BYTES;
use fovea_wire::Bytes;
use std::collections::VecDeque;
use std::sync::Arc;

/// One site's messages, in memory. They are kept until the site asks for later ones.
#[derive(Debug)]
pub(super) struct Mailbox {
    epoch: u64,
    last: u64,
    waiting: VecDeque<(u64, Arc<[u8]>)>,
    bytes: usize,
    bytes_max: usize,
}

impl Mailbox {
    pub(super) fn new(epoch: u64, bytes_max: usize) -> Self {
        Self { epoch, last: 0, waiting: VecDeque::new(), bytes: 0, bytes_max }
    }

    /// Adds a message. A site that fetches nothing for long loses all of them, and is told so by a new number of the
    /// epoch when it comes back.
    pub(super) fn put(&mut self, message: Arc<[u8]>) {
        self.bytes += message.len();
        self.last += 1;
        self.waiting.push_back((self.last, message));
        if self.bytes > self.bytes_max {
            self.forget();
        }
    }

    /// Drops everything and begins a new epoch.
    pub(super) fn forget(&mut self) {
        *self = Self::new(self.epoch + 1, self.bytes_max);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The messages after the one named, which is thereby acknowledged with all before it.
    pub(super) fn fetch(&mut self, epoch: u64, after: u64) -> Mail {
        if epoch == self.epoch {
            while let Some((_, message)) = self.waiting.pop_front_if(|(number, _)| *number <= after) {
                self.bytes -= message.len();
            }
        }
        let (mut messages, mut bytes) = (Vec::new(), 0);
        for (number, message) in &self.waiting {
            messages.push((*number, Bytes(message.to_vec())));
            bytes += message.len();
            if bytes >= MAIL_BYTES {
                break;
            }
        }
        Mail { epoch: self.epoch, messages, over: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(mail: &Mail) -> Vec<u64> {
        mail.messages.iter().map(|(number, _)| *number).collect()
    }

    #[test]
    fn messages_stay_until_later_ones_are_asked_for() {
        let mut mailbox = Mailbox::new(5, 1 << 20);
        (0..3u8).for_each(|i| mailbox.put(Arc::from([i])));
        assert_eq!(numbers(&mailbox.fetch(0, 0)), [1, 2, 3]);
        assert_eq!(numbers(&mailbox.fetch(5, 0)), [1, 2, 3]);
        assert_eq!(numbers(&mailbox.fetch(5, 2)), [3]);
        assert_eq!(numbers(&mailbox.fetch(4, 3)), [3], "a number of another epoch acknowledges nothing");
        assert!(mailbox.fetch(5, 3).messages.is_empty() && mailbox.is_empty());
    }

    #[test]
    fn an_answer_is_bounded_and_so_is_the_box() {
        let mut mailbox = Mailbox::new(1, 3 * MAIL_BYTES);
        let large: Arc<[u8]> = vec![0; MAIL_BYTES / 2].into();
        (0..6).for_each(|_| mailbox.put(Arc::clone(&large)));
        assert_eq!(numbers(&mailbox.fetch(1, 0)), [1, 2]);
        assert_eq!(numbers(&mailbox.fetch(1, 2)), [3, 4]);
        (0..3).for_each(|_| mailbox.put(Arc::clone(&large)));
        let lost = mailbox.fetch(1, 4);
        assert_eq!((lost.epoch, lost.messages.len()), (2, 0), "a full box begins anew");
    }
}
