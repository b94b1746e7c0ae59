//! Updates in place, which the guard stops, and the check that sets it.

use super::spatial::chunks;
use super::{Operand, Site};
use crate::Words;
use crate::launch::Launch;
use crate::layout::Layout;
use fovea_graph::AdamRule;

/// Running statistics.
pub fn running(site: &Site<'_>, momentum: f32, count: usize) -> Vec<Launch> {
    let channels = site.inputs[0].count() / 2;
    let unbiased = (count as f64 / (count - 1) as f64) as f32;
    let params =
        Words::new().count("channels", channels).float("momentum", momentum).float("unbiased", unbiased);
    guarded(site, "update_running", channels, params)
}

/// SGD with momentum.
pub fn sgd(site: &Site<'_>, momentum: f32, weight_decay: f32) -> Vec<Launch> {
    let count = site.inputs[0].count();
    let params =
        Words::new().count("count", count).float("momentum", momentum).float("weight_decay", weight_decay);
    guarded(site, "sgd_update", count, params)
}

/// Adam or AdamW.
pub fn adam(site: &Site<'_>, rule: AdamRule) -> Vec<Launch> {
    let count = site.inputs[0].count();
    let params = Words::new()
        .count("count", count)
        .float("beta1", rule.beta1)
        .float("beta2", rule.beta2)
        .float("epsilon", rule.epsilon)
        .float("weight_decay", rule.weight_decay)
        .count("decoupled", usize::from(rule.decoupled));
    guarded(site, "adam_update", count, params)
}

/// The weight average.
pub fn average(site: &Site<'_>) -> Vec<Launch> {
    let count = site.inputs[0].count();
    guarded(site, "average_update", count, Words::new().count("count", count))
}

/// One invocation per element, bound to the inputs and the guard.
fn guarded(site: &Site<'_>, shader: &'static str, count: usize, params: Words) -> Vec<Launch> {
    let mut bindings = site.places();
    bindings.push(site.layout.guard());
    vec![Launch::flat(shader, count, params, bindings)]
}

/// Sets the guard to `node` + 1 where the value is not finite, unless it is set already.
pub fn check_finite(operand: Operand, node: usize, layout: &Layout) -> Launch {
    let params = Words::new().count("count", operand.count()).count("node", node);
    let bindings = vec![operand.place, layout.guard()];
    Launch::grouped("check_finite", chunks(operand.count()), params, bindings)
}
