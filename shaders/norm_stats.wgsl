// Computes: first pass of Op::NormStats, mean and sum of squared deviations of each piece of each run. A run is what one
//   statistic covers in one image: a group's channels. If a statistic has one piece only, it is the result: mean and variance.
// Bindings: 1 x (images, groups, pixels), pixels those of all of a group's channels;
//   2 moments (rows, groups, parts, 2), rows = images and parts = chunks, or rows = 1 and parts = images * chunks.
// Owns: each workgroup one pair of moments.
// Order: each invocation every 256th element of its piece in order, then a tree over invocations; first the mean, then
//   deviations from it, whose own sum corrects both (Chan, Golub and LeVeque, 1983, eq. 1.7).

struct Params {
    images: u32,
    groups: u32,
    pixels: u32,
    chunks: u32,
    rows: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> moments: array<f32>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let item = group_index(group, groups);
    if item >= params.images * params.groups * params.chunks {
        return;
    }
    let own = piece(item, params.pixels, params.chunks);
    let count = f32(own.end - own.start);
    var sum = 0.0;
    for (var i = own.start + lane; i < own.end; i += INVOCATIONS) {
        sum += x[i];
    }
    let about = sum_over_group(lane, sum) / count;
    var deviations = vec2<f32>(0.0);
    for (var i = own.start + lane; i < own.end; i += INVOCATIONS) {
        let d = x[i] - about;
        deviations += vec2<f32>(d, d * d);
    }
    let total = sums_over_group(lane, vec4<f32>(deviations, 0.0, 0.0));
    if lane == 0u {
        let image = own.plane / params.groups;
        let in_batch = (own.plane % params.groups * params.images + image) * params.chunks + own.chunk;
        let at = select(item, in_batch, params.rows == 1u);
        let parts = select(params.chunks, params.images * params.chunks, params.rows == 1u);
        let rest = total.y - total.x * total.x / count;
        // Rounding may leave less than nothing; a NaN stays.
        let squares = select(rest, 0.0, rest < 0.0);
        moments[2u * at] = about + total.x / count;
        moments[2u * at + 1u] = select(squares, squares / count, parts == 1u);
    }
}
