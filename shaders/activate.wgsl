// Computes: Op::Activate, y = f(x).
// Bindings: 1 x, 2 y; both of params.count floats.
// Owns: each invocation one element of y.
// Order: no sums.

struct Params {
    count: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = linear(group, groups, lane);
    if i < params.count {
        y[i] = activate(x[i]);
    }
}
