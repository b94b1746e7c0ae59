// Computes: as parts/product4.wgsl, with 8x8 results for each invocation: half the reads of workgroup memory per product. A tile has
//   8 ROWS rows and 8 COLUMNS columns; ROWS * COLUMNS = 256. The kernel gives the same functions.
// Bindings: none of its own.
// Owns: each invocation the results of rows 4 (lane / COLUMNS) + 0..4, of columns 4 (lane % COLUMNS) + 0..4, and of those in the
//   lower and the right half of its tile: neighbouring invocations then read neighbouring vectors.
// Order: depth ascending, one fused or separate multiply and add per term; the same for every tile shape.

override TILE_ROWS: u32 = 8u * ROWS;
override TILE_COLUMNS: u32 = 8u * COLUMNS;

// Vectors for up to 128 rows and 256 columns: constants, since naga 30 does not size arrays by derived overrides. Lines are one
// vector longer than they need to be, so that they start in different banks.
var<workgroup> a_tile: array<vec4<f32>, DEPTH * 33u>;
var<workgroup> b_tile: array<vec4<f32>, DEPTH * 65u>;

fn put_a(depth: u32, row: u32, value: f32) {
    a_tile[depth * (2u * ROWS + 1u) + row / 4u][row % 4u] = value;
}

fn put_b(depth: u32, column: u32, value: f32) {
    b_tile[depth * (2u * COLUMNS + 1u) + column / 4u][column % 4u] = value;
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row_tiles = (product_rows() + TILE_ROWS - 1u) / TILE_ROWS;
    let split = group.z / row_tiles;
    let first_row = (group.z % row_tiles) * TILE_ROWS;
    let first_column = group_index(group, groups) * TILE_COLUMNS;
    begin(lane, first_row, first_column);
    let a_at = lane / COLUMNS;
    let b_at = lane % COLUMNS;
    var l0 = vec4<f32>();
    var r0 = vec4<f32>();
    var l1 = vec4<f32>();
    var r1 = vec4<f32>();
    var l2 = vec4<f32>();
    var r2 = vec4<f32>();
    var l3 = vec4<f32>();
    var r3 = vec4<f32>();
    var l4 = vec4<f32>();
    var r4 = vec4<f32>();
    var l5 = vec4<f32>();
    var r5 = vec4<f32>();
    var l6 = vec4<f32>();
    var r6 = vec4<f32>();
    var l7 = vec4<f32>();
    var r7 = vec4<f32>();
    let range = depth_range(split);
    for (var depth = range.x; depth < range.y; depth += DEPTH) {
        stage(lane, depth, range.y);
        workgroupBarrier();
        for (var d = 0u; d < DEPTH; d++) {
            let a = a_tile[d * (2u * ROWS + 1u) + a_at];
            let e = a_tile[d * (2u * ROWS + 1u) + ROWS + a_at];
            let b = b_tile[d * (2u * COLUMNS + 1u) + b_at];
            let f = b_tile[d * (2u * COLUMNS + 1u) + COLUMNS + b_at];
            l0 += a.x * b;
            r0 += a.x * f;
            l1 += a.y * b;
            r1 += a.y * f;
            l2 += a.z * b;
            r2 += a.z * f;
            l3 += a.w * b;
            r3 += a.w * f;
            l4 += e.x * b;
            r4 += e.x * f;
            l5 += e.y * b;
            r5 += e.y * f;
            l6 += e.z * b;
            r6 += e.z * f;
            l7 += e.w * b;
            r7 += e.w * f;
        }
        workgroupBarrier();
    }
    let row = first_row + 4u * a_at;
    let column = first_column + 4u * b_at;
    let left = addresses(column);
    let right = addresses(column + 4u * COLUMNS);
    put_row(split, row, left, l0);
    put_row(split, row, right, r0);
    put_row(split, row + 1u, left, l1);
    put_row(split, row + 1u, right, r1);
    put_row(split, row + 2u, left, l2);
    put_row(split, row + 2u, right, r2);
    put_row(split, row + 3u, left, l3);
    put_row(split, row + 3u, right, r3);
    put_row(split, row + 4u * ROWS, left, l4);
    put_row(split, row + 4u * ROWS, right, r4);
    put_row(split, row + 4u * ROWS + 1u, left, l5);
    put_row(split, row + 4u * ROWS + 1u, right, r5);
    put_row(split, row + 4u * ROWS + 2u, left, l6);
    put_row(split, row + 4u * ROWS + 2u, right, r6);
    put_row(split, row + 4u * ROWS + 3u, left, l7);
    put_row(split, row + 4u * ROWS + 3u, right, r7);
}
