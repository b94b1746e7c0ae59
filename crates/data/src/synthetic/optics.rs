//! The camera: light on the fundus, absorption by blood, blur, noise, and eight bits per channel.

use fovea_tensor::Stream;

use super::anatomy::{Anatomy, Point};
use super::background::Background;
use super::camera::SyntheticCamera;
use super::noise::{Noise, smooth};
use super::raster::{Blood, View};
use super::tree::Segment;
use crate::image::CHANNELS;
use crate::math::exp;

/// Absorption per retina unit of blood (Beer-Lambert): venous blood is darker, above all in red.
const ARTERY: [f32; 3] = [0.018, 0.082, 0.050];
const VEIN: [f32; 3] = [0.040, 0.098, 0.060];

/// Light that a full central reflex adds, relative to the fundus.
const REFLEX: [f32; 3] = [0.14, 0.30, 0.30];

/// One photograph: planar bytes `(3, height, width)`.
pub(super) fn photograph(
    camera: &SyntheticCamera,
    anatomy: &Anatomy,
    view: &View,
    segments: &[Segment],
    seed: u64,
    index: u32,
) -> Vec<u8> {
    let scene = Scene {
        camera,
        anatomy,
        view,
        background: Background::new(camera, anatomy, view, &mut camera.stream(seed, "background", index)),
        light: Light::draw(camera, &mut camera.stream(seed, "light", index)),
        blood: Blood::of(view, segments),
    };
    let mut planes = scene.expose();
    let weights = gaussian(camera.blur_px * scene.light.focus);
    let mut noise = Sensor::new(camera, camera.stream(seed, "sensor", index));
    let mut bytes = Vec::with_capacity(planes.len() * view.height * view.width);
    for plane in &mut planes {
        convolve(plane, view.width, &weights);
        noise.add(plane, view.width);
        bytes.extend(plane.iter().map(|v| (v.clamp(0.0, 1.0) * 255.0 + 0.5) as u8));
    }
    bytes
}

/// All that decides a pixel's value before blur and noise.
struct Scene<'a> {
    camera: &'a SyntheticCamera,
    anatomy: &'a Anatomy,
    view: &'a View,
    background: Background<'a>,
    light: Light,
    blood: Blood,
}

impl Scene<'_> {
    fn expose(&self) -> [Vec<f32>; CHANNELS] {
        let pixels = self.view.height * self.view.width;
        let mut planes: [Vec<f32>; CHANNELS] = std::array::from_fn(|_| Vec::with_capacity(pixels));
        for at in 0..pixels {
            for (plane, value) in planes.iter_mut().zip(self.pixel(at)) {
                plane.push(value);
            }
        }
        planes
    }

    fn pixel(&self, at: usize) -> [f32; CHANNELS] {
        let (row, column) = (at / self.view.width, at % self.view.width);
        let rim = self.view.rim_distance_px(row, column);
        if rim < -2.0 {
            return self.camera.surround;
        }
        let p = self.view.to_retina(row, column);
        let fundus = self.background.factors(at, p);
        let (dose, haze) = self.light.at(self.view, at);
        let seen = smooth(rim / 3.0 + 0.5);
        let venous = self.blood.vein[at] + self.background.haemorrhage(at);
        // Over the white tissue of the disc vessels stand out more.
        let strength = self.anatomy.blood * (1.0 + 0.5 * self.background.on_disc(p));
        std::array::from_fn(|c| {
            let density = strength * (ARTERY[c] * self.blood.artery[at] + VEIN[c] * venous);
            let through = if density == 0.0 { 1.0 } else { exp(f64::from(-density)) as f32 };
            let factor = fundus[c] * through + REFLEX[c] * self.blood.reflex[at] * (1.0 - through).min(0.5);
            let colour = self.camera.colour[c] * self.anatomy.tint[c];
            let value = colour * (1.0 + self.camera.contrast * (factor - 1.0)) * dose;
            let value = shoulder(value + haze * self.light.haze_colour[c]);
            self.camera.surround[c] + seen * (value - self.camera.surround[c])
        })
    }
}

/// Compresses what a sensor would clip: linear up to 0.75, then bending towards 1.
fn shoulder(v: f32) -> f32 {
    if v < 0.75 { v } else { 0.75 + 0.25 * (1.0 - 1.0 / (1.0 + (v - 0.75) * 4.0)) }
}

/// Uneven illumination of one exposure.
struct Light {
    uneven: Noise,
    centre: Point,
    vignette: f32,
    haze: f32,
    haze_towards: Point,
    haze_colour: [f32; CHANNELS],
    focus: f32,
}

impl Light {
    fn draw(camera: &SyntheticCamera, stream: &mut Stream) -> Self {
        Light {
            uneven: Noise::new(stream),
            centre: Point::new(stream.range(-0.3, 0.3), stream.range(-0.3, 0.3)),
            vignette: camera.vignette * stream.range(0.7, 1.3),
            haze: camera.haze * stream.range(0.3, 1.0),
            haze_towards: Point::new(stream.range(-1.0, 1.0), stream.range(-1.0, 1.0)).unit(),
            haze_colour: [0.10, 0.13, 0.10].map(|v| v * stream.range(0.6, 1.3)),
            focus: stream.range(0.8, 1.25),
        }
    }

    /// Factor of the light and strength of the haze at a pixel.
    fn at(&self, view: &View, index: usize) -> (f32, f32) {
        let d = view.off_middle(index / view.width, index % view.width);
        let half = 0.5 * view.width.min(view.height) as f32;
        let p = Point::new(d.x / half, d.y / half);
        let off = p.minus(self.centre);
        let uneven = 0.10 * self.haze * self.uneven.at(p.x * 1.7 + 20.0, p.y * 1.7 + 20.0);
        let dose = (1.10 - self.vignette * off.dot(off) * 0.8).max(0.15) + uneven;
        // A crescent of stray light at one side of the rim.
        let crescent = smooth((p.dot(self.haze_towards) - 0.35) / 0.7) * smooth((p.length() - 0.4) / 0.6);
        (dose, self.haze * crescent)
    }
}

/// Sensor noise: grows with the square root of the signal; coarse grain is white noise averaged and scaled back.
struct Sensor {
    stream: Stream,
    deviation: f32,
    grain: Vec<f32>,
}

impl Sensor {
    fn new(camera: &SyntheticCamera, stream: Stream) -> Self {
        let weight = 1.0 / camera.grain_px as f32;
        // The mean of n values has 1 / sqrt(n) of their deviation: n x n for a square grain.
        Sensor {
            stream,
            deviation: camera.noise * camera.grain_px as f32,
            grain: vec![weight; camera.grain_px],
        }
    }

    fn add(&mut self, plane: &mut [f32], width: usize) {
        // Four bytes of one word, summed: variance 4 (256^2 - 1) / 12, close enough to normal for a sensor.
        let mut noise: Vec<f32> = (0..plane.len())
            .map(|_| {
                let sum: i32 = self.stream.next_u32().to_le_bytes().iter().map(|&b| i32::from(b)).sum();
                (sum - 510) as f32 * (1.0 / 147.8)
            })
            .collect();
        if self.grain.len() > 1 {
            convolve(&mut noise, width, &self.grain);
        }
        for (value, n) in plane.iter_mut().zip(noise) {
            *value += self.deviation * n * (0.3 + 1.4 * value.max(0.0)).sqrt();
        }
    }
}

/// Normalised weights of a Gaussian of the given deviation in pixels, cut at three deviations.
fn gaussian(deviation: f32) -> Vec<f32> {
    let reach = (3.0 * deviation).ceil() as i32;
    let bell = |i: i32| exp(f64::from(-((i * i) as f32) / (2.0 * deviation * deviation))) as f32;
    let weights: Vec<f32> = (-reach..=reach).map(bell).collect();
    let sum: f32 = weights.iter().sum();
    weights.into_iter().map(|w| w / sum).collect()
}

/// Convolves in both directions with the same weights; edges repeat.
fn convolve(plane: &mut [f32], width: usize, weights: &[f32]) {
    let height = plane.len() / width;
    let before = weights.len() / 2;
    let mut rows = vec![0.0; plane.len()];
    let mut padded = vec![0.0; width + weights.len()];
    for (line, out) in plane.chunks_exact(width).zip(rows.chunks_exact_mut(width)) {
        padded[..before].fill(line[0]);
        padded[before..before + width].copy_from_slice(line);
        padded[before + width..].fill(line[width - 1]);
        for (k, weight) in weights.iter().enumerate() {
            out.iter_mut().zip(&padded[k..]).for_each(|(o, v)| *o += weight * v);
        }
    }
    plane.fill(0.0);
    for (row, out) in plane.chunks_exact_mut(width).enumerate() {
        for (k, weight) in weights.iter().enumerate() {
            let from = (row + k).saturating_sub(before).min(height - 1);
            let line = &rows[from * width..][..width];
            out.iter_mut().zip(line).for_each(|(o, v)| *o += weight * v);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blurring_keeps_constants_and_light() {
        let weights = gaussian(1.3);
        assert!((weights.iter().sum::<f32>() - 1.0).abs() < 1e-6 && weights.len() == 9);
        let mut flat = vec![0.4; 12 * 7];
        convolve(&mut flat, 7, &weights);
        assert!(flat.iter().all(|v| (v - 0.4).abs() < 1e-6));
        let mut dot = vec![0.0; 21 * 21];
        dot[10 * 21 + 10] = 1.0;
        convolve(&mut dot, 21, &weights);
        assert!((dot.iter().sum::<f32>() - 1.0).abs() < 1e-5 && dot[10 * 21 + 9] == dot[9 * 21 + 10]);
    }

    #[test]
    fn noise_has_the_cameras_deviation_whatever_its_grain() {
        for grain_px in [1, 2, 3] {
            let camera = SyntheticCamera { noise: 0.02, grain_px, ..SyntheticCamera::alice() };
            let mut plane = vec![0.5; 100 * 100];
            Sensor::new(&camera, camera.stream(1, "sensor", 0)).add(&mut plane, 100);
            let square = plane.iter().map(|v| (v - 0.5) * (v - 0.5)).sum::<f32>() / 1e4;
            assert!((square.sqrt() / 0.02 - 1.0).abs() < 0.1, "{grain_px}: {}", square.sqrt());
        }
    }

    #[test]
    fn the_shoulder_rises_and_stays_below_one() {
        let values: Vec<f32> = (0..40).map(|i| shoulder(i as f32 * 0.05)).collect();
        assert!(values.windows(2).all(|w| w[0] < w[1]) && values[39] < 1.0);
    }
}
