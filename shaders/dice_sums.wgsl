// Computes: Op::DiceSums, the sums of f p t, f p and f t over each piece of each image, p = sigmoid(logits).
// Bindings: 1 logits, 2 t (target), 3 f (field), all (images, pixels); 4 parts (images, 3, chunks).
// Owns: each workgroup three elements of parts.
// Order: each invocation every 256th pixel of its piece in order, then a tree over invocations.

struct Params {
    images: u32,
    pixels: u32,
    chunks: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> logits: array<f32>;
@group(0) @binding(2) var<storage, read_write> t: array<f32>;
@group(0) @binding(3) var<storage, read_write> f: array<f32>;
@group(0) @binding(4) var<storage, read_write> parts: array<f32>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let item = group_index(group, groups);
    if item >= params.images * params.chunks {
        return;
    }
    let own = piece(item, params.pixels, params.chunks);
    var sums = vec3<f32>(0.0);
    for (var i = own.start + lane; i < own.end; i += INVOCATIONS) {
        let p = f[i] * sigmoid(logits[i]);
        sums += vec3<f32>(p * t[i], p, f[i] * t[i]);
    }
    let total = sums_over_group(lane, vec4<f32>(sums, 0.0));
    if lane == 0u {
        let at = 3u * own.plane * params.chunks + own.chunk;
        parts[at] = total.x;
        parts[at + params.chunks] = total.y;
        parts[at + 2u * params.chunks] = total.z;
    }
}
