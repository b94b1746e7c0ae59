//! Bytes to and from the federation's machines: TLS, signed requests, durable mailboxes.
//!
//! Only a site dials out, so a hospital opens no port: it asks for its messages with requests that the
//! coordinator answers when there are some ([`client`]), and brings its own in pieces that survive a cut
//! ([`client::Client::upload`]). Everything is HTTP/1.1 over TLS 1.3, which proxies and firewalls let through; every
//! request and every answer is signed end to end beneath it ([`auth`]), so a firewall that opens TLS can read along but
//! change nothing. At the coordinator each accepted message is on disk before it is acknowledged ([`store`]), and
//! its machine is rebuilt from those messages after a restart ([`hub`]).
//!
//! The road not taken: gRPC or a web socket would save a round trip per message, and fail behind the first proxy that
//! speaks HTTP/1.1 only or cuts silent connections.

pub mod api;
pub mod audit;
pub mod auth;
pub mod client;
pub mod document;
pub mod error;
mod hex;
pub mod hub;
pub mod limits;
pub mod server;
pub mod site;
pub mod store;
pub mod tls;
pub mod token;

use fovea_secagg::secret::{Entropy, EntropyError};
use std::time::{SystemTime, UNIX_EPOCH};

/// The operating system's source of random bytes.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), EntropyError> {
        getrandom::fill(out).map_err(|_| EntropyError)
    }
}

/// Milliseconds since 1970 by this machine's clock.
pub fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
