// Computes: part; up to four sums at once over the 256 invocations of a workgroup.
// Bindings: none; 4 KiB of workgroup memory.
// Owns: each invocation four words of the memory; all of them get the sums.
// Order: a binary tree over the invocations' indices, the same in every run.

var<workgroup> reduced: array<vec4<f32>, 256>;

// The sums of every invocation's `values`, returned to all of them. All invocations must call it.
fn sums_over_group(lane: u32, values: vec4<f32>) -> vec4<f32> {
    reduced[lane] = values;
    workgroupBarrier();
    for (var half = 128u; half > 0u; half = half / 2u) {
        if lane < half {
            reduced[lane] = reduced[lane] + reduced[lane + half];
        }
        workgroupBarrier();
    }
    let total = reduced[0];
    // Nobody may begin the next sums before everybody has read these.
    workgroupBarrier();
    return total;
}

// One sum.
fn sum_over_group(lane: u32, value: f32) -> f32 {
    return sums_over_group(lane, vec4<f32>(value, 0.0, 0.0, 0.0)).x;
}
