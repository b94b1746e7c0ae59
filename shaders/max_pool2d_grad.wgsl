// Computes: Op::MaxPool2dGrad, the sum of the gradients of those windows whose winner a pixel is.
// Bindings: 1 x (planes, height, width) of params.count floats, 2 dy (planes, out_height, out_width), 3 dx like x.
// Owns: each invocation one element of dx; it asks every window that the pixel lies in for its winner.
// Order: windows row by row.

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
@group(0) @binding(2) var<storage, read_write> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

// The first window of an axis that pixel `p` lies in.
fn first_window(p: u32) -> u32 {
    let reach = p + params.padding + params.stride;
    return (max(reach, params.kernel) - params.kernel) / params.stride;
}

// The one behind the last.
fn end_of_windows(p: u32, windows: u32) -> u32 {
    return min((p + params.padding) / params.stride + 1u, windows);
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = linear(group, groups, lane);
    if i < params.count {
        let row = i / params.width;
        let column = i % params.width;
        let plane = row / params.height;
        let last_row = end_of_windows(row % params.height, params.out_height);
        let last_column = end_of_windows(column, params.out_width);
        var sum = 0.0;
        for (var p = first_window(row % params.height); p < last_row; p++) {
            for (var q = first_window(column); q < last_column; q++) {
                if winner(plane, p, q) == i {
                    sum += dy[(plane * params.out_height + p) * params.out_width + q];
                }
            }
        }
        dx[i] = sum;
    }
}
