// Computes: last pass of Op::BceLossGrad, dx = dloss f (p - t) / sum f, p = sigmoid(logits); 0 for an empty field.
// Bindings: 1 logits, 2 t (target), 3 f (field), 4 dloss, one float, 5 dx; 6 pixels, the sum of f, one float. All others have
//   params.count floats.
// Owns: each invocation one element of dx.
// Order: no sums.

struct Params {
    count: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> logits: array<f32>;
@group(0) @binding(2) var<storage, read_write> t: array<f32>;
@group(0) @binding(3) var<storage, read_write> f: array<f32>;
@group(0) @binding(4) var<storage, read_write> dloss: array<f32>;
@group(0) @binding(5) var<storage, read_write> dx: array<f32>;
@group(0) @binding(6) var<storage, read_write> pixels: array<f32>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = linear(group, groups, lane);
    if i < params.count {
        let factor = select(dloss[0] / pixels[0], 0.0, pixels[0] == 0.0);
        dx[i] = factor * f[i] * (sigmoid(logits[i]) - t[i]);
    }
}
