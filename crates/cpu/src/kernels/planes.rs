//! Planes of a batch: what convolutions read, from one tensor or from two side by side.

/// A batch of planes `(N, channels, H, W)`. Its channels lie in one tensor, or in two that stand for their concatenation.
#[derive(Clone, Copy)]
pub(crate) struct Planes<'a> {
    parts: [&'a [f32]; 2],
    /// Channels of each part.
    counts: [usize; 2],
    /// `[H, W]`.
    pub(crate) extent: [usize; 2],
}

impl<'a> Planes<'a> {
    /// All channels in one tensor `(N, channels, H, W)`.
    pub(crate) fn new(data: &'a [f32], channels: usize, extent: [usize; 2]) -> Self {
        Planes { parts: [data, &[]], counts: [channels, 0], extent }
    }

    /// The channels of `(N, Ca, H, W)`, then those of `(N, Cb, H, W)`.
    pub(crate) fn pair(parts: [&'a [f32]; 2], counts: [usize; 2], extent: [usize; 2]) -> Self {
        Planes { parts, counts, extent }
    }

    /// All channels.
    pub(crate) fn channels(&self) -> usize {
        self.counts[0] + self.counts[1]
    }

    /// A plane and the one of the next channel; the last channel's next is itself.
    pub(crate) fn plane_and_next(&self, image: usize, channel: usize) -> [&'a [f32]; 2] {
        let next = (channel + 1).min(self.channels() - 1);
        [self.plane(image, channel), self.plane(image, next)]
    }

    /// One plane, `H W` floats.
    pub(crate) fn plane(&self, image: usize, channel: usize) -> &'a [f32] {
        let pixels = self.extent[0] * self.extent[1];
        let second = usize::from(channel >= self.counts[0]);
        let at = image * self.counts[second] + channel - second * self.counts[0];
        &self.parts[second][at * pixels..][..pixels]
    }
}

#[cfg(test)]
mod tests {
    use super::Planes;

    #[test]
    fn two_tensors_read_as_their_concatenation() {
        let a: Vec<f32> = (0..12u8).map(f32::from).collect(); // (2, 3, 1, 2)
        let b: Vec<f32> = (20..24u8).map(f32::from).collect(); // (2, 1, 1, 2)
        let both = Planes::pair([&a, &b], [3, 1], [1, 2]);
        assert_eq!(both.channels(), 4);
        assert_eq!([both.plane(0, 2), both.plane(0, 3)], [[4.0, 5.0], [20.0, 21.0]]);
        assert_eq!([both.plane(1, 0), both.plane(1, 3)], [[6.0, 7.0], [22.0, 23.0]]);
        assert_eq!(Planes::new(&a, 3, [1, 2]).plane(1, 2), [10.0, 11.0]);
    }
}
