//! Limits of the transport, with their units.

use fovea_secagg::envelope::ENVELOPE_MAX;
use std::time::Duration;

/// Version of the transport. Both ends state theirs in every request and answer.
pub const TRANSPORT_VERSION: u8 = 1;

/// Longest time a coordinator keeps a site waiting for messages. Proxies commonly cut silent connections after 30 s.
pub const POLL_MAX: Duration = Duration::from_secs(25);

/// Bytes of a message in one request, at first.
pub const PIECE_BYTES: usize = 512 << 10;

/// Fewest bytes of a message in one request: a network that refuses this is refused.
pub const PIECE_BYTES_MIN: usize = 4 << 10;

/// Longest body of a request, bytes.
pub const BODY_MAX: usize = (1 << 20) + 4096;

/// Longest machine message, bytes.
pub const MESSAGE_MAX: usize = ENVELOPE_MAX;

/// Bytes of messages in one answer, beyond which no further message is added.
pub const MAIL_BYTES: usize = 1 << 20;

/// Longest answer, bytes: the mail and one more message.
pub const ANSWER_MAX: usize = MAIL_BYTES + MESSAGE_MAX + (64 << 10);

/// Longest job document, bytes.
pub const DOCUMENT_MAX: usize = 512 << 10;

/// Longest name of a site or federation, bytes.
pub const NAME_MAX: usize = 64;

/// Largest difference between the clocks of a site and the coordinator, milliseconds.
pub const CLOCK_SKEW_MAX_MS: u64 = 120_000;

/// Requests of one site within the time in which a clock may differ.
pub const REQUESTS_MAX: usize = 50_000;

/// How long an invitation holds, milliseconds.
pub const INVITATION_MS: u64 = 15 * 60_000;

/// Connections that the coordinator serves at a time.
pub const CONNECTIONS_MAX: usize = 1024;

/// Time for a TLS handshake, and for the headers of a request.
pub const HANDSHAKE_MAX: Duration = Duration::from_secs(15);

/// Time for the body of a request.
pub const BODY_TIME_MAX: Duration = Duration::from_secs(120);

/// A site that has not asked for this long is counted as away, milliseconds.
pub const AWAY_AFTER_MS: u64 = 60_000;
