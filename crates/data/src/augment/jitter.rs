//! Colour jitter inside the field of view: brightness, contrast, saturation, gamma, in this order.

use fovea_tensor::Stream;

use super::Augmentation;
use crate::math::pow;

/// Weights of red, green and blue in grey (ITU-R BT.601 luma).
const GREY: [f32; 3] = [0.299, 0.587, 0.114];

/// Steps of the gamma table; between them it is linear, within 1e-4 of the power except in the darkest step.
const GAMMA_STEPS: usize = 1024;

/// One crop's factors; 1 changes nothing.
pub(super) struct Jitter {
    brightness: f32,
    contrast: f32,
    saturation: f32,
    gamma: f32,
}

impl Jitter {
    pub(super) fn draw(stream: &mut Stream, ranges: &Augmentation) -> Self {
        let mut factor = |range: f32| 1.0 + stream.range(-range, range);
        Jitter {
            brightness: factor(ranges.brightness),
            contrast: factor(ranges.contrast),
            saturation: factor(ranges.saturation),
            gamma: factor(ranges.gamma),
        }
    }

    /// Changes `image` `(3, S, S)` where `field` `(1, S, S)` is not 0. Values may leave `[0, 1]` (a network
    /// need not be spared that), except that a gamma clamps them first.
    pub(super) fn apply(&self, image: &mut [f32], field: &[f32]) {
        if [self.brightness, self.contrast, self.saturation, self.gamma] == [1.0; 4] {
            return;
        }
        let (red, rest) = image.split_at_mut(field.len());
        let (green, blue) = rest.split_at_mut(field.len());
        let pivot = (1.0 - self.contrast) * self.brightness * mean_grey(red, green, blue, field);
        let gain = self.contrast * self.brightness;
        let table = (self.gamma != 1.0).then(|| gamma_table(self.gamma));
        for (i, _) in field.iter().enumerate().filter(|(_, inside)| **inside != 0.0) {
            let rgb = [red[i], green[i], blue[i]].map(|v| pivot + gain * v);
            let grey = grey(rgb);
            let mut rgb = rgb.map(|v| grey + self.saturation * (v - grey));
            if let Some(table) = &table {
                rgb = rgb.map(|v| look_up(table, v));
            }
            [red[i], green[i], blue[i]] = rgb;
        }
    }
}

fn grey([red, green, blue]: [f32; 3]) -> f32 {
    GREY[0] * red + GREY[1] * green + GREY[2] * blue
}

/// Mean grey inside the field, 0 where the crop has none of it.
fn mean_grey(red: &[f32], green: &[f32], blue: &[f32], field: &[f32]) -> f32 {
    let inside = field.iter().enumerate().filter(|(_, inside)| **inside != 0.0);
    let (sum, count) = inside.fold((0.0f64, 0u32), |(sum, count), (i, _)| {
        (sum + f64::from(grey([red[i], green[i], blue[i]])), count + 1)
    });
    if count == 0 { 0.0 } else { (sum / f64::from(count)) as f32 }
}

fn gamma_table(gamma: f32) -> Vec<f32> {
    (0..=GAMMA_STEPS).map(|i| pow(i as f64 / GAMMA_STEPS as f64, f64::from(gamma)) as f32).collect()
}

fn look_up(table: &[f32], value: f32) -> f32 {
    let position = value.clamp(0.0, 1.0) * GAMMA_STEPS as f32;
    let step = (position as usize).min(GAMMA_STEPS - 1);
    table[step] + (position - step as f32) * (table[step + 1] - table[step])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same() -> Jitter {
        Jitter { brightness: 1.0, contrast: 1.0, saturation: 1.0, gamma: 1.0 }
    }

    /// Two pixels inside the field and one outside.
    const FIELD: [f32; 3] = [1.0, 1.0, 0.0];

    fn applied(jitter: &Jitter) -> [f32; 9] {
        let mut image = [0.2, 0.6, 0.5, 0.2, 0.4, 0.5, 0.2, 0.2, 0.5];
        jitter.apply(&mut image, &FIELD);
        image
    }

    #[test]
    fn brightness_scales_inside_only() {
        let out = applied(&Jitter { brightness: 1.5, ..same() });
        for (value, expected) in out.iter().zip([0.3, 0.9, 0.5, 0.3, 0.6, 0.5, 0.3, 0.3, 0.5]) {
            assert!((value - expected).abs() < 1e-6, "{out:?}");
        }
    }

    #[test]
    fn contrast_keeps_the_mean_and_saturation_the_grey() {
        let before = applied(&same());
        let mean = |v: &[f32; 9]| (grey([v[0], v[3], v[6]]) + grey([v[1], v[4], v[7]])) / 2.0;
        let out = applied(&Jitter { contrast: 0.5, ..same() });
        assert!((mean(&out) - mean(&before)).abs() < 1e-6);
        assert!(((out[0] - mean(&before)) / (0.2 - mean(&before)) - 0.5).abs() < 1e-5);
        let out = applied(&Jitter { saturation: 0.1, ..same() });
        assert!((grey([out[1], out[4], out[7]]) - grey([0.6, 0.4, 0.2])).abs() < 1e-6);
        assert!(((out[1] - out[7]) - 0.04).abs() < 1e-6 && (out[0] - 0.2).abs() < 1e-6);
    }

    #[test]
    fn gamma_is_a_power() {
        let out = applied(&Jitter { gamma: 1.3, ..same() });
        assert!((out[1] - 0.6f32.powf(1.3)).abs() < 1e-4 && out[2] == 0.5);
    }

    #[test]
    fn an_empty_field_changes_nothing() {
        let mut image = [0.3; 6];
        Jitter { contrast: 0.5, ..same() }.apply(&mut image, &[0.0, 0.0]);
        assert_eq!(image, [0.3; 6]);
    }
}
