//! The page as a whole: well-formed, complete, self-contained, safe with hostile names, repeatable.

#![allow(clippy::unwrap_used)]

#[path = "../examples/demo/sample.rs"]
mod sample;

use fovea_metrics::METRICS;
use fovea_report::{
    PageInput, ReportError, Rgb, RunSummary, Scale, images_csv, loss_svg, page, pr_svg, roc_svg,
};
use sample::{Sample, sample};

fn small() -> Sample {
    sample(72, 3, &[1, 2])
}

fn html(sample: &Sample) -> String {
    page(&input(sample)).unwrap()
}

fn input(sample: &Sample) -> PageInput<'_> {
    PageInput {
        summary: &sample.summary,
        curves: &sample.curves,
        pictures: &sample.pictures,
        pictures_seed: 1,
        protection: &[],
        commands: &[],
        config: "",
    }
}

/// Checks nesting, quoting and entities of XML with HTML's doctype; style sheets may hold anything but a tag.
fn check_well_formed(text: &str) {
    let text = text.trim_start_matches("<!DOCTYPE html>\n");
    let mut open: Vec<&str> = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        check_entities(&rest[..start]);
        let end = start + rest[start..].find('>').expect("a tag ends");
        let tag = &rest[start + 1..end];
        assert!(!tag.contains('<'), "a tag inside a tag: {tag}");
        assert_eq!(tag.matches('"').count() % 2, 0, "unbalanced quotes: {tag}");
        let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap();
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric()), "odd tag name {name:?}");
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "closed out of order");
        } else if !tag.ends_with('/') {
            open.push(name);
        }
        rest = &rest[end + 1..];
    }
    assert!(open.is_empty(), "left open: {open:?}");
}

fn check_entities(text: &str) {
    for (at, _) in text.match_indices('&') {
        let known = ["&amp;", "&lt;", "&gt;", "&quot;", "&#39;"];
        assert!(known.iter().any(|k| text[at..].starts_with(k)), "bare ampersand: {:.20}", &text[at..]);
    }
}

fn check_self_contained(text: &str) {
    for attribute in ["src=\"", "href=\""] {
        for (at, _) in text.match_indices(attribute) {
            let value = &text[at + attribute.len()..];
            assert!(value.starts_with("data:image/") || value.starts_with('#'), "{:.60}", value);
        }
    }
    for word in ["<script", "<link", "<iframe", "<object", "@import", "url(", "http:", "https:"] {
        assert!(!text.contains(word), "{word}");
    }
}

#[test]
fn well_formed_self_contained_and_repeatable() {
    let sample = small();
    let text = html(&sample);
    check_well_formed(&text);
    check_self_contained(&text);
    assert_eq!(text, html(&small()));
}

#[test]
fn every_figure_is_there() {
    let sample = small();
    let text = html(&sample);
    let has = |needle: String| assert!(text.contains(&needle), "{needle:?} is missing");
    let three = |v: Option<f64>| v.map_or_else(|| "–".to_owned(), |v| format!("{v:.3}"));
    for model in &sample.summary.models {
        has(model.title.clone());
        has(model.threshold_chosen_on.clone());
        for metric in METRICS {
            let means = model.image_means("main", metric.of);
            let mean = means.iter().filter_map(|m| m.1).sum::<f64>() / means.len() as f64;
            has(format!(">{:.3}<", mean));
        }
        for (image, dice) in model.image_means("main", |s| s.dice) {
            has(image.to_owned());
            has(three(dice));
        }
        for run in &model.runs {
            has(format!("<code>{}</code>", run.model_hash));
            has(format!("<td>{:.3}</td>", run.threshold));
            has(three(run.sets[0].over_images["dice"].mean));
        }
        // The pictures are those of the first run.
        has(format!("IoU {}", three(model.runs[0].sets[0].images[0].scores.iou)));
        let batch: Vec<f64> = model.on("main").filter_map(|s| s.batch_iou_divided_by_images).collect();
        has(three(Some(batch.iter().sum::<f64>() / batch.len() as f64)));
    }
    let comparison = &sample.summary.comparisons[0];
    has(format!("better on {} of {} images", comparison.better, comparison.images));
    has(format!("p\u{a0}=\u{a0}{:.3}", comparison.sign_flip.p_value));
    has("Fewer than three seeds".into());
    has("bit for bit".into());
    has("pair mode".into());
    has("12.7 MB".into());
    let photographs = text.matches("data:image/jpeg;base64,").count();
    assert_eq!(photographs, 3 * 6, "photograph, label and four models for each image");
}

#[test]
fn hostile_text_stays_text() {
    let mut sample = small();
    let evil = "\"><script>alert('x')</script><img src=\"http://example.org\" onerror=1>&\u{202e}\u{0}";
    sample.summary.about.experiment = evil.into();
    sample.summary.about.machine = evil.into();
    sample.summary.sets[0].title = evil.into();
    sample.summary.models[0].title = evil.into();
    sample.summary.models[0].threshold_chosen_on = evil.into();
    sample.summary.models[1].runs[0].model_hash = evil.into();
    sample.summary.federation.as_mut().unwrap().sites[0].name = evil.into();
    sample.pictures[0].image = evil.into();
    for model in &mut sample.summary.models {
        for run in &mut model.runs {
            run.sets[0].images[0].image = evil.into();
        }
    }
    let evils = [evil.to_owned()];
    let text =
        page(&PageInput { protection: &evils, commands: &evils, config: evil, ..input(&sample) }).unwrap();
    check_well_formed(&text);
    assert!(!text.contains("<script") && !text.contains('\u{202e}') && !text.contains('\u{0}'));
    assert!(!text.contains("src=\"http") && text.contains("&lt;script&gt;"));
    for chart in [loss_svg(&sample.summary.models, Scale::Log), roc_svg(&sample.summary, &sample.curves)] {
        check_well_formed(&chart);
    }
}

#[test]
fn the_headline_tells_the_truth() {
    let mut worse = sample(72, 8, &[1, 2, 3]);
    assert!(html(&worse).contains("Federation helped"));
    let about = worse.summary.about.clone();
    let sets = worse.summary.sets.clone();
    let mut models = worse.summary.models.clone();
    let good = models[2].runs.clone();
    models[2].runs = models[1].runs.clone();
    models[0].runs.clone_from(&good);
    models[1].runs = good;
    worse.summary = RunSummary::new(about.clone(), sets.clone(), models.clone(), None);
    let text = html(&worse);
    assert!(text.contains("Federation did worse") && text.contains("Federating did not pay"));
    models[2].runs = models[0].runs.clone();
    worse.summary = RunSummary::new(about, sets, models, None);
    let text = html(&worse);
    assert!(text.contains("No clear difference") && text.contains("do not show that federating paid"));
    assert!(!text.contains("Federation helped") && !text.contains("Fewer than three seeds"));
}

#[test]
fn large_noisy_pictures_stay_within_the_budget() {
    let mut sample = sample(64, 8, &[1]);
    let side = 700;
    let noise: Vec<u8> =
        (0..side * side * 3u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mask: Vec<u8> = noise.iter().step_by(3).map(|v| v & 1).collect();
    for picture in &mut sample.pictures {
        picture.photo = Rgb::new(side as usize, side as usize, noise.clone()).unwrap();
        (picture.label, picture.field) = (mask.clone(), vec![1; mask.len()]);
        picture.predictions.iter_mut().for_each(|p| p.mask.clone_from(&mask));
    }
    let bytes = html(&sample).len();
    assert!((1_000_000..6_000_000).contains(&bytes), "{bytes}");
}

#[test]
fn input_that_does_not_fit_is_refused() {
    let mut sample = small();
    sample.pictures[0].predictions[0].model = "nobody".into();
    let error = page(&input(&sample)).unwrap_err();
    assert!(matches!(error, ReportError::Unknown { what: "model", .. }), "{error}");
    let mut sample = small();
    sample.pictures[1].label.pop();
    assert!(matches!(page(&input(&sample)), Err(ReportError::Length { what: "label", .. })));
}

#[test]
fn an_empty_experiment_and_undefined_scores_make_a_page() {
    let mut sample = small();
    for model in &mut sample.summary.models {
        for run in &mut model.runs {
            run.losses = vec![f64::NAN, 0.0, f64::INFINITY];
            run.sets.iter_mut().flat_map(|s| &mut s.images).for_each(|i| i.scores = Default::default());
        }
    }
    let (about, sets, models) =
        (sample.summary.about.clone(), sample.summary.sets.clone(), sample.summary.models.clone());
    sample.summary = RunSummary::new(about.clone(), sets, models, None);
    let text = html(&sample);
    check_well_formed(&text);
    assert!(!text.contains("NaN") && !text.contains(">inf") && text.contains("diverged"));
    assert!(text.contains("Nothing to compare"));
    sample.summary = RunSummary::new(about, vec![], vec![], None);
    (sample.curves, sample.pictures) = (vec![], vec![]);
    check_well_formed(&html(&sample));
}

#[test]
fn standalone_charts_carry_their_style() {
    let sample = small();
    let models = &sample.summary.models;
    for chart in [
        loss_svg(models, Scale::Linear),
        loss_svg(models, Scale::Log),
        loss_svg(&[], Scale::Log),
        roc_svg(&sample.summary, &sample.curves),
        pr_svg(&sample.summary, &sample.curves),
    ] {
        check_well_formed(&chart);
        assert!(
            chart.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\"")
                && chart.contains("prefers-color-scheme")
        );
        assert!(!chart.contains("NaN") && !chart.contains("inf"));
    }
}

#[test]
fn json_comes_back_and_csv_has_every_row() {
    let mut sample = small();
    sample.summary.models[0].runs[0].sets[0].images[0].scores.dice = None;
    sample.summary.models[0].runs[0].sets[0].images[0].image = "a,\"b\"".into();
    let json = sample.summary.to_json().unwrap();
    assert!(serde_json::from_str::<RunSummary>(&json).unwrap() == sample.summary);
    sample.summary.models[0].runs[0].losses = vec![1.0, f64::INFINITY];
    let back: RunSummary = serde_json::from_str(&sample.summary.to_json().unwrap()).unwrap();
    assert!(back.models[0].runs[0].losses[1].is_nan());
    let file = images_csv(&sample.summary).unwrap();
    let mut reader = csv::Reader::from_reader(file.as_slice());
    assert_eq!(reader.headers().unwrap().len(), 5 + METRICS.len() + 4);
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 4 * 2 * 3 + 3, "models x seeds x images, and the second observer");
    assert_eq!((&rows[0][0], &rows[0][1], &rows[0][3], &rows[0][5]), ("alice", "1", "a,\"b\"", ""));
    let iou = sample.summary.models[0].runs[0].sets[0].images[0].scores.iou.unwrap();
    assert!((rows[0][6].parse::<f64>().unwrap() - iou).abs() < 1e-6);
    assert_eq!((&rows[24][0], &rows[24][1]), ("second_observer", ""));
}
