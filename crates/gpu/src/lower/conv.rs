//! Convolutions as products of tiles whose operands are read in place, and second passes over what was cut along its depth.

use super::{Site, activation_constants};
use crate::launch::{GROUPS_MAX, Launch, Place, flat_groups};
use crate::tile::Product;
use crate::{Words, shader};
use fovea_graph::{Activation, Channels};
use fovea_tensor::Window;

/// [`Op::Conv2d`](fovea_graph::Op::Conv2d) of one input, or of the concatenation of two.
pub fn forward(site: &Site<'_>, window: Window, activation: Activation, parts: usize) -> Vec<Launch> {
    let out = site.out();
    let ([images, channels_out, height_out, width_out], [_, _, height, width]) =
        (out.nchw(), site.inputs[0].nchw());
    let channels = channels(site, parts);
    let bias = site.inputs.get(parts + 1);
    let params = patches(site, parts, [channels_out, height_out, width_out])
        .count("has_bias", usize::from(bias.is_some()));
    let bias = bias.map_or(site.layout.absent(1), |operand| operand.place);
    let [a, b] = images_of(site, parts);
    let bindings = vec![a, b, site.inputs[parts].place, bias, out.place];
    let product = Product {
        op: "conv2d".to_owned(),
        window: numbers(window),
        plane: [height, width],
        rows: channels_out,
        columns: images * height_out * width_out,
        depth: (channels[0] + channels[1]) * window.kernel * window.kernel,
    };
    let launch = multiply(site, &product, 1, params, bindings);
    vec![launch.with(&constants(window)).with(&activation_constants(activation))]
}

/// [`Op::Conv2dGradInput`](fovea_graph::Op::Conv2dGradInput).
pub fn grad_input(site: &Site<'_>, window: Window, channels: Channels) -> Vec<Launch> {
    let out = site.out();
    let ([images, count, height, width], [channels_out, channels_in, ..], [_, _, height_out, width_out]) =
        (out.nchw(), site.inputs[0].nchw(), site.inputs[1].nchw());
    let params = Words::new()
        .count("images", images)
        .count("channels_in", channels_in)
        .count("start", channels.start)
        .count("count", count)
        .count("height", height)
        .count("width", width)
        .count("channels_out", channels_out)
        .count("height_out", height_out)
        .count("width_out", width_out);
    let bindings = vec![site.inputs[0].place, site.inputs[1].place, out.place];
    let product = Product {
        op: "conv2d_grad_input".to_owned(),
        window: numbers(window),
        plane: [height, width],
        rows: count,
        columns: images * height * width,
        depth: channels_out * window.kernel * window.kernel,
    };
    let launch = multiply(site, &product, 1, params, bindings);
    vec![launch.with(&constants(window))]
}

/// [`Op::Conv2dGradWeight`](fovea_graph::Op::Conv2dGradWeight) of one input, or of the concatenation of two.
pub fn grad_weight(site: &mut Site<'_>, window: Window, parts: usize) -> Vec<Launch> {
    let ([images, _, height, width], [_, channels_out, height_out, width_out]) =
        (site.inputs[0].nchw(), site.inputs[parts].nchw());
    let channels = channels(site, parts);
    let product = Product {
        op: "conv2d_grad_weight".to_owned(),
        window: numbers(window),
        plane: [height, width],
        rows: channels_out,
        columns: (channels[0] + channels[1]) * window.kernel * window.kernel,
        depth: images * height_out * width_out,
    };
    let [splits, depth] = product.splits();
    let params = patches(site, parts, [channels_out, height_out, width_out]).count("depth", depth);
    let [a, b] = images_of(site, parts);
    let (partial, second) = split_sum(site, &product, splits);
    let bindings = vec![a, b, site.inputs[parts].place, partial];
    let first = multiply(site, &product, splits, params, bindings).with(&constants(window));
    [first].into_iter().chain(second).collect()
}

/// [`Op::ConvTranspose2x2`](fovea_graph::Op::ConvTranspose2x2).
pub fn transpose(site: &Site<'_>) -> Vec<Launch> {
    let out = site.out();
    let ([images, channels_in, height, width], channels_out) = (site.inputs[0].nchw(), out.nchw()[1]);
    let bias = site.inputs.get(2);
    let params = enlarging([images, channels_in, height, width], channels_out)
        .count("has_bias", usize::from(bias.is_some()));
    let bias = bias.map_or(site.layout.absent(0), |operand| operand.place);
    let bindings = vec![site.inputs[0].place, site.inputs[1].place, bias, out.place];
    let product = Product {
        op: "conv_transpose2x2".to_owned(),
        window: [2, 2, 0],
        plane: [height, width],
        rows: 4 * channels_out,
        columns: images * height * width,
        depth: channels_in,
    };
    vec![multiply(site, &product, 1, params, bindings)]
}

/// [`Op::ConvTranspose2x2GradInput`](fovea_graph::Op::ConvTranspose2x2GradInput).
pub fn transpose_grad_input(site: &Site<'_>) -> Vec<Launch> {
    let out = site.out();
    let (input, channels_out) = (out.nchw(), site.inputs[1].nchw()[1]);
    let [images, channels_in, height, width] = input;
    let bindings = vec![site.inputs[0].place, site.inputs[1].place, out.place];
    let product = Product {
        op: "conv_transpose2x2_grad_input".to_owned(),
        window: [2, 2, 0],
        plane: [height, width],
        rows: channels_in,
        columns: images * height * width,
        depth: 4 * channels_out,
    };
    vec![multiply(site, &product, 1, enlarging(input, channels_out), bindings)]
}

/// [`Op::ConvTranspose2x2GradWeight`](fovea_graph::Op::ConvTranspose2x2GradWeight).
pub fn transpose_grad_weight(site: &mut Site<'_>) -> Vec<Launch> {
    let (input, channels_out) = (site.inputs[0].nchw(), site.inputs[1].nchw()[1]);
    let [images, channels_in, height, width] = input;
    let product = Product {
        op: "conv_transpose2x2_grad_weight".to_owned(),
        window: [2, 2, 0],
        plane: [height, width],
        rows: channels_in,
        columns: 4 * channels_out,
        depth: images * height * width,
    };
    let [splits, depth] = product.splits();
    let params = enlarging(input, channels_out).count("depth", depth);
    let (partial, second) = split_sum(site, &product, splits);
    let bindings = vec![site.inputs[0].place, site.inputs[1].place, partial];
    let first = multiply(site, &product, splits, params, bindings);
    [first].into_iter().chain(second).collect()
}

/// The dispatch of one product, with the tile that was measured or guessed for it.
fn multiply(
    site: &Site<'_>,
    product: &Product,
    splits: usize,
    params: Words,
    bindings: Vec<Place>,
) -> Launch {
    let tile = site.tuning.tile(product);
    let shader = shader::product(&product.op, tile.edge());
    let [rows, columns] = tile.extents();
    let [x, y, _] = flat_groups(product.columns.div_ceil(columns));
    let z = product.rows.div_ceil(rows) * splits;
    assert!(z <= GROUPS_MAX, "{z} row tiles and splits do not fit one dispatch");
    let (groups, product) = ([x, y, z as u32], Some(product.clone()));
    let launch = Launch { shader, constants: Vec::new(), params, bindings, groups, product };
    launch.with(&tile.constants())
}

/// Where the partial sums go, and the launch that adds them up: none where one split writes the result itself.
fn split_sum(site: &mut Site<'_>, product: &Product, splits: usize) -> (Place, Option<Launch>) {
    let out = site.out();
    if splits == 1 {
        return (out.place, None);
    }
    let partial = site.scratch.take(splits * product.rows * product.columns);
    let params = Words::new().count("count", out.count()).count("splits", splits);
    (partial, Some(Launch::flat("sum_splits", out.count(), params, vec![partial, out.place])))
}

fn enlarging([images, channels_in, height, width]: [usize; 4], channels_out: usize) -> Words {
    Words::new()
        .count("images", images)
        .count("channels_in", channels_in)
        .count("height", height)
        .count("width", width)
        .count("channels_out", channels_out)
}

/// The extents of a convolution of one or two images, as its forward pass and its weight gradient begin their numbers.
fn patches(site: &Site<'_>, parts: usize, [channels_out, height_out, width_out]: [usize; 3]) -> Words {
    let ([images, _, height, width], channels) = (site.inputs[0].nchw(), channels(site, parts));
    Words::new()
        .count("images", images)
        .count("channels_a", channels[0])
        .count("channels_b", channels[1])
        .count("height", height)
        .count("width", width)
        .count("channels_out", channels_out)
        .count("height_out", height_out)
        .count("width_out", width_out)
}

/// Channels of the one or two images of a convolution.
fn channels(site: &Site<'_>, parts: usize) -> [usize; 2] {
    [site.inputs[0].nchw()[1], if parts == 2 { site.inputs[1].nchw()[1] } else { 0 }]
}

/// Where they lie.
fn images_of(site: &Site<'_>, parts: usize) -> [Place; 2] {
    [site.inputs[0].place, if parts == 2 { site.inputs[1].place } else { site.layout.absent(0) }]
}

fn numbers(window: Window) -> [usize; 3] {
    [window.kernel, window.stride, window.padding]
}

fn constants(window: Window) -> [(&'static str, f64); 3] {
    let [kernel, stride, padding] = numbers(window).map(|number| number as f64);
    [("KERNEL", kernel), ("STRIDE", stride), ("PADDING", padding)]
}
