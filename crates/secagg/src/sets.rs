//! Sites, sorted sets of sites, thresholds, and the context of one attempt of one round.

use serde::{Deserialize, Serialize};

use crate::error::Abort;
use crate::hash::Hash;

/// A site's number: its place in the roster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SiteId(pub u16);

impl std::fmt::Display for SiteId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "site {}", self.0)
    }
}

/// A set of sites, strictly ascending: one set has one encoding.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<SiteId>", into = "Vec<SiteId>")]
pub struct SiteSet(Vec<SiteId>);

/// A list of sites that is not strictly ascending.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("site list is not strictly ascending")]
pub struct NotSorted;

impl TryFrom<Vec<SiteId>> for SiteSet {
    type Error = NotSorted;

    fn try_from(sites: Vec<SiteId>) -> Result<Self, NotSorted> {
        if sites.is_sorted_by(|a, b| a < b) { Ok(Self(sites)) } else { Err(NotSorted) }
    }
}

impl From<SiteSet> for Vec<SiteId> {
    fn from(set: SiteSet) -> Self {
        set.0
    }
}

impl FromIterator<SiteId> for SiteSet {
    fn from_iter<I: IntoIterator<Item = SiteId>>(sites: I) -> Self {
        let mut sites: Vec<SiteId> = sites.into_iter().collect();
        sites.sort_unstable();
        sites.dedup();
        Self(sites)
    }
}

impl SiteSet {
    /// Number of sites.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The sites in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = SiteId> + '_ {
        self.0.iter().copied()
    }

    /// Whether `site` is a member.
    pub fn contains(&self, site: SiteId) -> bool {
        self.0.binary_search(&site).is_ok()
    }

    /// Position of `site` in ascending order.
    pub fn index_of(&self, site: SiteId) -> Option<usize> {
        self.0.binary_search(&site).ok()
    }

    /// Whether every member is in `other`.
    pub fn is_subset(&self, other: &Self) -> bool {
        self.iter().all(|site| other.contains(site))
    }

    /// Members that are not in `other`.
    pub fn minus(&self, other: &Self) -> Self {
        Self(self.iter().filter(|&site| !other.contains(site)).collect())
    }

    /// The numbers as bytes, for a hash.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.iter().flat_map(|site| site.0.to_le_bytes()).collect()
    }
}

/// Which coordinator the thresholds defend against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// One that follows the protocol but looks at everything: t = max(floor(n/2) + 1, 3).
    SemiHonest,
    /// One that deviates at will: t = max(floor(2n/3) + 1, 3).
    Malicious,
}

/// The thresholds of an attempt with n sites that advertised keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thresholds {
    /// Shares needed to reconstruct, and confirmations needed to release shares.
    pub quorum: usize,
    /// Least number of sites in a sum.
    pub sites_min: usize,
    /// Colluding sites tolerated.
    pub colluders_max: usize,
}

/// Rules from which the thresholds of an attempt follow; the same for all sites (part of the manifest).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThresholdRule {
    /// The coordinator defended against.
    pub profile: Profile,
    /// Least number of sites in a sum, beyond what the profile asks.
    pub sites_min: u16,
    /// Colluding sites tolerated; `None` takes ceil(n/3) - 1.
    pub colluders_max: Option<u16>,
}

impl ThresholdRule {
    /// Thresholds for `sites` that advertised keys.
    ///
    /// # Errors
    /// [`Abort::TooFewSites`], and [`Abort::Thresholds`] when the colluders tolerated are too many for
    /// two confirmation quorums to share an honest site.
    pub fn for_sites(&self, sites: usize) -> Result<Thresholds, Abort> {
        let quorum = match self.profile {
            Profile::Malicious => (2 * sites / 3 + 1).max(3),
            Profile::SemiHonest => (sites / 2 + 1).max(3),
        };
        let sites_min = quorum.max(usize::from(self.sites_min));
        if sites < sites_min {
            return Err(Abort::TooFewSites { phase: "advertise", have: sites, need: sites_min });
        }
        let colluders_max = self.colluders_max.map_or(sites.div_ceil(3) - 1, usize::from);
        let share_honest = 2 * quorum - sites > colluders_max || self.profile == Profile::SemiHonest;
        if colluders_max >= quorum || !share_honest {
            return Err(Abort::Thresholds { sites, quorum, colluders_max });
        }
        Ok(Thresholds { quorum, sites_min, colluders_max })
    }
}

/// What one attempt of one round is about; its digest is in every message and every key.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Digest of the manifest that all sites agreed to.
    pub manifest: Hash,
    /// Round number.
    pub round: u32,
    /// Attempt number within the round.
    pub attempt: u16,
    /// Digest of the global model that training starts from.
    pub model: Hash,
    /// Digest of the round's configuration (layout, clips, exponents).
    pub config: Hash,
    /// Sites invited.
    pub invited: SiteSet,
}

impl Attempt {
    /// The context digest ctx.
    pub fn ctx(&self) -> Hash {
        Hash::of(
            "fovea/round/v1",
            &[
                &self.manifest.0,
                &self.round.to_le_bytes(),
                &self.attempt.to_le_bytes(),
                &self.model.0,
                &self.config.0,
                &self.invited.to_bytes(),
            ],
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quorum(profile: Profile, sites: usize) -> usize {
        ThresholdRule { profile, sites_min: 3, colluders_max: None }.for_sites(sites).unwrap().quorum
    }

    #[test]
    fn quorums_are_those_of_the_protocol_table() {
        let sites = [3, 4, 5, 6, 7, 8, 10, 20, 50, 100];
        let malicious = [3, 3, 4, 5, 5, 6, 7, 14, 34, 67];
        let semi_honest = [3, 3, 3, 4, 4, 5, 6, 11, 26, 51];
        for (i, &n) in sites.iter().enumerate() {
            assert_eq!(quorum(Profile::Malicious, n), malicious[i], "{n}");
            assert_eq!(quorum(Profile::SemiHonest, n), semi_honest[i], "{n}");
        }
    }

    #[test]
    fn too_few_sites_and_too_many_colluders_are_refused() {
        let rule = ThresholdRule { profile: Profile::Malicious, sites_min: 3, colluders_max: None };
        assert!(matches!(rule.for_sites(2), Err(Abort::TooFewSites { have: 2, need: 3, .. })));
        let rule = ThresholdRule { colluders_max: Some(4), ..rule };
        assert!(matches!(rule.for_sites(10), Err(Abort::Thresholds { .. })));
        let rule = ThresholdRule { colluders_max: Some(3), ..rule };
        assert_eq!(rule.for_sites(10).unwrap().colluders_max, 3);
    }

    #[test]
    fn every_part_of_the_context_changes_it() {
        let base = Attempt {
            manifest: Hash([1; 32]),
            round: 1,
            attempt: 0,
            model: Hash([2; 32]),
            config: Hash([3; 32]),
            invited: (0..3).map(SiteId).collect(),
        };
        let variants = [
            Attempt { manifest: Hash([9; 32]), ..base.clone() },
            Attempt { round: 2, ..base.clone() },
            Attempt { attempt: 1, ..base.clone() },
            Attempt { model: Hash([9; 32]), ..base.clone() },
            Attempt { config: Hash([9; 32]), ..base.clone() },
            Attempt { invited: (0..4).map(SiteId).collect(), ..base.clone() },
        ];
        for variant in variants {
            assert_ne!(variant.ctx(), base.ctx());
        }
    }
}
