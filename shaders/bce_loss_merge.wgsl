// Computes: second pass of Op::BceLoss, the quotient of the sums over both rows of parts; 0 for an empty field.
// Bindings: 1 parts (2, chunks), 2 loss, one float.
// Owns: one workgroup does it all.
// Order: each invocation every 256th piece in order, then a tree over invocations.

struct Params {
    chunks: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> parts: array<f32>;
@group(0) @binding(2) var<storage, read_write> loss: array<f32>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    if group_index(group, groups) > 0u {
        return;
    }
    var sums = vec2<f32>(0.0);
    for (var k = lane; k < params.chunks; k += INVOCATIONS) {
        sums += vec2<f32>(parts[k], parts[params.chunks + k]);
    }
    let total = sums_over_group(lane, vec4<f32>(sums, 0.0, 0.0));
    if lane == 0u {
        loss[0] = select(total.x / total.y, 0.0, total.y == 0.0);
    }
}
