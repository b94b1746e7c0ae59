//! Bugs put in on purpose. A checker that does not find them checks nothing.

/// A bug of machines that are honest otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sabotage {
    /// Every party that takes a sum takes it with one bit changed.
    Sum,
    /// One site takes a sum with one bit changed.
    OneReplica,
    /// Sites that confirmed a set confirm another one too.
    SecondSet,
    /// Sites that revealed shares reveal the other share of each dealer too.
    BothShares,
    /// The coordinator never looks at the clock.
    Silence,
    /// A site that was restarted says something else than before.
    SecondUpload,
}
