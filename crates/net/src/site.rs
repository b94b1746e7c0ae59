//! A site's part in a job: fetches messages, hands them to the machine, trains beside it, brings what it says.
//!
//! Three threads: one waits for messages, one trains, and the caller's own one runs the machine and uploads. The site
//! can therefore answer while it trains, and gives up no training when an attempt is repeated: an update belongs to
//! the model it started from, not to the attempt.

mod learning;
mod mail;

pub use learning::Learner;

use crate::OsEntropy;
use crate::client::Client;
use crate::error::NetError;
use fovea_fed::error::MachineError;
use fovea_fed::local::seeded_rounding;
use fovea_fed::manifest::SignedPlan;
use fovea_fed::site::{LocalUpdate, RoundResult, SiteEffect, SiteMachine};
use fovea_fed::state::ServerState;
use fovea_secagg::encode::RoundingKey;
use fovea_secagg::hash::Hash;
use fovea_secagg::identity::Identity;
use fovea_secagg::journal::{Entry, Journal};
use fovea_secagg::message::Phase;
use fovea_secagg::secret::Secret;
use fovea_secagg::sets::SiteId;
use learning::Classroom;
use mail::Postman;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// What a session is made of.
#[derive(Debug)]
pub struct Session {
    /// The line to the coordinator.
    pub client: Arc<Client>,
    /// Digest of the job's document.
    pub job: Hash,
    /// The plan that all sites have signed.
    pub plan: Arc<SignedPlan>,
    /// This site.
    pub me: SiteId,
    /// Its key.
    pub identity: Arc<Identity>,
    /// The state it saved last.
    pub state: ServerState,
    /// Its journal, as opened.
    pub journal: (Journal, Vec<Entry>),
    /// The document's seed for rounding, if it has one.
    pub rounding_seed: Option<u64>,
    /// Set when everything should end.
    pub stop: Arc<AtomicBool>,
}

/// What happens at a site, for its records and for people.
#[derive(Debug)]
pub enum SiteEvent<'a> {
    /// The coordinator can be reached; its process is new to this one.
    Connected,
    /// The connection failed, and is tried again.
    Trouble(&'a NetError),
    /// Training begins.
    Training {
        /// Round.
        round: u32,
    },
    /// A message is about to leave.
    Sending {
        /// What it is.
        phase: Phase,
        /// All of it.
        bytes: &'a [u8],
    },
    /// A message has come.
    Received {
        /// All of it.
        bytes: &'a [u8],
    },
    /// The machine did not take a message, or ended an attempt.
    Refused(&'a MachineError),
    /// A round is over; the new state is on disk.
    Finished(&'a RoundResult),
    /// This site was away, and now stands where the others do; the state is on disk.
    CaughtUp {
        /// The round that comes next.
        round: u32,
    },
}

/// Hears what happens. An error ends the session: what cannot be recorded is not sent.
pub trait Watch {
    /// Called in the order in which things happen; [`SiteEvent::Sending`] before anything leaves.
    ///
    /// # Errors
    /// Whatever keeps the record from being written.
    fn happened(&mut self, event: &SiteEvent) -> Result<(), NetError>;
}

/// What the threads report.
enum Event {
    Mail { new_epoch: bool, messages: Vec<Vec<u8>>, over: bool },
    Trouble(NetError),
    Failed(NetError),
    Trained { model: Hash, update: Result<LocalUpdate, String> },
}

impl Session {
    /// Takes part until the job is over.
    ///
    /// # Errors
    /// [`NetError::Stopped`] when asked to end; everything is saved, and a later session goes on. Other errors need
    /// somebody to look.
    pub fn run(self, learner: Box<dyn Learner>, watch: &mut dyn Watch) -> Result<ServerState, NetError> {
        let (events, inbox) = channel();
        let Self { client, job, plan, me, identity, state, journal, rounding_seed, stop } = self;
        let (machine, effects) = SiteMachine::new(plan, me, identity, state, journal, &mut OsEntropy)?;
        let ended = Arc::new(AtomicBool::new(false));
        let classroom = Classroom::open(learner, events.clone());
        Postman { client: Arc::clone(&client), job, fresh: effects.is_empty(), ended: Arc::clone(&ended) }
            .start(events)?;
        let (update, training) = (None, None);
        let mut desk = Desk {
            machine,
            client,
            classroom,
            watch,
            me,
            rounding_seed,
            ready: false,
            update,
            training,
            resumed: effects,
        };
        let result = desk.serve(&inbox, &stop);
        ended.store(true, Ordering::SeqCst);
        result.map(|()| desk.machine.state().clone())
    }
}

/// The machine and what surrounds it.
struct Desk<'a> {
    machine: SiteMachine,
    client: Arc<Client>,
    classroom: Classroom,
    watch: &'a mut dyn Watch,
    me: SiteId,
    rounding_seed: Option<u64>,
    /// Whether the machine waits for an update.
    ready: bool,
    /// The newest update, and the model it started from.
    update: Option<(Hash, LocalUpdate)>,
    /// The model that is being trained from.
    training: Option<Hash>,
    /// What the journal says was about to happen, until the coordinator has heard where this site stands.
    resumed: Vec<SiteEffect>,
}

impl Desk<'_> {
    fn serve(&mut self, inbox: &Receiver<Event>, stop: &AtomicBool) -> Result<(), NetError> {
        loop {
            if stop.load(Ordering::SeqCst) {
                return Err(NetError::Stopped);
            }
            match inbox.recv_timeout(Duration::from_millis(100)) {
                Ok(Event::Mail { new_epoch, messages, over }) => {
                    if new_epoch {
                        self.greet()?;
                    }
                    for message in messages {
                        self.receive(&message)?;
                    }
                    if over {
                        return Ok(());
                    }
                }
                Ok(Event::Trouble(error)) => self.watch.happened(&SiteEvent::Trouble(&error))?,
                Ok(Event::Failed(error)) => return Err(error),
                Ok(Event::Trained { model, update }) => {
                    self.training = self.training.filter(|training| *training != model);
                    let update = update.map_err(NetError::Training)?;
                    if model == self.machine.state().model_hash() {
                        self.update = Some((model, update));
                    }
                    self.submit()?;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(NetError::State("the threads of this site ended".to_owned()));
                }
            }
        }
    }

    /// Says where this site stands, then what the journal says was about to be said.
    fn greet(&mut self) -> Result<(), NetError> {
        self.watch.happened(&SiteEvent::Connected)?;
        let hello = self.machine.hello()?;
        let resumed = std::mem::take(&mut self.resumed);
        self.carry(std::iter::once(hello).chain(resumed).collect())
    }

    fn receive(&mut self, message: &[u8]) -> Result<(), NetError> {
        self.watch.happened(&SiteEvent::Received { bytes: message })?;
        let mut effects = Vec::new();
        let result = self.machine.receive(message, &mut OsEntropy, &mut effects);
        self.carry(effects)?;
        self.settle(result)
    }

    /// A journal that cannot be written ends everything; other refusals are part of the protocol.
    fn settle(&mut self, result: Result<(), MachineError>) -> Result<(), NetError> {
        match result {
            Ok(()) => Ok(()),
            Err(error @ MachineError::Journal(_)) => Err(error.into()),
            Err(error) => self.watch.happened(&SiteEvent::Refused(&error)),
        }
    }

    fn carry(&mut self, effects: Vec<SiteEffect>) -> Result<(), NetError> {
        for effect in effects {
            match effect {
                SiteEffect::Send(phase, bytes) => {
                    self.watch.happened(&SiteEvent::Sending { phase, bytes: &bytes })?;
                    let watch = &mut *self.watch;
                    let mut fault = Ok(());
                    let told = |error: &NetError| fault = watch.happened(&SiteEvent::Trouble(error));
                    self.client.upload(&bytes, told)?;
                    fault?;
                }
                SiteEffect::Train { round } => {
                    self.ready = false;
                    self.train(round)?;
                }
                SiteEffect::Ready { round } => {
                    self.ready = true;
                    self.train(round)?;
                    self.submit()?;
                }
                SiteEffect::Finished(result) => {
                    self.keep(Some(&result))?;
                    self.watch.happened(&SiteEvent::Finished(&result))?;
                }
                SiteEffect::CaughtUp { round, .. } => {
                    self.keep(None)?;
                    self.watch.happened(&SiteEvent::CaughtUp { round })?;
                }
            }
        }
        Ok(())
    }

    /// Saves the machine's state before anything follows from it.
    fn keep(&mut self, result: Option<&RoundResult>) -> Result<(), NetError> {
        (self.ready, self.update) = (false, None);
        self.classroom.keep(self.machine.state(), result)?;
        Ok(self.machine.state_saved(&mut OsEntropy)?)
    }

    /// Begins to train from the present model, unless that is done or under way.
    fn train(&mut self, round: u32) -> Result<(), NetError> {
        let model = self.machine.state().model_hash();
        let trained = self.update.as_ref().is_some_and(|(from, _)| *from == model);
        if trained || self.training == Some(model) {
            return Ok(());
        }
        self.watch.happened(&SiteEvent::Training { round })?;
        self.training = Some(model);
        self.classroom.train(round, model, self.machine.state().model.clone())
    }

    /// Hands the update in, once there is one and the machine waits for it.
    fn submit(&mut self) -> Result<(), NetError> {
        let model = self.machine.state().model_hash();
        let Some((_, update)) = self.update.as_ref().filter(|(from, _)| self.ready && *from == model) else {
            return Ok(());
        };
        self.ready = false;
        let rounding = match self.rounding_seed {
            Some(seed) => seeded_rounding(seed, self.machine.state().round, self.me),
            None => RoundingKey(Secret::draw(&mut OsEntropy)?),
        };
        let mut effects = Vec::new();
        let result = self.machine.submit(update, &rounding, &mut OsEntropy, &mut effects);
        self.carry(effects)?;
        self.settle(result)
    }
}
