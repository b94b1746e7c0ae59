//! The CPU executor: handwritten kernels over one planned arena.
