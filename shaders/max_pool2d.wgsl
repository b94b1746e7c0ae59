// Computes: Op::MaxPool2d, the largest pixel of each window.
// Bindings: 1 x (planes, height, width), 2 y (planes, out_height, out_width) of params.count floats.
// Owns: each invocation one element of y.
// Order: no sums; pixels of a window are looked at row by row.

struct Params {
    count: u32,
    height: u32,
    width: u32,
    out_height: u32,
    out_width: u32,
    kernel: u32,
    stride: u32,
    padding: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = linear(group, groups, lane);
    if i < params.count {
        let row = i / params.out_width;
        y[i] = x[winner(row / params.out_height, row % params.out_height, i % params.out_width)];
    }
}
