//! The coordinator's desk: members, the job at hand, its machine, and a mailbox per site. Blocking, and one call at a time.
//!
//! What has to outlive the process is in the [`Store`]; mailboxes and half-arrived messages are not, because sites notice
//! a new process by its number and say where they stand, and the machine then tells them what they miss.

mod intake;
mod mailbox;
mod run;
mod status;

pub use status::{SiteStatus, Status};

use crate::OsEntropy;
use crate::api::{Held, Joined, Mail, Offer, Piece, Poll, Refused};
use crate::document::{Offered, SiteConsent};
use crate::error::NetError;
use crate::store::{JobRow, Store};
use fovea_fed::job::JobError;
use fovea_fed::state::ServerState;
use fovea_secagg::hash::Hash;
use fovea_secagg::identity::{Identity, PublicKey};
use fovea_secagg::secret::{Entropy, Secret};
use fovea_secagg::sets::SiteId;
use fovea_wire::Bytes;
use run::Run;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Everything that the coordinator's process knows.
#[derive(Debug)]
pub struct Hub {
    store: Store,
    federation: String,
    seed: Secret,
    job: Option<Stage>,
    /// When each member was last heard of, milliseconds since 1970.
    heard_ms: BTreeMap<[u8; 32], u64>,
    epoch: u64,
    news: Vec<String>,
}

/// A job from its offer to its end.
#[derive(Debug)]
struct Stage {
    number: i64,
    offered: Offered,
    first_state: Vec<u8>,
    consents: BTreeMap<SiteId, Vec<u8>>,
    run: Option<Run>,
}

impl Hub {
    /// Takes up where the store ends. `seed` is the coordinator's private key.
    ///
    /// # Errors
    /// [`NetError`].
    pub fn open(store: Store, federation: String, seed: Secret, now_ms: u64) -> Result<Self, NetError> {
        store.sweep()?;
        let mut drawn = [0; 8];
        OsEntropy.fill(&mut drawn)?;
        // Never 0, which sites say before they know any.
        let epoch = u64::from_le_bytes(drawn) >> 8 | 1 << 60;
        let (heard_ms, news) = (BTreeMap::new(), Vec::new());
        let mut hub = Self { store, federation, seed, job: None, heard_ms, epoch, news };
        hub.load(now_ms)?;
        Ok(hub)
    }

    /// The coordinator's identity.
    pub fn identity(&self) -> Identity {
        Identity::from_secret(&self.seed)
    }

    /// Lines for people about what happened since the last call.
    pub fn take_news(&mut self) -> Vec<String> {
        std::mem::take(&mut self.news)
    }

    /// Lets time pass; whether anything changed.
    ///
    /// # Errors
    /// [`NetError`]: the store failed, and the process has to end.
    pub fn tick(&mut self, now_ms: u64) -> Result<bool, NetError> {
        let newest = self.store.job_number()?;
        if newest != self.job.as_ref().map(|job| job.number) {
            self.load(now_ms)?;
            return Ok(true);
        }
        let Some(Stage { run: Some(run), .. }) = &mut self.job else { return Ok(false) };
        run.tick(now_ms, &mut self.news)
    }

    /// Whether the job at hand is over and every site has fetched all there is for it.
    pub fn is_finished(&self) -> bool {
        self.job.as_ref().and_then(|job| job.run.as_ref()).is_some_and(Run::is_finished)
    }

    /// Whether a site with this key has joined.
    ///
    /// # Errors
    /// [`NetError::Database`].
    pub fn knows(&mut self, key: &PublicKey, now_ms: u64) -> Result<bool, NetError> {
        let known = self.store.members()?.iter().any(|member| member.key == *key);
        if known {
            self.heard_ms.insert(key.to_bytes(), now_ms);
        }
        Ok(known)
    }

    /// Enrols a site.
    ///
    /// # Errors
    /// [`NetError::Refused`], [`NetError::Database`].
    pub fn join(
        &mut self,
        name: &str,
        key: &PublicKey,
        proof: Hash,
        now_ms: u64,
    ) -> Result<Joined, NetError> {
        self.store.enrol(name, key, proof, now_ms)?;
        self.heard_ms.insert(key.to_bytes(), now_ms);
        self.news.push(format!("{name} has joined; its key is {}", Hash(key.to_bytes())));
        Ok(Joined { federation: self.federation.clone() })
    }

    /// The job at hand and the consents to it.
    ///
    /// # Errors
    /// [`Refused::NoJob`] for a site that is not in it.
    pub fn offer(&self, key: &PublicKey) -> Result<Offer, NetError> {
        let (stage, _) = self.seat(key)?;
        let document = Bytes(stage.offered.text.clone());
        let consents = stage.consents.values().cloned().map(Bytes).collect();
        Ok(Offer { document, consents })
    }

    /// Takes a site's consent; with the last one the job begins.
    ///
    /// # Errors
    /// [`NetError::Refused`], [`NetError::Database`].
    pub fn consent(&mut self, key: &PublicKey, consent: &[u8], now_ms: u64) -> Result<(), NetError> {
        let (stage, site) = self.seat(key)?;
        let read = SiteConsent::read(consent).map_err(|_| NetError::Refused(Refused::Malformed))?;
        if read.plan.site != site || !read.holds(&stage.offered) {
            return Err(NetError::Refused(Refused::Signature));
        }
        let (number, name) = (stage.number, stage.offered.document.sites[usize::from(site.0)].name.clone());
        self.store.consent(number, site.0, consent)?;
        if let Some(stage) = &mut self.job
            && stage.consents.insert(site, consent.to_owned()).is_none()
        {
            self.news.push(format!("{name} has signed the job"));
        }
        self.begin(now_ms)
    }

    /// What lies in a site's mailbox.
    ///
    /// # Errors
    /// [`NetError::Refused`]; [`NetError::Machine`] when the store failed.
    pub fn mail(&mut self, key: &PublicKey, poll: &Poll, now_ms: u64) -> Result<Mail, NetError> {
        let (run, site) = self.running(key, Some(poll.job))?;
        run.mail(site, poll, now_ms)
    }

    /// Takes a piece of a message; with the last one the message goes to the machine.
    ///
    /// # Errors
    /// As [`Self::mail`].
    pub fn piece(&mut self, key: &PublicKey, piece: Piece, now_ms: u64) -> Result<Held, NetError> {
        let mut news = Vec::new();
        let (run, site) = self.running(key, None)?;
        let held = run.piece(site, piece, now_ms, &mut news);
        self.news.append(&mut news);
        held
    }

    fn running(&mut self, key: &PublicKey, job: Option<Hash>) -> Result<(&mut Run, SiteId), NetError> {
        let (_, site) = self.seat(key)?;
        let stage = self.job.as_mut().filter(|stage| job.is_none_or(|job| job == stage.offered.digest));
        let run = stage.and_then(|stage| stage.run.as_mut());
        Ok((run.ok_or(NetError::Refused(Refused::NoJob))?, site))
    }

    /// The job at hand and the place in it of the site with this key.
    fn seat(&self, key: &PublicKey) -> Result<(&Stage, SiteId), NetError> {
        let none = NetError::Refused(Refused::NoJob);
        let Some(stage) = &self.job else { return Err(none) };
        match stage.offered.place_of(key) {
            Some(site) => Ok((stage, site)),
            None => Err(none),
        }
    }

    /// Reads the newest job from the store.
    fn load(&mut self, now_ms: u64) -> Result<(), NetError> {
        let Some(JobRow { number, document, first_state, .. }) = self.store.job()? else { return Ok(()) };
        let offered = Offered::read(&document)?;
        let mut consents = BTreeMap::new();
        for bytes in self.store.consents(number)? {
            consents.insert(SiteConsent::read(&bytes)?.plan.site, bytes);
        }
        self.news.push(format!("job {} is offered as {}", offered.document.job.name, offered.digest));
        self.job = Some(Stage { number, offered, first_state, consents, run: None });
        self.begin(now_ms)
    }

    /// Starts the machine once all consents are there.
    fn begin(&mut self, now_ms: u64) -> Result<(), NetError> {
        let identity = self.identity();
        let Some(stage) = self.job.as_mut().filter(|stage| stage.run.is_none()) else { return Ok(()) };
        if stage.consents.len() < stage.offered.document.sites.len() {
            return Ok(());
        }
        let consents =
            stage.consents.values().map(|bytes| SiteConsent::read(bytes)).collect::<Result<Vec<_>, _>>()?;
        let plan = match stage.offered.signed(&consents) {
            Ok(plan) => Arc::new(plan),
            Err(NetError::Job(fault)) => {
                // A consent whose inner signature does not hold is as good as none: its site has to sign again.
                let unsigned = match &fault {
                    JobError::ManifestNotSigned { name } | JobError::TwoPartyNotAcknowledged { name } => name,
                    _ => return Err(NetError::Job(fault)),
                };
                let seats = &stage.offered.document.sites;
                stage.consents.retain(|site, _| seats[usize::from(site.0)].name != *unsigned);
                self.news.push(format!("the job cannot begin: {fault}"));
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let first = ServerState::from_bytes::<NetError>(&stage.first_state, &plan)?;
        let run = Run::start(plan, identity, first, &self.store, stage.number, self.epoch, now_ms)?;
        stage.run = Some(run);
        self.news.push("all sites have signed; the rounds begin".to_owned());
        Ok(())
    }
}
