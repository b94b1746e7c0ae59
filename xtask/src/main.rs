//! The project's own commands: repro, test, tidy, bench.
fn main() {}
