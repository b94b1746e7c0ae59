// Computes: one tile of a matrix product C = A B, whose operands are read through the kernel's own `stage`; 4x4 results for
//   each invocation. A tile has 4 ROWS rows and 4 COLUMNS columns; ROWS * COLUMNS = 256. The kernel gives:
//   `product_rows()`; `depth_range(split)`, the half-open range summed over; `begin(lane, row, column)`, called once with the
//   tile's first row and column; `stage(lane, depth, end)`, which fills DEPTH lines of both tiles with `put_a` and `put_b`, zeros
//   past the edges; `address(column)`, where a column's results go (OUTSIDE past the last); `put(split, row, address, value)`.
// Bindings: none of its own.
// Owns: each invocation the results of rows 4 (lane / COLUMNS) + 0..4 and columns 4 (lane % COLUMNS) + 0..4 of its tile.
// Order: depth ascending, one fused or separate multiply and add per term; the same for every tile shape.

override TILE_ROWS: u32 = 4u * ROWS;
override TILE_COLUMNS: u32 = 4u * COLUMNS;

// Vectors for up to 128 rows and 256 columns: constants, since naga 30 does not size arrays by derived overrides. Lines are one
// vector longer than they need to be, so that they start in different banks.
var<workgroup> a_tile: array<vec4<f32>, DEPTH * 33u>;
var<workgroup> b_tile: array<vec4<f32>, DEPTH * 65u>;

fn put_a(depth: u32, row: u32, value: f32) {
    a_tile[depth * (ROWS + 1u) + row / 4u][row % 4u] = value;
}

fn put_b(depth: u32, column: u32, value: f32) {
    b_tile[depth * (COLUMNS + 1u) + column / 4u][column % 4u] = value;
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
    var c0 = vec4<f32>();
    var c1 = vec4<f32>();
    var c2 = vec4<f32>();
    var c3 = vec4<f32>();
    let range = depth_range(split);
    for (var depth = range.x; depth < range.y; depth += DEPTH) {
        stage(lane, depth, range.y);
        workgroupBarrier();
        for (var d = 0u; d < DEPTH; d++) {
            let a = a_tile[d * (ROWS + 1u) + a_at];
            let b = b_tile[d * (COLUMNS + 1u) + b_at];
            c0 += a.x * b;
            c1 += a.y * b;
            c2 += a.z * b;
            c3 += a.w * b;
        }
        workgroupBarrier();
    }
    let row = first_row + 4u * a_at;
    let column = first_column + 4u * b_at;
    let at = addresses(column);
    put_row(split, row, at, c0);
    put_row(split, row + 1u, at, c1);
    put_row(split, row + 2u, at, c2);
    put_row(split, row + 3u, at, c3);
}
