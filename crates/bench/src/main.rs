//! Benches and their recorder.
fn main() {}
