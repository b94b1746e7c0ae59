//! Whether one model beats another image by image.

use fovea_tensor::Stream;
use serde::{Deserialize, Serialize};

/// Up to this many differences all sign patterns are tried.
const EXACT_SIGNS_MAX: usize = 20;
/// Sign patterns drawn beyond that.
const RANDOM_PATTERNS: u32 = 100_000;
/// Largest number of differences for the exact Wilcoxon distribution.
const WILCOXON_MAX: usize = 500;

/// Result of a sign-flip permutation test.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SignFlip {
    /// Mean difference.
    pub mean_difference: f64,
    /// Two-sided p-value.
    pub p_value: f64,
    /// Sign patterns looked at: all `2^n`, or the number drawn.
    pub patterns: u32,
    /// Whether all patterns were looked at.
    pub exact: bool,
}

/// Result of a Wilcoxon signed-rank test.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Wilcoxon {
    /// Sum of the ranks of the positive differences.
    pub positive_rank_sum: f64,
    /// Two-sided p-value, exact.
    pub p_value: f64,
    /// Differences that are not zero; zeros are left out.
    pub n: usize,
}

/// Two-sided paired permutation test of "the sign of each difference is a fair coin", statistic |mean|: exact up to 20
/// differences, else 100,000 patterns from the stream of `seed` with p = (1 + hits) / (1 + patterns) (Phipson and Smyth,
/// "Permutation p-values should never be zero", 2010).
///
/// Differences are per image; with several seeds, average over the seeds of an image first, because runs of the same
/// image are not independent. `None` for no differences or one that is not finite.
#[must_use]
pub fn sign_flip_test(differences: &[f64], seed: u64) -> Option<SignFlip> {
    let n = differences.len();
    if n == 0 || differences.iter().any(|d| !d.is_finite()) {
        return None;
    }
    let observed: f64 = differences.iter().sum();
    // Patterns equal to the observed one up to rounding of the sum count as reaching it.
    let slack = 1e-12 * differences.iter().map(|d| d.abs()).sum::<f64>();
    let reach = observed.abs() - slack;
    let exact = n <= EXACT_SIGNS_MAX;
    let (p_value, patterns) = if exact {
        let patterns = 1u32 << n;
        (f64::from(count_reaching(differences, 0.0, reach)) / f64::from(patterns), patterns)
    } else {
        let mut stream = Stream::new(seed, "sign-flip", [0, 0]);
        let hits =
            (0..RANDOM_PATTERNS).filter(|_| random_sum(differences, &mut stream).abs() >= reach).count();
        ((1.0 + hits as f64) / (1.0 + f64::from(RANDOM_PATTERNS)), RANDOM_PATTERNS)
    };
    Some(SignFlip { mean_difference: observed / n as f64, p_value, patterns, exact })
}

/// Two-sided Wilcoxon signed-rank test (Wilcoxon 1945): zeros dropped, mean ranks for ties, and the exact distribution
/// given those ranks. `None` when no difference is left, there are more than 500, or one is not finite.
#[must_use]
pub fn wilcoxon_signed_rank(differences: &[f64]) -> Option<Wilcoxon> {
    if differences.iter().any(|d| !d.is_finite()) {
        return None;
    }
    let mut nonzero: Vec<f64> = differences.iter().copied().filter(|&d| d != 0.0).collect();
    let n = nonzero.len();
    if n == 0 || n > WILCOXON_MAX {
        return None;
    }
    nonzero.sort_by(|a, b| a.abs().total_cmp(&b.abs()));
    // Ranks doubled, so that the mean rank of a tie stays an integer.
    let mut doubled = Vec::with_capacity(n);
    for tie in nonzero.chunk_by(|a, b| a.abs() == b.abs()) {
        let first = doubled.len() + 1;
        doubled.extend(std::iter::repeat_n(first + first + tie.len() - 1, tie.len()));
    }
    let statistic: usize = doubled.iter().zip(&nonzero).filter(|&(_, &d)| d > 0.0).map(|(r, _)| r).sum();
    let distribution = rank_sum_distribution(&doubled);
    let low: f64 = distribution[..=statistic].iter().sum();
    let high: f64 = distribution[statistic..].iter().sum();
    Some(Wilcoxon { positive_rank_sum: statistic as f64 / 2.0, p_value: (2.0 * low.min(high)).min(1.0), n })
}

/// How many of the `2^n` sign patterns give a sum of size `reach` or more.
fn count_reaching(rest: &[f64], sum: f64, reach: f64) -> u32 {
    match rest {
        [] => u32::from(sum.abs() >= reach),
        [d, rest @ ..] => count_reaching(rest, sum + d, reach) + count_reaching(rest, sum - d, reach),
    }
}

fn random_sum(differences: &[f64], stream: &mut Stream) -> f64 {
    let mut sum = 0.0;
    for chunk in differences.chunks(32) {
        let signs = stream.next_u32();
        for (k, d) in chunk.iter().enumerate() {
            sum += if signs >> k & 1 == 1 { *d } else { -d };
        }
    }
    sum
}

/// Probability of each sum of a random subset of the ranks.
fn rank_sum_distribution(ranks: &[usize]) -> Vec<f64> {
    let mut probability = vec![0.0; ranks.iter().sum::<usize>() + 1];
    probability[0] = 1.0;
    let mut top = 0;
    for &rank in ranks {
        top += rank;
        for sum in (0..=top).rev() {
            let with = if sum >= rank { probability[sum - rank] } else { 0.0 };
            probability[sum] = 0.5 * (probability[sum] + with);
        }
    }
    probability
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn eight_wins_of_eight() {
        let d = [0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08];
        let flip = sign_flip_test(&d, 0).unwrap();
        assert_eq!((flip.p_value, flip.patterns, flip.exact), (2.0 / 256.0, 256, true));
        let w = wilcoxon_signed_rank(&d).unwrap();
        assert_eq!((w.p_value, w.positive_rank_sum, w.n), (2.0 / 256.0, 36.0, 8));
    }

    #[test]
    fn nothing_to_test() {
        assert_eq!(sign_flip_test(&[], 0), None);
        assert_eq!(sign_flip_test(&[f64::NAN], 0), None);
        assert_eq!(wilcoxon_signed_rank(&[0.0, 0.0]), None);
        assert_eq!(wilcoxon_signed_rank(&[f64::INFINITY]), None);
        assert_eq!(sign_flip_test(&[0.0, 0.0], 0).unwrap().p_value, 1.0);
    }

    #[test]
    fn monte_carlo_is_near_exact_and_repeatable() {
        let d: Vec<f64> = (0..40).map(|i| f64::from((i * 37) % 19) - 6.0).collect();
        let a = sign_flip_test(&d, 5).unwrap();
        assert!(!a.exact && a == sign_flip_test(&d, 5).unwrap());
        // The sum of n signs times d is nearly normal with variance sum d^2.
        let z = d.iter().sum::<f64>() / d.iter().map(|x| x * x).sum::<f64>().sqrt();
        assert!((2.0..4.0).contains(&z) && a.p_value < 0.05 && a.p_value > 1e-5, "{z} {}", a.p_value);
    }

    #[test]
    fn the_largest_wilcoxon_is_quick_and_sane() {
        let even: Vec<f64> =
            (1..=500).map(|i| if i % 2 == 0 { f64::from(i) } else { -f64::from(i) }).collect();
        assert!(wilcoxon_signed_rank(&even).unwrap().p_value > 0.5);
        assert_eq!(wilcoxon_signed_rank(&[1.0; 501]), None);
    }

    proptest! {
        #[test]
        fn wilcoxon_equals_all_sign_patterns(d in prop::collection::vec(-6i32..=6, 1..10)) {
            let d: Vec<f64> = d.into_iter().map(f64::from).collect();
            let nonzero: Vec<f64> = d.iter().copied().filter(|v| *v != 0.0).collect();
            let result = wilcoxon_signed_rank(&d);
            prop_assert_eq!(result.is_some(), !nonzero.is_empty());
            if let Some(w) = result {
                let rank = |x: f64| {
                    let below = nonzero.iter().filter(|y| y.abs() < x.abs()).count() as f64;
                    let equal = nonzero.iter().filter(|y| y.abs() == x.abs()).count() as f64;
                    below + (equal + 1.0) / 2.0
                };
                let sums: Vec<f64> = (0..1u32 << nonzero.len())
                    .map(|m| nonzero.iter().enumerate().filter(|(k, _)| m >> k & 1 == 1).map(|(_, x)| rank(*x)).sum())
                    .collect();
                let seen: f64 = nonzero.iter().filter(|x| **x > 0.0).map(|x| rank(*x)).sum();
                let tail = |keep: &dyn Fn(f64) -> bool| sums.iter().filter(|s| keep(**s)).count() as f64 / sums.len() as f64;
                let p = (2.0 * tail(&|s| s <= seen).min(tail(&|s| s >= seen))).min(1.0);
                prop_assert!((w.p_value - p).abs() < 1e-12 && w.positive_rank_sum == seen);
            }
        }
    }
}
