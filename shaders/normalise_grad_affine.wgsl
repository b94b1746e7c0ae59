// Computes: Op::NormaliseGradAffine, dgamma (which = 1) or dbeta (which = 0): sums over images.
// Bindings: 1 sums (images, channels, 2), 2 y (channels).
// Owns: each invocation one element of y.
// Order: images in order.

struct Params {
    channels: u32,
    images: u32,
    which: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> sums: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let channel = linear(group, groups, lane);
    if channel < params.channels {
        var sum = 0.0;
        for (var image = 0u; image < params.images; image++) {
            sum += sums[2u * (image * params.channels + channel) + params.which];
        }
        y[channel] = sum;
    }
}
