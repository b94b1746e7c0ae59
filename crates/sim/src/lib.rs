//! Deterministic federations: the machines of `fovea-fed` in a world with a virtual clock, a bad network, crashes
//! at every write, and parties that lie; and the invariants that hold all the same.
//!
//! A run is a function of its seed and of this code. Every decision is drawn from one stream in the order of the
//! events, and the machines draw their keys from the seed, so a failure is replayed by its number ([`world::run`]),
//! and two runs of one seed have one trace. [`campaign`] runs many seeds over all cores.
//!
//! Faults and lies last for a while ([`scenario::CALM_MS`]). Then everybody is well, and what could be stuck for
//! ever shows: a federation whose coordinator is honest has to finish its rounds.
//!
//! The road not taken, real sockets and real kills, tests the operating system along with the protocol, takes
//! seconds per run, and fails differently each time.

pub mod byzantine;
pub mod campaign;
pub mod check;
pub mod coordinator;
pub mod disk;
pub mod event;
pub mod faults;
pub mod plain;
pub mod random;
pub mod report;
pub mod sabotage;
pub mod scenario;
pub mod site;
pub mod trace;
pub mod world;
