// Computes: Op::SliceChannels, some neighbouring channels of each image.
// Bindings: 1 x (images, whole), 2 y (images, part) of params.count floats, which is x from `start` on in each image.
// Owns: each invocation one element of y.
// Order: no sums.

struct Params {
    count: u32,
    whole: u32,
    part: u32,
    start: u32,
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
        y[i] = x[i / params.part * params.whole + params.start + i % params.part];
    }
}
