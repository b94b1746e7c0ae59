// Computes: Op::NormaliseGradSums, the sums of dz and of dz xh over each piece of each plane.
// Bindings: 1 x (planes, pixels), plane = image * channels + channel; 2 stats (rows, groups, 2), mean and variance;
//   3 gamma (channels), 4 beta (channels), 5 dy like x, 6 parts (planes, 2, chunks).
// Owns: each workgroup two elements of parts.
// Order: each invocation every 256th element of its piece in order, then a tree over invocations.

struct Params {
    planes: u32,
    channels: u32,
    pixels: u32,
    chunks: u32,
    rows: u32,
    groups: u32,
    epsilon: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> stats: array<f32>;
@group(0) @binding(3) var<storage, read_write> gamma: array<f32>;
@group(0) @binding(4) var<storage, read_write> beta: array<f32>;
@group(0) @binding(5) var<storage, read_write> dy: array<f32>;
@group(0) @binding(6) var<storage, read_write> parts: array<f32>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let item = group_index(group, groups);
    if item >= params.planes * params.chunks {
        return;
    }
    let own = piece(item, params.pixels, params.chunks);
    let a = affines(own.plane);
    var sums = vec2<f32>(0.0);
    for (var i = own.start + lane; i < own.end; i += INVOCATIONS) {
        let d = x[i] - a.mean;
        let dz = dy[i] * slope_of(a.scale * d + a.shift);
        sums += vec2<f32>(dz, dz * (d * a.rstd));
    }
    let total = sums_over_group(lane, vec4<f32>(sums, 0.0, 0.0));
    if lane == 0u {
        let at = 2u * own.plane * params.chunks + own.chunk;
        parts[at] = total.x;
        parts[at + params.chunks] = total.y;
    }
}
