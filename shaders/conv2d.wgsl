// Computes: Op::Conv2d and Op::Conv2dPair as a product of the weights (Cout, K) and the image patches (K, pixels), with K = Cin
//   KERNEL^2 in the order of the weights; patches are read where they lie. Then bias and activation.
// Bindings: 1 a (N, Ca, H, W); 2 b (N, Cb, H, W), absent for Conv2d; 3 weight (Cout, Ca + Cb, KERNEL, KERNEL); 4 bias (Cout) where
//   params.has_bias is 1; 5 y (N, Cout, Ho, Wo). A column of the product is one output pixel of one image.
// Owns: as parts/product*.wgsl.
// Order: channel in, kernel row, kernel column; then the bias.

struct Params {
    images: u32,
    channels_a: u32,
    channels_b: u32,
    height: u32,
    width: u32,
    channels_out: u32,
    height_out: u32,
    width_out: u32,
    has_bias: u32,
}

override KERNEL: u32 = 3u;
override STRIDE: u32 = 1u;
override PADDING: u32 = 1u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> a: array<f32>;
@group(0) @binding(2) var<storage, read_write> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> weight: array<f32>;
@group(0) @binding(4) var<storage, read_write> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

// Of the column that this invocation stages: whether it exists, its image, and its window's first row and column.
var<private> exists: bool;
var<private> image: u32;
var<private> top: i32;
var<private> left: i32;
var<private> row0: u32;

fn product_rows() -> u32 {
    return params.channels_out;
}

fn depths() -> u32 {
    return (params.channels_a + params.channels_b) * KERNEL * KERNEL;
}

fn depth_range(split: u32) -> vec2<u32> {
    return vec2<u32>(0u, depths());
}

fn begin(lane: u32, first_row: u32, first_column: u32) {
    let column = first_column + lane % TILE_COLUMNS;
    let pixels = params.height_out * params.width_out;
    let pixel = column % pixels;
    image = column / pixels;
    exists = image < params.images;
    top = i32((pixel / params.width_out) * STRIDE) - i32(PADDING);
    left = i32((pixel % params.width_out) * STRIDE) - i32(PADDING);
    row0 = first_row;
}

fn patch_at(depth: u32, end: u32) -> f32 {
    let channel = depth / (KERNEL * KERNEL);
    let tap = depth % (KERNEL * KERNEL);
    let row = top + i32(tap / KERNEL);
    let column = left + i32(tap % KERNEL);
    let inside = row >= 0 && row < i32(params.height) && column >= 0 && column < i32(params.width);
    if !(exists && inside && depth < end) {
        return 0.0;
    }
    let pixel = u32(row) * params.width + u32(column);
    let plane = params.height * params.width;
    if channel < params.channels_a {
        return a[(image * params.channels_a + channel) * plane + pixel];
    }
    return b[(image * params.channels_b + channel - params.channels_a) * plane + pixel];
}

fn weight_at(row: u32, depth: u32, end: u32) -> f32 {
    if row < params.channels_out && depth < end {
        return weight[row * depths() + depth];
    }
    return 0.0;
}

fn stage(lane: u32, depth: u32, end: u32) {
    let d = lane % DEPTH;
    for (var row = lane / DEPTH; row < TILE_ROWS; row += INVOCATIONS / DEPTH) {
        put_a(d, row, weight_at(row0 + row, depth + d, end));
    }
    for (var line = lane / TILE_COLUMNS; line < DEPTH; line += INVOCATIONS / TILE_COLUMNS) {
        put_b(line, lane % TILE_COLUMNS, patch_at(depth + line, end));
    }
}

fn address(column: u32) -> u32 {
    let pixels = params.height_out * params.width_out;
    let n = column / pixels;
    if n >= params.images {
        return OUTSIDE;
    }
    return n * params.channels_out * pixels + column % pixels;
}

fn put(split: u32, row: u32, at: u32, value: f32) {
    var sum = value;
    if params.has_bias == 1u {
        sum += bias[row];
    }
    y[at + row * params.height_out * params.width_out] = activate(sum);
}
