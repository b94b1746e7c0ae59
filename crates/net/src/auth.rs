//! Signatures on requests and answers, beneath TLS.
//!
//! request = Ed25519("fovea/net/request/v1", coordinator, method, path, time, nonce, SHA-256(body)) by the site;
//! answer = Ed25519("fovea/net/answer/v1", request's signature, status, SHA-256(body)) by the coordinator. Every piece is
//! preceded by its length. A firewall that opens TLS can thus neither change a request, nor send it a second time,
//! nor answer in the coordinator's place.

use crate::api::Refused;
use crate::hex;
use crate::limits::{CLOCK_SKEW_MAX_MS, REQUESTS_MAX};
use fovea_secagg::identity::{Identity, PublicKey, Signature};
use sha2::{Digest, Sha256};
use std::collections::{BTreeSet, HashMap};

/// Version of the transport, in both directions.
pub const VERSION_HEADER: &str = "fovea-version";
/// The sender's clock, milliseconds since 1970, in both directions.
pub const TIME_HEADER: &str = "fovea-time";
/// The sender's public key, hexadecimal.
pub const KEY_HEADER: &str = "fovea-key";
/// Sixteen bytes that the sender never repeats, hexadecimal.
pub const NONCE_HEADER: &str = "fovea-nonce";
/// The signature, hexadecimal, in both directions.
pub const SIGNATURE_HEADER: &str = "fovea-signature";

const REQUEST: &str = "fovea/net/request/v1";
const ANSWER: &str = "fovea/net/answer/v1";

/// Who makes a request, when, and the proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    /// The sender's key.
    pub key: PublicKey,
    /// The sender's clock, milliseconds since 1970.
    pub time_ms: u64,
    /// Never repeated by one sender.
    pub nonce: [u8; 16],
    /// Over all of the request.
    pub signature: Signature,
}

/// What is signed of a request besides time and nonce.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a> {
    /// The coordinator it is for.
    pub coordinator: &'a PublicKey,
    /// HTTP method.
    pub method: &'a str,
    /// Path.
    pub path: &'a str,
    /// Body.
    pub body: &'a [u8],
}

impl Signed<'_> {
    fn with<T>(&self, time_ms: u64, nonce: &[u8; 16], f: impl FnOnce(&[&[u8]]) -> T) -> T {
        let digest = Sha256::digest(self.body);
        let (coordinator, time) = (self.coordinator.to_bytes(), time_ms.to_le_bytes());
        f(&[&coordinator, self.method.as_bytes(), self.path.as_bytes(), &time, nonce, &digest])
    }
}

impl Ticket {
    /// Signs a request.
    pub fn sign(identity: &Identity, request: Signed, time_ms: u64, nonce: [u8; 16]) -> Self {
        let signature = request.with(time_ms, &nonce, |parts| identity.sign(REQUEST, parts));
        Self { key: identity.public(), time_ms, nonce, signature }
    }

    /// Whether the signature is the key's over this request.
    pub fn verify(&self, request: Signed) -> bool {
        request.with(self.time_ms, &self.nonce, |parts| self.key.verify(REQUEST, parts, &self.signature))
    }

    /// Names and values of the headers.
    pub fn headers(&self) -> [(&'static str, String); 4] {
        [
            (KEY_HEADER, hex::encode(&self.key.to_bytes())),
            (TIME_HEADER, self.time_ms.to_string()),
            (NONCE_HEADER, hex::encode(&self.nonce)),
            (SIGNATURE_HEADER, hex::encode(&self.signature.0)),
        ]
    }

    /// Reads the headers; `None` where one is missing or malformed.
    pub fn read<'a>(header: impl Fn(&'static str) -> Option<&'a str>) -> Option<Self> {
        Some(Self {
            key: PublicKey::from_bytes(&hex::decode(header(KEY_HEADER)?)?)?,
            time_ms: header(TIME_HEADER)?.parse().ok()?,
            nonce: hex::decode(header(NONCE_HEADER)?)?,
            signature: Signature(hex::decode(header(SIGNATURE_HEADER)?)?),
        })
    }
}

/// Signs the answer to a request.
pub fn sign_answer(identity: &Identity, request: &Signature, status: u16, body: &[u8]) -> Signature {
    identity.sign(ANSWER, &[&request.0, &status.to_le_bytes(), &Sha256::digest(body)])
}

/// Whether an answer is the coordinator's, to this very request.
pub fn verify_answer(
    coordinator: &PublicKey,
    request: &Signature,
    status: u16,
    body: &[u8],
    signature: &str,
) -> bool {
    let parts: [&[u8]; 3] = [&request.0, &status.to_le_bytes(), &Sha256::digest(body)];
    hex::decode(signature).is_some_and(|bytes| coordinator.verify(ANSWER, &parts, &Signature(bytes)))
}

/// Remembers the requests of the time in which clocks may differ, so that none is taken twice. Requests from before
/// the guard's own beginning are refused, since a restart forgets them.
#[derive(Debug)]
pub struct ReplayGuard {
    since_ms: u64,
    seen: HashMap<[u8; 32], BTreeSet<(u64, [u8; 16])>>,
}

impl ReplayGuard {
    /// A guard that begins now.
    pub fn new(now_ms: u64) -> Self {
        Self { since_ms: now_ms, seen: HashMap::new() }
    }

    /// Whether the time of a request is one at which requests are taken.
    ///
    /// # Errors
    /// [`Refused::Clock`], [`Refused::Replay`].
    pub fn check_time(&self, time_ms: u64, now_ms: u64) -> Result<(), Refused> {
        if time_ms.abs_diff(now_ms) > CLOCK_SKEW_MAX_MS {
            return Err(Refused::Clock);
        }
        if time_ms < self.since_ms { Err(Refused::Replay) } else { Ok(()) }
    }

    /// Takes a request whose signature was verified, once.
    ///
    /// # Errors
    /// [`Refused::Clock`], [`Refused::Replay`], [`Refused::TooMany`].
    pub fn admit(&mut self, ticket: &Ticket, now_ms: u64) -> Result<(), Refused> {
        self.check_time(ticket.time_ms, now_ms)?;
        let seen = self.seen.entry(ticket.key.to_bytes()).or_default();
        let oldest = now_ms.saturating_sub(CLOCK_SKEW_MAX_MS);
        *seen = seen.split_off(&(oldest, [0; 16]));
        if seen.len() >= REQUESTS_MAX {
            return Err(Refused::TooMany);
        }
        if seen.insert((ticket.time_ms, ticket.nonce)) { Ok(()) } else { Err(Refused::Replay) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fovea_secagg::secret::Secret;

    fn identity(seed: u8) -> Identity {
        Identity::from_secret(&Secret::new([seed; 32]))
    }

    #[test]
    fn a_signature_holds_for_its_request_alone() {
        let (me, coordinator, other) = (identity(1), identity(9).public(), identity(8).public());
        let request = Signed { coordinator: &coordinator, method: "POST", path: "/v1/poll", body: b"body" };
        let ticket = Ticket::sign(&me, request, 1000, [7; 16]);
        assert!(ticket.verify(request));
        for changed in [
            Signed { coordinator: &other, ..request },
            Signed { method: "GET", ..request },
            Signed { path: "/v1/piece", ..request },
            Signed { body: b"bodY", ..request },
        ] {
            assert!(!ticket.verify(changed), "{changed:?}");
        }
        for changed in [
            Ticket { time_ms: 1001, ..ticket },
            Ticket { nonce: [8; 16], ..ticket },
            Ticket { key: identity(2).public(), ..ticket },
        ] {
            assert!(!changed.verify(request), "{changed:?}");
        }
    }

    #[test]
    fn headers_come_back_and_malformed_ones_do_not() {
        let coordinator = identity(9).public();
        let request = Signed { coordinator: &coordinator, method: "POST", path: "/", body: b"" };
        let ticket = Ticket::sign(&identity(1), request, 5, [1; 16]);
        let headers = ticket.headers();
        let value = |name| headers.iter().find(|(n, _)| *n == name).map(|(_, v)| v.as_str());
        assert_eq!(Ticket::read(value), Some(ticket));
        for broken in [KEY_HEADER, TIME_HEADER, NONCE_HEADER, SIGNATURE_HEADER] {
            assert_eq!(Ticket::read(|name| if name == broken { Some("x") } else { value(name) }), None);
            assert_eq!(Ticket::read(|name| if name == broken { None } else { value(name) }), None);
        }
    }

    #[test]
    fn an_answer_belongs_to_one_request_status_and_body() {
        let (me, coordinator) = (identity(1), identity(9));
        let signature = me.sign("x", &[]);
        let answer = hex::encode(&sign_answer(&coordinator, &signature, 200, b"yes").0);
        let holds = |request, status, body: &[u8], answer: &str| {
            verify_answer(&coordinator.public(), request, status, body, answer)
        };
        assert!(holds(&signature, 200, b"yes", &answer));
        let other = me.sign("y", &[]);
        assert!(!holds(&other, 200, b"yes", &answer));
        assert!(!holds(&signature, 403, b"yes", &answer));
        assert!(!holds(&signature, 200, b"no", &answer));
        assert!(!holds(&signature, 200, b"yes", &answer[2..]));
    }

    #[test]
    fn a_request_is_taken_once_and_in_its_time() {
        let mut guard = ReplayGuard::new(1_000_000);
        let coordinator = identity(9).public();
        let request = Signed { coordinator: &coordinator, method: "POST", path: "/", body: b"" };
        let ticket = |seed, time_ms, nonce| Ticket::sign(&identity(seed), request, time_ms, [nonce; 16]);
        let mut admit = |ticket: Ticket, now| guard.admit(&ticket, now);
        assert_eq!(admit(ticket(1, 1_000_000, 1), 1_000_500), Ok(()));
        assert_eq!(admit(ticket(1, 1_000_000, 1), 1_000_600), Err(Refused::Replay));
        assert_eq!(admit(ticket(1, 1_000_000, 2), 1_000_600), Ok(()));
        assert_eq!(admit(ticket(2, 1_000_000, 1), 1_000_600), Ok(()));
        assert_eq!(admit(ticket(1, 999_999, 3), 1_000_600), Err(Refused::Replay));
        let late = 1_000_000 + CLOCK_SKEW_MAX_MS;
        assert_eq!(admit(ticket(1, 1_000_000, 1), late), Err(Refused::Replay));
        assert_eq!(admit(ticket(1, 1_000_000, 1), late + 1), Err(Refused::Clock));
        assert_eq!(admit(ticket(1, late + CLOCK_SKEW_MAX_MS + 1, 4), late), Err(Refused::Clock));
    }

    #[test]
    fn the_memory_of_a_guard_is_bounded() {
        let mut guard = ReplayGuard::new(0);
        let coordinator = identity(9).public();
        let request = Signed { coordinator: &coordinator, method: "POST", path: "/", body: b"" };
        let mut ticket = Ticket::sign(&identity(1), request, 10, [0; 16]);
        for i in 0..REQUESTS_MAX as u64 {
            ticket.nonce[..8].copy_from_slice(&i.to_le_bytes());
            assert_eq!(guard.admit(&ticket, 10), Ok(()));
        }
        ticket.nonce = [9; 16];
        assert_eq!(guard.admit(&ticket, 10), Err(Refused::TooMany));
        ticket.time_ms = 11 + CLOCK_SKEW_MAX_MS;
        assert_eq!(guard.admit(&ticket, 11 + CLOCK_SKEW_MAX_MS), Ok(()), "old ones are forgotten");
    }
}
