// Computes: part; which piece of which plane a workgroup works on. A plane is any run of neighbouring elements.
// Bindings: none.
// Owns: a workgroup owns one piece, at most CHUNK elements of one plane; its invocations take every 256th.
// Order: no sums.

const CHUNK = 4096u;

struct Piece {
    plane: u32,
    // Which piece of the plane.
    chunk: u32,
    // First element in the whole value, and the one behind the last.
    start: u32,
    end: u32,
}

// Piece number `item` of planes of `pixels` elements in `chunks` pieces each.
fn piece(item: u32, pixels: u32, chunks: u32) -> Piece {
    let plane = item / chunks;
    let chunk = item % chunks;
    let base = plane * pixels;
    return Piece(plane, chunk, base + chunk * CHUNK, base + min((chunk + 1u) * CHUNK, pixels));
}
