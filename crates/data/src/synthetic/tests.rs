//! Tests of whole synthetic photographs: the same bytes everywhere, plausible vessels, sites that differ.

use super::*;

fn cameras() -> [SyntheticCamera; 3] {
    [SyntheticCamera::alice(), SyntheticCamera::bob(), SyntheticCamera::carol()]
}

fn hex(hash: [u8; 32]) -> String {
    hash.iter().map(|b| format!("{b:02x}")).collect()
}

fn dice(a: &Mask, b: &Mask) -> f64 {
    let both = a.data.iter().zip(&b.data).filter(|(a, b)| **a == 1 && **b == 1).count();
    2.0 * both as f64 / (a.count() + b.count()) as f64
}

/// Mean of a channel where `mask` is `value` inside the field.
fn mean(sample: &Sample, channel: usize, mask: &Mask, value: u8) -> f64 {
    let inside = sample.field.data.iter().zip(&mask.data).map(|(f, m)| *f == 1 && *m == value);
    let chosen = sample.image.channel(channel).iter().zip(inside).filter(|(_, on)| *on);
    let (sum, count) = chosen.fold((0.0, 0.0), |(sum, count), (v, _)| (sum + f64::from(*v), count + 1.0));
    sum / count
}

/// Pinned: these bytes must be the same on every machine, in every build profile.
#[test]
fn golden_hashes() {
    let found = cameras().map(|camera| hex(synthetic_sample(&camera.scaled(0.3), 2024, 7).hash));
    assert_eq!(
        found,
        [
            "651bb5e1b51f636adc3617c5a1da7254e0633e2a8931ee58d7a3322ae915bf0c",
            "14da965b0823a1a4f07ae9967a2e156cc9c33b2ac2f5407a266908412826c15f",
            "5731f539715f7a2103a63aa2c8dd1f9494ab9e1787cac0b32380de306a3f450e",
        ]
    );
}

#[test]
fn seed_index_and_camera_name_the_photograph() {
    let alice = SyntheticCamera::alice().scaled(0.2);
    let one = synthetic_sample(&alice, 1, 0);
    assert_eq!(one, synthetic_sample(&alice, 1, 0));
    let renamed = SyntheticCamera { name: "dora", ..alice.clone() };
    for other in
        [synthetic_sample(&alice, 2, 0), synthetic_sample(&alice, 1, 1), synthetic_sample(&renamed, 1, 0)]
    {
        assert_ne!(one.hash, other.hash);
        assert!(dice(&one.label, &other.label) < 0.6, "another patient has other vessels");
    }
    assert_eq!(one.name, "alice_1_0000");
}

#[test]
fn a_photograph_is_a_valid_sample_in_eight_bits() {
    for camera in cameras() {
        let camera = camera.scaled(0.4);
        let sample = synthetic_sample(&camera, 5, 1);
        let (h, w) = (camera.height, camera.width);
        assert!(Image::new(h, w, sample.image.data.clone()).is_ok());
        assert!(Mask::new(h, w, sample.label.data.clone()).is_ok());
        assert!(sample.image.data.iter().all(|v| (v * 255.0 - (v * 255.0).round()).abs() < 1e-4));
        let seen = |m: &Mask| m.data.iter().zip(&sample.field.data).all(|(m, f)| m <= f);
        assert!(seen(&sample.label) && seen(sample.second_label.as_ref().unwrap()));
        let surround =
            mean(&Sample { field: Mask::filled(h, w, true).unwrap(), ..sample.clone() }, 0, &sample.field, 0);
        assert!(surround < 0.1, "dark outside the field: {surround}");
    }
}

#[test]
fn vessels_are_darker_and_of_realistic_extent() {
    for (camera, range) in cameras().into_iter().zip([0.065..0.12, 0.10..0.17, 0.08..0.14]) {
        for index in 0..3 {
            let sample = synthetic_sample(&camera, 11, index);
            let fraction = sample.label.count() as f64 / sample.field.count() as f64;
            assert!(range.contains(&fraction), "{} {index}: {fraction}", camera.name);
            let ratio = mean(&sample, 1, &sample.label, 1) / mean(&sample, 1, &sample.label, 0);
            assert!((0.6..0.95).contains(&ratio), "{} {index}: green {ratio}", camera.name);
            let human = dice(&sample.label, sample.second_label.as_ref().unwrap());
            assert!((0.7..0.9).contains(&human), "{} {index}: second observer {human}", camera.name);
        }
    }
}

/// On the same patients the cameras must disagree in what a model learns from: colour and drawn width.
#[test]
fn sites_differ_in_colour_and_labelling() {
    let alice = SyntheticCamera::alice().scaled(0.5);
    let other = SyntheticCamera { first_observer: SyntheticCamera::bob().first_observer, ..alice.clone() };
    let (thin, thick) = (synthetic_sample(&alice, 4, 0), synthetic_sample(&other, 4, 0));
    assert!(thick.label.count() as f64 > 1.15 * thin.label.count() as f64);
    let blueness = |camera: &SyntheticCamera| {
        let sample = synthetic_sample(&camera.scaled(0.3), 4, 0);
        mean(&sample, 2, &sample.label, 0) / mean(&sample, 1, &sample.label, 0)
    };
    let [a, b, _] = cameras().map(|camera| blueness(&camera));
    assert!(a > 1.15 * b, "{a} {b}");
}

#[test]
fn scaling_keeps_patient_and_field() {
    let camera = SyntheticCamera::bob();
    let small = camera.scaled(0.4);
    assert_eq!((small.height, small.width), (242, 280));
    let (large, small) = (synthetic_sample(&camera, 1, 2), synthetic_sample(&small, 1, 2));
    let share = |m: &Mask| m.count() as f64 / m.data.len() as f64;
    assert!((share(&large.field) - share(&small.field)).abs() < 0.01);
    let reduced =
        crate::resize::resize_mask(&large.label.data, (605, 700), (242, 280), crate::resize::Filter::Area);
    let reduced = Mask::new(242, 280, reduced).unwrap();
    assert!(dice(&reduced, &small.label) > 0.7, "{}", dice(&reduced, &small.label));
}

#[test]
#[should_panic(expected = "scale must be")]
fn a_vanishing_camera_is_refused() {
    let _ = SyntheticCamera::alice().scaled(0.0);
}
