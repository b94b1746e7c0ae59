// Computes: nothing of use: params.rounds rounds of 32 multiply-adds on values that stay in registers, for the device's ceiling.
// Bindings: 1 y (count).
// Owns: each invocation one element of y.
// Order: eight independent chains of vec4, added up at the end so that none can be left out.

struct Params {
    count: u32,
    rounds: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = linear(group, groups, lane);
    if i >= params.count {
        return;
    }
    let f = vec4<f32>(0.999 + 1e-6 * f32(lane));
    let s = vec4<f32>(1e-3, 2e-3, 3e-3, 4e-3);
    var a = s + 0.1;
    var b = s + 0.2;
    var c = s + 0.3;
    var d = s + 0.4;
    var e = s + 0.5;
    var g = s + 0.6;
    var h = s + 0.7;
    var k = s + 0.8;
    for (var round = 0u; round < params.rounds; round++) {
        a = fma(a, f, s);
        b = fma(b, f, s);
        c = fma(c, f, s);
        d = fma(d, f, s);
        e = fma(e, f, s);
        g = fma(g, f, s);
        h = fma(h, f, s);
        k = fma(k, f, s);
    }
    let sum = (a + b) + (c + d) + (e + g) + (h + k);
    y[i] = sum.x + sum.y + sum.z + sum.w;
}
