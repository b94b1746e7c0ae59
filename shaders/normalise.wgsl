// Computes: Op::Normalise, y = f(gamma (x - mean) / sqrt(var + epsilon) + beta).
// Bindings: 1 x (planes, pixels), plane = image * channels + channel; 2 stats (rows, groups, 2), mean and variance;
//   3 gamma (channels), 4 beta (channels), 5 y like x.
// Owns: each workgroup one piece of one plane of y.
// Order: no sums.

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
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

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
    for (var i = own.start + lane; i < own.end; i += INVOCATIONS) {
        y[i] = activate(a.scale * (x[i] - a.mean) + a.shift);
    }
}
