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
    /// Sites that advertised keys.
    pub cohort: u16,
    /// Shares needed to reconstruct, and confirmations needed to release shares.
    pub quorum: usize,
    /// Least number of sites in a sum: the quorum, what the job asks, and two more than may collude.
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
    /// Colluding sites tolerated; `None` takes ceil(n/3) - 1 over the n sites of the roster.
    pub colluders_max: Option<u16>,
}

impl ThresholdRule {
    /// Thresholds for `sites` that advertised keys, out of the `roster` sites of the federation.
    ///
    /// The colluders tolerated are counted over the whole roster: the coordinator has a say in who takes
    /// part, so in a small cohort all of them may sit beside one honest site. The quorum t is the
    /// profile's, raised in profile malicious until 2 t - N exceeds the colluders for the N sites of the
    /// roster: then two quorums share an honest site, also those of two attempts with different cohorts, and
    /// since a site confirms one set per round, no two sets of a round can both be confirmed.
    ///
    /// # Errors
    /// [`Abort::TooFewSites`], and [`Abort::Thresholds`] when no quorum is large enough for the colluders.
    pub fn for_cohort(&self, roster: usize, sites: usize) -> Result<Thresholds, Abort> {
        let colluders_max = self.colluders_max.map_or(roster.div_ceil(3).saturating_sub(1), usize::from);
        let quorum = match self.profile {
            Profile::Malicious => (2 * sites / 3 + 1).max((roster + colluders_max) / 2 + 1),
            Profile::SemiHonest => sites / 2 + 1,
        };
        let quorum = quorum.max(3);
        let sites_min = quorum.max(usize::from(self.sites_min)).max(colluders_max + 2);
        if colluders_max >= quorum || quorum.max(colluders_max + 2) > sites.max(3) {
            return Err(Abort::Thresholds { sites, quorum, colluders_max });
        }
        if sites < sites_min {
            return Err(Abort::TooFewSites { phase: "advertise", have: sites, need: sites_min });
        }
        Ok(Thresholds { cohort: sites as u16, quorum, sites_min, colluders_max })
    }
}

impl ThresholdRule {
    /// Thresholds of the smallest cohort that is allowed: every sum covers at least its `sites_min`, and every
    /// quorum has at least its `quorum`. `None` for two sites.
    pub fn least(&self, roster: usize) -> Option<Thresholds> {
        (3..=roster).find_map(|sites| self.for_cohort(roster, sites).ok())
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
        let rule = ThresholdRule { profile, sites_min: 3, colluders_max: None };
        rule.for_cohort(sites, sites).unwrap().quorum
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
        assert!(matches!(rule.for_cohort(2, 2), Err(Abort::TooFewSites { have: 2, need: 3, .. })));
        for profile in [Profile::Malicious, Profile::SemiHonest] {
            let rule = ThresholdRule { profile, colluders_max: Some(9), ..rule };
            assert!(matches!(rule.for_cohort(10, 10), Err(Abort::Thresholds { .. })));
        }
        let rule = ThresholdRule { colluders_max: Some(4), ..rule };
        let thresholds = rule.for_cohort(10, 10).unwrap();
        assert_eq!((thresholds.quorum, thresholds.colluders_max), (8, 4));
    }

    /// In every cohort that is allowed, two quorums share an honest site and a sum covers two honest ones.
    #[test]
    fn a_small_cohort_does_not_lower_the_number_of_colluders() {
        let rule = ThresholdRule { profile: Profile::Malicious, sites_min: 3, colluders_max: None };
        for roster in 3..=100usize {
            let colluders = roster.div_ceil(3) - 1;
            let mut allowed = 0;
            for sites in 3..=roster {
                if let Ok(thresholds) = rule.for_cohort(roster, sites) {
                    assert_eq!(thresholds.colluders_max, colluders);
                    assert!(2 * thresholds.quorum > roster + colluders, "{roster} {sites}");
                    assert!((colluders + 2..=sites).contains(&thresholds.sites_min), "{roster} {sites}");
                    allowed += 1;
                }
            }
            assert!(allowed >= 1, "{roster}");
        }
        // Three of ten sites: the coordinator could have chosen one honest one and two colluders.
        assert!(rule.for_cohort(10, 3).is_err());
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
