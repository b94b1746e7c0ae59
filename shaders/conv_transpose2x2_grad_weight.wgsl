// Computes: Op::ConvTranspose2x2GradWeight as a product of the input (Cin, K) and the output gradient, read as (K, 4 Cout), with K = all
//   input pixels of all images, cut into splits of params.depth pixels: one partial sum per split, which sum_splits.wgsl adds up.
// Bindings: 1 x (N, Cin, H, W); 2 dy (N, Cout, 2H, 2W); 3 partial (splits, Cin, 4 Cout).
// Owns: as parts/product*.wgsl.
// Order: image, row, column, within each split.

struct Params {
    images: u32,
    channels_in: u32,
    height: u32,
    width: u32,
    channels_out: u32,
    depth: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> partial: array<f32>;

var<private> row0: u32;
var<private> column0: u32;

fn product_rows() -> u32 {
    return params.channels_in;
}

fn depth_range(split: u32) -> vec2<u32> {
    let all = params.images * params.height * params.width;
    return vec2<u32>(split * params.depth, min((split + 1u) * params.depth, all));
}

fn begin(lane: u32, first_row: u32, first_column: u32) {
    row0 = first_row;
    column0 = first_column;
}

fn stage(lane: u32, depth: u32, end: u32) {
    let d = lane % DEPTH;
    let exists = depth + d < end;
    let pixels = params.height * params.width;
    let image = (depth + d) / pixels;
    let pixel = (depth + d) % pixels;
    for (var row = lane / DEPTH; row < TILE_ROWS; row += INVOCATIONS / DEPTH) {
        var value = 0.0;
        if exists && row0 + row < params.channels_in {
            value = x[(image * params.channels_in + row0 + row) * pixels + pixel];
        }
        put_a(d, row, value);
    }
    let square = image * params.channels_out * 4u * pixels
        + 4u * (pixel / params.width) * params.width + 2u * (pixel % params.width);
    for (var at = lane / DEPTH; at < TILE_COLUMNS; at += INVOCATIONS / DEPTH) {
        let column = column0 + at;
        var value = 0.0;
        if exists && column < 4u * params.channels_out {
            value = dy[square + (column / 4u) * 4u * pixels + ((column / 2u) % 2u) * 2u * params.width + column % 2u];
        }
        put_b(d, at, value);
    }
}

fn address(column: u32) -> u32 {
    return select(OUTSIDE, column, column < 4u * params.channels_out);
}

fn put(split: u32, row: u32, at: u32, value: f32) {
    partial[(split * params.channels_in + row) * 4u * params.channels_out + at] = value;
}
