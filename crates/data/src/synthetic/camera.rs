//! Cameras and observers: everything in which two synthetic sites differ.

use fovea_tensor::Stream;

/// How a person draws vessels: the source of label shift between sites.
#[derive(Debug, Clone, PartialEq)]
pub struct Observer {
    /// Names the observer's random stream.
    pub name: &'static str,
    /// Drawn radius per true radius.
    pub radius_gain: f32,
    /// Added to the drawn radius, in pixels of the camera at full size.
    pub radius_offset_px: f32,
    /// Vessels thinner than about this radius (in retina units, 1/540 of a 45 degree field) are left out.
    pub radius_seen: f32,
    /// Amplitude of the slow sideways wander of the pen, in retina units.
    pub wander: f32,
}

/// A fundus camera and the habits of its clinic. Lengths in pixels are for the sides given here.
#[derive(Debug, Clone, PartialEq)]
pub struct SyntheticCamera {
    /// The site's name; also names its random streams, so that no two sites share a patient.
    pub name: &'static str,
    /// Rows of the photograph.
    pub height: usize,
    /// Columns of the photograph.
    pub width: usize,
    /// Radius of the circular field of view, in pixels.
    pub field_radius_px: f32,
    /// Half of the height at which the field is cut off above and below, in pixels.
    pub field_half_height_px: f32,
    /// Angle of the full field; 45 degrees span 540 retina units.
    pub field_angle_deg: f32,
    /// Fraction of photographs centred between disc and macula towards the disc rather than on the macula.
    pub disc_centred: f32,
    /// Mean colour of the fundus, red, green, blue.
    pub colour: [f32; 3],
    /// Colour outside the field.
    pub surround: [f32; 3],
    /// Contrast of everything around `colour`; 1 is neutral.
    pub contrast: f32,
    /// Loss of light at the field's rim, 0 to 1.
    pub vignette: f32,
    /// Strength of haze and uneven light.
    pub haze: f32,
    /// Standard deviation of the optical blur, in pixels.
    pub blur_px: f32,
    /// Standard deviation of the sensor noise at mid grey.
    pub noise: f32,
    /// Width of the noise's grain in pixels; 1 is white noise, more is film.
    pub grain_px: usize,
    /// Probability that a photograph shows lesions (bright exudates or dark haemorrhages, never labelled).
    pub lesions: f32,
    /// Draws the label that is trained on.
    pub first_observer: Observer,
    /// Draws the label for the human line.
    pub second_observer: Observer,
}

impl SyntheticCamera {
    /// A sharp digital camera, 565 x 584, full round field of 45 degrees; its observer draws thin lines and skips
    /// the faintest vessels.
    #[must_use]
    pub fn alice() -> Self {
        Self {
            name: "alice",
            height: 584,
            width: 565,
            field_radius_px: 270.0,
            field_half_height_px: 270.0,
            field_angle_deg: 45.0,
            disc_centred: 0.1,
            colour: [0.82, 0.43, 0.25],
            surround: [0.02, 0.02, 0.02],
            contrast: 1.0,
            vignette: 0.3,
            haze: 0.5,
            blur_px: 0.7,
            noise: 0.009,
            grain_px: 1,
            lesions: 0.25,
            first_observer: Observer {
                name: "alice first",
                radius_gain: 0.95,
                radius_offset_px: 0.1,
                radius_seen: 0.7,
                wander: 0.0,
            },
            second_observer: Observer {
                name: "alice second",
                radius_gain: 0.9,
                radius_offset_px: 0.05,
                radius_seen: 0.76,
                wander: 0.6,
            },
        }
    }

    /// A scanned film, 700 x 605, field of 40 degrees cut off above and below, pale and hazy, with coarse grain and
    /// many lesions; its observer draws thick lines and every vessel.
    #[must_use]
    pub fn bob() -> Self {
        Self {
            name: "bob",
            height: 605,
            width: 700,
            field_radius_px: 325.0,
            field_half_height_px: 276.0,
            field_angle_deg: 40.0,
            disc_centred: 0.5,
            colour: [0.79, 0.46, 0.18],
            surround: [0.05, 0.11, 0.06],
            contrast: 0.9,
            vignette: 0.45,
            haze: 1.0,
            blur_px: 1.3,
            noise: 0.013,
            grain_px: 2,
            lesions: 0.6,
            first_observer: Observer {
                name: "bob first",
                radius_gain: 1.05,
                radius_offset_px: 0.15,
                radius_seen: 0.58,
                wander: 0.0,
            },
            second_observer: Observer {
                name: "bob second",
                radius_gain: 1.1,
                radius_offset_px: 0.35,
                radius_seen: 0.54,
                wander: 0.8,
            },
        }
    }

    /// A small wide-angle camera, 640 x 480, dark and red with strong contrast and vignetting.
    #[must_use]
    pub fn carol() -> Self {
        Self {
            name: "carol",
            height: 480,
            width: 640,
            field_radius_px: 260.0,
            field_half_height_px: 222.0,
            field_angle_deg: 50.0,
            disc_centred: 0.3,
            colour: [0.66, 0.27, 0.16],
            surround: [0.0, 0.0, 0.0],
            contrast: 1.15,
            vignette: 0.55,
            haze: 0.3,
            blur_px: 0.9,
            noise: 0.009,
            grain_px: 1,
            lesions: 0.4,
            first_observer: Observer {
                name: "carol first",
                radius_gain: 1.05,
                radius_offset_px: 0.1,
                radius_seen: 0.64,
                wander: 0.0,
            },
            second_observer: Observer {
                name: "carol second",
                radius_gain: 0.95,
                radius_offset_px: 0.15,
                radius_seen: 0.7,
                wander: 0.6,
            },
        }
    }

    /// The same camera at `factor` times the sides (0.4 gives quick trial runs). Noise shrinks as averaging
    /// pixels would have it; patients and colours stay.
    ///
    /// # Panics
    /// When `factor` is not in `0.05..=4`.
    #[must_use]
    pub fn scaled(&self, factor: f32) -> Self {
        assert!((0.05..=4.0).contains(&factor), "a camera's scale must be from 0.05 to 4");
        let side = |pixels: usize| (pixels as f32 * factor).round() as usize;
        let observer = |o: &Observer| Observer { radius_offset_px: o.radius_offset_px * factor, ..o.clone() };
        Self {
            height: side(self.height),
            width: side(self.width),
            field_radius_px: self.field_radius_px * factor,
            field_half_height_px: self.field_half_height_px * factor,
            blur_px: self.blur_px * factor,
            noise: self.noise * factor.min(1.0),
            grain_px: side(self.grain_px).max(1),
            first_observer: observer(&self.first_observer),
            second_observer: observer(&self.second_observer),
            ..self.clone()
        }
    }

    /// Pixels per retina unit.
    pub(super) fn pixels_per_unit(&self) -> f32 {
        2.0 * self.field_radius_px / (12.0 * self.field_angle_deg)
    }

    /// The stream called `purpose` of this camera's photograph `index`.
    pub(super) fn stream(&self, seed: u64, purpose: &str, index: u32) -> Stream {
        Stream::new(seed, &format!("synthetic {} {purpose}", self.name), [index, 0])
    }
}
