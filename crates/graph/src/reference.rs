//! The slow, readable executor in float64: plain loops, one function per op.
