//! One file per family of ops, each adjoint beside its forward kernel; the only place with `unsafe`.

pub(crate) mod activate;
pub(crate) mod arena;
pub(crate) mod bce;
pub(crate) mod channels;
pub(crate) mod conv2d;
pub(crate) mod correlate;
pub(crate) mod dice;
pub(crate) mod dropout;
pub(crate) mod im2col;
pub(crate) mod math;
pub(crate) mod normalise;
pub(crate) mod optimise;
pub(crate) mod outer;
pub(crate) mod pack;
pub(crate) mod planes;
pub(crate) mod pool;
pub(crate) mod share;
pub(crate) mod simd;
pub(crate) mod transpose;
pub(crate) mod upsample;
pub(crate) mod winograd;
