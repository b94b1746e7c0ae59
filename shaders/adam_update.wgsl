// Computes: Op::AdamUpdate, Adam (decay added to g) or, if decoupled, AdamW (decay first, on w); nothing while guard is set.
// Bindings: 1 w, 2 g, 3 m, 4 v, all of params.count floats; 5 hyper (4), learning rate, 1 - beta1^t, 1 - beta2^t; 6 guard,
//   one word.
// Owns: each invocation one element of w, m and v.
// Order: as written.

struct Params {
    count: u32,
    beta1: f32,
    beta2: f32,
    epsilon: f32,
    weight_decay: f32,
    decoupled: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> w: array<f32>;
@group(0) @binding(2) var<storage, read_write> g: array<f32>;
@group(0) @binding(3) var<storage, read_write> m: array<f32>;
@group(0) @binding(4) var<storage, read_write> v: array<f32>;
@group(0) @binding(5) var<storage, read_write> hyper: array<f32>;
@group(0) @binding(6) var<storage, read_write> guard: array<u32>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = linear(group, groups, lane);
    if i < params.count && guard[0] == 0u {
        let rate = hyper[0];
        var weight = w[i];
        var gradient = g[i];
        if params.decoupled == 1u {
            weight -= rate * params.weight_decay * weight;
        } else {
            gradient += params.weight_decay * weight;
        }
        let first = params.beta1 * m[i] + (1.0 - params.beta1) * gradient;
        let second = params.beta2 * v[i] + (1.0 - params.beta2) * gradient * gradient;
        m[i] = first;
        v[i] = second;
        w[i] = weight - rate * (first / hyper[1]) / (sqrt(second / hyper[2]) + params.epsilon);
    }
}
