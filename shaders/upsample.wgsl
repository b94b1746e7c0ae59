// Computes: Op::Upsample, enlarges planes by an integer factor.
// Bindings: 1 x (planes, height, width), 2 y (planes, f height, f width) of params.count floats.
// Owns: each invocation one element of y.
// Order: both rows are mixed along their columns, then the two.

struct Params {
    count: u32,
    height: u32,
    width: u32,
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
        let wide = FACTOR * params.width;
        let high = FACTOR * params.height;
        let rows = tap((i / wide) % high, params.height);
        let columns = tap(i % wide, params.width);
        let plane = i / wide / high * params.height;
        let above = (plane + rows.low) * params.width;
        if MODE == 0u {
            y[i] = x[above + columns.low];
        } else {
            let below = (plane + rows.high) * params.width;
            let first = mix(x[above + columns.low], x[above + columns.high], columns.share);
            let second = mix(x[below + columns.low], x[below + columns.high], columns.share);
            y[i] = mix(first, second, rows.share);
        }
    }
}
