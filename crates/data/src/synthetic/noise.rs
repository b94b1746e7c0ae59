//! Smooth random fields: value noise on a periodic lattice.

use fovea_tensor::Stream;

const SIDE: usize = 64;

/// A random field in about `-1..1` with features of one unit of length; repeats after 64.
pub(super) struct Noise {
    lattice: Vec<f32>,
}

impl Noise {
    pub fn new(stream: &mut Stream) -> Self {
        Noise { lattice: (0..SIDE * SIDE).map(|_| stream.range(-1.0, 1.0)).collect() }
    }

    pub fn at(&self, x: f32, y: f32) -> f32 {
        let (left, top) = (x.floor(), y.floor());
        let (u, v) = (smooth(x - left), smooth(y - top));
        let column = |offset: i32| (left as i32 + offset).rem_euclid(SIDE as i32) as usize;
        let row = |offset: i32| (top as i32 + offset).rem_euclid(SIDE as i32) as usize * SIDE;
        let (x0, x1, y0, y1) = (column(0), column(1), row(0), row(1));
        let above = self.lattice[y0 + x0] + u * (self.lattice[y0 + x1] - self.lattice[y0 + x0]);
        let below = self.lattice[y1 + x0] + u * (self.lattice[y1 + x1] - self.lattice[y1 + x0]);
        above + v * (below - above)
    }

    /// Three octaves, each half as strong and half as wide as the one before; normalised to about `-1..1`.
    pub fn octaves(&self, x: f32, y: f32) -> f32 {
        let shifted = |factor: f32, shift: f32| self.at(x * factor + shift, y * factor - shift);
        (shifted(1.0, 0.0) + 0.5 * shifted(2.0, 17.3) + 0.25 * shifted(4.0, 41.7)) / 1.3
    }
}

/// 0 to 1 with a flat start and end.
pub(super) fn smooth(t: f32) -> f32 {
    let t = t.clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn continuous_bounded_and_periodic() {
        let noise = Noise::new(&mut Stream::new(1, "noise", [0, 0]));
        for i in 0..2000 {
            let (x, y) = (i as f32 * 0.037 - 30.0, i as f32 * 0.011 - 9.0);
            assert!(noise.octaves(x, y).abs() <= 1.36);
            assert!((noise.at(x, y) - noise.at(x + 0.01, y)).abs() < 0.04);
            assert!((noise.at(x, y) - noise.at(x + 64.0, y - 64.0)).abs() < 1e-3);
        }
    }
}
