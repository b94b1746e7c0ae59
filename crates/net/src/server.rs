//! The coordinator's listener: TLS 1.3, HTTP/1.1, limits on everything, signed requests and signed answers.
//!
//! The only place with an async runtime. Each request does its work as one blocking call of the [`Hub`].

mod answer;
mod listen;

pub use listen::serve;

use crate::auth::ReplayGuard;
use crate::error::NetError;
use crate::hub::{Hub, Status};
use crate::limits::BODY_MAX;
use crate::now_ms;
use fovea_secagg::identity::{Identity, PublicKey};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// What all connections share.
#[derive(Debug)]
pub struct Service {
    hub: Mutex<Hub>,
    guard: Mutex<ReplayGuard>,
    identity: Identity,
    key: PublicKey,
    /// The authority's certificate, PEM, for sites that hold an invitation; empty with the platform's roots.
    authority: String,
    /// Longest body of a request, bytes.
    body_max: usize,
    /// Counts what wakes those who wait for messages.
    bell: watch::Sender<u64>,
    /// Why the process has to end.
    failure: Mutex<Option<NetError>>,
    failed: AtomicBool,
}

impl Service {
    /// A service for a hub. `authority` is the certificate, PEM, that sites with an invitation may fetch.
    pub fn new(hub: Hub, authority: String) -> Self {
        let identity = hub.identity();
        Self {
            key: identity.public(),
            identity,
            hub: Mutex::new(hub),
            guard: Mutex::new(ReplayGuard::new(now_ms())),
            authority,
            body_max: BODY_MAX,
            bell: watch::Sender::new(0),
            failure: Mutex::new(None),
            failed: AtomicBool::new(false),
        }
    }

    /// Refuses longer bodies, as a firewall would.
    #[must_use]
    pub fn with_body_max(self, bytes: usize) -> Self {
        Self { body_max: bytes, ..self }
    }

    /// The status now.
    ///
    /// # Errors
    /// [`NetError::Database`].
    pub fn status(&self) -> Result<Status, NetError> {
        self.hub().status(now_ms())
    }

    /// Lines for people since the last call.
    pub fn take_news(&self) -> Vec<String> {
        self.hub().take_news()
    }

    /// Whether the job is over and all sites have fetched everything.
    pub fn is_finished(&self) -> bool {
        self.hub().is_finished()
    }

    /// Lets time pass for the hub; to be called several times a second.
    ///
    /// # Errors
    /// [`NetError`]: the store failed, now or during a request, and the process has to end. Started again it goes on from
    /// what is stored.
    pub fn tick(&self) -> Result<(), NetError> {
        if self.failed.load(Ordering::SeqCst)
            && let Some(error) = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
        {
            return Err(error);
        }
        if self.hub().tick(now_ms())? {
            self.ring();
        }
        Ok(())
    }

    fn hub(&self) -> MutexGuard<'_, Hub> {
        // A panic inside a call leaves the store as it was and the machine perhaps not: its next write would show
        // that, and a process that panicked is restarted by whoever runs it.
        self.hub.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn guard(&self) -> MutexGuard<'_, ReplayGuard> {
        self.guard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ring(&self) {
        self.bell.send_modify(|count| *count += 1);
    }

    fn fail(&self, error: NetError) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.failed.store(true, Ordering::SeqCst);
    }
}

/// A service behind a shared pointer.
pub type SharedService = Arc<Service>;
