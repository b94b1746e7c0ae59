//! Ops whose output element depends on the same element of the inputs, and dropout.

use super::{Site, activation_constants};
use crate::Words;
use crate::launch::Launch;
use fovea_graph::Activation;

/// The only element of `y` is `value`.
pub fn fill(site: &Site<'_>, value: f32) -> Vec<Launch> {
    flat(site, "fill", counted(site).float("value", value))
}

/// `y = a + b`.
pub fn add(site: &Site<'_>) -> Vec<Launch> {
    let (a, b) = (site.inputs[0].place, site.inputs[1].place);
    if a == b {
        // Two writable bindings of a dispatch may not overlap; twice a is the same number.
        let params = counted(site).float("factor", 2.0);
        return vec![Launch::flat("scale", site.out().count(), params, vec![a, site.out().place])];
    }
    flat(site, "add", counted(site))
}

/// `y = factor x`.
pub fn scale(site: &Site<'_>, factor: f32) -> Vec<Launch> {
    flat(site, "scale", counted(site).float("factor", factor))
}

/// `y = g + factor (w - anchor)`.
pub fn add_proximal(site: &Site<'_>, factor: f32) -> Vec<Launch> {
    flat(site, "add_proximal", counted(site).float("factor", factor))
}

/// `y = f(x)`.
pub fn activate(site: &Site<'_>, function: Activation) -> Vec<Launch> {
    with_activation(flat(site, "activate", counted(site)), function)
}

/// `dx = dy f'`.
pub fn activate_grad(site: &Site<'_>, function: Activation) -> Vec<Launch> {
    with_activation(flat(site, "activate_grad", counted(site)), function)
}

/// `y = x / (1 - p)` or 0, each invocation a random block of four elements.
pub fn dropout(site: &Site<'_>, p: f32, stream: u32) -> Vec<Launch> {
    let out = site.out();
    let params =
        counted(site).float("p", p).float("factor", 1.0 / (1.0 - p)).count("stream", stream as usize);
    let bindings = vec![site.inputs[0].place, out.place, site.layout.step()];
    vec![Launch::flat("dropout", out.count().div_ceil(4), params, bindings)]
}

fn counted(site: &Site<'_>) -> Words {
    Words::new().count("count", site.out().count())
}

/// One invocation per element of the output, bound to the inputs and the output.
fn flat(site: &Site<'_>, shader: &'static str, params: Words) -> Vec<Launch> {
    let out = site.out();
    let mut bindings = site.places();
    bindings.push(out.place);
    vec![Launch::flat(shader, out.count(), params, bindings)]
}

fn with_activation(launches: Vec<Launch>, function: Activation) -> Vec<Launch> {
    launches.into_iter().map(|launch| launch.with(&activation_constants(function))).collect()
}
