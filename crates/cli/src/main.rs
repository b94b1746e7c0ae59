//! The one binary, `fovea`.
fn main() {}
