// Computes: part; what the tiles of every product share: their extents in invocations, and where results go.
// Bindings: none of its own.
// Owns: nothing.
// Order: no sums.

// Invocations along the rows and the columns of a tile; their product is 256.
override ROWS: u32 = 16u;
override COLUMNS: u32 = 16u;

// Terms staged at a time.
const DEPTH = 8u;
// The address of a column past the last.
const OUTSIDE = 0xffffffffu;

// Where the results of four neighbouring columns go.
fn addresses(column: u32) -> vec4<u32> {
    return vec4<u32>(address(column), address(column + 1u), address(column + 2u), address(column + 3u));
}

fn put_row(split: u32, row: u32, at: vec4<u32>, value: vec4<f32>) {
    if row < product_rows() {
        if at.x != OUTSIDE { put(split, row, at.x, value.x); }
        if at.y != OUTSIDE { put(split, row, at.y, value.y); }
        if at.z != OUTSIDE { put(split, row, at.z, value.z); }
        if at.w != OUTSIDE { put(split, row, at.w, value.w); }
    }
}
