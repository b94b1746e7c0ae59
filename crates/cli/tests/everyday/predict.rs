//! `fovea predict`.

use crate::workshop::{IMAGES, fovea, names, text, words, workshop};
use fovea_data::{MaskKind, read_raster};

#[test]
fn a_folder_gives_three_files_each_and_a_list() {
    let (shared, out) = (workshop(), workshop().path("whole"));
    let ran = shared.predict(&out, &[&text(&shared.data().join("images")), "--threshold", "0.25"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(names(&out).len(), 3 * IMAGES as usize + 1);
    let list = std::fs::read_to_string(out.join("predictions.csv")).unwrap();
    assert_eq!(list.lines().count(), 1 + IMAGES as usize);
    assert!(list.lines().skip(1).all(|l| l.contains(",done,") && l.contains(",0.25,")), "{list}");
    let photo = read_raster(&shared.image(2)).unwrap();
    let read = |ending: &str| read_raster(&out.join(format!("patient2_{ending}.png"))).unwrap();
    let (probabilities, mask) = (read("prob").to_image(), read("mask"));
    assert_eq!([read("prob").sides(), mask.sides(), read("overlay").sides()], [photo.sides(); 3]);
    let mask = mask.to_mask(&out, MaskKind::Label).unwrap();
    for (p, m) in probabilities.channel(0).iter().zip(&mask.data) {
        // Probabilities are rounded to 16 bits.
        assert!((p - 0.25).abs() < 1e-4 || (*p >= 0.25) == (*m == 1), "{p} {m}");
    }
}

#[test]
fn one_bad_file_stops_no_other() {
    let (shared, out) = (workshop(), workshop().path("partly"));
    let (bad, missing) = (shared.path("bad.png"), shared.path("missing.png"));
    std::fs::write(&bad, "not an image").unwrap();
    let half = shared.path("half.png");
    let bytes = std::fs::read(shared.image(1)).unwrap();
    std::fs::write(&half, &bytes[..bytes.len() / 2]).unwrap();
    let files = [&bad, &missing, &half, &shared.image(0)].map(|p| text(p));
    let files: Vec<&str> = files.iter().map(String::as_str).chain(["--json"]).collect();
    let ran = shared.predict(&out, &files);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    let lines: Vec<serde_json::Value> =
        ran.stdout.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let of = |key: &str| lines.iter().map(|l| l[key].as_str().unwrap_or("").to_owned()).collect::<Vec<_>>();
    assert_eq!(of("status"), ["failed", "failed", "failed", "done"]);
    for (reason, part) in of("reason").iter().zip(["not a TIFF", "No such file", "as PNG"]) {
        assert!(reason.contains(part), "{reason}");
    }
    assert_eq!(
        names(&out),
        ["patient0_mask.png", "patient0_overlay.png", "patient0_prob.png", "predictions.csv"]
    );
    let only_bad = shared.predict(&shared.path("all bad"), &[&text(&bad)]);
    assert_eq!(only_bad.code, Some(1));
}

#[test]
fn other_files_in_a_folder_are_skipped_with_the_reason() {
    let shared = workshop();
    let (folder, out) = (shared.path("mixed"), shared.path("mixed marked"));
    std::fs::create_dir_all(folder.join("deeper")).unwrap();
    std::fs::copy(shared.image(0), folder.join("a.jpg")).unwrap();
    std::fs::write(folder.join("a.txt"), "notes").unwrap();
    let ran = shared.predict(&out, &[&text(&folder)]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let list = std::fs::read_to_string(out.join("predictions.csv")).unwrap();
    assert!(list.contains("a.txt,skipped,") && list.contains("begins with `notes`"), "{list}");
    assert!(out.join("a_mask.png").exists());
}

#[test]
fn results_of_one_name_are_refused_before_anything_is_done() {
    let shared = workshop();
    let (other, out) = (shared.path("other"), shared.path("clash"));
    std::fs::create_dir_all(&other).unwrap();
    std::fs::copy(shared.image(0), other.join("patient0.tif")).unwrap();
    let ran = shared.predict(&out, &[&text(&shared.image(0)), &text(&other)]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("would both become patient0_mask.png"), "{}", ran.stderr);
    assert!(!out.exists());
}

#[test]
fn results_are_replaced_only_when_asked() {
    let (shared, out) = (workshop(), workshop().path("twice"));
    let image = text(&shared.image(0));
    assert!(shared.predict(&out, &[&image]).ok);
    let again = shared.predict(&out, &[&image]);
    assert_eq!(again.code, Some(1));
    assert!(again.stderr.contains("already there") && again.stderr.contains("--force"), "{}", again.stderr);
    assert!(shared.predict(&out, &[&image, "--force"]).ok);
    let into_input = shared.predict(&shared.data().join("images"), &[&text(&shared.data().join("images"))]);
    assert!(into_input.stderr.contains("also a folder of photographs"), "{}", into_input.stderr);
}

#[test]
fn a_field_belongs_to_one_photograph() {
    let shared = workshop();
    let field = text(&shared.data().join("masks/patient1_mask.png"));
    let (one, two) = (text(&shared.image(1)), text(&shared.image(2)));
    let ran = shared.predict(&shared.path("field"), &[&one, "--field", &field]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let both = shared.predict(&shared.path("fields"), &[&one, &two, "--field", &field]);
    assert_eq!(both.code, Some(1));
    assert!(both.stderr.contains("--field: 2 photographs"), "{}", both.stderr);
}

#[test]
fn wrong_thresholds_and_models_are_refused() {
    let shared = workshop();
    let image = text(&shared.image(0));
    for wrong in ["0", "1.5", "nan", "half"] {
        let ran = shared.predict(&shared.path("none"), &[&image, "--threshold", wrong]);
        assert_eq!(ran.code, Some(2), "{wrong}");
        assert!(ran.stderr.contains("--threshold"), "{}", ran.stderr);
    }
    let cut = shared.path("cut.safetensors");
    let bytes = std::fs::read(shared.model()).unwrap();
    std::fs::write(&cut, &bytes[..bytes.len() - 40]).unwrap();
    let args = ["predict", "--model", &text(&cut), "--out", &text(&shared.path("none")), &image];
    let ran = fovea(&words(&args));
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("cut.safetensors") && ran.stderr.contains("truncated"), "{}", ran.stderr);
    assert!(!shared.path("none").exists());
}
