//! Pooling, enlarging, joining and cutting channels, and sums over planes.

use super::Site;
use crate::Words;
use crate::launch::{Launch, Place};
use crate::layout::Scratch;
use fovea_graph::{Channels, Resize};
use fovea_tensor::Window;

/// Elements that one workgroup goes through: `CHUNK` of `parts/planes.wgsl`. 16 for each invocation: few enough to fill a large
/// device, enough to hide the tree of a sum.
pub(super) const CHUNK: usize = 4096;

/// Pieces of a plane.
pub(super) fn chunks(pixels: usize) -> usize {
    pixels.div_ceil(CHUNK)
}

/// Long sums in two passes: `first` writes `terms` partial sums for each of `results` sums to the place that it is given. Where
/// there is one term each, that is `y`, and there is no second pass.
pub(super) fn in_parts(
    scratch: &mut Scratch,
    [results, terms]: [usize; 2],
    y: Place,
    first: impl FnOnce(Place) -> Launch,
) -> Vec<Launch> {
    if terms == 1 {
        return vec![first(y)];
    }
    let parts = scratch.take(results * terms);
    let params = Words::new().count("results", results).count("terms", terms);
    vec![first(parts), Launch::grouped("sum_parts", results, params, vec![parts, y])]
}

/// `y` (channels) from `x` (images, channels, pixels).
pub(super) fn sum_planes(
    scratch: &mut Scratch,
    [images, channels, pixels]: [usize; 3],
    x: Place,
    y: Place,
) -> Vec<Launch> {
    let (planes, chunks) = (images * channels, chunks(pixels));
    in_parts(scratch, [channels, images * chunks], y, |parts| {
        let params = Words::new()
            .count("planes", planes)
            .count("channels", channels)
            .count("pixels", pixels)
            .count("chunks", chunks);
        Launch::grouped("sum_channels", planes * chunks, params, vec![x, parts])
    })
}

/// `(C)` from `(N, C, H, W)`.
pub fn sum_channels(site: &mut Site<'_>) -> Vec<Launch> {
    let (x, y) = (site.inputs[0], site.out().place);
    let [n, c, h, w] = x.nchw();
    sum_planes(&mut site.scratch, [n, c, h * w], x.place, y)
}

/// Largest pixel of each window.
pub fn max_pool(site: &Site<'_>, window: Window) -> Vec<Launch> {
    let ([_, _, h, w], out) = (site.inputs[0].nchw(), site.out());
    let [_, _, ho, wo] = out.nchw();
    let params = pooling(out.count(), [h, w], [ho, wo], window);
    vec![Launch::flat("max_pool2d", out.count(), params, vec![site.inputs[0].place, out.place])]
}

/// Each pixel gathers from the windows that it lies in.
pub fn max_pool_grad(site: &Site<'_>, window: Window) -> Vec<Launch> {
    let ([_, _, h, w], [_, _, ho, wo]) = (site.inputs[0].nchw(), site.inputs[1].nchw());
    let out = site.out();
    let params = pooling(out.count(), [h, w], [ho, wo], window);
    let bindings = vec![site.inputs[0].place, site.inputs[1].place, out.place];
    vec![Launch::flat("max_pool2d_grad", out.count(), params, bindings)]
}

fn pooling(count: usize, [h, w]: [usize; 2], [ho, wo]: [usize; 2], window: Window) -> Words {
    Words::new()
        .count("count", count)
        .count("height", h)
        .count("width", w)
        .count("out_height", ho)
        .count("out_width", wo)
        .count("kernel", window.kernel)
        .count("stride", window.stride)
        .count("padding", window.padding)
}

/// `(N, C, fH, fW)` from `(N, C, H, W)`.
pub fn upsample(site: &Site<'_>, mode: Resize, factor: usize) -> Vec<Launch> {
    let [_, _, h, w] = site.inputs[0].nchw();
    enlarging(site, "upsample", [h, w], &constants(mode, factor))
}

/// `(N, C, H, W)` from `(N, C, fH, fW)`.
pub fn upsample_grad(site: &Site<'_>, mode: Resize, factor: usize) -> Vec<Launch> {
    let [_, _, h, w] = site.out().nchw();
    enlarging(site, "upsample_grad", [h, w], &constants(mode, factor))
}

fn enlarging(
    site: &Site<'_>,
    shader: &'static str,
    [h, w]: [usize; 2],
    constants: &[(&'static str, f64)],
) -> Vec<Launch> {
    let out = site.out();
    let params = Words::new().count("count", out.count()).count("height", h).count("width", w);
    vec![Launch::flat(shader, out.count(), params, vec![site.inputs[0].place, out.place]).with(constants)]
}

/// The `override` constants of `parts/taps.wgsl`.
fn constants(mode: Resize, factor: usize) -> [(&'static str, f64); 2] {
    let mode = match mode {
        Resize::Nearest => 0.0,
        Resize::Bilinear { align_corners: true } => 1.0,
        Resize::Bilinear { align_corners: false } => 2.0,
    };
    [("MODE", mode), ("FACTOR", factor as f64)]
}

/// The channels of `a`, then those of `b`.
pub fn concat(site: &Site<'_>) -> Vec<Launch> {
    let (a, b, out) = (site.inputs[0], site.inputs[1], site.out());
    let images = out.nchw()[0];
    let params = Words::new()
        .count("count", out.count())
        .count("first", a.count() / images)
        .count("second", b.count() / images);
    vec![Launch::flat("concat", out.count(), params, vec![a.place, b.place, out.place])]
}

/// Some neighbouring channels.
pub fn slice_channels(site: &Site<'_>, channels: Channels) -> Vec<Launch> {
    let (x, out) = (site.inputs[0], site.out());
    let [_, all, h, w] = x.nchw();
    let params = Words::new()
        .count("count", out.count())
        .count("whole", all * h * w)
        .count("part", channels.count * h * w)
        .count("start", channels.start * h * w);
    vec![Launch::flat("slice_channels", out.count(), params, vec![x.place, out.place])]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Layout;
    use fovea_graph::Graph;

    #[test]
    fn shaders_cut_planes_into_the_same_pieces() {
        let planes = include_str!("../../../../shaders/parts/planes.wgsl");
        assert!(planes.contains(&format!("const CHUNK = {CHUNK}u;")));
    }

    #[test]
    fn short_sums_take_one_pass() {
        let places = [Place { offset: 0, floats: 8 }, Place { offset: 64, floats: 8 }];
        let launches = |dims| {
            let mut scratch = Layout::new(&Graph::new()).scratch();
            let start = scratch.end();
            let launches = sum_planes(&mut scratch, dims, places[0], places[1]);
            (launches, scratch.end() - start)
        };
        let (short, floats) = launches([1, 2, CHUNK]);
        assert_eq!((short.len(), floats), (1, 0));
        assert_eq!(short[0].bindings[1], places[1]);
        let (long, floats) = launches([3, 2, CHUNK + 1]);
        assert_eq!((long.len(), long[0].groups, long[1].groups), (2, [12, 1, 1], [2, 1, 1]));
        assert!(floats >= 2 * 3 * 2, "two channels with two pieces in each of three images");
    }
}
