// Computes: part; sums over the 256 invocations of a workgroup.
// Bindings: none; 1 KiB of workgroup memory.
// Owns: each invocation one word of the memory; all of them get the sum.
// Order: a binary tree over the invocations' indices, the same in every run.

var<workgroup> reduced: array<f32, 256>;

// The sum of every invocation's `value`, returned to all of them. All invocations must call it.
fn sum_over_group(lane: u32, value: f32) -> f32 {
    reduced[lane] = value;
    workgroupBarrier();
    for (var half = 128u; half > 0u; half = half / 2u) {
        if lane < half {
            reduced[lane] = reduced[lane] + reduced[lane + half];
        }
        workgroupBarrier();
    }
    let total = reduced[0];
    // Nobody may begin the next sum before everybody has read this one.
    workgroupBarrier();
    return total;
}
