// Computes: part; where an invocation is in a grid whose y axis continues its x axis.
// Bindings: none.
// Owns: nothing; every workgroup has 256 invocations.
// Order: no sums.

const INVOCATIONS = 256u;

// The flat index of a workgroup.
fn group_index(group: vec3<u32>, groups: vec3<u32>) -> u32 {
    return group.y * groups.x + group.x;
}

// The flat index of an invocation; may lie past the end of the range, which the caller checks.
fn linear(group: vec3<u32>, groups: vec3<u32>, lane: u32) -> u32 {
    return group_index(group, groups) * INVOCATIONS + lane;
}
