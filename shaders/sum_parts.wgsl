// Computes: the last pass of long sums, y = the sum over each row of parts.
// Bindings: 1 parts (results, terms); 2 y (results).
// Owns: each workgroup one element of y.
// Order: each invocation every 256th term in order, then a tree over invocations.

struct Params {
    results: u32,
    terms: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> parts: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let result = group_index(group, groups);
    if result >= params.results {
        return;
    }
    var sum = 0.0;
    for (var k = lane; k < params.terms; k += INVOCATIONS) {
        sum += parts[result * params.terms + k];
    }
    let total = sum_over_group(lane, sum);
    if lane == 0u {
        y[result] = total;
    }
}
