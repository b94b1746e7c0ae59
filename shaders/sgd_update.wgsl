// Computes: Op::SgdUpdate, v = momentum v + (g + decay w), w -= lr v; nothing while guard is set.
// Bindings: 1 w, 2 g, 3 v (velocity), all of params.count floats; 4 hyper (4), the learning rate first; 5 guard, one word.
// Owns: each invocation one element of w and v.
// Order: as written.

struct Params {
    count: u32,
    momentum: f32,
    weight_decay: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> w: array<f32>;
@group(0) @binding(2) var<storage, read_write> g: array<f32>;
@group(0) @binding(3) var<storage, read_write> v: array<f32>;
@group(0) @binding(4) var<storage, read_write> hyper: array<f32>;
@group(0) @binding(5) var<storage, read_write> guard: array<u32>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = linear(group, groups, lane);
    if i < params.count && guard[0] == 0u {
        let velocity = params.momentum * v[i] + (g[i] + params.weight_decay * w[i]);
        v[i] = velocity;
        w[i] -= hyper[0] * velocity;
    }
}
