// Computes: first pass of Op::NormaliseGradInput, the means of dxh and of dxh xh over what each statistic covers.
// Bindings: 1 gamma (channels), 2 sums (images, channels, 2), sums over pixels of dz and dz xh; 3 means (rows, groups, 2).
// Owns: each workgroup one pair of means.
// Order: each invocation every 256th plane of the statistic in order (images, then channels), then a tree over invocations.

struct Params {
    images: u32,
    channels: u32,
    rows: u32,
    groups: u32,
    elements: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> gamma: array<f32>;
@group(0) @binding(2) var<storage, read_write> sums: array<f32>;
@group(0) @binding(3) var<storage, read_write> means: array<f32>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let statistic = group_index(group, groups);
    if statistic >= params.rows * params.groups {
        return;
    }
    let width = params.channels / params.groups;
    let first_image = statistic / params.groups;
    let first_channel = statistic % params.groups * width;
    var own = vec2<f32>(0.0);
    // With one row per image a statistic covers one image, with one row it covers all: images / rows.
    for (var k = lane; k < params.images / params.rows * width; k += INVOCATIONS) {
        let channel = first_channel + k % width;
        let plane = (first_image + k / width) * params.channels + channel;
        own += gamma[channel] * vec2<f32>(sums[2u * plane], sums[2u * plane + 1u]);
    }
    let total = sums_over_group(lane, vec4<f32>(own, 0.0, 0.0));
    if lane == 0u {
        means[2u * statistic] = total.x / params.elements;
        means[2u * statistic + 1u] = total.y / params.elements;
    }
}
