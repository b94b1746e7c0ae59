// Computes: Op::AverageUpdate, average += (1 - decay) (w - average); nothing while guard is set.
// Bindings: 1 average, 2 w, both of params.count floats; 3 hyper (4), the decay last; 4 guard, one word.
// Owns: each invocation one element of average.
// Order: the difference, the product, the sum.

struct Params {
    count: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> average: array<f32>;
@group(0) @binding(2) var<storage, read_write> w: array<f32>;
@group(0) @binding(3) var<storage, read_write> hyper: array<f32>;
@group(0) @binding(4) var<storage, read_write> guard: array<u32>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = linear(group, groups, lane);
    if i < params.count && guard[0] == 0u {
        average[i] += (1.0 - hyper[3]) * (w[i] - average[i]);
    }
}
