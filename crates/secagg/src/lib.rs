//! Secure aggregation: quantisation, masks, secret sharing and unmasking, with roles as values.
//!
//! Protocol MSA1, described requirement by requirement in `SPEC.md`: per-round double masking after
//! Bonawitz et al. 2017 (eprint 2017/281) on a complete graph, with a confirmation round, all keys fresh
//! per attempt, and mask seeds bound to the global model (against Pasquini et al. 2022, arXiv 2111.07380).
//! Two sites have a mode of their own ([`site::pair`]).
//!
//! Both roles are typestates: a transition consumes a state and gives the next one with the message to
//! send. The crate knows no socket, no clock and no source of randomness but the one it is handed.
//!
//! The road not taken: homomorphic encryption needs ten times the bytes and minutes of work for a model of
//! this size; a single mask without secret sharing cannot lose a site.

pub mod commit;
pub mod coordinator;
pub mod encode;
pub mod envelope;
pub mod error;
pub mod evidence;
mod gf256;
pub mod group;
pub mod hash;
pub mod history;
pub mod identity;
pub mod journal;
pub mod keys;
pub mod layout;
pub mod message;
pub mod prg;
pub mod secret;
pub mod sets;
pub mod shamir;
pub mod site;
pub mod vector;
