//! For tests: tolerances, golden-file reader, hardware gates. Works on slices, imports no internal crate.
