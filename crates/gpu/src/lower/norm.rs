//! Normalisation: statistics, the affine map, and the adjoints.

use super::spatial::{chunks, in_parts};
use super::{Site, activation_constants};
use crate::Words;
use crate::launch::{Launch, Place};
use fovea_graph::{Activation, Affine, StatsOver};

/// `((N or 1), G, 2)` from `(N, C, H, W)`: moments of pieces, then, where a statistic has several, of all of them.
pub fn stats(site: &mut Site<'_>, over: StatsOver) -> Vec<Launch> {
    let (x, out) = (site.inputs[0], site.out());
    let [images, channels, h, w] = x.nchw();
    let [rows, groups] = rows_and_groups(out.shape.dims());
    // A group's channels are neighbours: one run of elements in each image.
    let pixels = channels / groups * h * w;
    let chunks = chunks(pixels);
    let parts = match over {
        StatsOver::Image => chunks,
        StatsOver::Batch => images * chunks,
    };
    let first = |moments: Place| {
        let params = Words::new()
            .count("images", images)
            .count("groups", groups)
            .count("pixels", pixels)
            .count("chunks", chunks)
            .count("rows", rows);
        Launch::grouped("norm_stats", images * groups * chunks, params, vec![x.place, moments])
    };
    if parts == 1 {
        return vec![first(out.place)];
    }
    let moments = site.scratch.take(2 * rows * groups * parts);
    let params = Words::new()
        .count("statistics", rows * groups)
        .count("parts", parts)
        .count("pixels", pixels)
        .count("chunks", chunks);
    let merge = Launch::grouped("norm_stats_merge", rows * groups, params, vec![moments, out.place]);
    vec![first(moments), merge]
}

/// `y = f(gamma xh + beta)`.
pub fn normalise(site: &Site<'_>, epsilon: f32, activation: Activation) -> Vec<Launch> {
    let mut bindings = site.places();
    bindings.push(site.out().place);
    vec![by_pieces(site, "normalise", epsilon, activation, bindings)]
}

/// `(N, C, 2)`: sums of `dz` and of `dz xh` over each plane.
pub fn grad_sums(site: &mut Site<'_>, epsilon: f32, activation: Activation) -> Vec<Launch> {
    let (bindings, y) = (site.places(), site.out());
    let [_, _, h, w] = site.inputs[0].nchw();
    let mut scratch = site.scratch;
    let launches = in_parts(&mut scratch, [y.count(), chunks(h * w)], y.place, |parts| {
        let bindings = [bindings, vec![parts]].concat();
        by_pieces(site, "normalise_grad_sums", epsilon, activation, bindings)
    });
    site.scratch = scratch;
    launches
}

/// `(C)` from `(N, C, 2)`.
pub fn grad_affine(site: &Site<'_>, which: Affine) -> Vec<Launch> {
    let (sums, out) = (site.inputs[0], site.out());
    let part = match which {
        Affine::Shift => 0,
        Affine::Scale => 1,
    };
    let params = Words::new()
        .count("channels", out.count())
        .count("images", sums.shape.dims()[0])
        .count("which", part);
    vec![Launch::flat("normalise_grad_affine", out.count(), params, vec![sums.place, out.place])]
}

/// Like x: the means of each statistic's set, then each element.
pub fn grad_input(site: &mut Site<'_>, epsilon: f32, activation: Activation) -> Vec<Launch> {
    let [images, channels, h, w] = site.inputs[0].nchw();
    let [rows, groups] = rows_and_groups(site.inputs[1].shape.dims());
    let means = site.scratch.take(2 * rows * groups);
    let elements = images / rows * (channels / groups) * h * w;
    let params = Words::new()
        .count("images", images)
        .count("channels", channels)
        .count("rows", rows)
        .count("groups", groups)
        .float("elements", elements as f32);
    let bindings = vec![site.inputs[2].place, site.inputs[5].place, means];
    let first = Launch::grouped("normalise_grad_means", rows * groups, params, bindings);
    // All inputs but the sums.
    let bindings = [&site.places()[..5], &[site.out().place, means]].concat();
    vec![first, by_pieces(site, "normalise_grad_input", epsilon, activation, bindings)]
}

/// One workgroup for each piece of each plane of x.
fn by_pieces(
    site: &Site<'_>,
    shader: &'static str,
    epsilon: f32,
    activation: Activation,
    bindings: Vec<Place>,
) -> Launch {
    let [images, channels, h, w] = site.inputs[0].nchw();
    let [rows, groups] = rows_and_groups(site.inputs[1].shape.dims());
    let (planes, chunks) = (images * channels, chunks(h * w));
    let params = Words::new()
        .count("planes", planes)
        .count("channels", channels)
        .count("pixels", h * w)
        .count("chunks", chunks)
        .count("rows", rows)
        .count("groups", groups)
        .float("epsilon", epsilon);
    let launch = Launch::grouped(shader, planes * chunks, params, bindings);
    launch.with(&activation_constants(activation))
}

/// Of statistics `(rows, groups, 2)`.
fn rows_and_groups(dims: &[usize]) -> [usize; 2] {
    [dims[0], dims[1]]
}
