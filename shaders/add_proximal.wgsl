// Computes: Op::AddProximal, y = g + factor (w - anchor).
// Bindings: 1 g, 2 w, 3 anchor, 4 y; all of params.count floats.
// Owns: each invocation one element of y.
// Order: the difference, the product, the sum.

struct Params {
    count: u32,
    factor: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> g: array<f32>;
@group(0) @binding(2) var<storage, read_write> w: array<f32>;
@group(0) @binding(3) var<storage, read_write> anchor: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = linear(group, groups, lane);
    if i < params.count {
        y[i] = g[i] + params.factor * (w[i] - anchor[i]);
    }
}
