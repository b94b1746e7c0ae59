// Computes: part; which pixel of a window of max pooling wins: the first largest in row order. Padding never wins, a NaN
//   always does.
// Bindings: the one named x, and the params height, width, kernel, stride and padding of the kernel.
// Owns: nothing.
// Order: no sums; pixels are looked at row by row.

// Index in x of the winner of window (row, column) of a plane.
fn winner(plane: u32, row: u32, column: u32) -> u32 {
    let base = plane * params.height * params.width;
    // Windows begin `padding` before the plane, which is less than a kernel: none is empty.
    let top = max(row * params.stride, params.padding) - params.padding;
    let left = max(column * params.stride, params.padding) - params.padding;
    let bottom = min(row * params.stride + params.kernel - params.padding, params.height);
    let right = min(column * params.stride + params.kernel - params.padding, params.width);
    var at = base + top * params.width + left;
    var best = x[at];
    for (var p = top; p < bottom; p++) {
        for (var q = left; q < right; q++) {
            let i = base + p * params.width + q;
            let value = x[i];
            if !is_nan(best) && (is_nan(value) || value > best) {
                at = i;
                best = value;
            }
        }
    }
    return at;
}
