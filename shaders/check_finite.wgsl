// Computes: whether a value holds a NaN or an infinity; then the guard becomes params.node + 1, unless it is set already.
// Bindings: 1 values, params.count floats; 2 guard, one word.
// Owns: each workgroup looks at one piece of values.
// Order: no sums. Whoever sets the guard in one dispatch sets it to the same number, so who comes first does not matter.

struct Params {
    count: u32,
    node: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> values: array<f32>;
@group(0) @binding(2) var<storage, read_write> guard: array<atomic<u32>>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let end = min((group_index(group, groups) + 1u) * CHUNK, params.count);
    var finite = true;
    for (var i = group_index(group, groups) * CHUNK + lane; i < end; i += INVOCATIONS) {
        finite = finite && is_finite(values[i]);
    }
    if !finite && atomicLoad(&guard[0]) == 0u {
        atomicStore(&guard[0], params.node + 1u);
    }
}
