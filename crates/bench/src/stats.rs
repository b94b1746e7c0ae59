//! Medians, rounding and the ratios of two programs that ran in turn.

/// The middle value, or the mean of the two in the middle; none without values.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => Some(sorted[middle]),
        _ => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
    }
}

/// Least and greatest; none without values.
pub fn range(values: &[f64]) -> Option<[f64; 2]> {
    let first = *values.first()?;
    Some(values.iter().fold([first; 2], |[low, high], &v| [low.min(v), high.max(v)]))
}

/// To this many decimals.
pub fn rounded(value: f64, decimals: i32) -> f64 {
    let unit = 10f64.powi(decimals);
    (value * unit).round() / unit
}

/// Ratios of one program's time to another's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ratio {
    /// Median over the rounds.
    pub median: f64,
    /// Least and greatest of the rounds.
    pub range: [f64; 2],
}

/// Ours over the peer's, round by round: neighbours in time saw the same machine. A round without both is left out.
pub fn ratio(ours: &[Option<f64>], peer: &[Option<f64>]) -> Option<Ratio> {
    let rounds: Vec<f64> = ours.iter().zip(peer).filter_map(|(&a, &b)| Some(a? / b?)).collect();
    Some(Ratio { median: median(&rounds)?, range: range(&rounds)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_of_odd_even_and_nothing() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn range_holds_every_value() {
        assert_eq!(range(&[2.0, 1.0, 3.0]), Some([1.0, 3.0]));
        assert_eq!(range(&[]), None);
    }

    #[test]
    fn ratio_pairs_rounds_and_drops_lone_ones() {
        let ours = [Some(1.0), Some(4.0), None, Some(3.0)];
        let peer = [Some(2.0), Some(4.0), Some(1.0), None];
        assert_eq!(ratio(&ours, &peer), Some(Ratio { median: 0.75, range: [0.5, 1.0] }));
        assert_eq!(ratio(&ours[2..], &peer[2..]), None);
    }

    #[test]
    fn rounding_keeps_decimals() {
        assert_eq!(rounded(1.23456, 2), 1.23);
    }
}
