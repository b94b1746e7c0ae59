//! The yardstick: what sites learn, and the same rounds summed in the clear.
//!
//! What a site brings out of its training is a function of the seed, the site and the state it starts from, so
//! the sum over a set is known without any machine.

use fovea_fed::job::Plan;
use fovea_fed::site::LocalUpdate;
use fovea_fed::state::ServerState;
use fovea_secagg::encode::{Average, RoundingKey, encode};
use fovea_secagg::hash::Hash;
use fovea_secagg::layout::Proven;
use fovea_secagg::secret::Secret;
use fovea_secagg::sets::{SiteId, SiteSet};

use crate::random::Stream;
use crate::scenario::SAMPLES_MAX;

/// The updates of all sites of a run.
#[derive(Debug, Clone)]
pub struct Updates {
    /// The run's seed.
    pub seed: u64,
    /// Sites whose updates are far larger than any clip.
    pub inflated: SiteSet,
}

impl Updates {
    /// What a site learns from a state.
    pub fn of(&self, site: SiteId, state: &ServerState) -> LocalUpdate {
        let digest = self.digest("fovea/sim/update", site, state).0;
        let mut stream = Stream::new(u64::from_le_bytes(std::array::from_fn(|i| digest[i])));
        // Now and then beyond the clips, which count it.
        let scale = if self.inflated.contains(site) { 1e6 } else { 0.3 };
        let mut step = || (stream.below(2001) as f32 / 1000.0 - 1.0) * scale;
        let model = state.model.iter().map(|w| w + step()).collect();
        let samples = 1 + u32::from(digest[8]) % SAMPLES_MAX;
        LocalUpdate { model, samples, side: vec![f64::from(digest[9]) / 64.0] }
    }

    /// The key of its rounding fractions, apart from its update for nobody but the tests of this crate.
    pub fn rounding(&self, site: SiteId, state: &ServerState) -> RoundingKey {
        RoundingKey(Secret::new(self.digest("fovea/sim/rounding", site, state).0))
    }

    /// The state after the plain sum over `set`, taken in round `round`; `None` if no such sum can be.
    pub fn step(&self, plan: &Plan, state: &ServerState, round: u32, set: &SiteSet) -> Option<ServerState> {
        let proven = plan.proven(&state.clips).ok()?;
        let mut sum = vec![0i64; state.model.len()];
        let (mut samples, mut clipped) = (0, 0);
        for site in set.iter() {
            let update = self.of(site, state);
            let rounding = self.rounding(site, state);
            let encoded = encode(&proven, &update.model, &state.model, update.samples, &rounding).ok()?;
            for (sum, &word) in sum.iter_mut().zip(&encoded.words) {
                *sum += i64::from(word as i32);
            }
            samples += update.samples;
            clipped += encoded.clipped();
        }
        let update = average(&proven, &sum, samples);
        let mut next = state.clone();
        next.apply(plan, round, &Average { update, sites: set.len(), samples, clipped });
        Some(next)
    }

    fn digest(&self, label: &str, site: SiteId, state: &ServerState) -> Hash {
        let model = state.model_hash();
        Hash::of(label, &[&self.seed.to_le_bytes(), &site.0.to_le_bytes(), &model.0])
    }
}

/// Sum 2^-f / (samples / W_max) per tensor, written without the secure decoder.
fn average(proven: &Proven, sum: &[i64], samples: u32) -> Vec<f32> {
    let weight = f64::from(samples) / f64::from(proven.weight_max());
    let tensors = proven.layout().tensors.iter();
    let units = tensors.flat_map(|t| std::iter::repeat_n(2f64.powi(-i32::from(t.exponent)), t.len));
    sum.iter().zip(units).map(|(&sum, unit)| (sum as f64 * unit / weight) as f32).collect()
}
