// Computes: the second pass of a product that was cut along its depth: y = sum over splits of partial.
// Bindings: 1 partial (splits, count); 2 y (count).
// Owns: each invocation one element of y.
// Order: splits ascending.

struct Params {
    count: u32,
    splits: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> partial: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = linear(group, groups, lane);
    if i < params.count {
        var sum = 0.0;
        for (var split = 0u; split < params.splits; split++) {
            sum += partial[split * params.count + i];
        }
        y[i] = sum;
    }
}
