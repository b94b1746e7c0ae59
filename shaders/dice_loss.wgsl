// Computes: Op::DiceLoss, the mean over images (or of the pooled sums) of 1 - (2 I + smoothing) / (P + T + smoothing), in the form
//   (P + T - 2 I) / (P + T + smoothing), which does not cancel when the masks agree.
// Bindings: 1 sums (images, 3), I, P and T; 2 loss, one float.
// Owns: one invocation does it all.
// Order: images in order.

struct Params {
    images: u32,
    smoothing: f32,
    pooled: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> sums: array<f32>;
@group(0) @binding(2) var<storage, read_write> loss: array<f32>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    if linear(group, groups, lane) == 0u {
        var mean = 0.0;
        var pool = vec2<f32>(0.0);
        for (var image = 0u; image < params.images; image++) {
            let row = 3u * image;
            let areas = sums[row + 1u] + sums[row + 2u];
            let apart = areas - 2.0 * sums[row];
            mean += apart / (areas + params.smoothing);
            pool += vec2<f32>(apart, areas);
        }
        loss[0] = select(mean / f32(params.images), pool.x / (pool.y + params.smoothing), params.pooled == 1u);
    }
}
