// Computes: second pass of Op::NormaliseGradInput, dx = (dxh - mean(dxh) - xh mean(dxh xh)) / sqrt(var + epsilon) with
//   dxh = gamma dz.
// Bindings: 1 x (planes, pixels), plane = image * channels + channel; 2 stats (rows, groups, 2), mean and variance;
//   3 gamma (channels), 4 beta (channels), 5 dy like x, 6 dx like x, 7 means (rows, groups, 2).
// Owns: each workgroup one piece of one plane of dx.
// Order: one sum of three terms.

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
@group(0) @binding(6) var<storage, read_write> dx: array<f32>;
@group(0) @binding(7) var<storage, read_write> means: array<f32>;

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
    let level = a.rstd * means[2u * a.statistic];
    let tilt = a.rstd * a.rstd * means[2u * a.statistic + 1u];
    for (var i = own.start + lane; i < own.end; i += INVOCATIONS) {
        let d = x[i] - a.mean;
        let dz = dy[i] * slope_of(a.scale * d + a.shift);
        dx[i] = a.scale * dz - level - tilt * d;
    }
}
