//! A coordinator on loopback with real TLS, sites that joined it, and a job that needs no network to be trained.
#![allow(dead_code, clippy::unwrap_used, reason = "each test binary uses its own part")]

use fovea_fed::clip::ClipRule;
use fovea_fed::job::{Job, Parameter};
use fovea_fed::site::{LocalUpdate, RoundResult};
use fovea_fed::state::ServerState;
use fovea_fed::storage::FileStorage;
use fovea_fed::strategy::Strategy;
use fovea_net::api::{AskJob, GiveConsent};
use fovea_net::client::{Client, Endpoint, enrol};
use fovea_net::document::{Document, Offered, Seat, SiteConsent};
use fovea_net::error::NetError;
use fovea_net::hub::Hub;
use fovea_net::limits::INVITATION_MS;
use fovea_net::server::{Service, serve};
use fovea_net::site::{Learner, Session, SiteEvent, Watch};
use fovea_net::store::Store;
use fovea_net::tls::{Credentials, authority, server_certificate, server_config};
use fovea_net::token::Token;
use fovea_net::{OsEntropy, now_ms};
use fovea_secagg::hash::Hash;
use fovea_secagg::history::MultiRoundPolicy;
use fovea_secagg::identity::Identity;
use fovea_secagg::journal::Journal;
use fovea_secagg::message::Phase;
use fovea_secagg::secret::Secret;
use fovea_secagg::sets::Profile;
use sha2::{Digest, Sha256};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub const SEED: u64 = 11;
pub const WEIGHTS: usize = 300;

pub fn identity(seed: u8) -> Arc<Identity> {
    Arc::new(Identity::from_secret(&Secret::new([seed; 32])))
}

/// The coordinator's machine: what stays when its process ends.
pub struct World {
    pub folder: TempDir,
    pub authority: Credentials,
    pub server: Credentials,
    pub port: u16,
    pub body_max: Option<usize>,
}

/// The coordinator's process.
pub struct Running {
    pub service: Arc<Service>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<(), NetError>>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap().unwrap();
        }
    }
}

impl World {
    pub fn new() -> Self {
        let authority = authority("test").unwrap();
        let server = server_certificate("test", &authority, vec!["127.0.0.1".to_owned()]).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        World { folder: tempfile::tempdir().unwrap(), authority, server, port, body_max: None }
    }

    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    pub fn store(&self) -> Store {
        Store::open(self.folder.path()).unwrap()
    }

    /// Starts the coordinator, again and again if wanted.
    pub fn start(&self) -> Running {
        let hub = Hub::open(self.store(), "test".to_owned(), Secret::new([99; 32]), now_ms()).unwrap();
        let service = Service::new(hub, self.authority.certificate.clone());
        let service = Arc::new(match self.body_max {
            Some(bytes) => service.with_body_max(bytes),
            None => service,
        });
        let listener = TcpListener::bind(("127.0.0.1", self.port)).unwrap();
        let (tls, stop) = (server_config(&self.server).unwrap(), Arc::new(AtomicBool::new(false)));
        let (shared, flag) = (Arc::clone(&service), Arc::clone(&stop));
        let thread = std::thread::spawn(move || serve(&shared, listener, tls, &flag));
        Running { service, stop, thread: Some(thread) }
    }

    pub fn token(&self, site: &str, expires_ms: u64) -> Token {
        let der = fovea_net::tls::certificate_der(&self.authority.certificate).unwrap();
        let digest = Hash(Sha256::digest(der).into());
        let (key, site) = (identity(99).public(), site.to_owned());
        let token = Token::draw(self.url(), site, key, Some(digest), &mut OsEntropy).unwrap();
        self.store().invite(&token.site, token.verifier(), expires_ms).unwrap();
        token
    }

    /// A site that has joined.
    pub fn join(&self, name: &str, seed: u8) -> Endpoint {
        let token = self.token(name, now_ms() + INVITATION_MS);
        enrol(&token, None, &identity(seed)).unwrap().endpoint
    }

    pub fn client(&self, endpoint: &Endpoint, seed: u8) -> Client {
        Client::new(endpoint.clone(), identity(seed), Arc::default()).unwrap()
    }

    /// Offers a job to `names`, whose keys have the seeds 1, 2, ...
    pub fn offer(&self, names: &[&str], rounds: u32, phase_timeout_ms: u64) -> Offered {
        let document = document(names, rounds, phase_timeout_ms);
        let offered = Offered::read(document.to_text().unwrap().as_bytes()).unwrap();
        let first = ServerState::start(&offered.plan, vec![0.1; WEIGHTS]).unwrap();
        let first = first.to_bytes().unwrap();
        self.store().offer(offered.digest, &offered.text, &first, now_ms()).unwrap();
        offered
    }
}

pub fn job(rounds: u32, phase_timeout_ms: u64) -> Job {
    Job {
        name: "test".into(),
        rounds,
        local_epochs: 1,
        strategy: Strategy::FedAdam { learning_rate: 0.05, beta1: 0.9, beta2: 0.99, tau: 1e-3 },
        proximal_mu: 0.0,
        sites_min: 2,
        profile: Profile::Malicious,
        colluders_max: None,
        weight_max: 128,
        side_names: vec!["loss".into()],
        clip_rule: ClipRule::FollowUpdate,
        multi_round_policy: MultiRoundPolicy::Warn,
        phase_timeout_ms,
    }
}

pub fn parameters() -> Vec<Parameter> {
    vec![Parameter { name: "w".into(), len: WEIGHTS, first_clip: 1.0 }]
}

pub fn document(names: &[&str], rounds: u32, phase_timeout_ms: u64) -> Document {
    let seat =
        |(i, name): (usize, &&str)| Seat { name: (*name).to_owned(), key: identity(i as u8 + 1).public() };
    Document {
        federation: "test".into(),
        coordinator: identity(99).public(),
        sites: names.iter().enumerate().map(seat).collect(),
        job: job(rounds, phase_timeout_ms),
        parameters: parameters(),
        rounding_seed: Some(SEED),
        learning: serde_json::Value::Null,
    }
}

/// A stand-in for training: the same model gives the same update.
pub fn update(site: usize, model: &[f32]) -> LocalUpdate {
    let step = |i: usize| ((i * 31 + site * 17) % 97) as f32 * 1e-3 - 0.04;
    let model = model.iter().enumerate().map(|(i, w)| 0.9 * w + step(i)).collect();
    LocalUpdate { model, samples: 10 + 5 * site as u32, side: vec![0.5 + site as f64] }
}

/// The hospital: a folder with journal and state, and what happened there.
#[derive(Clone)]
pub struct Hospital {
    pub place: usize,
    pub folder: PathBuf,
    pub endpoint: Endpoint,
    pub log: Arc<Mutex<Vec<String>>>,
    /// Stops itself before it sends this for the n-th time.
    pub dies_before: Option<(Phase, usize)>,
    pub train_ms: u64,
}

struct Pupil(Hospital);

impl Learner for Pupil {
    fn train(&mut self, _: u32, model: &[f32]) -> Result<LocalUpdate, String> {
        std::thread::sleep(Duration::from_millis(self.0.train_ms));
        Ok(update(self.0.place, model))
    }

    fn keep(&mut self, state: &ServerState, _: Option<&RoundResult>) -> Result<(), String> {
        let (path, new) = (self.0.folder.join("state"), self.0.folder.join("state.new"));
        std::fs::write(&new, state.to_bytes().unwrap()).unwrap();
        std::fs::rename(new, path).map_err(|e| e.to_string())
    }
}

impl Watch for Hospital {
    fn happened(&mut self, event: &SiteEvent) -> Result<(), NetError> {
        let line = match event {
            SiteEvent::Sending { phase, .. } => format!("sends {phase:?}"),
            SiteEvent::Received { bytes } => format!("receives {} bytes", bytes.len()),
            other => format!("{other:?}"),
        };
        self.log.lock().unwrap().push(line);
        if let (SiteEvent::Sending { phase, .. }, Some((last, left))) = (event, &mut self.dies_before)
            && phase == last
        {
            *left -= 1;
            if *left == 0 {
                return Err(NetError::Stopped);
            }
        }
        Ok(())
    }
}

impl Hospital {
    pub fn new(world: &World, place: usize, endpoint: &Endpoint) -> Self {
        let folder = world.folder.path().join(format!("hospital-{place}"));
        std::fs::create_dir_all(&folder).unwrap();
        let (endpoint, log) = (endpoint.clone(), Arc::default());
        Hospital { place, folder, endpoint, log, dies_before: None, train_ms: 0 }
    }

    pub fn seed(&self) -> u8 {
        self.place as u8 + 1
    }

    /// Signs the job, waits for the others, takes part until the job is over.
    pub fn work(&self) -> Result<ServerState, NetError> {
        let (me, stop) = (identity(self.seed()), Arc::new(AtomicBool::new(false)));
        let client = Arc::new(Client::new(self.endpoint.clone(), Arc::clone(&me), Arc::clone(&stop))?);
        let offer = client.insist(&AskJob, |_| {})?;
        let offered = Offered::read(&offer.document.0)?;
        let site = offered.place_of(&me.public()).unwrap();
        let consent = SiteConsent::sign(&offered, site, &me).to_bytes()?;
        client.insist(&GiveConsent { consent: fovea_wire::Bytes(consent) }, |_| {})?;
        let plan = loop {
            let consents = client.insist(&AskJob, |_| {})?.consents;
            let consents: Vec<_> = consents.iter().map(|c| SiteConsent::read(&c.0).unwrap()).collect();
            match offered.signed(&consents) {
                Ok(plan) => break Arc::new(plan),
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        let state = match std::fs::read(self.folder.join("state")) {
            Ok(bytes) => ServerState::from_bytes::<NetError>(&bytes, &plan)?,
            Err(_) => ServerState::start(&plan, vec![0.1; WEIGHTS])?,
        };
        let storage = FileStorage::open(&self.folder.join("journal")).unwrap();
        let journal =
            Journal::open(Box::new(storage), Secret::new([self.seed(); 32]), &mut OsEntropy).unwrap();
        let job = offered.digest;
        let (rounding_seed, identity) = (Some(SEED), me);
        let session = Session { client, job, plan, me: site, identity, state, journal, rounding_seed, stop };
        session.run(Box::new(Pupil(self.clone())), &mut self.clone())
    }

    pub fn start(&self) -> JoinHandle<Result<ServerState, NetError>> {
        let hospital = self.clone();
        std::thread::spawn(move || hospital.work())
    }

    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }
}

/// Waits for something that happens soon.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}: not within a minute");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The path of a folder that is there.
pub fn folder(path: &Path) -> PathBuf {
    std::fs::create_dir_all(path).unwrap();
    path.to_owned()
}
