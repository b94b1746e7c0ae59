//! What a run leaves behind: summary, CSV, page, curves, and a table on the terminal.

use super::cohort::{Cohort, Hospital};
use super::profile::Profile;
use super::score::{self, Judged};
use crate::common;
use anyhow::Result;
use fovea_data::Sample;
use fovea_report::{
    About, Federation, ModelCurves, PageInput, Prediction, Rgb, RunSummary, TestPicture, TestSet, images_csv,
    loss_svg, page,
};
use std::path::Path;

/// The test sets in the order of the report; `folds` adds the cross-validated one.
pub fn test_sets(cohort: &Cohort, folds: Option<usize>) -> Result<Vec<TestSet>> {
    let all: Vec<&Sample> = cohort.hospitals.iter().flat_map(|h| &h.test).collect();
    let mut sets = vec![
        TestSet {
            key: score::TEST.to_owned(),
            title: format!("the {} test images, native size", all.len()),
            note: format!(
                "No model was trained on any of them; each model's threshold comes from its own training images. \
                 All scores are inside the field of view.{}",
                second_observer(&all)
            ),
            observer: score::observer(score::TEST, &all)?,
        },
        TestSet {
            key: score::REDUCED.to_owned(),
            title: format!("the same {} images reduced to 224x224", all.len()),
            note: "The size of the published experiment: probabilities and labels are averaged over areas, \
                   then thresholded."
                .to_owned(),
            observer: None,
        },
    ];
    for hospital in &cohort.hospitals {
        let own: Vec<&Sample> = hospital.test.iter().collect();
        let key = score::hospital_set(hospital);
        sets.push(TestSet {
            title: format!("{}, {} test images", hospital.title, own.len()),
            note: "Part of the first set.".to_owned(),
            observer: score::observer(&key, &own)?,
            key,
        });
    }
    for unseen in &cohort.unseen {
        let samples: Vec<&Sample> = unseen.samples.iter().collect();
        sets.push(TestSet {
            key: unseen.key.clone(),
            title: unseen.title.clone(),
            note: unseen.note.clone(),
            observer: score::observer(&unseen.key, &samples)?,
        });
    }
    if let Some(folds) = folds {
        sets.push(TestSet {
            key: super::folds::KEY.to_owned(),
            title: format!("STARE, {folds}-fold"),
            note: "Every image is tested by the federated model of the fold that did not train on it."
                .to_owned(),
            observer: None,
        });
    }
    Ok(sets)
}

/// Says on how many images the second observer's line rests, where it is not all.
fn second_observer(samples: &[&Sample]) -> String {
    let drawn = samples.iter().filter(|s| s.second_label.is_some()).count();
    if drawn == 0 || drawn == samples.len() {
        return String::new();
    }
    format!(" The second observer drew {drawn} of the {} images.", samples.len())
}

/// What the page shows of the first seed.
pub struct Shown {
    pub seed: u64,
    pub judged: Vec<(String, Judged)>,
}

/// Writes `summary.json`, `images.csv`, `losses.svg` and `report.html` into the run's folder.
pub fn write(
    folder: &Path,
    summary: &RunSummary,
    cohort: &Cohort,
    profile: &Profile,
    shown: &Shown,
    command: &str,
) -> Result<()> {
    let curves: Vec<ModelCurves> = shown.judged.iter().map(|(_, j)| j.curves.clone()).collect();
    let pictures = pictures(cohort, shown)?;
    let config = toml::to_string_pretty(&profile.train)?;
    let input = PageInput {
        summary,
        curves: &curves,
        pictures: &pictures,
        pictures_seed: shown.seed,
        protection: &protection(cohort, summary.federation.as_ref()),
        commands: &[command.to_owned()],
        config: &config,
    };
    fovea_data::write_atomically(&folder.join("summary.json"), summary.to_json()?.as_bytes())?;
    fovea_data::write_atomically(&folder.join("images.csv"), &images_csv(summary)?)?;
    fovea_data::write_atomically(
        &folder.join("losses.svg"),
        loss_svg(&summary.models, fovea_report::Scale::Log).as_bytes(),
    )?;
    Ok(fovea_data::write_atomically(&folder.join("report.html"), page(&input)?.as_bytes())?)
}

fn protection(cohort: &Cohort, federation: Option<&Federation>) -> Vec<String> {
    let who: Vec<&str> = cohort.hospitals.iter().map(|h| h.site.as_str()).collect();
    let who = who.join(", ");
    // Only a rehearsal in one process can look at the sum in the clear.
    let networked = federation.is_some_and(|federation| federation.equals_clear.is_none());
    let kind = if networked {
        format!(
            "{who} and jon were processes of their own and talked over TLS, with keys of a signed roster, but on one machine."
        )
    } else {
        format!(
            "This run was a rehearsal in one process: {who} and jon exchanged the encoded messages of the protocol, \
             but no network, keys of a roster or separate machines were involved."
        )
    };
    vec![
        kind,
        "The threshold of the federated and of the pooled model was chosen on the training images of all hospitals \
         together; scoring, thresholds and this report saw all images in one place, which a real federation would not."
            .to_owned(),
    ]
}

fn pictures(cohort: &Cohort, shown: &Shown) -> Result<Vec<TestPicture>> {
    let tests = cohort.hospitals.iter().flat_map(|h: &Hospital| &h.test);
    let picture = |(i, sample): (usize, &Sample)| {
        let predictions = shown
            .judged
            .iter()
            .map(|(model, judged)| Prediction { model: model.clone(), mask: judged.masks[i].clone() })
            .collect();
        Ok(TestPicture {
            image: sample.name.clone(),
            photo: photo(sample)?,
            label: sample.label.data.clone(),
            field: sample.field.data.clone(),
            predictions,
        })
    };
    tests.enumerate().map(picture).collect()
}

fn photo(sample: &Sample) -> Result<Rgb> {
    let image = &sample.image;
    let byte = |v: f32| (v.clamp(0.0, 1.0) * 255.0 + 0.5) as u8;
    let pixels = (0..image.pixels()).flat_map(|i| (0..3).map(move |c| byte(image.channel(c)[i]))).collect();
    Ok(Rgb::new(image.width, image.height, pixels)?)
}

/// The table on the terminal: a row per model and set.
pub fn table(summary: &RunSummary) {
    let mean = |model: &fovea_report::Model,
                set: &str,
                of: fn(&fovea_metrics::ImageScores) -> Option<f64>| {
        let means = model.run_means(set, of);
        let n = means.len() as f64;
        if means.is_empty() { "     -".to_owned() } else { format!("{:.4}", means.iter().sum::<f64>() / n) }
    };
    for set in &summary.sets {
        common::print(&format!("\n{}", set.title));
        common::print("  model                       Dice     IoU     AUC     MCC  clDice     ECE");
        for model in summary.models.iter().filter(|m| m.on(&set.key).next().is_some()) {
            let row = [
                mean(model, &set.key, |s| s.dice),
                mean(model, &set.key, |s| s.iou),
                mean(model, &set.key, |s| s.roc_auc),
                mean(model, &set.key, |s| s.mcc),
                mean(model, &set.key, |s| s.cl_dice),
                mean(model, &set.key, |s| s.calibration_error),
            ];
            common::print(&format!(
                "  {:23} {}",
                model.title,
                row.map(|cell| format!("{cell:>7}")).join(" ")
            ));
        }
        if let Some(observer) = &set.observer {
            let of = |key: &str| {
                let value = observer.over_images.get(key).and_then(|s| s.mean);
                value.map_or("      -".to_owned(), |v| format!("{v:7.4}"))
            };
            let row = ["dice", "iou", "roc_auc", "mcc", "cl_dice", "calibration_error"].map(of);
            common::print(&format!("  {:23} {}", "second observer", row.join(" ")));
        }
    }
    common::print("");
    for c in summary.comparisons.iter().filter(|c| c.set == score::TEST) {
        common::print(&format!(
            "\nfederated minus {}: {:+.4} Dice, better on {} of {} images, p = {:.3} (paired sign-flip test)",
            c.against, c.sign_flip.mean_difference, c.better, c.images, c.sign_flip.p_value
        ));
    }
}

/// Facts for the report's heading.
pub fn about(cohort: &Cohort, profile: &Profile, seeds: &[u64], parameters: usize, seconds: f64) -> About {
    About {
        experiment: format!("Retinal vessels: {}", cohort.title),
        profile: profile.name.clone(),
        seeds: seeds.to_vec(),
        steps: u64::from(profile.train.steps),
        parameters: parameters as u64,
        date: common::today(),
        commit: common::COMMIT.to_owned(),
        machine: common::device::describe(),
        threads: rayon::current_num_threads(),
        seconds,
        peak_memory_bytes: common::peak_memory_bytes(),
    }
}
