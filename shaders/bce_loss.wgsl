// Computes: first pass of Op::BceLoss, the sums over each piece of f (max(x, 0) - x t + ln(1 + exp(-|x|))) and of f.
// Bindings: 1 logits, 2 t (target), 3 f (field), all of params.count floats; 4 parts (2, chunks).
// Owns: each workgroup two elements of parts.
// Order: each invocation every 256th pixel of its piece in order, then a tree over invocations.

struct Params {
    count: u32,
    chunks: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> logits: array<f32>;
@group(0) @binding(2) var<storage, read_write> t: array<f32>;
@group(0) @binding(3) var<storage, read_write> f: array<f32>;
@group(0) @binding(4) var<storage, read_write> parts: array<f32>;

// ln(1 + u) for u in [0, 1]: 2 atanh(s) with s = u / (2 + u) <= 1/3, its series to s^13 (remainder 1e-8). The built-in
// logarithm may be off by 2^-21 near 1.
fn ln_1p(u: f32) -> f32 {
    let s = u / (2.0 + u);
    let q = s * s;
    let far = q * (1.0 / 9.0 + q * (1.0 / 11.0 + q * (1.0 / 13.0)));
    return 2.0 * s * (1.0 + q * (1.0 / 3.0 + q * (1.0 / 5.0 + q * (1.0 / 7.0 + far))));
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let item = group_index(group, groups);
    if item >= params.chunks {
        return;
    }
    let own = piece(item, params.count, params.chunks);
    var sums = vec2<f32>(0.0);
    for (var i = own.start + lane; i < own.end; i += INVOCATIONS) {
        let x = logits[i];
        let above = select(x, 0.0, x <= 0.0);
        sums += f[i] * vec2<f32>(above - x * t[i] + ln_1p(exp(-abs(x))), 1.0);
    }
    let total = sums_over_group(lane, vec4<f32>(sums, 0.0, 0.0));
    if lane == 0u {
        parts[own.chunk] = total.x;
        parts[params.chunks + own.chunk] = total.y;
    }
}
