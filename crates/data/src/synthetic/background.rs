//! The fundus behind the vessels: pigment, macula, optic disc, and lesions as distractors.

use fovea_tensor::Stream;

use super::anatomy::{Anatomy, Point};
use super::camera::SyntheticCamera;
use super::noise::{Noise, smooth};
use super::raster::View;
use crate::math::exp;

/// Colour factors of the disc and the exudates relative to the fundus.
const DISC: [f32; 3] = [1.3, 1.85, 2.0];
const EXUDATE: [f32; 3] = [1.25, 1.75, 1.7];

/// Random fields and lesions of one eye.
pub(super) struct Background<'a> {
    anatomy: &'a Anatomy,
    pigment: Noise,
    choroid: Noise,
    lesions: Lesions,
    /// Strength of the mottled pigment and of the choroid's vessels.
    mottling: f32,
    choroid_strength: f32,
    macula_depth: f32,
    cup: f32,
}

impl<'a> Background<'a> {
    pub fn new(camera: &SyntheticCamera, anatomy: &'a Anatomy, view: &View, stream: &mut Stream) -> Self {
        let pigment = Noise::new(stream);
        let lesions = Lesions::draw(camera, view, &pigment, stream);
        Background {
            anatomy,
            pigment,
            choroid: Noise::new(stream),
            lesions,
            mottling: stream.range(0.06, 0.13),
            choroid_strength: stream.range(0.02, 0.12),
            macula_depth: stream.range(0.26, 0.42),
            cup: stream.range(0.3, 0.55),
        }
    }

    /// Colour factors of the pixel `index` at the retina point `p`.
    pub fn factors(&self, index: usize, p: Point) -> [f32; 3] {
        let spots = self.mottling * self.pigment.octaves(p.x / 42.0, p.y / 42.0);
        let fine = 0.5 * self.mottling * self.pigment.at(p.x / 3.5 + 11.0, p.y / 3.5);
        let bands = self.choroid_bands(p);
        let far = (p.length() / 300.0).min(1.5);
        let fovea = self.fovea(p);
        let mut rgb = [
            (1.0 + 0.6 * spots + fine + 0.6 * bands) * (1.0 - 0.75 * fovea),
            (1.0 + spots + fine + bands + 0.05 * far) * (1.0 - fovea),
            (1.0 + 1.3 * spots + fine + 0.8 * bands + 0.1 * far) * (1.0 - 0.9 * fovea),
        ];
        self.paint_disc(p, &mut rgb);
        let bright = self.lesions.bright[index];
        for (value, exudate) in rgb.iter_mut().zip(EXUDATE) {
            *value += bright * (exudate - *value);
        }
        rgb
    }

    /// Depth of blood outside the vessels at the pixel `index`, in retina units.
    pub fn haemorrhage(&self, index: usize) -> f32 {
        self.lesions.dark[index]
    }

    /// Whether `p` lies on the optic disc, 0 to 1: vessels there run over white tissue.
    pub fn on_disc(&self, p: Point) -> f32 {
        let d = p.minus(self.anatomy.disc);
        let wobble = 1.0 + 0.05 * self.pigment.at(d.x / 30.0 + 5.0, d.y / 30.0);
        let across = Point::new(d.x * 1.06, d.y * 0.96).length() / (self.anatomy.disc_radius * wobble);
        smooth((1.08 - across) / 0.16)
    }

    fn paint_disc(&self, p: Point, rgb: &mut [f32; 3]) {
        let d = p.minus(self.anatomy.disc);
        let distance = d.length() / self.anatomy.disc_radius;
        if distance > 2.5 {
            return;
        }
        let disc = self.on_disc(p);
        let cup_at = d.minus(Point::new(3.0, 1.0)).length() / self.anatomy.disc_radius;
        let cup = smooth((self.cup - cup_at) / 0.25 + 0.5);
        // The temporal rim is paler; a narrow halo surrounds the disc.
        let pale = 0.66 + 0.22 * (d.x / self.anatomy.disc_radius).clamp(-1.0, 1.0) + 0.35 * cup;
        let halo = 0.10 * smooth((1.7 - distance) / 0.7);
        for (value, white) in rgb.iter_mut().zip(DISC) {
            *value *= 1.0 + halo;
            *value += disc * (1.0 + (white - 1.0) * pale - *value);
        }
    }

    /// Darkening by the macular pigment, with a pit in the middle.
    fn fovea(&self, p: Point) -> f32 {
        let squared = p.dot(p);
        if squared > 160.0 * 160.0 {
            return 0.0;
        }
        let bell = |width: f32| exp(f64::from(-squared / (2.0 * width * width))) as f32;
        self.macula_depth * (0.65 * bell(38.0) + 0.35 * bell(14.0))
    }

    /// Ridges of a stretched field: the broad, faint vessels of the choroid, which nobody labels.
    fn choroid_bands(&self, p: Point) -> f32 {
        let outer = ((p.length() - 60.0) / 200.0).clamp(0.0, 1.0);
        let ridge =
            1.0 - 2.0 * self.choroid.octaves((p.x + 0.4 * p.y) / 46.0, (p.y - 0.4 * p.x) / 26.0).abs();
        self.choroid_strength * outer * ridge
    }
}

/// Planes `(height, width)` of bright deposits (0 to 1) and of blood outside the vessels (retina units).
struct Lesions {
    bright: Vec<f32>,
    dark: Vec<f32>,
}

impl Lesions {
    fn draw(camera: &SyntheticCamera, view: &View, warp: &Noise, stream: &mut Stream) -> Self {
        let pixels = view.height * view.width;
        let mut lesions = Lesions { bright: vec![0.0; pixels], dark: vec![0.0; pixels] };
        if stream.chance(camera.lesions) {
            for _ in 0..1 + stream.below(3) {
                lesions.exudates(view, warp, stream);
            }
        }
        if stream.chance(camera.lesions) {
            for _ in 0..3 + stream.below(14) {
                lesions.haemorrhage(view, warp, stream);
            }
        }
        lesions
    }

    /// A cluster of small, sharp, yellow deposits.
    fn exudates(&mut self, view: &View, warp: &Noise, stream: &mut Stream) {
        let centre = place(stream);
        let spread = stream.range(12.0, 34.0);
        for _ in 0..6 + stream.below(22) {
            let at = centre.plus(Point::new(stream.normal(), stream.normal()), spread * 0.6);
            let (radius, strength) = (stream.range(0.9, 4.2), stream.range(0.4, 0.95));
            blob(view, warp, at, at, radius, 0.35, |i, value| {
                self.bright[i] = self.bright[i].max(strength * value);
            });
        }
    }

    /// A dark dot, blot or flame.
    fn haemorrhage(&mut self, view: &View, warp: &Noise, stream: &mut Stream) {
        let at = place(stream);
        let flame = stream.chance(0.3);
        let radius = if stream.chance(0.55) { stream.range(1.2, 2.6) } else { stream.range(3.0, 8.5) };
        let length = if flame { stream.range(2.0, 5.0) * radius } else { 0.0 };
        let along = Point::new(stream.range(-1.0, 1.0), stream.range(-1.0, 1.0)).unit();
        let depth = stream.range(3.0, 6.5);
        blob(view, warp, at, at.plus(along, length), radius, 0.6, |i, value| {
            self.dark[i] = self.dark[i].max(depth * value);
        });
    }
}

fn place(stream: &mut Stream) -> Point {
    Point::new(stream.range(-170.0, 200.0), stream.range(-170.0, 170.0))
}

/// A blob with an irregular outline around the line `a`-`b`; `soft` is the width of its edge per radius.
fn blob(
    view: &View,
    warp: &Noise,
    a: Point,
    b: Point,
    radius: f32,
    soft: f32,
    mut visit: impl FnMut(usize, f32),
) {
    let reach = radius * view.scale * 1.8 + 1.0;
    view.near_line(view.to_sensor(a), view.to_sensor(b), reach, |i, distance, _| {
        let p = view.to_retina(i / view.width, i % view.width);
        let outline = 1.0 + 0.5 * warp.at(p.x / (0.9 * radius), p.y / (0.9 * radius));
        let value = smooth((outline - distance / (radius * view.scale)) / soft + 0.5);
        visit(i, value);
    });
}
