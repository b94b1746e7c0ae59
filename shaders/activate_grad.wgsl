// Computes: Op::ActivateGrad, dx = dy f'.
// Bindings: 1 saved (f's output, for SiLU its input), 2 dy, 3 dx; all of params.count floats.
// Owns: each invocation one element of dx.
// Order: no sums.

struct Params {
    count: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> saved: array<f32>;
@group(0) @binding(2) var<storage, read_write> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = linear(group, groups, lane);
    if i < params.count {
        dx[i] = dy[i] * slope_at(saved[i]);
    }
}
