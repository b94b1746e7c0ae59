//! Convolution geometries that break kernels: extents of 1, odd extents, tails of every vector width.

/// One convolution's extents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvGeometry {
    /// N.
    pub images: usize,
    /// Cin.
    pub channels_in: usize,
    /// Cout.
    pub channels_out: usize,
    /// `[H, W]` in pixels.
    pub plane: [usize; 2],
    /// Kernel extent in pixels.
    pub kernel: usize,
    /// Step in pixels.
    pub stride: usize,
    /// Zeros on each side in pixels.
    pub padding: usize,
}

impl ConvGeometry {
    /// N, Cin, Cout, H, W, kernel, stride, padding.
    #[must_use]
    pub fn numbers(&self) -> [usize; 8] {
        let ConvGeometry { images, channels_in, channels_out, plane: [h, w], kernel, stride, padding } =
            *self;
        [images, channels_in, channels_out, h, w, kernel, stride, padding]
    }
}

/// A list that covers kernels 1, 3, 5, strides 1, 2, paddings from none to more than half the kernel, planes smaller
/// than the kernel, and channel counts on both sides of 4, 8 and 16.
#[must_use]
pub fn conv_geometries() -> Vec<ConvGeometry> {
    const TABLE: [[usize; 8]; 14] = [
        // N, Cin, Cout, H, W, K, stride, padding
        [1, 1, 1, 1, 1, 1, 1, 0],
        [1, 1, 1, 1, 1, 3, 1, 1],
        [2, 3, 5, 7, 9, 3, 1, 1],
        [1, 3, 16, 33, 31, 3, 1, 1],
        [2, 8, 8, 16, 16, 3, 1, 1],
        [1, 17, 15, 8, 65, 3, 1, 1],
        [3, 4, 6, 9, 8, 3, 2, 1],
        [1, 5, 7, 10, 11, 3, 1, 0],
        [1, 2, 3, 5, 6, 3, 1, 2],
        [2, 6, 4, 13, 12, 1, 1, 0],
        [1, 9, 1, 20, 19, 1, 1, 0],
        [2, 4, 4, 9, 7, 1, 2, 0],
        [1, 3, 4, 11, 14, 5, 1, 2],
        [2, 2, 3, 3, 4, 5, 2, 2],
    ];
    let geometry = |[images, channels_in, channels_out, h, w, kernel, stride, padding]: [usize; 8]| {
        ConvGeometry { images, channels_in, channels_out, plane: [h, w], kernel, stride, padding }
    };
    TABLE.map(geometry).to_vec()
}
