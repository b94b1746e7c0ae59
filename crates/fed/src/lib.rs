//! Federation without I/O: coordinator and site state machines, strategies and ledger.
//!
//! A machine takes message bytes, the time and randomness, and returns message bytes and events. The same
//! machines are meant to run in one process ([`local`]), in a simulator, and over a network; this crate knows
//! no socket. Drivers bring what touches the machine they run on: [`local`] the operating system's randomness,
//! [`storage`] the files behind a site's journal, a [`store`] what a coordinator that can be killed ([`durable`])
//! must not forget. The server step is replicated: the coordinator publishes an exact integer sum and every party
//! computes the next model by itself ([`strategy`], [`state`]), so the coordinator never chooses weights.

pub mod clip;
pub mod coordinator;
pub mod durable;
pub mod error;
pub mod job;
pub mod ledger;
pub mod local;
pub mod manifest;
pub mod outbox;
mod record;
pub mod site;
pub mod state;
pub mod storage;
pub mod store;
pub mod strategy;
