// Computes: Op::Dropout, y = factor x where the element's random number is at least p, else 0.
// Bindings: 1 x, 2 y, both of params.count floats; 3 step, the random key (two words) and the step's index.
// Owns: each invocation four neighbouring elements of y: the words of one random block.
// Order: no sums.

struct Params {
    count: u32,
    p: f32,
    factor: f32,
    stream: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<storage, read_write> step: array<u32>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let block = linear(group, groups, lane);
    if block < (params.count + 3u) / 4u {
        let words = philox4x32(vec4<u32>(block, 0u, step[2], params.stream), vec2<u32>(step[0], step[1]));
        let end = min(4u * block + 4u, params.count);
        for (var i = 4u * block; i < end; i++) {
            // 24 bits, exactly.
            let drawn = f32(words[i % 4u] >> 8u) * (1.0 / 16777216.0);
            y[i] = select(0.0, params.factor * x[i], drawn >= params.p);
        }
    }
}
