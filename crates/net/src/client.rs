//! The site's end of the line: one blocking HTTP client, no async runtime in the hospital's process.

mod enrol;
mod upload;

pub use enrol::{Enrolled, enrol, fetch_authority};

use crate::api::{Body, Call, Refusal, Refused};
use crate::auth::{SIGNATURE_HEADER, Signed, TIME_HEADER, Ticket, VERSION_HEADER, verify_answer};
use crate::error::NetError;
use crate::limits::{
    ANSWER_MAX, BODY_MAX, BODY_TIME_MAX, HANDSHAKE_MAX, PIECE_BYTES, POLL_MAX, TRANSPORT_VERSION,
};
use crate::{OsEntropy, now_ms, tls};
use fovea_secagg::identity::{Identity, PublicKey};
use fovea_secagg::secret::Entropy;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// Who vouches for the coordinator's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Roots {
    /// The federation's own authority, PEM.
    Federation(String),
    /// The authorities that this machine trusts.
    Platform,
}

/// Where the coordinator is and how to know it.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Address, `https://host:port`.
    pub url: String,
    /// The coordinator's key.
    pub coordinator: PublicKey,
    /// Who vouches for its certificate.
    pub roots: Roots,
    /// Proxy, `http://[user:password@]host:port`; without one, HTTPS_PROXY and NO_PROXY of the environment hold.
    pub proxy: Option<String>,
}

/// A connection of one site to its coordinator; used by several threads at a time.
#[derive(Debug)]
pub struct Client {
    agent: Agent,
    endpoint: Endpoint,
    identity: Arc<Identity>,
    /// Bytes of a message in one request; halved when the network refuses.
    piece_bytes: AtomicUsize,
    /// Set when everything should end.
    stop: Arc<AtomicBool>,
}

/// An answer as it came.
struct Answer {
    status: u16,
    time_ms: Option<u64>,
    signature: Option<String>,
    body: Vec<u8>,
}

impl Client {
    /// A client; nothing is sent yet.
    ///
    /// # Errors
    /// [`NetError::Certificate`], [`NetError::State`] for an address or proxy that is none.
    pub fn new(endpoint: Endpoint, identity: Arc<Identity>, stop: Arc<AtomicBool>) -> Result<Self, NetError> {
        let roots = match &endpoint.roots {
            Roots::Platform => RootCerts::PlatformVerifier,
            Roots::Federation(pem) => {
                RootCerts::new_with_certs(&[Certificate::from_der(&tls::certificate_der(pem)?).to_owned()])
            }
        };
        let agent = agent(&endpoint.url, endpoint.proxy.as_deref(), roots, false)?;
        let piece_bytes = AtomicUsize::new(PIECE_BYTES);
        Ok(Self { agent, endpoint, identity, piece_bytes, stop })
    }

    /// Where this client connects to.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Makes one request.
    ///
    /// # Errors
    /// [`NetError`]; [`NetError::is_passing`] says whether trying again may help.
    pub fn call<C: Call>(&self, request: &C) -> Result<C::Answer, NetError> {
        let (path, body) = (C::path(), request.to_bytes(BODY_MAX)?);
        let mut nonce = [0; 16];
        OsEntropy.fill(&mut nonce)?;
        let coordinator = &self.endpoint.coordinator;
        let signed = Signed { coordinator, method: "POST", path: &path, body: &body };
        let ticket = Ticket::sign(&self.identity, signed, now_ms(), nonce);
        let answer = self.send(&path, &ticket, &body)?;
        let known = answer.signature.as_deref().is_some_and(|signature| {
            verify_answer(coordinator, &ticket.signature, answer.status, &answer.body, signature)
        });
        if !known {
            return Err(NetError::Stranger { url: self.endpoint.url.clone(), status: answer.status });
        }
        if answer.status == 200 {
            return C::Answer::read(&answer.body, ANSWER_MAX);
        }
        let Refusal { refused } = Refusal::read(&answer.body, ANSWER_MAX)?;
        match answer.time_ms {
            Some(theirs) if refused == Refused::Clock => {
                Err(NetError::Clock { ahead_ms: ticket.time_ms as i64 - theirs as i64 })
            }
            _ => Err(NetError::Refused(refused)),
        }
    }

    /// As [`Self::call`], until it succeeds, fails for good, or everything should end.
    ///
    /// # Errors
    /// [`NetError::Stopped`], or what trying again does not help against.
    pub fn insist<C: Call>(
        &self,
        request: &C,
        mut on_failure: impl FnMut(&NetError),
    ) -> Result<C::Answer, NetError> {
        let mut pause = Pause::new();
        loop {
            match self.call(request) {
                Err(error) if error.is_passing() => {
                    on_failure(&error);
                    pause.wait(&self.stop)?;
                }
                result => return result,
            }
        }
    }

    fn send(&self, path: &str, ticket: &Ticket, body: &[u8]) -> Result<Answer, NetError> {
        let mut request = self
            .agent
            .post(format!("{}{path}", self.endpoint.url))
            .header("content-type", "application/octet-stream")
            .header(VERSION_HEADER, TRANSPORT_VERSION.to_string());
        for (name, value) in ticket.headers() {
            request = request.header(name, value);
        }
        let response = request.send(body).map_err(|error| explain(&self.endpoint.url, &error))?;
        read(&self.endpoint.url, response)
    }
}

/// Reads an answer; its version first, since nothing else of another version means anything.
fn read(url: &str, mut response: ureq::http::Response<ureq::Body>) -> Result<Answer, NetError> {
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let status = response.status().as_u16();
    let version = header(VERSION_HEADER);
    let (time_ms, signature) = (header(TIME_HEADER).and_then(|t| t.parse().ok()), header(SIGNATURE_HEADER));
    match version {
        Some(theirs) if theirs != TRANSPORT_VERSION.to_string() => {
            return Err(NetError::Version {
                own: TRANSPORT_VERSION,
                theirs: theirs.chars().take(8).collect(),
            });
        }
        Some(_) => {}
        None => return Err(NetError::Stranger { url: url.to_owned(), status }),
    }
    let body = response.body_mut().with_config().limit(ANSWER_MAX as u64).read_to_vec();
    Ok(Answer { status, time_ms, signature, body: body.map_err(|error| explain(url, &error))? })
}

/// The HTTP client. `blind` leaves the server's certificate unchecked.
fn agent(url: &str, proxy: Option<&str>, roots: RootCerts, blind: bool) -> Result<Agent, NetError> {
    if !url.starts_with("https://") {
        return Err(NetError::State(format!(
            "{url:?} is no address of a coordinator: it begins with https://"
        )));
    }
    let tls = TlsConfig::builder()
        .root_certs(roots)
        .disable_verification(blind)
        .unversioned_rustls_crypto_provider(tls::provider())
        .build();
    let mut config = Agent::config_builder()
        .tls_config(tls)
        .https_only(true)
        .http_status_as_error(false)
        .max_redirects(0)
        .user_agent("fovea")
        .timeout_connect(Some(HANDSHAKE_MAX))
        .timeout_send_body(Some(BODY_TIME_MAX))
        .timeout_recv_response(Some(POLL_MAX + HANDSHAKE_MAX))
        .timeout_recv_body(Some(BODY_TIME_MAX))
        .max_idle_age(Duration::from_secs(10));
    if let Some(proxy) = proxy {
        let parsed = ureq::Proxy::new(proxy);
        let fault = |_| NetError::State(format!("proxy {proxy:?}: write it as http://host:port"));
        config = config.proxy(Some(parsed.map_err(fault)?));
    }
    Ok(config.build().into())
}

fn explain(url: &str, error: &ureq::Error) -> NetError {
    let tls = match error {
        ureq::Error::Rustls(fault) => Some(fault),
        ureq::Error::Io(io) => io.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()),
        _ => None,
    };
    let url = url.to_owned();
    match tls {
        Some(fault @ rustls::Error::InvalidCertificate(_)) => {
            NetError::ForeignCertificate { url, reason: fault.to_string() }
        }
        _ => NetError::Connection { url, reason: error.to_string() },
    }
}

/// Longer and longer pauses between attempts, no two sites' alike.
#[derive(Debug)]
pub(crate) struct Pause {
    next_ms: u64,
}

impl Pause {
    pub(crate) fn new() -> Self {
        Self { next_ms: 200 }
    }

    /// Waits, unless everything should end.
    pub(crate) fn wait(&mut self, stop: &AtomicBool) -> Result<(), NetError> {
        let mut random = [0];
        OsEntropy.fill(&mut random)?;
        let mut left_ms = self.next_ms / 2 + self.next_ms * u64::from(random[0]) / 512;
        self.next_ms = (self.next_ms * 2).min(15_000);
        while left_ms > 0 {
            if stop.load(Ordering::SeqCst) {
                return Err(NetError::Stopped);
            }
            let step = left_ms.min(100);
            std::thread::sleep(Duration::from_millis(step));
            left_ms -= step;
        }
        if stop.load(Ordering::SeqCst) { Err(NetError::Stopped) } else { Ok(()) }
    }
}
