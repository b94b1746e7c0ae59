//! Normalisation by groups of channels or by the batch.

use super::elementwise::{apply, slope};
use super::view::{View, indices};
use crate::{Activation, Affine, StatsOver};
use fovea_tensor::Shape;

type Operand<'a> = (Shape, &'a [f64]);

/// `((N or 1), G, 2)`: mean and biased variance.
pub(super) fn stats(x: Operand<'_>, over: StatsOver, groups: usize) -> Vec<f64> {
    let x = View::new(x);
    let [n, c, ..] = x.dims;
    let rows = match over {
        StatsOver::Image => n,
        StatsOver::Batch => 1,
    };
    let slot = |at: [usize; 4]| (at[0] % rows) * groups + at[1] / (c / groups);
    let count = (x.data.len() / (rows * groups)) as f64;
    let mut stats = vec![0.0; rows * groups * 2];
    for at in indices(x.dims) {
        stats[2 * slot(at)] += x.at(at) / count;
    }
    for at in indices(x.dims) {
        let mean = stats[2 * slot(at)];
        stats[2 * slot(at) + 1] += (x.at(at) - mean).powi(2) / count;
    }
    stats
}

/// One normalisation: its input, statistics and affine parameters.
pub(super) struct Site<'a> {
    x: View<'a>,
    /// Images and groups that have statistics of their own.
    rows: usize,
    groups: usize,
    stats: &'a [f64],
    gamma: &'a [f64],
    beta: &'a [f64],
    epsilon: f64,
}

impl<'a> Site<'a> {
    /// From the inputs `x; stats; gamma; beta; ..`.
    pub fn new(inputs: &[Operand<'a>], epsilon: f32) -> Self {
        let (shape, stats) = inputs[1];
        Site {
            x: View::new(inputs[0]),
            rows: shape.dims()[0],
            groups: shape.dims()[1],
            stats,
            gamma: inputs[2].1,
            beta: inputs[3].1,
            epsilon: f64::from(epsilon),
        }
    }

    /// Which statistic image `n`, channel `c` uses.
    fn slot(&self, n: usize, c: usize) -> usize {
        (n % self.rows) * self.groups + c / (self.x.dims[1] / self.groups)
    }

    fn rstd(&self, [n, c, ..]: [usize; 4]) -> f64 {
        (self.stats[2 * self.slot(n, c) + 1] + self.epsilon).sqrt().recip()
    }

    /// The normalised input.
    fn xh(&self, at: [usize; 4]) -> f64 {
        (self.x.at(at) - self.stats[2 * self.slot(at[0], at[1])]) * self.rstd(at)
    }

    /// The pre-activation.
    fn z(&self, at: [usize; 4]) -> f64 {
        self.gamma[at[1]] * self.xh(at) + self.beta[at[1]]
    }

    /// The gradient before the activation.
    fn dz(&self, at: [usize; 4], dy: f64, activation: Activation) -> f64 {
        let z = self.z(at);
        let saved = if activation.saves_output() { apply(activation, z) } else { z };
        dy * slope(activation, saved)
    }
}

/// Like x, before the activation.
pub(super) fn affine(site: &Site<'_>) -> Vec<f64> {
    indices(site.x.dims).map(|at| site.z(at)).collect()
}

/// `(N, C, 2)`: sums over pixels of `dz` and `dz xh`.
pub(super) fn grad_sums(site: &Site<'_>, dy: &[f64], activation: Activation) -> Vec<f64> {
    let [n, c, ..] = site.x.dims;
    let mut sums = vec![0.0; n * c * 2];
    for (at, dy) in indices(site.x.dims).zip(dy) {
        let dz = site.dz(at, *dy, activation);
        let slot = 2 * (at[0] * c + at[1]);
        sums[slot] += dz;
        sums[slot + 1] += dz * site.xh(at);
    }
    sums
}

/// `(C)`: the sums over images.
pub(super) fn grad_affine((shape, sums): Operand<'_>, which: Affine) -> Vec<f64> {
    let (n, c) = (shape.dims()[0], shape.dims()[1]);
    let part = match which {
        Affine::Shift => 0,
        Affine::Scale => 1,
    };
    (0..c).map(|channel| (0..n).map(|image| sums[2 * (image * c + channel) + part]).sum()).collect()
}

/// Like x.
pub(super) fn grad_input(site: &Site<'_>, dy: &[f64], sums: &[f64], activation: Activation) -> Vec<f64> {
    let [n, c, ..] = site.x.dims;
    let slots = site.rows * site.groups;
    let count = (site.x.data.len() / slots) as f64;
    // Means of dxh and dxh xh over everything that one statistic covers.
    let mut means = vec![[0.0; 2]; slots];
    for (image, channel) in (0..n).flat_map(|n| (0..c).map(move |c| (n, c))) {
        for part in 0..2 {
            let sum = sums[2 * (image * c + channel) + part];
            means[site.slot(image, channel)][part] += site.gamma[channel] * sum / count;
        }
    }
    let dx = |(at, dy): ([usize; 4], &f64)| {
        let [mean, mean_xh] = means[site.slot(at[0], at[1])];
        let dxh = site.gamma[at[1]] * site.dz(at, *dy, activation);
        site.rstd(at) * (dxh - mean - site.xh(at) * mean_xh)
    };
    indices(site.x.dims).zip(dy).map(dx).collect()
}
