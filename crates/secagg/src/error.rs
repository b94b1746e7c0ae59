//! Why an attempt ends, and why a single message is refused.

use fovea_wire::WireError;

use crate::identity::SignatureError;
use crate::secret::EntropyError;
use crate::sets::SiteId;
use crate::shamir::ShamirError;

/// The attempt is over for whoever returns this; its secrets are wiped. The fields name the cause.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Abort {
    /// Not enough sites to go on.
    #[error("{phase}: {have} sites, {need} needed")]
    TooFewSites {
        /// Phase that ended with too few.
        phase: &'static str,
        /// Sites there.
        have: usize,
        /// Sites needed.
        need: usize,
    },
    /// The tolerated colluders do not fit the quorum.
    #[error(
        "{sites} sites with quorum {quorum} cannot tolerate {colluders_max} colluders; lower colluders_max"
    )]
    Thresholds {
        /// Sites that advertised.
        sites: usize,
        /// Quorum.
        quorum: usize,
        /// Colluders asked for.
        colluders_max: usize,
    },
    /// The set announced differs from what the protocol allows.
    #[error("{phase}: the announced set of sites is not acceptable: {why}")]
    Set {
        /// Phase of the announcement.
        phase: &'static str,
        /// Rule that it breaks.
        why: &'static str,
    },
    /// The coordinator changed this site's own keys on the way.
    #[error("own entry was changed by the coordinator")]
    OwnEntryChanged,
    /// A public key that appears twice.
    #[error("{site} advertises a key that is already in use")]
    RepeatedKey {
        /// Site with the second copy.
        site: SiteId,
    },
    /// A public key of low order.
    #[error("{site} advertises a low-order key")]
    LowOrderKey {
        /// Site with the key.
        site: SiteId,
    },
    /// A site starts from another global model.
    #[error("{site} starts from another global model")]
    OtherModel {
        /// That site.
        site: SiteId,
    },
    /// Shares that do not open or do not match their commitments.
    #[error("{dealer} dealt bad shares: {what}")]
    BadDealer {
        /// Site that dealt them.
        dealer: SiteId,
        /// What does not match.
        what: &'static str,
    },
    /// A site complained about a dealer.
    #[error("{accuser} complains about the shares of {dealer}")]
    Complaint {
        /// Who complains.
        accuser: SiteId,
        /// About whom.
        dealer: SiteId,
    },
    /// A site signed two different statements for one phase.
    #[error("{site} signed two different statements for one phase and is excluded")]
    Equivocation {
        /// The site.
        site: SiteId,
    },
    /// An attempt that this site has already taken part in, or an older one.
    #[error("attempt {attempt} of round {round} is not newer than the last one joined")]
    OldAttempt {
        /// Round.
        round: u32,
        /// Attempt.
        attempt: u16,
    },
    /// This site already confirmed a set in this round.
    #[error("a set was already confirmed in round {round}")]
    SecondConfirmation {
        /// The round.
        round: u32,
    },
    /// A set too close to an earlier one.
    #[error("the sum of round {round} would differ from that of round {earlier} by only {sites} sites")]
    IsolatingSet {
        /// This round.
        round: u32,
        /// The earlier round.
        earlier: u32,
        /// Size of the difference.
        sites: usize,
    },
    /// A set that splits a batch.
    #[error("the sum of round {round} would lack {absent}, but sites join and leave in whole batches")]
    BrokenBatch {
        /// This round.
        round: u32,
        /// First site that is missing from its batch.
        absent: SiteId,
    },
    /// Confirmations that do not prove one common set.
    #[error("confirmations do not prove a quorum for one set: {why}")]
    Quorum {
        /// What is missing.
        why: &'static str,
    },
    /// Two sites without both acknowledgements.
    #[error(
        "two sites see each other's update as sum minus own: both must set ack_two_party_disclosure ({site} has not)"
    )]
    TwoPartyNotAcknowledged {
        /// Site without the acknowledgement.
        site: SiteId,
    },
    /// A statement that its alleged author has not signed in this attempt.
    #[error(transparent)]
    Unsigned(#[from] SignatureError),
    /// The roster lists another public key for this site than its own.
    #[error("the roster lists another key for {site} than the one it signs with")]
    OtherIdentity {
        /// This site.
        site: SiteId,
    },
    /// After a restart, an update that does not give the upload that was announced before it.
    #[error("the upload of round {round} would differ from the one begun before the restart")]
    OtherUpload {
        /// Round.
        round: u32,
    },
    /// Vector or sidecar of another length than agreed.
    #[error("{what}: {found} words where {expected} were agreed")]
    Length {
        /// Which vector.
        what: &'static str,
        /// Agreed length.
        expected: usize,
        /// Length found.
        found: usize,
    },
    /// A published sum that does not match its digest or its bounds.
    #[error("published sum refused: {why}")]
    Published {
        /// Reason.
        why: &'static str,
    },
    /// Secret sharing failed.
    #[error(transparent)]
    Shamir(#[from] ShamirError),
    /// No random bytes.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// A message of this site that cannot be written.
    #[error(transparent)]
    Wire(#[from] WireError),
}

/// One message is dropped; the state that refused it goes on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reject {
    /// The sender has no part in this phase.
    #[error("{site} is not expected in this phase")]
    Unexpected {
        /// Sender.
        site: SiteId,
    },
    /// A second message of the same phase with other content.
    #[error("{site} sent two different messages in one phase")]
    Conflicting {
        /// Sender.
        site: SiteId,
    },
    /// A message whose content does not fit the attempt.
    #[error("{site}: {what}")]
    Content {
        /// Sender.
        site: SiteId,
        /// What does not fit.
        what: &'static str,
    },
}

/// What became of a message that was not refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// Taken in.
    New,
    /// An identical copy of one taken in before; nothing changed.
    Again,
}
