//! Resizing planar `f32` images and 0/1 masks: nearest, bilinear and area averaging, separable.
//!
//! All three share one convention: pixel `i` of an axis covers `[i, i + 1)` and its sample lies at the centre
//! `i + 0.5`, so output pixel `o` looks at `(o + 0.5) * from / to` (what PyTorch calls `align_corners=false`).
//! Each axis is a table of taps made once and applied to every row, which keeps the three filters one code path.

/// How an output pixel is computed from the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// The input pixel that holds the output pixel's centre.
    Nearest,
    /// Linear between the two nearest centres, whatever the ratio: aliases when an axis shrinks to under a half.
    Bilinear,
    /// The mean over the output pixel's footprint along an axis that shrinks; bilinear along one that grows.
    Area,
}

/// Resizes `channels` planes of `from = (height, width)` to `to`, in the layout `(C, H, W)`.
///
/// # Panics
/// When `src` is not `channels * height * width` long or an axis is zero.
#[must_use]
pub fn resize(
    src: &[f32],
    channels: usize,
    from: (usize, usize),
    to: (usize, usize),
    filter: Filter,
) -> Vec<f32> {
    assert_eq!(src.len(), channels * from.0 * from.1, "resize: the source is not (channels, height, width)");
    let (rows, columns) = (Taps::new(from.0, to.0, filter), Taps::new(from.1, to.1, filter));
    let mut out = Vec::with_capacity(channels * to.0 * to.1);
    let mut narrow = vec![0.0; from.0 * to.1]; // (H, Wo)
    for plane in src.chunks_exact(from.0 * from.1) {
        for (line, row) in narrow.chunks_exact_mut(to.1).zip(plane.chunks_exact(from.1)) {
            columns.along_row(row, line);
        }
        rows.across_rows(&narrow, to.1, &mut out);
    }
    out
}

/// Resizes a 0/1 mask; the result is again 0/1.
///
/// [`Filter::Nearest`] picks pixels. The other two average and then call a pixel set when at least half of it is:
/// thin vessels survive shrinking in proportion to their area.
///
/// # Panics
/// When `src` is not `height * width` long or an axis is zero.
#[must_use]
pub fn resize_mask(src: &[u8], from: (usize, usize), to: (usize, usize), filter: Filter) -> Vec<u8> {
    let values: Vec<f32> = src.iter().map(|&v| f32::from(v)).collect();
    // Rounding in the weights must not decide an exact half.
    resize(&values, 1, from, to, filter).into_iter().map(|v| u8::from(v >= 0.5 - 1e-5)).collect()
}

/// The input pixels and weights behind each output pixel of one axis.
struct Taps {
    /// Per output pixel: first input pixel, and its range in `weights`.
    spans: Vec<(usize, usize, usize)>,
    weights: Vec<f32>,
}

impl Taps {
    fn new(from: usize, to: usize, filter: Filter) -> Self {
        assert!(from > 0 && to > 0, "resize: an axis of zero pixels");
        let ratio = from as f64 / to as f64;
        let mut taps = Taps { spans: Vec::with_capacity(to), weights: Vec::new() };
        for o in 0..to {
            match filter {
                Filter::Nearest => {
                    let at = ((2 * o + 1) * from / (2 * to)).min(from - 1);
                    taps.push(at, &[1.0]);
                }
                Filter::Area if to < from => taps.push_box(o as f64 * ratio, (o + 1) as f64 * ratio, from),
                Filter::Bilinear | Filter::Area => taps.push_linear((o as f64 + 0.5) * ratio - 0.5, from),
            }
        }
        taps
    }

    fn push(&mut self, first: usize, weights: &[f32]) {
        let begin = self.weights.len();
        self.weights.extend_from_slice(weights);
        self.spans.push((first, begin, self.weights.len()));
    }

    fn push_linear(&mut self, position: f64, from: usize) {
        let position = position.clamp(0.0, (from - 1) as f64);
        let first = (position as usize).min(from.saturating_sub(2));
        let fraction = (position - first as f64) as f32;
        if from == 1 { self.push(0, &[1.0]) } else { self.push(first, &[1.0 - fraction, fraction]) }
    }

    fn push_box(&mut self, begin: f64, end: f64, from: usize) {
        let first = begin as usize;
        let last = (end.ceil() as usize).clamp(first + 1, from);
        let overlap = |i: usize| (end.min((i + 1) as f64) - begin.max(i as f64)).max(0.0);
        let weights: Vec<f32> = (first..last).map(|i| (overlap(i) / (end - begin)) as f32).collect();
        self.push(first, &weights);
    }

    fn along_row(&self, row: &[f32], out: &mut [f32]) {
        for (value, &(first, begin, end)) in out.iter_mut().zip(&self.spans) {
            *value = self.weights[begin..end].iter().zip(&row[first..]).map(|(w, x)| w * x).sum();
        }
    }

    fn across_rows(&self, rows: &[f32], width: usize, out: &mut Vec<f32>) {
        for &(first, begin, end) in &self.spans {
            let line = out.len();
            out.resize(line + width, 0.0);
            for (tap, &weight) in self.weights[begin..end].iter().enumerate() {
                let row = &rows[(first + tap) * width..][..width];
                out[line..].iter_mut().zip(row).for_each(|(o, x)| *o += weight * x);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: [Filter; 3] = [Filter::Nearest, Filter::Bilinear, Filter::Area];

    #[test]
    fn same_size_is_the_identity() {
        let src: Vec<f32> = (0..24).map(|v| v as f32 * 0.37).collect();
        for filter in ALL {
            assert_eq!(resize(&src, 2, (3, 4), (3, 4), filter), src);
        }
    }

    #[test]
    fn halving_averages_blocks() {
        let src = [1.0, 3.0, 10.0, 20.0, 5.0, 7.0, 30.0, 40.0]; // (1, 2, 4)
        for filter in [Filter::Area, Filter::Bilinear] {
            assert_eq!(resize(&src, 1, (2, 4), (1, 2), filter), [4.0, 25.0]);
        }
        assert_eq!(resize(&src, 1, (2, 4), (1, 2), Filter::Nearest), [7.0, 40.0]);
    }

    #[test]
    fn area_weights_partial_pixels() {
        // 3 -> 2: each output covers one pixel and a half.
        let out = resize(&[0.0, 3.0, 9.0], 1, (1, 3), (1, 2), Filter::Area);
        assert!((out[0] - 1.0).abs() < 1e-6 && (out[1] - 7.0).abs() < 1e-6, "{out:?}");
        assert_eq!(resize(&[0.0, 0.0, 0.0, 8.0], 1, (1, 4), (1, 1), Filter::Area), [2.0]);
        assert_eq!(resize(&[0.0, 0.0, 0.0, 8.0], 1, (1, 4), (1, 1), Filter::Bilinear), [0.0]);
    }

    #[test]
    fn doubling_is_linear_between_half_pixel_centres() {
        for filter in [Filter::Bilinear, Filter::Area] {
            assert_eq!(resize(&[0.0, 4.0], 1, (1, 2), (1, 4), filter), [0.0, 1.0, 3.0, 4.0]);
            assert_eq!(resize(&[0.0, 4.0], 1, (2, 1), (4, 1), filter), [0.0, 1.0, 3.0, 4.0]);
        }
        assert_eq!(resize(&[5.0], 1, (1, 1), (2, 3), Filter::Bilinear), [5.0; 6]);
        assert_eq!(resize(&[1.0, 2.0], 1, (1, 2), (1, 4), Filter::Nearest), [1.0, 1.0, 2.0, 2.0]);
    }

    #[test]
    fn axes_may_go_opposite_ways() {
        let out = resize(&[0.0, 2.0, 4.0, 6.0], 1, (1, 4), (2, 2), Filter::Area);
        assert_eq!(out, [1.0, 5.0, 1.0, 5.0]);
    }

    #[test]
    fn masks_take_the_majority_and_ties_count_as_set() {
        let src = [1, 0, 0, 0, 1, 0, 0, 1];
        assert_eq!(resize_mask(&src, (2, 4), (1, 2), Filter::Area), [1, 0]);
        assert_eq!(resize_mask(&src, (2, 4), (1, 2), Filter::Nearest), [0, 1]);
    }

    #[test]
    #[should_panic(expected = "not (channels, height, width)")]
    fn a_wrong_length_is_refused() {
        let _ = resize(&[0.0; 5], 1, (2, 3), (1, 1), Filter::Area);
    }

    proptest! {
        #[test]
        fn constants_stay_and_bounds_hold(
            (h, w, ho, wo) in (1usize..20, 1usize..20, 1usize..30, 1usize..30),
            seed in 0u64..1000,
        ) {
            let mut stream = fovea_tensor::Stream::new(seed, "resize", [0, 0]);
            let src: Vec<f32> = (0..h * w).map(|_| stream.uniform()).collect();
            for filter in ALL {
                for v in resize(&vec![0.7; h * w], 1, (h, w), (ho, wo), filter) {
                    prop_assert!((v - 0.7).abs() < 1e-5);
                }
                let out = resize(&src, 1, (h, w), (ho, wo), filter);
                prop_assert_eq!(out.len(), ho * wo);
                prop_assert!(out.iter().all(|v| (-1e-5..1.0 + 1e-5).contains(v)));
            }
        }

        #[test]
        fn shrinking_by_area_keeps_the_mean((h, w) in (2usize..20, 2usize..20), seed in 0u64..1000) {
            let mut stream = fovea_tensor::Stream::new(seed, "resize", [0, 0]);
            let src: Vec<f32> = (0..h * w).map(|_| stream.uniform()).collect();
            let out = resize(&src, 1, (h, w), (h.div_ceil(2), w - 1), Filter::Area);
            let mean = |v: &[f32]| v.iter().sum::<f32>() / v.len() as f32;
            prop_assert!((mean(&out) - mean(&src)).abs() < 1e-5);
        }
    }
}
