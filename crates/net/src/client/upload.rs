//! Bringing one message, in pieces that survive a cut.
//!
//! The coordinator says after each piece how much it holds, so after a cut no more than the piece that was under way is
//! sent again. A network that refuses a piece as too large, or cuts it twice, gets smaller ones from then on.

use super::{Client, Pause};
use crate::api::{Held, Piece, Refused};
use crate::error::NetError;
use crate::limits::PIECE_BYTES_MIN;
use fovea_secagg::hash::Hash;
use fovea_wire::Bytes;
use sha2::{Digest, Sha256};
use std::sync::atomic::Ordering;

impl Client {
    /// Brings a message until the coordinator has it on its disk.
    ///
    /// # Errors
    /// [`NetError::Stopped`], or what trying again does not help against.
    pub fn upload(&self, message: &[u8], mut on_failure: impl FnMut(&NetError)) -> Result<(), NetError> {
        let digest = Hash(Sha256::digest(message).into());
        let (mut held, mut cuts, mut pause) = (0, 0, Pause::new());
        while held < message.len() {
            let size = self.piece_bytes.load(Ordering::Relaxed);
            let end = message.len().min(held + size);
            match self.piece(digest, message, held, end) {
                Ok(now) => (held, cuts, pause) = (now, 0, Pause::new()),
                Err(error) if too_large(&error) => {
                    if size <= PIECE_BYTES_MIN {
                        return Err(error);
                    }
                    self.halve(size);
                }
                Err(error) if error.is_passing() => {
                    on_failure(&error);
                    cuts += 1;
                    if cuts > 1 && size > PIECE_BYTES_MIN {
                        self.halve(size);
                    }
                    pause.wait(&self.stop)?;
                    // Nothing but a question: the piece may have arrived although its answer did not.
                    if let Ok(now) = self.piece(digest, message, held, held) {
                        held = now;
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Bytes of a message in one request at present.
    pub fn piece_bytes(&self) -> usize {
        self.piece_bytes.load(Ordering::Relaxed)
    }

    fn piece(&self, digest: Hash, message: &[u8], from: usize, to: usize) -> Result<usize, NetError> {
        let (length, offset) = (message.len() as u32, from as u32);
        let bytes = Bytes(message[from..to].to_vec());
        let Held { bytes } = self.call(&Piece { digest, length, offset, bytes })?;
        // More than there is would be a fault of the coordinator; it then holds the message and something else.
        Ok((bytes as usize).min(message.len()))
    }

    fn halve(&self, size: usize) {
        self.piece_bytes.fetch_min((size / 2).max(PIECE_BYTES_MIN), Ordering::Relaxed);
    }
}

fn too_large(error: &NetError) -> bool {
    matches!(error, NetError::Refused(Refused::TooLarge) | NetError::Stranger { status: 413, .. })
}
