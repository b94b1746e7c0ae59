// Computes: Op::ConvTranspose2x2 as a product of the weights, read as (4 Cout, Cin), and the input (Cin, pixels); then the bias. Row
//   4 o + 2 i + j of the product is output channel o at corner (i, j) of each pixel's 2x2 square.
// Bindings: 1 x (N, Cin, H, W); 2 weight (Cin, Cout, 2, 2); 3 bias (Cout) where params.has_bias is 1; 4 y (N, Cout, 2H, 2W).
// Owns: as parts/product*.wgsl.
// Order: channel in; then the bias.

struct Params {
    images: u32,
    channels_in: u32,
    height: u32,
    width: u32,
    channels_out: u32,
    has_bias: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> weight: array<f32>;
@group(0) @binding(3) var<storage, read_write> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

var<private> exists: bool;
var<private> image: u32;
var<private> pixel: u32;
var<private> row0: u32;

fn product_rows() -> u32 {
    return 4u * params.channels_out;
}

fn depth_range(split: u32) -> vec2<u32> {
    return vec2<u32>(0u, params.channels_in);
}

fn begin(lane: u32, first_row: u32, first_column: u32) {
    let column = first_column + lane % TILE_COLUMNS;
    let pixels = params.height * params.width;
    image = column / pixels;
    pixel = column % pixels;
    exists = image < params.images;
    row0 = first_row;
}

fn stage(lane: u32, depth: u32, end: u32) {
    // Rows of the weights are neighbours in memory here, so invocations run along rows.
    for (var at = lane; at < DEPTH * TILE_ROWS; at += INVOCATIONS) {
        let d = at / TILE_ROWS;
        let row = row0 + at % TILE_ROWS;
        var value = 0.0;
        if row < product_rows() && depth + d < end {
            value = weight[(depth + d) * product_rows() + row];
        }
        put_a(d, at % TILE_ROWS, value);
    }
    let pixels = params.height * params.width;
    for (var line = lane / TILE_COLUMNS; line < DEPTH; line += INVOCATIONS / TILE_COLUMNS) {
        var value = 0.0;
        if exists && depth + line < end {
            value = x[(image * params.channels_in + depth + line) * pixels + pixel];
        }
        put_b(line, lane % TILE_COLUMNS, value);
    }
}

fn address(column: u32) -> u32 {
    let pixels = params.height * params.width;
    let n = column / pixels;
    if n >= params.images {
        return OUTSIDE;
    }
    let p = column % pixels;
    return n * product_rows() * pixels + 4u * (p / params.width) * params.width + 2u * (p % params.width);
}

fn put(split: u32, row: u32, at: u32, value: f32) {
    let channel = row / 4u;
    var sum = value;
    if params.has_bias == 1u {
        sum += bias[channel];
    }
    let corner = ((row / 2u) % 2u) * 2u * params.width + row % 2u;
    y[at + 4u * channel * params.height * params.width + corner] = sum;
}
