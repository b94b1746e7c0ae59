//! Messages on their way in, piece by piece.

use crate::api::{Held, Piece, Refused};
use crate::limits::MESSAGE_MAX;
use fovea_secagg::hash::Hash;
use sha2::{Digest, Sha256};
use std::collections::VecDeque;

/// Digests of accepted messages that are remembered, to answer a question that comes after a cut.
const REMEMBERED: usize = 64;

/// What one site is sending: one message at a time.
#[derive(Debug, Default)]
pub(super) struct Intake {
    under_way: Option<(Hash, usize, Vec<u8>)>,
    accepted: VecDeque<Hash>,
}

/// What a piece did.
#[derive(Debug, PartialEq)]
pub(super) enum Taken {
    /// The message is not complete, or was complete before.
    Held(Held),
    /// The message is complete: to be acknowledged by [`Intake::accept`] once it is on the disk.
    Whole(Hash, Vec<u8>),
}

impl Intake {
    /// Takes a piece that continues what is there; any other one learns how much that is.
    pub(super) fn take(&mut self, piece: Piece) -> Result<Taken, Refused> {
        let Piece { digest, length, offset, bytes } = piece;
        let (length, offset) = (length as usize, offset as usize);
        if length == 0 || length > MESSAGE_MAX {
            return Err(Refused::TooLarge);
        }
        let held = |bytes: usize| Ok(Taken::Held(Held { bytes: bytes as u32 }));
        if self.accepted.contains(&digest) {
            return held(length);
        }
        let same = self.under_way.as_ref().is_some_and(|(d, l, _)| (*d, *l) == (digest, length));
        let there = self.under_way.as_ref().filter(|_| same).map_or(0, |(.., bytes)| bytes.len());
        if bytes.0.is_empty() || offset != there {
            return held(there);
        }
        if bytes.0.len() > length - there {
            return Err(Refused::Malformed);
        }
        if !same {
            self.under_way = Some((digest, length, Vec::new()));
        }
        let Some((.., sofar)) = &mut self.under_way else { return Err(Refused::Malformed) };
        sofar.extend_from_slice(&bytes.0);
        if sofar.len() < length {
            return held(sofar.len());
        }
        let message = std::mem::take(sofar);
        self.under_way = None;
        if Sha256::digest(&message)[..] != digest.0 {
            return Err(Refused::Malformed);
        }
        Ok(Taken::Whole(digest, message))
    }

    /// The message is on the disk, or was refused for good.
    pub(super) fn accept(&mut self, digest: Hash) {
        self.accepted.push_back(digest);
        if self.accepted.len() > REMEMBERED {
            self.accepted.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fovea_wire::Bytes;

    fn piece(message: &[u8], from: usize, to: usize) -> Piece {
        let digest = Hash(Sha256::digest(message).into());
        let bytes = Bytes(message[from..to].to_vec());
        Piece { digest, length: message.len() as u32, offset: from as u32, bytes }
    }

    fn held(bytes: u32) -> Result<Taken, Refused> {
        Ok(Taken::Held(Held { bytes }))
    }

    #[test]
    fn pieces_add_up_and_a_repeated_one_changes_nothing() {
        let message: Vec<u8> = (0..100).collect();
        let mut intake = Intake::default();
        assert_eq!(intake.take(piece(&message, 0, 40)), held(40));
        assert_eq!(intake.take(piece(&message, 0, 40)), held(40));
        assert_eq!(intake.take(piece(&message, 50, 100)), held(40));
        assert_eq!(intake.take(piece(&message, 40, 40)), held(40));
        let digest = piece(&message, 0, 0).digest;
        assert_eq!(intake.take(piece(&message, 40, 100)), Ok(Taken::Whole(digest, message.clone())));
        assert_eq!(intake.take(piece(&message, 0, 0)), held(0), "not on the disk yet");
        intake.accept(digest);
        assert_eq!(intake.take(piece(&message, 40, 100)), held(100));
    }

    #[test]
    fn another_message_takes_the_place_of_one_that_was_given_up() {
        let (first, second) = (vec![1; 50], vec![2; 60]);
        let mut intake = Intake::default();
        assert_eq!(intake.take(piece(&first, 0, 20)), held(20));
        assert_eq!(intake.take(piece(&second, 0, 30)), held(30));
        assert_eq!(intake.take(piece(&first, 20, 50)), held(0));
    }

    #[test]
    fn lies_about_length_and_content_are_refused() {
        let message = vec![7; 100];
        let mut intake = Intake::default();
        let long = Piece { length: MESSAGE_MAX as u32 + 1, ..piece(&message, 0, 10) };
        assert_eq!(intake.take(long), Err(Refused::TooLarge));
        assert_eq!(intake.take(Piece { length: 0, ..piece(&message, 0, 10) }), Err(Refused::TooLarge));
        assert_eq!(intake.take(Piece { length: 50, ..piece(&message, 0, 100) }), Err(Refused::Malformed));
        let changed = Piece { bytes: Bytes(vec![8; 100]), ..piece(&message, 0, 100) };
        assert_eq!(intake.take(changed), Err(Refused::Malformed));
        assert!(matches!(intake.take(piece(&message, 0, 100)), Ok(Taken::Whole(..))));
    }
}
