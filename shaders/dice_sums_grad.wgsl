// Computes: Op::DiceSumsGrad, dx = f (dI t + dP) p (1 - p), p = sigmoid(logits).
// Bindings: 1 logits, 2 t (target), 3 f (field), all (images, pixels); 4 dsums (images, 3), 5 dx like logits.
// Owns: each invocation one element of dx.
// Order: one sum of two terms.

struct Params {
    count: u32,
    pixels: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> logits: array<f32>;
@group(0) @binding(2) var<storage, read_write> t: array<f32>;
@group(0) @binding(3) var<storage, read_write> f: array<f32>;
@group(0) @binding(4) var<storage, read_write> dsums: array<f32>;
@group(0) @binding(5) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = linear(group, groups, lane);
    if i < params.count {
        let image = 3u * (i / params.pixels);
        dx[i] = f[i] * (dsums[image] * t[i] + dsums[image + 1u]) * sigmoid_slope(logits[i]);
    }
}
