// Computes: Op::UpsampleGrad, the adjoint of enlarging planes by an integer factor.
// Bindings: 1 dy (planes, f height, f width), 2 dx (planes, height, width) of params.count floats.
// Owns: each invocation one element of dx; it looks at every enlarged pixel that could mix it in.
// Order: columns of each row, then rows.

struct Params {
    count: u32,
    height: u32,
    width: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;

// No enlarged pixel of an axis before this one mixes in pixel `p`: their sources are at most p - 1.
fn first_pixel(p: u32) -> u32 {
    if MODE == 0u {
        return FACTOR * p;
    }
    let before = max(p, 1u) - 1u;
    if MODE == 1u {
        // i > (p-1) (fH-1) / (H-1) = f (p-1) + (p-1) (f-1) / (H-1), and the last quotient is at most f-1.
        return FACTOR * before;
    }
    // i >= f (p-1) + (f-1) / 2.
    return select(FACTOR * before + (FACTOR - 1u) / 2u, 0u, p == 0u);
}

// Nor does this one or any behind it, of `extent` pixels enlarged: their sources are at least p + 1.
fn end_of_pixels(p: u32, extent: u32) -> u32 {
    if MODE == 0u {
        return FACTOR * (p + 1u);
    }
    if MODE == 1u {
        return min(FACTOR * (p + 2u), FACTOR * extent);
    }
    return min(FACTOR * (p + 1u) + FACTOR / 2u, FACTOR * extent);
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = linear(group, groups, lane);
    if i < params.count {
        let column = i % params.width;
        let row = (i / params.width) % params.height;
        let plane = i / params.width / params.height * params.height * FACTOR;
        let end_row = end_of_pixels(row, params.height);
        let end_column = end_of_pixels(column, params.width);
        var sum = 0.0;
        for (var p = first_pixel(row); p < end_row; p++) {
            let at = (plane + p) * params.width * FACTOR;
            var mixed = 0.0;
            for (var q = first_pixel(column); q < end_column; q++) {
                mixed += weight(tap(q, params.width), column) * dy[at + q];
            }
            sum += weight(tap(p, params.height), row) * mixed;
        }
        dx[i] = sum;
    }
}
