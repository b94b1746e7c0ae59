//! Uploads: spooled until complete, then added to the one accumulator. Memory is one accumulator and
//! the uploads under way, whatever the number of sites.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::commit::{self, Cohort, Terms};
use crate::coordinator::release::Fixed;
use crate::coordinator::{CollectC, Commitments, Sum};
use crate::error::{Abort, Accepted, Reject};
use crate::hash::Hash;
use crate::message::{Announce, Chunk, ConfirmSet, MaskedClose};
use crate::sets::{SiteId, SiteSet, Thresholds};
use crate::vector::{Spool, side_from_bytes};

/// Collects masked uploads (phase M).
#[derive(Debug)]
pub struct CollectM {
    terms: Arc<Terms>,
    cohort: Cohort,
    thresholds: Thresholds,
    r2: Hash,
    commitments: BTreeMap<SiteId, Commitments>,
    intake: Intake,
}

impl CollectM {
    pub(super) fn new(
        terms: Arc<Terms>,
        cohort: Cohort,
        thresholds: Thresholds,
        dealers: SiteSet,
        r2: Hash,
        commitments: BTreeMap<SiteId, Commitments>,
    ) -> Self {
        let intake = Intake::new(&terms, dealers);
        Self { terms, cohort, thresholds, r2, commitments, intake }
    }

    /// Takes a chunk of a masked vector.
    ///
    /// # Errors
    /// [`Reject`].
    pub fn chunk(&mut self, from: SiteId, chunk: &Chunk) -> Result<Accepted, Reject> {
        self.intake.chunk(from, chunk)
    }

    /// Closes an upload and adds it to the sum.
    ///
    /// # Errors
    /// [`Reject`]; an incomplete upload can go on.
    pub fn finish(&mut self, from: SiteId, close: &MaskedClose) -> Result<Accepted, Reject> {
        self.intake.finish(from, close)
    }

    /// Sites whose uploads are not complete.
    pub fn missing(&self) -> SiteSet {
        self.intake.missing()
    }

    /// A complaint about a dealer ends the attempt.
    pub fn complaint(self, accuser: SiteId, dealer: SiteId) -> Abort {
        Abort::Complaint { accuser, dealer }
    }

    /// Fixes U3. An upload that comes later stays masked: its self-mask seed is never revealed.
    ///
    /// # Errors
    /// [`Abort::TooFewSites`].
    pub fn close(self) -> Result<(CollectC, Announce), Abort> {
        let Self { terms, cohort, thresholds, r2, commitments, intake } = self;
        let (dealers, sum) = intake.into_sum();
        let need = thresholds.sites_min;
        if sum.complete.len() < need {
            return Err(Abort::TooFewSites { phase: "masked", have: sum.complete.len(), need });
        }
        let announce = Announce { complete: sum.complete.clone() };
        let r3 = commit::r3(r2, &sum.complete);
        let fixed = Fixed { terms, cohort, thresholds, dealers, r2, r3, commitments, sum };
        Ok((CollectC::new(fixed), announce))
    }
}

/// Collects the two uploads of pair mode.
#[derive(Debug)]
pub struct CollectPair {
    intake: Intake,
}

impl CollectPair {
    pub(super) fn new(terms: &Terms, sites: SiteSet) -> Self {
        Self { intake: Intake::new(terms, sites) }
    }

    /// As [`CollectM::chunk`].
    ///
    /// # Errors
    /// [`Reject`].
    pub fn chunk(&mut self, from: SiteId, chunk: &Chunk) -> Result<Accepted, Reject> {
        self.intake.chunk(from, chunk)
    }

    /// As [`CollectM::finish`].
    ///
    /// # Errors
    /// [`Reject`].
    pub fn finish(&mut self, from: SiteId, close: &MaskedClose) -> Result<Accepted, Reject> {
        self.intake.finish(from, close)
    }

    /// Sites whose uploads are not complete.
    pub fn missing(&self) -> SiteSet {
        self.intake.missing()
    }

    /// The sum, whose masks have cancelled: all or nothing.
    ///
    /// # Errors
    /// [`Abort::TooFewSites`] unless both uploads are complete.
    pub fn close(self) -> Result<Sum, Abort> {
        let (_, sum) = self.intake.into_sum();
        if sum.complete.len() != 2 {
            return Err(Abort::TooFewSites { phase: "masked", have: sum.complete.len(), need: 2 });
        }
        Ok(sum)
    }
}

#[derive(Debug)]
struct Intake {
    senders: SiteSet,
    words: usize,
    side_words: usize,
    partial: BTreeMap<SiteId, Spool>,
    complete: BTreeMap<SiteId, MaskedClose>,
    sum: Vec<u32>,
    side: Vec<u64>,
}

impl Intake {
    fn new(terms: &Terms, senders: SiteSet) -> Self {
        Self {
            senders,
            words: terms.words,
            side_words: terms.side_words,
            partial: BTreeMap::new(),
            complete: BTreeMap::new(),
            sum: vec![0; terms.words],
            side: vec![0; terms.side_words],
        }
    }

    fn chunk(&mut self, from: SiteId, chunk: &Chunk) -> Result<Accepted, Reject> {
        if !self.senders.contains(from) || self.complete.contains_key(&from) {
            return Err(Reject::Unexpected { site: from });
        }
        self.partial.entry(from).or_insert_with(|| Spool::new(self.words)).accept(from, chunk)
    }

    fn finish(&mut self, from: SiteId, close: &MaskedClose) -> Result<Accepted, Reject> {
        if let Some(earlier) = self.complete.get(&from) {
            return if earlier == close {
                Ok(Accepted::Again)
            } else {
                Err(Reject::Conflicting { site: from })
            };
        }
        let side = side_from_bytes(&close.side, self.side_words)
            .ok_or(Reject::Content { site: from, what: "sidecar of a wrong length" })?;
        let spool = self.partial.remove(&from).ok_or(Reject::Unexpected { site: from })?;
        let words = match spool.finish(close.root) {
            Ok(words) => words,
            Err((spool, what)) => {
                self.partial.insert(from, spool);
                return Err(Reject::Content { site: from, what });
            }
        };
        for (sum, word) in self.sum.iter_mut().zip(&words) {
            *sum = sum.wrapping_add(*word);
        }
        for (sum, word) in self.side.iter_mut().zip(&side) {
            *sum = sum.wrapping_add(*word);
        }
        self.complete.insert(from, close.clone());
        Ok(Accepted::New)
    }

    fn missing(&self) -> SiteSet {
        self.senders.iter().filter(|site| !self.complete.contains_key(site)).collect()
    }

    fn into_sum(self) -> (SiteSet, Sum) {
        let complete = self.complete.into_keys().collect();
        let (quorum, blamed) = (ConfirmSet::default(), Vec::new());
        (self.senders, Sum { words: self.sum, side: self.side, complete, quorum, blamed })
    }
}
