// Computes: Op::Concat, the channels of a, then those of b, image by image.
// Bindings: 1 a (images, first), 2 b (images, second), 3 y (images, first + second) of params.count floats.
// Owns: each invocation one element of y.
// Order: no sums.

struct Params {
    count: u32,
    first: u32,
    second: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> a: array<f32>;
@group(0) @binding(2) var<storage, read_write> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = linear(group, groups, lane);
    if i < params.count {
        let image = i / (params.first + params.second);
        let within = i % (params.first + params.second);
        if within < params.first {
            y[i] = a[image * params.first + within];
        } else {
            y[i] = b[image * params.second + within - params.first];
        }
    }
}
