// Computes: Op::Conv2dGradWeight and Op::Conv2dPairGradWeight as a product of the output gradient (Cout, K) and the image patches
//   (K, Cin KERNEL^2), with K = all output pixels of all images, cut into splits of params.depth pixels: one partial sum per split, which
//   sum_splits.wgsl adds up.
// Bindings: 1 a (N, Ca, H, W); 2 b (N, Cb, H, W), absent for Conv2dGradWeight; 3 dy (N, Cout, Ho, Wo); 4 partial (splits, Cout,
//   (Ca + Cb) KERNEL^2).
// Owns: as parts/product*.wgsl.
// Order: image, output row, output column, within each split.

struct Params {
    images: u32,
    channels_a: u32,
    channels_b: u32,
    height: u32,
    width: u32,
    channels_out: u32,
    height_out: u32,
    width_out: u32,
    depth: u32,
}

override KERNEL: u32 = 3u;
override STRIDE: u32 = 1u;
override PADDING: u32 = 1u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> a: array<f32>;
@group(0) @binding(2) var<storage, read_write> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> dy: array<f32>;
@group(0) @binding(4) var<storage, read_write> partial: array<f32>;

var<private> row0: u32;
var<private> column0: u32;

fn product_rows() -> u32 {
    return params.channels_out;
}

fn product_columns() -> u32 {
    return (params.channels_a + params.channels_b) * KERNEL * KERNEL;
}

fn depth_range(split: u32) -> vec2<u32> {
    let all = params.images * params.height_out * params.width_out;
    return vec2<u32>(split * params.depth, min((split + 1u) * params.depth, all));
}

fn begin(lane: u32, first_row: u32, first_column: u32) {
    row0 = first_row;
    column0 = first_column;
}

// The input under one tap of the output pixel whose window starts at (top, left).
fn patch_at(column: u32, image: u32, top: i32, left: i32) -> f32 {
    let channel = column / (KERNEL * KERNEL);
    let tap = column % (KERNEL * KERNEL);
    let i = top + i32(tap / KERNEL);
    let j = left + i32(tap % KERNEL);
    if column >= product_columns() || i < 0 || i >= i32(params.height) || j < 0 || j >= i32(params.width) {
        return 0.0;
    }
    let pixel = u32(i) * params.width + u32(j);
    let plane = params.height * params.width;
    if channel < params.channels_a {
        return a[(image * params.channels_a + channel) * plane + pixel];
    }
    return b[(image * params.channels_b + channel - params.channels_a) * plane + pixel];
}

// One depth for each invocation, so that its pixel is found once.
fn stage(lane: u32, depth: u32, end: u32) {
    let d = lane % DEPTH;
    let exists = depth + d < end;
    let pixels = params.height_out * params.width_out;
    let image = (depth + d) / pixels;
    let pixel = (depth + d) % pixels;
    let top = i32((pixel / params.width_out) * STRIDE) - i32(PADDING);
    let left = i32((pixel % params.width_out) * STRIDE) - i32(PADDING);
    for (var row = lane / DEPTH; row < TILE_ROWS; row += INVOCATIONS / DEPTH) {
        var value = 0.0;
        if exists && row0 + row < params.channels_out {
            value = dy[(image * params.channels_out + row0 + row) * pixels + pixel];
        }
        put_a(d, row, value);
    }
    for (var column = lane / DEPTH; column < TILE_COLUMNS; column += INVOCATIONS / DEPTH) {
        var value = 0.0;
        if exists {
            value = patch_at(column0 + column, image, top, left);
        }
        put_b(d, column, value);
    }
}

fn address(column: u32) -> u32 {
    return select(OUTSIDE, column, column < product_columns());
}

fn put(split: u32, row: u32, at: u32, value: f32) {
    partial[(split * params.channels_out + row) * product_columns() + at] = value;
}
