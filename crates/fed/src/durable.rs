//! A coordinator that can be killed at any point and goes on from what it stored.
//!
//! The machine is a function of its inputs, and the coordinator holds no secret but its signing key. So what is
//! stored are the inputs of the attempt under way, each before anything that follows from it leaves, behind a
//! snapshot of what outlives attempts: state, counters, evidence, the last publication. Starting again replays
//! them; signatures are deterministic, so every message comes out as before, byte for byte, and sites never see
//! two announcements of one attempt.
//!
//! After a start nothing is sent by itself: sites that connect again say where they stand
//! ([`SiteMachine::hello`](crate::site::SiteMachine::hello)), and are told what they miss.
//!
//! The road not taken, ending the attempt under way at every restart, needs no log, but throws away what sites
//! have trained whenever a coordinator restarts after their uploads were fixed.

use std::sync::Arc;

use fovea_secagg::evidence::Equivocation;
use fovea_secagg::identity::Identity;
use fovea_wire::Bytes;
use serde::{Deserialize, Serialize};

use crate::coordinator::{CoordinatorEffect, CoordinatorMachine};
use crate::error::{MachineError, StoreError};
use crate::manifest::SignedPlan;
use crate::site::RoundResult;
use crate::state::ServerState;
use crate::store::Store;

/// One input of the machine.
#[derive(Debug, Serialize, Deserialize)]
enum Record {
    /// The next attempt was opened.
    Opened,
    /// A message of a site that changed something.
    Received(Bytes),
    /// The deadline of a phase passed.
    Due,
}

/// A [`CoordinatorMachine`] and its store. After any [`MachineError::Store`] the machine takes no more: what is
/// in memory may be ahead of what is stored, and it has to be started again from the store.
#[derive(Debug)]
pub struct DurableCoordinator {
    machine: CoordinatorMachine,
    store: Box<dyn Store>,
    /// Whether the log holds records.
    logged: bool,
    broken: bool,
}

impl DurableCoordinator {
    /// Starts where the store ends, or with a new store at the state `first`. The phase under way, if any, has
    /// its whole time again.
    ///
    /// # Errors
    /// [`MachineError::Store`].
    pub fn start(
        plan: Arc<SignedPlan>,
        identity: Identity,
        first: ServerState,
        mut store: Box<dyn Store>,
        now_ms: u64,
    ) -> Result<Self, MachineError> {
        let stored = store.load().map_err(StoreError::from)?;
        let Some(snapshot) = stored.snapshot else {
            if !stored.log.is_empty() {
                return Err(StoreError::Damaged { what: "records without a snapshot" }.into());
            }
            let machine = CoordinatorMachine::new(plan, identity, first);
            let mut started = Self { machine, store, logged: false, broken: false };
            started.commit()?;
            return Ok(started);
        };
        let machine = CoordinatorMachine::from_snapshot(plan, identity, &snapshot)?;
        let mut started = Self { machine, store, logged: !stored.log.is_empty(), broken: false };
        for record in &stored.log {
            started.replay(record, now_ms)?;
        }
        Ok(started)
    }

    /// The replicated state.
    pub fn state(&self) -> &ServerState {
        self.machine.state()
    }

    /// Whether an attempt is under way.
    pub fn is_active(&self) -> bool {
        self.machine.is_active()
    }

    /// When [`Self::tick`] will act, in the caller's milliseconds.
    pub fn deadline_ms(&self) -> Option<u64> {
        self.machine.deadline_ms()
    }

    /// The result of the last round that gave a sum.
    pub fn last_result(&self) -> Option<&RoundResult> {
        self.machine.last_result()
    }

    /// Proof against the sites that are no longer invited.
    pub fn evidence(&self) -> &[Equivocation] {
        self.machine.evidence()
    }

    /// As [`CoordinatorMachine::open`].
    ///
    /// # Errors
    /// [`MachineError::Layout`], [`MachineError::Store`].
    pub fn open(&mut self, now_ms: u64) -> Result<Vec<CoordinatorEffect>, MachineError> {
        self.usable()?;
        if self.logged {
            // An attempt is given up; its number must not come again.
            self.commit()?;
        }
        let effects = self.machine.open(now_ms)?;
        self.append(&Record::Opened)?;
        Ok(effects)
    }

    /// As [`CoordinatorMachine::receive`].
    ///
    /// # Errors
    /// [`MachineError`]; the message is dropped. [`MachineError::Store`].
    pub fn receive(&mut self, bytes: &[u8], now_ms: u64) -> Result<Vec<CoordinatorEffect>, MachineError> {
        self.usable()?;
        let before = self.machine.revision();
        let result = self.machine.receive(bytes, now_ms);
        // Even a refused statement counts: a second, different one convicts its sender.
        if self.machine.revision() != before {
            self.keep(|| Record::Received(Bytes(bytes.to_vec())))?;
        }
        result
    }

    /// As [`CoordinatorMachine::tick`].
    ///
    /// # Errors
    /// [`MachineError::Store`].
    pub fn tick(&mut self, now_ms: u64) -> Result<Vec<CoordinatorEffect>, MachineError> {
        self.usable()?;
        let before = self.machine.revision();
        let effects = self.machine.tick(now_ms);
        if self.machine.revision() != before {
            self.keep(|| Record::Due)?;
        }
        Ok(effects)
    }

    /// While an attempt is under way its inputs are stored; its end is stored as a whole.
    fn keep(&mut self, record: impl FnOnce() -> Record) -> Result<(), StoreError> {
        if self.machine.is_active() { self.append(&record()) } else { self.commit() }
    }

    fn append(&mut self, record: &Record) -> Result<(), StoreError> {
        self.broken = true;
        self.store.append(&fovea_wire::to_body(record, usize::MAX)?)?;
        (self.broken, self.logged) = (false, true);
        Ok(())
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        self.broken = true;
        self.store.commit(&self.machine.to_snapshot()?)?;
        (self.broken, self.logged) = (false, false);
        Ok(())
    }

    fn usable(&self) -> Result<(), StoreError> {
        if self.broken { Err(StoreError::Broken) } else { Ok(()) }
    }

    fn replay(&mut self, record: &[u8], now_ms: u64) -> Result<(), MachineError> {
        let damaged = |what| MachineError::from(StoreError::Damaged { what });
        let record = fovea_wire::from_body(record, usize::MAX);
        match record.map_err(|_| damaged("a record that cannot be read"))? {
            Record::Opened => drop(self.machine.open(now_ms)?),
            // What was refused then is refused again.
            Record::Received(Bytes(bytes)) => drop(self.machine.receive(&bytes, now_ms)),
            Record::Due => drop(self.machine.close_phase(now_ms)),
        }
        if self.machine.is_active() { Ok(()) } else { Err(damaged("records of an attempt that is over")) }
    }
}
