//! Checked geometry of sliding windows: how a kernel, a stride and a padding turn one extent into another.

/// A sliding window over a plane: square kernel, one stride and one zero padding for both axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    /// Kernel extent in pixels, both axes.
    pub kernel: usize,
    /// Step in pixels between outputs.
    pub stride: usize,
    /// Zeros added on each side, in pixels.
    pub padding: usize,
}

/// Why a window does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WindowError {
    /// Kernel or stride is zero, or the padding is not smaller than the kernel.
    #[error("window {window:?}: kernel and stride must be positive and padding smaller than the kernel")]
    Invalid {
        /// The window.
        window: Window,
    },
    /// The padded extent is smaller than the kernel.
    #[error("an extent of {extent} pixels is too small for {window:?}")]
    TooSmall {
        /// Unpadded input extent, pixels.
        extent: usize,
        /// The window.
        window: Window,
    },
}

impl Window {
    /// A window that keeps the extent: odd kernel, stride 1, padding `kernel / 2`.
    #[must_use]
    pub const fn same(kernel: usize) -> Self {
        Window { kernel, stride: 1, padding: kernel / 2 }
    }

    /// Output extent for an input extent: `(extent + 2 padding - kernel) / stride + 1`, rounded down.
    ///
    /// # Errors
    /// When the window is malformed or larger than the padded input.
    pub fn output(&self, extent: usize) -> Result<usize, WindowError> {
        if self.kernel == 0 || self.stride == 0 || self.padding >= self.kernel {
            return Err(WindowError::Invalid { window: *self });
        }
        let padded = extent + 2 * self.padding;
        if padded < self.kernel {
            return Err(WindowError::TooSmall { extent, window: *self });
        }
        Ok((padded - self.kernel) / self.stride + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extents() {
        assert_eq!(Window::same(3).output(224), Ok(224));
        assert_eq!(Window { kernel: 3, stride: 2, padding: 1 }.output(7), Ok(4));
        assert!(Window { kernel: 3, stride: 1, padding: 3 }.output(7).is_err());
        assert!(Window { kernel: 5, stride: 1, padding: 0 }.output(4).is_err());
        assert!(Window { kernel: 3, stride: 0, padding: 1 }.output(4).is_err());
    }
}
