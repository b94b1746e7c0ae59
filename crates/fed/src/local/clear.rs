//! The same round without secrecy: the yardstick of the secure sum.

use std::collections::BTreeMap;

use fovea_secagg::encode::{Average, RoundingKey, encode};
use fovea_secagg::layout::{LayoutError, Proven};
use fovea_secagg::sets::{SiteId, SiteSet};

use crate::job::Plan;
use crate::site::LocalUpdate;
use crate::state::ServerState;

/// Sums quantised updates as plain 64-bit integers.
pub(super) struct ClearSum {
    before: ServerState,
    proven: Proven,
    sum: Vec<i64>,
    sites: BTreeMap<SiteId, (u32, u32)>,
}

impl ClearSum {
    pub(super) fn new(plan: &Plan, before: ServerState) -> Result<Self, LayoutError> {
        let proven = plan.proven(&before.clips)?;
        Ok(Self { sum: vec![0; before.model.len()], before, proven, sites: BTreeMap::new() })
    }

    /// Adds one site's update; one that cannot be encoded is left out, as in the secure sum.
    pub(super) fn add(&mut self, site: SiteId, update: &LocalUpdate, rounding: &RoundingKey) {
        let encoded = encode(&self.proven, &update.model, &self.before.model, update.samples, rounding);
        if let Ok(encoded) = encoded {
            for (sum, &word) in self.sum.iter_mut().zip(&encoded.words) {
                *sum += i64::from(word as i32);
            }
            self.sites.insert(site, (update.samples, encoded.clipped()));
        }
    }

    /// Whether the state after the secure round is, to the bit, the one after this sum.
    pub(super) fn agrees(mut self, plan: &Plan, complete: &SiteSet, after: &ServerState) -> bool {
        let (samples, clipped) = self.sites.values().fold((0, 0), |(s, c), &(ds, dc)| (s + ds, c + dc));
        let average = Average { update: self.average(samples), sites: self.sites.len(), samples, clipped };
        self.before.apply(plan, after.round.saturating_sub(1), &average);
        let same = |a: &[f32], b: &[f32]| a.iter().map(|x| x.to_bits()).eq(b.iter().map(|x| x.to_bits()));
        complete.iter().eq(self.sites.keys().copied())
            && same(&self.before.model, &after.model)
            && same(&self.before.moments.first, &after.moments.first)
            && same(&self.before.moments.second, &after.moments.second)
            && same(&self.before.clips, &after.clips)
    }

    /// Sum 2^-f / (samples / W_max) per tensor, written without the secure decoder.
    fn average(&self, samples: u32) -> Vec<f32> {
        let weight = f64::from(samples) / f64::from(self.proven.weight_max());
        let exponents = self
            .proven
            .layout()
            .tensors
            .iter()
            .flat_map(|tensor| std::iter::repeat_n(2f64.powi(-i32::from(tensor.exponent)), tensor.len));
        self.sum.iter().zip(exponents).map(|(&sum, unit)| (sum as f64 * unit / weight) as f32).collect()
    }
}
