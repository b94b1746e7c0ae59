// Computes: Op::ConvTranspose2x2GradInput as a product of the weights (Cin, 4 Cout) and the output gradient, read as (4 Cout, pixels): a
//   depth is an output channel and a corner of each pixel's 2x2 square.
// Bindings: 1 weight (Cin, Cout, 2, 2); 2 dy (N, Cout, 2H, 2W); 3 dx (N, Cin, H, W).
// Owns: as parts/product*.wgsl.
// Order: channel out, row in the square, column in the square.

struct Params {
    images: u32,
    channels_in: u32,
    height: u32,
    width: u32,
    channels_out: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> weight: array<f32>;
@group(0) @binding(2) var<storage, read_write> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

// Of the column that this invocation stages: whether it exists, and its square's first element in channel 0.
var<private> exists: bool;
var<private> square: u32;
var<private> row0: u32;

fn product_rows() -> u32 {
    return params.channels_in;
}

fn depth_range(split: u32) -> vec2<u32> {
    return vec2<u32>(0u, 4u * params.channels_out);
}

fn begin(lane: u32, first_row: u32, first_column: u32) {
    let column = first_column + lane % TILE_COLUMNS;
    let pixels = params.height * params.width;
    let image = column / pixels;
    let pixel = column % pixels;
    exists = image < params.images;
    square = image * params.channels_out * 4u * pixels
        + 4u * (pixel / params.width) * params.width + 2u * (pixel % params.width);
    row0 = first_row;
}

fn stage(lane: u32, depth: u32, end: u32) {
    let d = lane % DEPTH;
    for (var row = lane / DEPTH; row < TILE_ROWS; row += INVOCATIONS / DEPTH) {
        var value = 0.0;
        if row0 + row < params.channels_in && depth + d < end {
            value = weight[(row0 + row) * end + depth + d];
        }
        put_a(d, row, value);
    }
    let pixels = params.height * params.width;
    for (var line = lane / TILE_COLUMNS; line < DEPTH; line += INVOCATIONS / TILE_COLUMNS) {
        let k = depth + line;
        var value = 0.0;
        if exists && k < end {
            value = dy[square + (k / 4u) * 4u * pixels + ((k / 2u) % 2u) * 2u * params.width + k % 2u];
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
    return n * params.channels_in * pixels + column % pixels;
}

fn put(split: u32, row: u32, at: u32, value: f32) {
    dx[at + row * params.height * params.width] = value;
}
