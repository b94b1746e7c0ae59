//! What a site checks before it believes a set or a sum: sizes, signatures of a quorum, tags.

use std::sync::Arc;

use crate::commit::{self, Terms};
use crate::error::Abort;
use crate::group::GroupKey;
use crate::hash::Hash;
use crate::message::{ConfirmSet, Phase};
use crate::sets::{SiteSet, Thresholds};

/// What an attempt of three sites and more asks of a set U3.
#[derive(Debug, Clone)]
pub(super) struct Quorum {
    /// U2.
    pub dealers: SiteSet,
    pub r2: Hash,
    pub thresholds: Thresholds,
}

impl Quorum {
    /// Whether `set` may be summed over.
    pub(super) fn allows(&self, phase: &'static str, set: &SiteSet) -> Result<(), Abort> {
        if !set.is_subset(&self.dealers) {
            return Err(Abort::Set { phase, why: "a site that dealt no shares" });
        }
        let need = self.thresholds.sites_min;
        if set.len() < need {
            return Err(Abort::TooFewSites { phase, have: set.len(), need });
        }
        Ok(())
    }

    /// Whether t members of `set` signed R3 over it.
    pub(super) fn proves(&self, terms: &Terms, set: &SiteSet, proof: &ConfirmSet) -> Result<(), Abort> {
        let refused = |why| Abort::Quorum { why };
        let sites = SiteSet::try_from(proof.confirmations.iter().map(|(site, _)| *site).collect::<Vec<_>>())
            .map_err(|_| refused("not strictly ascending"))?;
        if !sites.is_subset(set) {
            return Err(refused("a confirmation from outside the set"));
        }
        let r3 = commit::r3(self.r2, set);
        if proof.confirmations.iter().any(|(_, signed)| signed.body.digest != r3) {
            return Err(refused("sites confirmed different sets"));
        }
        if sites.len() < self.thresholds.quorum {
            return Err(refused("too few confirmations"));
        }
        for (site, signed) in &proof.confirmations {
            signed.verify(terms.header(Phase::Confirm, *site), &terms.roster)?;
        }
        Ok(())
    }
}

/// How the set of a sum is justified.
#[derive(Debug, Clone)]
pub(super) enum Cover {
    /// By a quorum of confirmations.
    Quorum(Quorum),
    /// Both sites of a pair, or nothing.
    Pair(SiteSet),
}

/// Checks published sums of one attempt. Made by a site that holds the group seeds of all dealers; it stays
/// with the site until the round is over, also when the site has dropped out.
#[derive(Debug, Clone)]
pub struct Verifier {
    pub(super) terms: Arc<Terms>,
    pub(super) group: GroupKey,
    pub(super) cover: Cover,
}

/// A sum as the coordinator publishes it.
#[derive(Debug, Clone, Copy)]
pub struct Published<'a> {
    /// Words of the vector.
    pub words: &'a [u32],
    /// Words of the sidecar, tags included.
    pub side: &'a [u64],
    /// U3.
    pub complete: &'a SiteSet,
    /// The signed confirmations of U3; empty in pair mode.
    pub quorum: &'a ConfirmSet,
}

impl Verifier {
    /// Accepts the sum over a set that a quorum confirmed, with the tags of its members. What is left to
    /// check are the bounds of the coordinates ([`crate::encode::decode`]).
    ///
    /// # Errors
    /// [`Abort::Length`], [`Abort::Set`], [`Abort::TooFewSites`], [`Abort::Quorum`], [`Abort::Unsigned`],
    /// [`Abort::Published`] for tags that do not match.
    pub fn check(&self, published: Published<'_>) -> Result<(), Abort> {
        let Published { words, side, complete, quorum } = published;
        let lengths =
            [("vector", self.terms.words, words.len()), ("sidecar", self.terms.side_words, side.len())];
        for (what, expected, found) in lengths {
            if expected != found {
                return Err(Abort::Length { what, expected, found });
            }
        }
        match &self.cover {
            Cover::Quorum(rule) => {
                rule.allows("publish", complete)?;
                rule.proves(&self.terms, complete, quorum)?;
            }
            Cover::Pair(sites) if complete != sites => {
                return Err(Abort::Set { phase: "publish", why: "pair mode sums over both sites" });
            }
            Cover::Pair(_) => {}
        }
        if !self.group.accepts(words, &side[self.terms.side_values()..], complete) {
            return Err(Abort::Published { why: "the tags do not match the sum" });
        }
        Ok(())
    }

    /// The sites whose sum may be published: U2, or the pair.
    pub fn sites(&self) -> &SiteSet {
        match &self.cover {
            Cover::Quorum(rule) => &rule.dealers,
            Cover::Pair(sites) => sites,
        }
    }
}
