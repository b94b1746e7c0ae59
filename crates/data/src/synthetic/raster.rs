//! From centre lines to pixels: exact labels, and the depth of blood that light crosses at each pixel.

use fovea_tensor::Stream;

use super::anatomy::{Anatomy, Point};
use super::camera::{Observer, SyntheticCamera};
use super::noise::Noise;
use super::tree::{Kind, Segment};

/// Drawn lines are at least this thick (radius in pixels), so that a centre line hits a pixel in every row.
const PEN_RADIUS_MIN_PX: f32 = 0.5;

/// Pixels that a vessel's edge is softened by before the optics blur it.
const SOFT_PX: f32 = 0.45;

/// How the retina lies on the sensor.
pub(super) struct View {
    pub height: usize,
    pub width: usize,
    /// Pixels per retina unit.
    pub scale: f32,
    side: f32,
    centre: Point,
    radius_px: f32,
    half_height_px: f32,
}

impl View {
    pub fn new(camera: &SyntheticCamera, anatomy: &Anatomy) -> Self {
        View {
            height: camera.height,
            width: camera.width,
            scale: camera.pixels_per_unit(),
            side: anatomy.side,
            centre: anatomy.view_centre,
            radius_px: camera.field_radius_px,
            half_height_px: camera.field_half_height_px,
        }
    }

    /// The sensor position of a retina point; pixel `(row, column)` has its centre at `(column + 0.5, row + 0.5)`.
    pub fn to_sensor(&self, p: Point) -> Point {
        let d = p.minus(self.centre);
        Point::new(
            self.width as f32 * 0.5 + self.side * d.x * self.scale,
            self.height as f32 * 0.5 + d.y * self.scale,
        )
    }

    /// The pixel centre's offset from the middle of the sensor, in pixels.
    pub fn off_middle(&self, row: usize, column: usize) -> Point {
        Point::new(column as f32 + 0.5 - self.width as f32 * 0.5, row as f32 + 0.5 - self.height as f32 * 0.5)
    }

    /// The retina point of a pixel's centre.
    pub fn to_retina(&self, row: usize, column: usize) -> Point {
        let d = self.off_middle(row, column);
        self.centre.plus(Point::new(d.x * self.side, d.y), 1.0 / self.scale)
    }

    /// The field of view, `(height, width)`, 1 inside.
    pub fn field(&self) -> Vec<u8> {
        let inside = |i: usize| u8::from(self.rim_distance_px(i / self.width, i % self.width) > 0.0);
        (0..self.height * self.width).map(inside).collect()
    }

    /// Distance to the edge of the field in pixels, positive inside.
    pub fn rim_distance_px(&self, row: usize, column: usize) -> f32 {
        let d = self.off_middle(row, column);
        (self.radius_px - d.length()).min(self.half_height_px - d.y.abs())
    }

    /// Calls `visit(index, distance, along)` for the pixels within `reach` pixels of the line from `a` to `b`
    /// (sensor positions), with the distance of the pixel's centre and the nearest point's place, 0 at `a`, 1 at `b`.
    pub fn near_line(&self, a: Point, b: Point, reach: f32, mut visit: impl FnMut(usize, f32, f32)) {
        let span = |p: f32, q: f32, end: usize| {
            let low = (p.min(q) - reach).max(0.0) as usize;
            (low.min(end), ((p.max(q) + reach + 1.0).max(0.0) as usize).min(end))
        };
        let ((left, right), (top, bottom)) = (span(a.x, b.x, self.width), span(a.y, b.y, self.height));
        let line = b.minus(a);
        let inverse = 1.0 / line.dot(line).max(1e-12);
        for row in top..bottom {
            for column in left..right {
                let p = Point::new(column as f32 + 0.5, row as f32 + 0.5).minus(a);
                let along = (p.dot(line) * inverse).clamp(0.0, 1.0);
                let squared = p.minus(Point::new(line.x * along, line.y * along));
                if squared.dot(squared) < reach * reach {
                    visit(row * self.width + column, squared.length(), along);
                }
            }
        }
    }
}

/// An observer's label: 1 where the pixel's centre is nearer to a drawn line than the drawn radius, inside the field.
pub(super) fn label(view: &View, segments: &[Segment], observer: &Observer, stream: &Stream) -> Vec<u8> {
    let mut mask = vec![0; view.height * view.width];
    let mut stream = stream.clone();
    let (across, down) = (Noise::new(&mut stream), Noise::new(&mut stream));
    // The pen wanders slowly: over some forty units.
    let wandered = |p: Point| {
        let shift = Point::new(across.at(p.x / 40.0, p.y / 40.0), down.at(p.x / 40.0, p.y / 40.0));
        view.to_sensor(p.plus(shift, 1.5 * observer.wander))
    };
    for s in segments {
        // Each vessel is easier or harder to see: a uniform number of its own, from blocks that the noise leaves free.
        let ease = stream.block_at(u64::from(s.vessel) + (1 << 32))[0] as f32 / u32::MAX as f32;
        if s.radius_a < observer.radius_seen * (0.7 + 0.6 * ease) {
            continue;
        }
        let pen = |radius: f32| {
            (radius * view.scale * observer.radius_gain + observer.radius_offset_px).max(PEN_RADIUS_MIN_PX)
        };
        let (start, end) = (pen(s.radius_a), pen(s.radius_b));
        view.near_line(wandered(s.a), wandered(s.b), start.max(end), |i, distance, along| {
            if distance < start + along * (end - start) {
                mask[i] = 1;
            }
        });
    }
    for (pixel, inside) in mask.iter_mut().zip(view.field()) {
        *pixel &= inside;
    }
    mask
}

/// What the vessels do to the light at each pixel.
pub(super) struct Blood {
    /// Depth of arterial blood, in retina units.
    pub artery: Vec<f32>,
    /// Depth of venous blood.
    pub vein: Vec<f32>,
    /// Strength of the bright reflex along the middle of a vessel, 0 to 1.
    pub reflex: Vec<f32>,
}

impl Blood {
    /// The chord through a round vessel, `2 sqrt(r^2 - d^2)`, with its edge softened while its cross-section stays.
    pub fn of(view: &View, segments: &[Segment]) -> Self {
        let pixels = view.height * view.width;
        let mut blood =
            Blood { artery: vec![0.0; pixels], vein: vec![0.0; pixels], reflex: vec![0.0; pixels] };
        for s in segments {
            let (a, b) = (view.to_sensor(s.a), view.to_sensor(s.b));
            let (depth, shine) = match s.kind {
                Kind::Artery => (&mut blood.artery, 1.0),
                Kind::Vein => (&mut blood.vein, 0.35),
            };
            let reflex = &mut blood.reflex;
            view.near_line(a, b, s.radius_a * view.scale + 2.0 * SOFT_PX + 0.5, |i, distance, along| {
                let radius = s.radius_a + along * (s.radius_b - s.radius_a);
                let real = radius * view.scale;
                let wide = (real * real + SOFT_PX * SOFT_PX).sqrt() + SOFT_PX;
                let t = distance / wide;
                let chord = 2.0 * radius * (real / wide) * (1.0 - t * t).max(0.0).sqrt();
                depth[i] = depth[i].max(chord);
                let core = (1.0 - distance / (0.42 * real)).max(0.0);
                let strength = shine * ((radius - 1.3) / 2.0).clamp(0.0, 1.0) * core * (2.0 - core);
                reflex[i] = reflex[i].max(strength);
            });
        }
        blood
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(side: f32) -> View {
        View {
            height: 20,
            width: 30,
            scale: 2.0,
            side,
            centre: Point::new(5.0, -3.0),
            radius_px: 9.0,
            half_height_px: 7.0,
        }
    }

    fn line() -> Segment {
        Segment {
            a: Point::new(3.0, -3.0),
            b: Point::new(7.0, -3.0),
            radius_a: 1.0,
            radius_b: 1.5,
            kind: Kind::Vein,
            vessel: 0,
        }
    }

    const EXACT: Observer =
        Observer { name: "exact", radius_gain: 1.0, radius_offset_px: 0.0, radius_seen: 0.0, wander: 0.0 };

    #[test]
    fn sensor_and_retina_agree_in_both_eyes() {
        for side in [1.0, -1.0] {
            let p = view(side).to_sensor(view(side).to_retina(4, 11));
            assert!(p.minus(Point::new(11.5, 4.5)).length() < 1e-4, "{p:?}");
        }
    }

    #[test]
    fn the_label_is_the_set_of_pixel_centres_within_the_cone() {
        let view = view(1.0);
        let label = label(&view, &[line()], &EXACT, &Stream::new(1, "label", [0, 0]));
        // On the sensor: from (11, 10) to (19, 10), radius 2 growing to 3.
        for (i, &on) in label.iter().enumerate() {
            let (x, y) = ((i % 30) as f32 + 0.5 - 11.0, (i / 30) as f32 + 0.5 - 10.0);
            let t = x.clamp(0.0, 8.0);
            let inside = ((x - t) * (x - t) + y * y).sqrt() < 2.0 + t / 8.0;
            assert_eq!(on == 1, inside && view.field()[i] == 1, "{x} {y}");
        }
        assert!(label.contains(&1));
    }

    #[test]
    fn thin_vessels_are_skipped_and_wandering_moves_lines() {
        let stream = Stream::new(1, "label", [0, 0]);
        let blind = Observer { radius_seen: 3.0, ..EXACT };
        assert!(!label(&view(1.0), &[line()], &blind, &stream).contains(&1));
        let shaky = Observer { wander: 2.0, ..EXACT };
        assert_ne!(
            label(&view(1.0), &[line()], &shaky, &stream),
            label(&view(1.0), &[line()], &EXACT, &stream)
        );
    }

    /// Depth summed across a vessel is its cross-section, pi r^2, however thin against a pixel.
    #[test]
    fn blood_keeps_its_cross_section() {
        for radius in [0.2, 0.5, 2.0] {
            let mut vessel = line();
            (vessel.radius_a, vessel.radius_b) = (radius, radius);
            let blood = Blood::of(&view(1.0), &[vessel]);
            let across: f32 = (0..20).map(|row| blood.vein[row * 30 + 15]).sum();
            let expected = std::f32::consts::PI * radius * radius * view(1.0).scale;
            assert!((across / expected - 1.0).abs() < 0.2, "{radius}: {across} {expected}");
            assert!(blood.artery.iter().all(|v| *v == 0.0));
        }
    }

    #[test]
    fn the_field_is_a_disc_cut_above_and_below() {
        let view = view(1.0);
        let field = view.field();
        let at = |row: usize, column: usize| field[row * 30 + column];
        assert_eq!((at(10, 15), at(3, 15), at(2, 15), at(10, 6), at(10, 5)), (1, 1, 0, 1, 0));
    }
}
