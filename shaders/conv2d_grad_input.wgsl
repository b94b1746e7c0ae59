// Computes: Op::Conv2dGradInput as a product of the weights, read as (count, K), and the output gradient's patches (K, pixels), with
//   K = Cout KERNEL^2: dx[c, p] = sum over o and taps of w[o, start + c, tap] dy[o, (p + PADDING - tap) / STRIDE], where that is whole.
// Bindings: 1 weight (Cout, Cin, KERNEL, KERNEL); 2 dy (N, Cout, Ho, Wo); 3 dx (N, count, H, W). A column of the product is one input
//   pixel of one image.
// Owns: as parts/product*.wgsl.
// Order: channel out, kernel row, kernel column.

struct Params {
    images: u32,
    channels_in: u32,
    start: u32,
    count: u32,
    height: u32,
    width: u32,
    channels_out: u32,
    height_out: u32,
    width_out: u32,
}

override KERNEL: u32 = 3u;
override STRIDE: u32 = 1u;
override PADDING: u32 = 1u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> weight: array<f32>;
@group(0) @binding(2) var<storage, read_write> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

// Of the column that this invocation stages: whether it exists, its image, and the output row and column of tap 0, times STRIDE.
var<private> exists: bool;
var<private> image: u32;
var<private> bottom: i32;
var<private> right: i32;
var<private> row0: u32;

fn product_rows() -> u32 {
    return params.count;
}

fn depth_range(split: u32) -> vec2<u32> {
    return vec2<u32>(0u, params.channels_out * KERNEL * KERNEL);
}

fn begin(lane: u32, first_row: u32, first_column: u32) {
    let column = first_column + lane % TILE_COLUMNS;
    let pixels = params.height * params.width;
    let pixel = column % pixels;
    image = column / pixels;
    exists = image < params.images;
    bottom = i32(pixel / params.width + PADDING);
    right = i32(pixel % params.width + PADDING);
    row0 = first_row;
}

fn gradient_at(depth: u32, end: u32) -> f32 {
    let channel = depth / (KERNEL * KERNEL);
    let tap = depth % (KERNEL * KERNEL);
    let row = bottom - i32(tap / KERNEL);
    let column = right - i32(tap % KERNEL);
    if !(exists && depth < end && row >= 0 && column >= 0) {
        return 0.0;
    }
    let i = u32(row) / STRIDE;
    let j = u32(column) / STRIDE;
    let whole = i * STRIDE == u32(row) && j * STRIDE == u32(column);
    if !(whole && i < params.height_out && j < params.width_out) {
        return 0.0;
    }
    let plane = params.height_out * params.width_out;
    return dy[(image * params.channels_out + channel) * plane + i * params.width_out + j];
}

fn weight_at(row: u32, depth: u32, end: u32) -> f32 {
    if row >= params.count || depth >= end {
        return 0.0;
    }
    let taps = KERNEL * KERNEL;
    return weight[((depth / taps) * params.channels_in + params.start + row) * taps + depth % taps];
}

fn stage(lane: u32, depth: u32, end: u32) {
    let d = lane % DEPTH;
    for (var row = lane / DEPTH; row < TILE_ROWS; row += INVOCATIONS / DEPTH) {
        put_a(d, row, weight_at(row0 + row, depth + d, end));
    }
    for (var line = lane / TILE_COLUMNS; line < DEPTH; line += INVOCATIONS / TILE_COLUMNS) {
        put_b(line, lane % TILE_COLUMNS, gradient_at(depth + line, end));
    }
}

fn address(column: u32) -> u32 {
    let pixels = params.height * params.width;
    let n = column / pixels;
    if n >= params.images {
        return OUTSIDE;
    }
    return n * params.count * pixels + column % pixels;
}

fn put(split: u32, row: u32, at: u32, value: f32) {
    dx[at + row * params.height * params.width] = value;
}
