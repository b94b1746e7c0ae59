//! Where disc, macula and arcades of one eye lie, and how the camera is pointed at it.
//!
//! Retina units: 540 span a 45 degree field, so one is about a pixel of a 565 x 584 photograph. The macula is the
//! origin, x grows away from the optic disc (temporally), y downwards; a left eye is mirrored by the camera.

use super::camera::SyntheticCamera;

/// A point or direction on the retina.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Point {
    pub x: f32,
    pub y: f32,
}

impl Point {
    pub fn new(x: f32, y: f32) -> Self {
        Point { x, y }
    }

    pub fn plus(self, other: Point, factor: f32) -> Point {
        Point::new(self.x + other.x * factor, self.y + other.y * factor)
    }

    pub fn minus(self, other: Point) -> Point {
        self.plus(other, -1.0)
    }

    pub fn dot(self, other: Point) -> f32 {
        self.x * other.x + self.y * other.y
    }

    pub fn length(self) -> f32 {
        self.dot(self).sqrt()
    }

    /// The unit vector; a zero vector gives +x.
    pub fn unit(self) -> Point {
        let length = self.length();
        if length < 1e-6 { Point::new(1.0, 0.0) } else { Point::new(self.x / length, self.y / length) }
    }

    /// Turned by the angle whose cosine and sine are given.
    pub fn turned(self, cosine: f32, sine: f32) -> Point {
        Point::new(self.x * cosine - self.y * sine, self.x * sine + self.y * cosine)
    }
}

/// One eye and one exposure of it.
#[derive(Debug, Clone)]
pub(super) struct Anatomy {
    pub disc: Point,
    pub disc_radius: f32,
    /// Half of the height that the arcades reach above and below the macula.
    pub arcade_height: f32,
    /// How much the vessels of this eye wind, around 1.
    pub tortuosity: f32,
    /// +1 for a right eye as seen with the disc on the left, -1 mirrored.
    pub side: f32,
    /// The retina point in the photograph's middle.
    pub view_centre: Point,
    /// Factors of this exposure on the camera's colour.
    pub tint: [f32; 3],
    /// Strength of the blood's absorption, around 1.
    pub blood: f32,
}

impl Anatomy {
    pub fn draw(camera: &SyntheticCamera, seed: u64, index: u32) -> Self {
        let mut s = camera.stream(seed, "anatomy", index);
        let disc = Point::new(-s.range(162.0, 188.0), -s.range(2.0, 26.0));
        let exposure = s.range(0.88, 1.1);
        let centred = s.chance(camera.disc_centred);
        Anatomy {
            disc,
            disc_radius: s.range(34.0, 41.0),
            arcade_height: s.range(122.0, 152.0),
            tortuosity: s.range(0.6, 1.5),
            side: if s.chance(0.5) { 1.0 } else { -1.0 },
            view_centre: if centred {
                Point::new(s.range(-140.0, -80.0), s.range(-15.0, 15.0))
            } else {
                Point::new(s.range(-30.0, 15.0), s.range(-15.0, 15.0))
            },
            tint: [
                exposure * s.range(0.97, 1.03),
                exposure * s.range(0.92, 1.08),
                exposure * s.range(0.8, 1.2),
            ],
            blood: s.range(0.85, 1.15),
        }
    }
}
