// Computes: first pass of Op::SumChannels, the sum of each piece of each plane; also the sum of a field's pieces.
// Bindings: 1 x (planes, pixels), plane = image * channels + channel; 2 parts (channels, images, chunks).
// Owns: each workgroup one element of parts.
// Order: each invocation every 256th element of its piece in order, then a tree over invocations.

struct Params {
    planes: u32,
    channels: u32,
    pixels: u32,
    chunks: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> parts: array<f32>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let item = group_index(group, groups);
    if item >= params.planes * params.chunks {
        return;
    }
    let own = piece(item, params.pixels, params.chunks);
    var sum = 0.0;
    for (var i = own.start + lane; i < own.end; i += INVOCATIONS) {
        sum += x[i];
    }
    let total = sum_over_group(lane, sum);
    if lane == 0u {
        let images = params.planes / params.channels;
        let image = own.plane / params.channels;
        let channel = own.plane % params.channels;
        parts[(channel * images + image) * params.chunks + own.chunk] = total;
    }
}
