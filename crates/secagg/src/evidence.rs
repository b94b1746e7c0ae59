//! Proof that a party said two different things where it may say one.

use serde::{Deserialize, Serialize};

use crate::envelope::Header;
use crate::hash::Hash;
use crate::identity::{Roster, Signature};
use crate::message::Phase;
use crate::sets::SiteId;

/// Two bodies that one party signed for one phase of one attempt. Digests are enough, since they are what
/// is signed; anyone with the roster can check the proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Equivocation {
    /// Context, phase and party.
    pub header: Header,
    /// SHA-256 of the one body, and its signature.
    pub first: (Hash, Signature),
    /// SHA-256 of the other body, and its signature.
    pub second: (Hash, Signature),
}

/// Evidence that proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// A phase in which many messages are sent, or one that nobody can be held to.
    #[error("{phase:?} may be sent more than once")]
    Repeatable {
        /// The phase.
        phase: Phase,
    },
    /// Twice the same body.
    #[error("both bodies are the same")]
    Same,
    /// A signature that is not the party's.
    #[error("{from} has not signed both bodies")]
    Unsigned {
        /// The party.
        from: SiteId,
    },
}

impl Equivocation {
    /// Whether a party says this at most once per attempt.
    pub fn is_once(phase: Phase) -> bool {
        match phase {
            Phase::Advertise
            | Phase::AdvertiseSet
            | Phase::Share
            | Phase::MaskedClose
            | Phase::Announce
            | Phase::Confirm
            | Phase::Unmask
            | Phase::PublishClose => true,
            // Chunks are many; what is addressed to one site differs from site to site; the set of
            // confirmations may be sent again when more have arrived; a site stands elsewhere later.
            Phase::Open
            | Phase::ShareSet
            | Phase::MaskedChunk
            | Phase::ConfirmSet
            | Phase::PublishChunk
            | Phase::Complaint
            | Phase::Abandon
            | Phase::Hello
            | Phase::CatchUpChunk
            | Phase::CatchUpClose => false,
        }
    }

    /// The evidence in two statements of one party for one phase, if there is any.
    pub fn between(header: Header, first: (Hash, Signature), second: (Hash, Signature)) -> Option<Self> {
        (Self::is_once(header.phase) && first.0 != second.0).then_some(Self { header, first, second })
    }

    /// The party that equivocated.
    ///
    /// # Errors
    /// [`EvidenceError`] when this proves nothing.
    pub fn check(&self, roster: &Roster) -> Result<SiteId, EvidenceError> {
        let Header { phase, from, .. } = self.header;
        if !Self::is_once(phase) {
            return Err(EvidenceError::Repeatable { phase });
        }
        if self.first.0 == self.second.0 {
            return Err(EvidenceError::Same);
        }
        for (digest, signature) in [self.first, self.second] {
            let verdict = self.header.verify(digest, &signature, roster);
            verdict.map_err(|_| EvidenceError::Unsigned { from })?;
        }
        Ok(from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::Envelope;
    use crate::identity::Identity;
    use crate::message::Confirm;
    use crate::secret::Secret;

    #[test]
    fn two_signed_bodies_convict_and_nothing_else_does() {
        let identity = |seed| Identity::from_secret(&Secret::new([seed; 32]));
        let keys = vec![identity(0).public(), identity(1).public()];
        let roster = Roster::new(identity(9).public(), keys).unwrap();
        let header = |phase| Header { ctx: Hash([1; 32]), phase, from: SiteId(1) };
        let statement = |phase, byte, signer| {
            let body = Confirm { digest: Hash([byte; 32]) };
            Envelope::open(&Envelope::seal(header(phase), &body, &identity(signer)).unwrap())
                .unwrap()
                .statement()
        };
        let between = |phase, a, b| Equivocation::between(header(phase), a, b);
        let confirm = |byte, signer| statement(Phase::Confirm, byte, signer);
        let proof = between(Phase::Confirm, confirm(1, 1), confirm(2, 1)).unwrap();
        assert_eq!(proof.check(&roster), Ok(SiteId(1)));
        assert_eq!(between(Phase::Confirm, confirm(1, 1), confirm(1, 1)), None);
        let chunks = [1, 2].map(|byte| statement(Phase::MaskedChunk, byte, 1));
        assert_eq!(between(Phase::MaskedChunk, chunks[0], chunks[1]), None);
        // Statements of two phases do not convict, whatever they are called.
        let mixed = between(Phase::Confirm, confirm(1, 1), statement(Phase::Unmask, 2, 1)).unwrap();
        assert_eq!(mixed.check(&roster), Err(EvidenceError::Unsigned { from: SiteId(1) }));
        // A second body signed by somebody else does not convict the first signer.
        let framed = between(Phase::Confirm, confirm(1, 1), confirm(2, 0)).unwrap();
        assert_eq!(framed.check(&roster), Err(EvidenceError::Unsigned { from: SiteId(1) }));
        let same = Equivocation { second: proof.first, ..proof.clone() };
        assert_eq!(same.check(&roster), Err(EvidenceError::Same));
        let moved = Equivocation { header: header(Phase::MaskedChunk), ..proof };
        assert_eq!(moved.check(&roster), Err(EvidenceError::Repeatable { phase: Phase::MaskedChunk }));
    }
}
