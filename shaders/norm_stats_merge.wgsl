// Computes: second pass of Op::NormStats, mean and biased variance of what the moments of pieces cover together.
// Bindings: 1 moments (statistics, parts, 2), means and sums of squared deviations, part k being piece k % chunks of a run
//   of params.pixels elements; 2 stats (statistics, 2).
// Owns: each workgroup one statistic.
// Order: each invocation every 256th part in order, then a tree over invocations, always by Chan et al., "Updating
//   formulae" (1979), eq. 2.1.

struct Params {
    statistics: u32,
    parts: u32,
    pixels: u32,
    chunks: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> moments: array<f32>;
@group(0) @binding(2) var<storage, read_write> stats: array<f32>;

// Number of elements, mean, sum of squared deviations from it.
var<workgroup> merging: array<vec3<f32>, 256>;

// The moments of two disjoint sets together; either may be empty.
fn merged(a: vec3<f32>, b: vec3<f32>) -> vec3<f32> {
    if b.x == 0.0 {
        return a;
    }
    if a.x == 0.0 {
        return b;
    }
    let count = a.x + b.x;
    let delta = b.y - a.y;
    return vec3<f32>(count, a.y + delta * (b.x / count), a.z + b.z + delta * delta * (a.x * (b.x / count)));
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let statistic = group_index(group, groups);
    if statistic >= params.statistics {
        return;
    }
    var own = vec3<f32>(0.0);
    for (var k = lane; k < params.parts; k += INVOCATIONS) {
        let before = k % params.chunks * CHUNK;
        let count = f32(min(CHUNK, params.pixels - before));
        let at = 2u * (statistic * params.parts + k);
        own = merged(own, vec3<f32>(count, moments[at], moments[at + 1u]));
    }
    merging[lane] = own;
    workgroupBarrier();
    for (var half = 128u; half > 0u; half = half / 2u) {
        if lane < half {
            merging[lane] = merged(merging[lane], merging[lane + half]);
        }
        workgroupBarrier();
    }
    if lane == 0u {
        stats[2u * statistic] = merging[0].y;
        stats[2u * statistic + 1u] = merging[0].z / merging[0].x;
    }
}
