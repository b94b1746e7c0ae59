//! Errors of the transport. Each names what to do about it where something can be done.

use crate::api::Refused;
use fovea_fed::job::JobError;
use fovea_secagg::secret::EntropyError;
use fovea_wire::WireError;
use std::path::{Path, PathBuf};

/// What went wrong between a site and its coordinator, or on their disks.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// Bytes that are not the message expected.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// No random bytes.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// A file that cannot be read or written.
    #[error("{}: {action}: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was to be done.
        action: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// The coordinator's database.
    #[error("the coordinator's database: {0}")]
    Database(#[from] rusqlite::Error),
    /// A database or file that was written by another version, or damaged.
    #[error("{what} cannot be used: {why}")]
    Unusable {
        /// Which one.
        what: String,
        /// Why, and what to do.
        why: String,
    },
    /// A certificate or its key.
    #[error("certificate: {0}")]
    Certificate(String),
    /// Both ends run different versions of the transport.
    #[error(
        "the coordinator speaks version {theirs} of the transport, this program {own}: install one release at both ends"
    )]
    Version {
        /// Version of this program.
        own: u8,
        /// What the other end said.
        theirs: String,
    },
    /// The connection could not be made or was cut; trying again may help.
    #[error("{url}: {reason}")]
    Connection {
        /// The coordinator.
        url: String,
        /// What happened.
        reason: String,
    },
    /// The coordinator's certificate is not the federation's.
    #[error(
        "{url} shows a certificate that does not lead to this federation ({reason}); \
         if a firewall opens TLS here, have it let this address pass untouched, or set roots = \"platform\""
    )]
    ForeignCertificate {
        /// The coordinator.
        url: String,
        /// What the TLS library said.
        reason: String,
    },
    /// Something on the way answered instead of the coordinator.
    #[error("{url}: status {status} from something that is not the coordinator, such as a proxy or firewall")]
    Stranger {
        /// The coordinator.
        url: String,
        /// HTTP status.
        status: u16,
    },
    /// The coordinator refused.
    #[error("the coordinator refused: {}", explain(.0))]
    Refused(Refused),
    /// The clocks differ too much.
    #[error("this machine's clock is {} s {} the coordinator's; set it (for example with NTP)", .ahead_ms.unsigned_abs().div_ceil(1000), if *.ahead_ms < 0 { "behind" } else { "ahead of" })]
    Clock {
        /// How far this machine is ahead, milliseconds.
        ahead_ms: i64,
    },
    /// Text that is no invitation.
    #[error("not an invitation: {0}; copy the whole line that `fovea federation invite` printed")]
    Token(&'static str),
    /// A job document that cannot be used.
    #[error("job document: {0}")]
    Document(String),
    /// The plan of a job.
    #[error(transparent)]
    Job(#[from] JobError),
    /// A machine of the protocol.
    #[error(transparent)]
    Machine(#[from] fovea_fed::error::MachineError),
    /// What is asked for does not fit the state of the federation.
    #[error("{0}")]
    State(String),
    /// The site's own training failed.
    #[error("training: {0}")]
    Training(String),
    /// An orderly end was asked for.
    #[error("stopped")]
    Stopped,
}

impl NetError {
    pub(crate) fn file(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, action, source }
    }

    /// Whether the same request may succeed later.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Connection { .. } | Self::Stranger { .. } => true,
            Self::Refused(refused) => {
                matches!(refused, Refused::Replay | Refused::TooMany | Refused::Unavailable | Refused::NoJob)
            }
            _ => false,
        }
    }
}

fn explain(refused: &Refused) -> &'static str {
    match refused {
        Refused::Malformed => "the request was malformed",
        Refused::TooLarge => "the request was too large",
        Refused::Signature => "the signature does not hold; if this site's key was replaced, join again",
        Refused::Clock => "the clocks differ too much",
        Refused::Replay => "the request was made before",
        Refused::Stranger => "this site's key is not enrolled; join with an invitation",
        Refused::Invitation => "the invitation is unknown; ask for a new one",
        Refused::InvitationExpired => "the invitation has expired (they hold 15 minutes); ask for a new one",
        Refused::InvitationUsed => "the invitation was used before; ask for a new one",
        Refused::NoJob => "there is no such job now",
        Refused::Unexpected => "the message does not belong there",
        Refused::TooMany => "too many requests",
        Refused::Unavailable => "it cannot store anything now; look at its disk",
    }
}
