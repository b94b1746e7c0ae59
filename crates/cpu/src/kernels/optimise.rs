//! Updates in place: optimisers, weight average, running statistics. Each parameter's pass is one loop.

use super::simd::vectorised;
use fovea_graph::{AdamRule, Hyper};

vectorised! {
    /// `v = momentum v + g + decay w; w -= lr v`.
    fn sgd(momentum: f32, decay: f32, g: &[f32], hyper: &[f32], w: &mut [f32], v: &mut [f32]) {
        let lr = hyper[Hyper::LearningRate as usize];
        for ((w, v), &g) in w.iter_mut().zip(v).zip(g) {
            *v = momentum * *v + (g + decay * *w);
            *w -= lr * *v;
        }
    }
}

vectorised! {
    /// Adam and AdamW; see `Op::AdamUpdate`.
    fn adam(rule: AdamRule, g: &[f32], hyper: &[f32], w: &mut [f32], m: &mut [f32], v: &mut [f32]) {
        let lr = hyper[Hyper::LearningRate as usize];
        let (c1, c2) = (hyper[Hyper::Correction1 as usize], hyper[Hyper::Correction2 as usize]);
        let (l2, shrink) = if rule.decoupled { (0.0, 1.0 - lr * rule.weight_decay) } else { (rule.weight_decay, 1.0) };
        for (((w, m), v), &g) in w.iter_mut().zip(m).zip(v).zip(g) {
            let g = g + l2 * *w;
            *m = rule.beta1 * *m + (1.0 - rule.beta1) * g;
            *v = rule.beta2 * *v + (1.0 - rule.beta2) * (g * g);
            *w = *w * shrink - lr * ((*m / c1) / ((*v / c2).sqrt() + rule.epsilon));
        }
    }
}

vectorised! {
    /// `average += (1 - decay) (w - average)`.
    fn average(w: &[f32], hyper: &[f32], average: &mut [f32]) {
        let share = 1.0 - hyper[Hyper::AverageDecay as usize];
        for (a, w) in average.iter_mut().zip(w) { *a += share * (w - *a); }
    }
}

/// `running += momentum (stats - running)`, pairs of mean and variance, the variance made unbiased.
pub(crate) fn running(momentum: f32, count: usize, stats: &[f32], running: &mut [f32]) {
    let unbiased = (count as f64 / (count - 1) as f64) as f32;
    for (r, s) in running.chunks_exact_mut(2).zip(stats.chunks_exact(2)) {
        r[0] += momentum * (s[0] - r[0]);
        r[1] += momentum * (s[1] * unbiased - r[1]);
    }
}
