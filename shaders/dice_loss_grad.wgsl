// Computes: Op::DiceLossGrad: with D = P + T + smoothing, dI = -2 / D and dP = dT = (2 I + smoothing) / D^2, times dloss over the
//   number of rows: the images, or one of the pooled sums.
// Bindings: 1 sums (images, 3), I, P and T; 2 dloss, one float; 3 dsums (images, 3).
// Owns: each invocation one row of dsums.
// Order: images in order, where they are pooled.

struct Params {
    images: u32,
    smoothing: f32,
    pooled: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> sums: array<f32>;
@group(0) @binding(2) var<storage, read_write> dloss: array<f32>;
@group(0) @binding(3) var<storage, read_write> dsums: array<f32>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let image = linear(group, groups, lane);
    if image < params.images {
        let pooled = params.pooled == 1u;
        let first = select(image, 0u, pooled);
        let end = select(image + 1u, params.images, pooled);
        var both = 0.0;
        var areas = 0.0;
        for (var k = first; k < end; k++) {
            both += sums[3u * k];
            areas += sums[3u * k + 1u] + sums[3u * k + 2u];
        }
        let d = areas + params.smoothing;
        let share = dloss[0] / f32(select(params.images, 1u, pooled));
        let outer = share * ((2.0 * both + params.smoothing) / d) / d;
        dsums[3u * image] = -2.0 * share / d;
        dsums[3u * image + 1u] = outer;
        dsums[3u * image + 2u] = outer;
    }
}
