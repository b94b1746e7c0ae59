//! Activations on registers, and elementwise ops: activations and their adjoints, sums, factors, the proximal term.

use super::math::sigmoid_lanes;
use super::simd::{Simd, per_isa, registers, vectorised};
use fovea_graph::Activation;
use rayon::prelude::*;

/// Floats per task; fixed, so that the split does not depend on the threads.
pub(crate) const CHUNK: usize = 16 * 1024;

pub(crate) fn activate(function: Activation, x: &[f32], y: &mut [f32]) {
    y.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).for_each(|(y, x)| {
        // SAFETY: the kernel asks for nothing but its instruction set.
        unsafe { apply(function, x, y) }
    });
}

/// `dx = dy f'`; `saved` is the output, for SiLU the input.
pub(crate) fn activate_grad(function: Activation, saved: &[f32], dy: &[f32], dx: &mut [f32]) {
    let operands = saved.par_chunks(CHUNK).zip(dy.par_chunks(CHUNK));
    dx.par_chunks_mut(CHUNK).zip(operands).for_each(|(dx, (saved, dy))| {
        if function == Activation::Sigmoid {
            return sigmoid_grad(saved, dy, dx);
        }
        // SAFETY: the kernel asks for nothing but its instruction set.
        unsafe { apply_grad(function, saved, dy, dx) }
    });
}

pub(crate) fn add(a: &[f32], b: &[f32], y: &mut [f32]) {
    let operands = a.par_chunks(CHUNK).zip(b.par_chunks(CHUNK));
    y.par_chunks_mut(CHUNK).zip(operands).for_each(|(y, (a, b))| sum(a, b, y));
}

pub(crate) fn scale(factor: f32, x: &[f32], y: &mut [f32]) {
    y.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).for_each(|(y, x)| scaled(factor, x, y));
}

/// An activation on registers. A trait, not closures: its methods are surely compiled for the instruction set of the code
/// around them.
pub(crate) trait Curve: Copy {
    /// `f(z)`.
    ///
    /// # Safety
    /// Must be inlined into code compiled for `V`.
    unsafe fn value<V: Simd>(self, z: V) -> V;
    /// `dy f'(z)`.
    ///
    /// # Safety
    /// Must be inlined into code compiled for `V`.
    unsafe fn slope<V: Simd>(self, z: V, dy: V) -> V;
}

#[derive(Clone, Copy)]
pub(crate) struct Identity;
#[derive(Clone, Copy)]
pub(crate) struct Relu;
#[derive(Clone, Copy)]
pub(crate) struct LeakyRelu(pub(crate) f32);
#[derive(Clone, Copy)]
pub(crate) struct Silu;
#[derive(Clone, Copy)]
pub(crate) struct Sigmoid;

/// Implements [`Curve`] by one expression for the value and one for the slope.
macro_rules! curve {
    ($name:ident, value($self:ident, $z:ident) = $value:expr, slope($dy:ident) = $slope:expr) => {
        impl Curve for $name {
            #[inline(always)]
            unsafe fn value<V: Simd>($self, $z: V) -> V {
                // SAFETY: inlined into code compiled for `V` by the caller's promise.
                unsafe { $value }
            }
            #[inline(always)]
            unsafe fn slope<V: Simd>($self, $z: V, $dy: V) -> V {
                // SAFETY: inlined into code compiled for `V` by the caller's promise.
                unsafe { $slope }
            }
        }
    };
}

impl Curve for Identity {
    #[inline(always)]
    unsafe fn value<V: Simd>(self, z: V) -> V {
        z
    }
    #[inline(always)]
    unsafe fn slope<V: Simd>(self, _: V, dy: V) -> V {
        dy
    }
}
curve!(
    Relu,
    value(self, z) = z.at_least(V::splat(0.0)),
    slope(dy) = V::splat(0.0).if_below(z, dy, V::splat(0.0))
);
curve!(
    LeakyRelu,
    value(self, z) = z.if_below(V::splat(0.0), z.mul(V::splat(self.0)), z),
    slope(dy) = V::splat(0.0).if_below(z, dy, dy.mul(V::splat(self.0)))
);
curve!(
    Silu,
    value(self, z) = z.mul(sigmoid_lanes(z)),
    // s + z s (1 - s) with s the sigmoid.
    slope(dy) = {
        let (s, one) = (sigmoid_lanes(z), V::splat(1.0));
        z.mul_add(one.sub(s), one).mul(s).mul(dy)
    }
);
curve!(
    Sigmoid,
    value(self, z) = sigmoid_lanes(z),
    slope(dy) = {
        let s = sigmoid_lanes(z);
        V::splat(1.0).sub(s).mul(s).mul(dy)
    }
);

/// Evaluates `$body` with `$f` bound to the [`Curve`] of an activation: the choice is made once, outside of the loops.
macro_rules! with_curve {
    ($activation:expr, $f:ident => $body:expr) => {{
        use fovea_graph::Activation;
        use $crate::kernels::activate as curves;
        match $activation {
            Activation::Identity => {
                let $f = curves::Identity;
                $body
            }
            Activation::Relu => {
                let $f = curves::Relu;
                $body
            }
            Activation::LeakyRelu { slope } => {
                let $f = curves::LeakyRelu(slope);
                $body
            }
            Activation::Silu => {
                let $f = curves::Silu;
                $body
            }
            Activation::Sigmoid => {
                let $f = curves::Sigmoid;
                $body
            }
        }
    }};
}
pub(crate) use with_curve;

per_isa! {
    /// `y = f(x)`.
    unsafe fn apply(function: Activation, x: &[f32], y: &mut [f32]) = apply_lanes;
}

/// # Safety
/// Must be inlined into code compiled for `V`.
#[inline(always)]
unsafe fn apply_lanes<V: Simd>(function: Activation, x: &[f32], y: &mut [f32]) {
    assert!(x.len() == y.len());
    with_curve!(function, f => registers!(V, x.len(), |at, live| {
        // SAFETY: compiled for `V`; `live` floats from `at` on lie inside of both slices.
        unsafe { f.value(V::load_first(x.as_ptr().add(at), live)).store_first(y.as_mut_ptr().add(at), live) };
    }));
}

per_isa! {
    /// `dx = dy f'(x)`; ReLU and leaky ReLU may be given `f(x)` for `x`.
    unsafe fn apply_grad(function: Activation, x: &[f32], dy: &[f32], dx: &mut [f32]) = apply_grad_lanes;
}

/// # Safety
/// Must be inlined into code compiled for `V`.
#[inline(always)]
unsafe fn apply_grad_lanes<V: Simd>(function: Activation, x: &[f32], dy: &[f32], dx: &mut [f32]) {
    assert!(x.len() == dx.len() && dy.len() == dx.len());
    with_curve!(function, f => registers!(V, x.len(), |at, live| {
        // SAFETY: compiled for `V`; `live` floats from `at` on lie inside of the slices.
        unsafe {
            let (x, dy) = (V::load_first(x.as_ptr().add(at), live), V::load_first(dy.as_ptr().add(at), live));
            f.slope(x, dy).store_first(dx.as_mut_ptr().add(at), live);
        }
    }));
}

vectorised! {
    /// From the output `y`.
    fn sigmoid_grad(y: &[f32], dy: &[f32], dx: &mut [f32]) {
        for (d, (&y, &g)) in dx.iter_mut().zip(y.iter().zip(dy)) { *d = g * y * (1.0 - y); }
    }
}

vectorised! {
    fn sum(a: &[f32], b: &[f32], y: &mut [f32]) {
        for (y, (a, b)) in y.iter_mut().zip(a.iter().zip(b)) { *y = a + b; }
    }
}

vectorised! {
    fn scaled(factor: f32, x: &[f32], y: &mut [f32]) {
        for (y, x) in y.iter_mut().zip(x) { *y = factor * x; }
    }
}

vectorised! {
    /// `y = g + factor (w - anchor)`; parameters are small, one task does them.
    fn add_proximal(factor: f32, g: &[f32], w: &[f32], anchor: &[f32], y: &mut [f32]) {
        for (y, (g, (w, a))) in y.iter_mut().zip(g.iter().zip(w.iter().zip(anchor))) { *y = g + factor * (w - a); }
    }
}
