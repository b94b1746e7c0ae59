//! Curves over all thresholds: ROC, precision and recall, and the areas below them.

use crate::Pixels;
use serde::{Deserialize, Serialize};

/// Pixels sorted by probability, highest first, with equal probabilities in one group.
#[derive(Debug, Clone)]
pub struct Ranking {
    /// Per distinct probability, descending: the probability, and positives and negatives at or above it.
    groups: Vec<(f32, u64, u64)>,
    positives: u64,
    negatives: u64,
}

/// A point of a thinned curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// False positive rate (ROC) or recall (precision-recall).
    pub x: f64,
    /// True positive rate (ROC) or precision (precision-recall).
    pub y: f64,
    /// Pixels with at least this probability count as positive.
    pub threshold: f32,
}

impl Ranking {
    /// Sorts the pixels inside the fields of one or several images, pooled.
    #[must_use]
    pub fn new(images: &[Pixels]) -> Self {
        // Probabilities are in [0, 1], so their bits sort like the numbers once -0.0 is made 0.0, and leave the
        // top bits free for the label in bit 0: one integer sort instead of a keyed float sort.
        let mut keys: Vec<u32> = images
            .iter()
            .flat_map(Pixels::inside)
            .map(|(p, label)| ((p + 0.0).to_bits() << 1) | u32::from(label))
            .collect();
        keys.sort_unstable();
        let (mut positives, mut negatives) = (0u64, 0u64);
        let mut groups: Vec<(f32, u64, u64)> = Vec::new();
        for same in keys.chunk_by(|a, b| a >> 1 == b >> 1).rev() {
            let in_group = same.iter().map(|k| u64::from(k & 1)).sum::<u64>();
            positives += in_group;
            negatives += same.len() as u64 - in_group;
            groups.push((f32::from_bits(same[0] >> 1), positives, negatives));
        }
        Ranking { groups, positives, negatives }
    }

    /// Area under the ROC curve, exact with ties: the share of (positive, negative) pairs ranked right, half for a tie
    /// (Mann-Whitney U). `None` unless both classes are present.
    #[must_use]
    pub fn roc_auc(&self) -> Option<f64> {
        let pairs = u128::from(self.positives) * u128::from(self.negatives);
        let (mut twice, mut before) = (0u128, (0u64, 0u64));
        for &(_, pos, neg) in &self.groups {
            twice += u128::from(neg - before.1) * u128::from(pos + before.0);
            before = (pos, neg);
        }
        (pairs > 0).then(|| twice as f64 / (2 * pairs) as f64)
    }

    /// Average precision, the sum of precision times the step in recall over distinct thresholds, without
    /// interpolation. `None` when nothing is vessel.
    #[must_use]
    pub fn average_precision(&self) -> Option<f64> {
        let (mut sum, mut before) = (0.0, 0u64);
        for &(_, pos, neg) in &self.groups {
            sum += (pos - before) as f64 * (pos as f64 / (pos + neg) as f64);
            before = pos;
        }
        (self.positives > 0).then(|| sum / self.positives as f64)
    }

    /// ROC curve from (0, 0) to (1, 1), thinned to at most `points` points about evenly spaced along
    /// `x + y`; every point is a point of the full curve. Empty unless both classes are present.
    #[must_use]
    pub fn roc_curve(&self, points: usize) -> Vec<CurvePoint> {
        if self.positives == 0 || self.negatives == 0 {
            return Vec::new();
        }
        let start = CurvePoint { x: 0.0, y: 0.0, threshold: f32::INFINITY };
        let full = self.groups.iter().map(|&(threshold, pos, neg)| CurvePoint {
            x: neg as f64 / self.negatives as f64,
            y: pos as f64 / self.positives as f64,
            threshold,
        });
        thin(std::iter::once(start).chain(full), points, |p| (p.x + p.y) / 2.0)
    }

    /// Precision (y) over recall (x), thinned to at most `points` points about evenly spaced in recall. Empty when
    /// nothing is vessel.
    #[must_use]
    pub fn pr_curve(&self, points: usize) -> Vec<CurvePoint> {
        if self.positives == 0 {
            return Vec::new();
        }
        let full = self.groups.iter().map(|&(threshold, pos, neg)| CurvePoint {
            x: pos as f64 / self.positives as f64,
            y: pos as f64 / (pos + neg) as f64,
            threshold,
        });
        thin(full, points, |p| p.x)
    }
}

/// Keeps the first point, the last, and the first to reach each of `points - 1` equal steps of `progress` (0 to 1).
fn thin(
    curve: impl Iterator<Item = CurvePoint>,
    points: usize,
    progress: impl Fn(&CurvePoint) -> f64,
) -> Vec<CurvePoint> {
    let steps = points.max(2) - 1;
    let (mut kept, mut next, mut last) = (Vec::with_capacity(points), 0usize, None);
    for point in curve {
        let reached = (progress(&point) * steps as f64 + 1e-9) as usize;
        if reached >= next || kept.is_empty() {
            kept.push(point);
            next = reached + 1;
        }
        last = Some(point);
    }
    if let Some(last) = last.filter(|l| kept.last() != Some(l)) {
        if kept.len() >= points.max(2) {
            kept.pop();
        }
        kept.push(last);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ranking(p: &[f32], label: &[u8], field: &[u8]) -> Ranking {
        Ranking::new(&[Pixels::new([1, p.len()], p, label, field).unwrap()])
    }

    #[test]
    fn one_class_has_no_auc_and_no_curve() {
        let r = ranking(&[0.1, 0.9], &[1, 1], &[1, 1]);
        assert_eq!((r.roc_auc(), r.average_precision()), (None, Some(1.0)));
        assert!(r.roc_curve(10).is_empty() && !r.pr_curve(10).is_empty());
        let r = ranking(&[0.1, 0.9], &[0, 1], &[1, 0]);
        assert_eq!((r.roc_auc(), r.average_precision()), (None, None));
        assert!(r.pr_curve(10).is_empty());
    }

    #[test]
    fn a_constant_prediction_is_chance() {
        assert_eq!(ranking(&[0.5; 4], &[1, 0, 0, 1], &[1; 4]).roc_auc(), Some(0.5));
        assert_eq!(ranking(&[-0.0, 0.0], &[1, 0], &[1; 2]).roc_auc(), Some(0.5));
    }

    fn images() -> impl Strategy<Value = Vec<(u8, bool, bool)>> {
        prop::collection::vec((0u8..=20, any::<bool>(), prop::bool::weighted(0.8)), 1..120)
    }

    proptest! {
        #[test]
        fn auc_and_precision_equal_the_quadratic_definitions(image in images()) {
            let p: Vec<f32> = image.iter().map(|v| f32::from(v.0) / 20.0).collect();
            let label: Vec<u8> = image.iter().map(|v| u8::from(v.1)).collect();
            let field: Vec<u8> = image.iter().map(|v| u8::from(v.2)).collect();
            let inside: Vec<(u8, bool)> = image.iter().filter(|v| v.2).map(|v| (v.0, v.1)).collect();
            let (pos, neg): (Vec<_>, Vec<_>) = inside.iter().copied().partition(|v| v.1);
            let mut wins = 0.0;
            for a in &pos {
                for b in &neg {
                    wins += if a.0 > b.0 { 1.0 } else if a.0 == b.0 { 0.5 } else { 0.0 };
                }
            }
            let expected = (!pos.is_empty() && !neg.is_empty()).then(|| wins / (pos.len() * neg.len()) as f64);
            let r = ranking(&p, &label, &field);
            prop_assert_eq!(r.roc_auc().is_some(), expected.is_some());
            prop_assert!((r.roc_auc().unwrap_or(0.0) - expected.unwrap_or(0.0)).abs() < 1e-12);
            // Average precision: each positive counts the precision at its own threshold.
            let mean = pos.iter().map(|a| {
                let above = inside.iter().filter(|v| v.0 >= a.0).count() as f64;
                pos.iter().filter(|v| v.0 >= a.0).count() as f64 / above
            }).sum::<f64>() / pos.len().max(1) as f64;
            prop_assert!((r.average_precision().unwrap_or(0.0) - mean).abs() < 1e-12);
        }

        #[test]
        fn thinned_curves_keep_their_ends_and_order(image in images(), points in 2usize..12) {
            let p: Vec<f32> = image.iter().map(|v| f32::from(v.0) / 20.0).collect();
            let label: Vec<u8> = image.iter().map(|v| u8::from(v.1)).collect();
            let r = ranking(&p, &label, &vec![1; p.len()]);
            let roc = r.roc_curve(points);
            prop_assert!(roc.len() <= points);
            prop_assert!(roc.windows(2).all(|w| w[0].x <= w[1].x && w[0].y <= w[1].y && w[0].threshold > w[1].threshold));
            if let (Some(first), Some(last)) = (roc.first(), roc.last()) {
                prop_assert_eq!((first.x, first.y, last.x, last.y), (0.0, 0.0, 1.0, 1.0));
            }
            let pr = r.pr_curve(points);
            prop_assert!(pr.len() <= points && pr.windows(2).all(|w| w[0].x <= w[1].x));
            prop_assert!(pr.last().is_none_or(|l| l.x == 1.0));
        }
    }
}
