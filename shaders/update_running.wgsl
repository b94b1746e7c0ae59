// Computes: Op::UpdateRunning, running += momentum (stats - running), the variance made unbiased; nothing while guard is set.
// Bindings: 1 running, 2 stats, both (channels, 2), mean and variance; 3 guard, one word.
// Owns: each invocation one pair of running.
// Order: the difference, the product, the sum.

struct Params {
    channels: u32,
    momentum: f32,
    unbiased: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> running: array<f32>;
@group(0) @binding(2) var<storage, read_write> stats: array<f32>;
@group(0) @binding(3) var<storage, read_write> guard: array<u32>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let channel = linear(group, groups, lane);
    if channel < params.channels && guard[0] == 0u {
        let mean = 2u * channel;
        let variance = mean + 1u;
        running[mean] += params.momentum * (stats[mean] - running[mean]);
        running[variance] += params.momentum * (stats[variance] * params.unbiased - running[variance]);
    }
}
