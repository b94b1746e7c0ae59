//! Updates in place: running statistics, optimisers, weight average.

use crate::{AdamRule, Hyper};

/// `running` and `stats` are pairs (mean, biased variance).
pub(super) fn running(running: &mut [f64], stats: &[f64], momentum: f32, count: usize) {
    let unbiased = count as f64 / (count as f64 - 1.0);
    for (i, (r, s)) in running.iter_mut().zip(stats).enumerate() {
        let new = if i % 2 == 1 { s * unbiased } else { *s };
        *r += f64::from(momentum) * (new - *r);
    }
}

pub(super) fn sgd(
    w: &mut [f64],
    g: &[f64],
    velocity: &mut [f64],
    hyper: &[f64],
    [momentum, weight_decay]: [f32; 2],
) {
    let rate = hyper[Hyper::LearningRate as usize];
    for ((w, g), v) in w.iter_mut().zip(g).zip(velocity) {
        *v = f64::from(momentum) * *v + g + f64::from(weight_decay) * *w;
        *w -= rate * *v;
    }
}

pub(super) fn adam(w: &mut [f64], g: &[f64], [m, v]: [&mut [f64]; 2], hyper: &[f64], rule: AdamRule) {
    let [beta1, beta2, epsilon, decay] =
        [rule.beta1, rule.beta2, rule.epsilon, rule.weight_decay].map(f64::from);
    let rate = hyper[Hyper::LearningRate as usize];
    let (c1, c2) = (hyper[Hyper::Correction1 as usize], hyper[Hyper::Correction2 as usize]);
    for i in 0..w.len() {
        let mut g = g[i];
        if rule.decoupled {
            w[i] -= rate * decay * w[i];
        } else {
            g += decay * w[i];
        }
        m[i] = beta1 * m[i] + (1.0 - beta1) * g;
        v[i] = beta2 * v[i] + (1.0 - beta2) * g * g;
        w[i] -= rate * (m[i] / c1) / ((v[i] / c2).sqrt() + epsilon);
    }
}

pub(super) fn average(average: &mut [f64], w: &[f64], hyper: &[f64]) {
    let decay = hyper[Hyper::AverageDecay as usize];
    for (a, w) in average.iter_mut().zip(w) {
        *a += (1.0 - decay) * (w - *a);
    }
}
