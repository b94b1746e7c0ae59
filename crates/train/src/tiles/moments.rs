//! Mean and variance gathered over parts of an image.

use rayon::prelude::*;
use std::ops::Range;

/// Count, mean and sum of squared deviations of the numbers seen.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    /// As [`fovea_graph::Op::NormStats`] gives them.
    pub(super) fn mean_and_variance(&self) -> [f32; 2] {
        [self.mean as f32, (self.squares / self.count) as f32]
    }

    /// Of one run of numbers, in two passes.
    fn of(numbers: &[f32]) -> Self {
        let count = numbers.len() as f64;
        let mean = numbers.iter().map(|&v| f64::from(v)).sum::<f64>() / count;
        let squares = numbers.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum();
        Moments { count, mean, squares }
    }

    /// Joins two sets (Chan et al., "Updating formulae", 1979, eq. 2.1).
    fn join(self, other: Moments) -> Self {
        let count = self.count + other.count;
        let delta = other.mean - self.mean;
        let mean = self.mean + delta * other.count / count;
        let squares = self.squares + other.squares + delta * delta * self.count * other.count / count;
        Moments { count, mean, squares }
    }
}

/// Adds the pixels `rows` by `columns` of a value `(channels, height, width)`; groups are of neighbouring channels. Each group's
/// numbers are taken in one order, whatever the threads.
pub(super) fn gather(
    groups: &mut [Moments],
    values: &[f32],
    [channels, height, width]: [usize; 3],
    rows: Range<usize>,
    columns: Range<usize>,
) {
    let per_group = channels / groups.len() * height * width;
    groups.par_iter_mut().zip(values.par_chunks(per_group)).for_each(|(moments, group)| {
        for plane in group.chunks_exact(height * width) {
            for row in rows.clone() {
                *moments = moments.join(Moments::of(&plane[row * width..][columns.clone()]));
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_join_to_the_whole() {
        let values: Vec<f32> = (0..2 * 6 * 5).map(|i| 100.0 + (i * 7919 % 101) as f32).collect();
        let mut parts = [Moments::default(); 1];
        for rows in [0..2, 2..6] {
            for columns in [0..4, 4..5] {
                gather(&mut parts, &values, [2, 6, 5], rows.clone(), columns);
            }
        }
        let whole = Moments::of(&values);
        assert!((parts[0].mean - whole.mean).abs() < 1e-9);
        assert!((parts[0].squares / whole.squares - 1.0).abs() < 1e-12);
        assert_eq!(parts[0].count, 60.0);
    }
}
