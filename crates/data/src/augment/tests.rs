//! Tests of the crop sampler: exact copies, geometry, agreement of the three outputs, named randomness.

use super::*;
use proptest::prelude::*;

const KEY: CropKey = CropKey { seed: 5, epoch: 1, image: 2, crop: 0 };

struct Parts {
    image: Image,
    label: Mask,
    field: Mask,
}

/// Red is the row, green the column (over 100), blue constant; the label is a diagonal band, the field a disc.
fn parts(height: usize, width: usize) -> Parts {
    let at = |f: &dyn Fn(usize, usize) -> f32| -> Vec<f32> {
        (0..height * width).map(|i| f(i / width, i % width)).collect()
    };
    let mut data = at(&|y, _| y as f32 / 100.0);
    data.extend(at(&|_, x| x as f32 / 100.0));
    data.extend(at(&|_, _| 0.5));
    let bits = |f: &dyn Fn(i64, i64) -> bool| -> Vec<u8> {
        (0..height * width).map(|i| u8::from(f((i / width) as i64, (i % width) as i64))).collect()
    };
    let (cy, cx) = (height as i64 / 2, width as i64 / 2);
    Parts {
        image: Image::new(height, width, data).unwrap(),
        label: Mask::new(height, width, bits(&|y, x| (y - x).abs() < 4)).unwrap(),
        field: Mask::new(height, width, bits(&|y, x| (y - cy).pow(2) + (x - cx).pow(2) < cy * cy)).unwrap(),
    }
}

fn crop(parts: &Parts, augmentation: &Augmentation, key: CropKey, size: usize) -> [Vec<f32>; 3] {
    let mut out = [vec![9.0; 3 * size * size], vec![9.0; size * size], vec![9.0; size * size]];
    let [image, label, field] = &mut out;
    CropSource::new(&parts.image, &parts.label, &parts.field, None).unwrap().crop(
        augmentation,
        key,
        size,
        image,
        label,
        field,
    );
    out
}

fn strong() -> Augmentation {
    Augmentation {
        flip: true,
        rotation_deg: 45.0,
        scale: [0.8, 1.25],
        brightness: 0.25,
        contrast: 0.25,
        saturation: 0.25,
        gamma: 0.2,
        hard_label: true,
    }
}

#[test]
fn without_augmentation_a_crop_is_a_copy() {
    let parts = parts(60, 80);
    for index in 0..20 {
        let [image, label, field] = crop(&parts, &Augmentation::none(), CropKey { crop: index, ..KEY }, 16);
        let inside = field.iter().position(|&v| v == 1.0).unwrap();
        let row = (image[inside] * 100.0).round() as usize - inside / 16;
        let column = (image[256 + inside] * 100.0).round() as usize - inside % 16;
        for i in 0..256 {
            let (y, x) = (row + i / 16, column + i % 16);
            let source = if y < 60 && x < 80 { Some(y * 80 + x) } else { None };
            let mask = |m: &Mask| source.map_or(0.0, |s| f32::from(m.data[s]));
            assert_eq!(label[i], mask(&parts.label));
            assert_eq!(field[i], mask(&parts.field));
            for c in 0..3 {
                let expected =
                    source.map_or(0.0, |s| parts.image.channel(c)[s] * f32::from(parts.field.data[s]));
                assert_eq!(image[c * 256 + i], expected);
            }
        }
    }
}

#[test]
fn the_centre_lies_in_the_field_and_covers_it() {
    let mut parts = parts(40, 40);
    parts.field.data.fill(0);
    for at in [3 * 40 + 5, 20 * 40 + 30, 39 * 40 + 39] {
        parts.field.data[at] = 1;
    }
    let mut hits = [0; 3];
    for index in 0..600 {
        let [image, _, field] = crop(&parts, &Augmentation::none(), CropKey { crop: index, ..KEY }, 8);
        assert_eq!(field[4 * 8 + 4], 1.0, "the pixel right and below the crop's middle is the drawn one");
        let row = (image[4 * 8 + 4] * 100.0).round() as usize;
        hits[[3, 20, 39].iter().position(|&r| r == row).unwrap()] += 1;
    }
    assert!(hits.iter().all(|h| (150..250).contains(h)), "{hits:?}");
}

/// Red and green hold source coordinates, so they tell the affine map that was used.
#[test]
fn rotation_and_scale_stay_in_their_ranges_and_label_follows() {
    let parts = parts(99, 99);
    let geometry = Augmentation { brightness: 0.0, contrast: 0.0, saturation: 0.0, gamma: 0.0, ..strong() };
    let (mut mirrored, mut seen) = (0, 0);
    for index in 0..200 {
        let [image, label, field] = crop(&parts, &geometry, CropKey { crop: index, ..KEY }, 24);
        let source = |i: usize| (image[i] * 100.0, image[576 + i] * 100.0);
        for i in (0..576).filter(|&i| field[i] == 1.0 && i % 24 > 0 && i > 24) {
            let (y, x) = source(i);
            let off = (y - x).abs();
            assert!(
                (off < 3.0) <= (label[i] == 1.0) && (off > 4.0) <= (label[i] == 0.0),
                "{y} {x} {}",
                label[i]
            );
        }
        let middle = 12 * 24 + 12;
        if [middle, middle + 1, middle + 24].iter().any(|&i| field[i] == 0.0) {
            continue;
        }
        let (origin, right, down) = (source(middle), source(middle + 1), source(middle + 24));
        let (r, d) = ((right.0 - origin.0, right.1 - origin.1), (down.0 - origin.0, down.1 - origin.1));
        let zoom = 1.0 / (r.0 * r.0 + r.1 * r.1).sqrt();
        assert!((0.79..1.26).contains(&zoom), "{zoom}");
        assert!(r.1.abs() * zoom > 0.70 && (r.0 * d.0 + r.1 * d.1).abs() < 1e-3, "{r:?} {d:?}");
        mirrored += i32::from(r.1 * d.0 - r.0 * d.1 < 0.0);
        seen += 1;
    }
    assert!(seen > 120 && (seen * 3 / 10..seen * 7 / 10).contains(&mirrored), "{mirrored} of {seen}");
}

#[test]
fn the_key_names_the_crop() {
    let parts = parts(64, 64);
    let one = crop(&parts, &strong(), KEY, 32);
    assert_eq!(one, crop(&parts, &strong(), KEY, 32));
    let others = [
        CropKey { seed: 6, ..KEY },
        CropKey { epoch: 2, ..KEY },
        CropKey { image: 3, ..KEY },
        CropKey { crop: 1, ..KEY },
    ];
    for key in others {
        assert_ne!(one, crop(&parts, &strong(), key, 32), "{key:?}");
    }
    let bright = Augmentation { brightness: 0.0, ..strong() };
    let other = crop(&parts, &bright, KEY, 32);
    assert_eq!(one[1..], other[1..], "colour ranges must not move the geometry");
}

#[test]
fn labels_are_soft_on_request_and_standardising_ends_the_chain() {
    let parts = parts(64, 64);
    let soft = Augmentation { hard_label: false, rotation_deg: 30.0, ..Augmentation::none() };
    let label = &crop(&parts, &soft, KEY, 32)[1];
    assert!(label.iter().any(|v| *v > 0.01 && *v < 0.99));
    let standardise = Standardise::of(&parts.image, &parts.field);
    let mut out = [vec![0.0; 3072], vec![0.0; 1024], vec![0.0; 1024]];
    let [image, label, field] = &mut out;
    CropSource::new(&parts.image, &parts.label, &parts.field, Some(&standardise)).unwrap().crop(
        &Augmentation::none(),
        KEY,
        32,
        image,
        label,
        field,
    );
    let plain = crop(&parts, &Augmentation::none(), KEY, 32);
    for i in (0..1024).filter(|&i| field[i] == 1.0) {
        let expected = (plain[0][i] - standardise.mean[0]) / standardise.deviation[0];
        assert!((image[i] - expected).abs() < 1e-5);
    }
}

#[test]
fn bad_settings_and_sources_are_refused() {
    assert_eq!(Augmentation::none().validate(), Ok(()));
    assert_eq!(strong().validate(), Ok(()));
    let wrong = Augmentation { scale: [1.2, 0.9], ..strong() };
    assert!(matches!(wrong.validate(), Err(AugmentError::Range { field: "scale[1]", .. })));
    assert!(Augmentation { gamma: f32::NAN, ..strong() }.validate().is_err());
    let Parts { image, label, field } = parts(10, 12);
    let small = Mask::filled(5, 12, true).unwrap();
    assert_eq!(CropSource::new(&image, &small, &field, None).unwrap_err(), AugmentError::Sides);
    let empty = Mask::filled(10, 12, false).unwrap();
    assert_eq!(CropSource::new(&image, &label, &empty, None).unwrap_err(), AugmentError::EmptyField);
}

#[test]
fn settings_survive_json_and_refuse_unknown_fields() {
    let text = serde_json::to_string(&strong()).unwrap();
    assert_eq!(serde_json::from_str::<Augmentation>(&text).unwrap(), strong());
    assert!(serde_json::from_str::<Augmentation>(&text.replace("gamma", "gama")).is_err());
}

proptest! {
    #[test]
    fn outputs_are_finite_and_masks_binary(seed in 0u64..1_000_000, h in 3usize..40, w in 3usize..40, size in 1usize..40) {
        let parts = parts(h, w);
        prop_assume!(parts.field.count() > 0);
        let [image, label, field] = crop(&parts, &strong(), CropKey { seed, ..KEY }, size);
        prop_assert!(image.iter().all(|v| v.is_finite()));
        prop_assert!(label.iter().chain(&field).all(|v| *v == 0.0 || *v == 1.0));
        for i in 0..size * size {
            prop_assert!(field[i] == 1.0 || image[i] == 0.0);
        }
    }
}
