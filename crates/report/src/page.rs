//! The page: its input and its frame.

mod gallery;
mod hero;
mod notes;
mod tables;

use crate::bars::bar_chart;
use crate::dots::dot_chart;
use crate::lines::{loss_chart, loss_scale, pr_chart, roc_chart};
use crate::schema::{RunSummary, TestSet};
use crate::text::{esc, put};
use crate::{ReportError, Rgb, Scale};
use fovea_metrics::CurvePoint;

/// What the page shows beside the summary.
#[derive(Debug, Clone, Copy)]
pub struct PageInput<'a> {
    /// The numbers.
    pub summary: &'a RunSummary,
    /// ROC and precision-recall curves of the first run of each model on the first test set.
    pub curves: &'a [ModelCurves],
    /// Pictures of the first test set, in the order in which to show them.
    pub pictures: &'a [TestPicture],
    /// Seed of the run that drew the predictions in `pictures`.
    pub pictures_seed: u64,
    /// Paragraphs on what was and was not protected, shown before the fixed ones.
    pub protection: &'a [String],
    /// Command lines that repeat the run.
    pub commands: &'a [String],
    /// The configuration, as text.
    pub config: &'a str,
}

/// One model's curves, thinned (about 200 points each are plenty).
#[derive(Debug, Clone, PartialEq)]
pub struct ModelCurves {
    /// [`crate::Model::key`].
    pub model: String,
    /// False positive rate and true positive rate.
    pub roc: Vec<CurvePoint>,
    /// Recall and precision.
    pub pr: Vec<CurvePoint>,
}

/// One test image with every model's prediction; masks are `(H, W)`, non-zero = yes.
#[derive(Debug, Clone)]
pub struct TestPicture {
    /// [`crate::ImageRow::image`].
    pub image: String,
    /// The photograph.
    pub photo: Rgb,
    /// The first observer's vessels.
    pub label: Vec<u8>,
    /// The field of view.
    pub field: Vec<u8>,
    /// Predictions, in the order in which to show them.
    pub predictions: Vec<Prediction>,
}

/// One model's prediction on one image.
#[derive(Debug, Clone)]
pub struct Prediction {
    /// [`crate::Model::key`].
    pub model: String,
    /// The mask at the model's threshold.
    pub mask: Vec<u8>,
}

const STYLE: &str = concat!(include_str!("chart.css"), include_str!("page/style.css"));

/// The whole page, HTML in UTF-8 and well-formed XML, under about 6 MB whatever the pictures' size.
///
/// # Errors
/// When a mask does not fit its photograph, a picture names a model that the summary lacks, or the encoder fails.
pub fn page(input: &PageInput) -> Result<String, ReportError> {
    let summary = input.summary;
    let mut out = String::new();
    let title = esc(&summary.about.experiment);
    put(
        &mut out,
        format_args!(
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/><title>{title}</title>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\
         <meta name=\"color-scheme\" content=\"light dark\"/>\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\"/>\
         <style>{STYLE}</style></head>\n<body>"
        ),
    );
    hero::header(&mut out, summary);
    out.push_str("<main>\n");
    if let Some(set) = summary.sets.first() {
        results(&mut out, input, set);
    }
    gallery::section(&mut out, input)?;
    tables::section(&mut out, summary);
    notes::section(&mut out, input);
    out.push_str("</main>\n</body></html>\n");
    Ok(out)
}

fn results(out: &mut String, input: &PageInput, set: &TestSet) {
    let summary = input.summary;
    section_head(out, "results", "Results", &set.title, &set.note);
    let seeds = summary.about.seeds.len();
    let spread = match seeds {
        0 | 1 => "One seed, so no spread to show.".to_owned(),
        n => format!(
            "Bars are means over images and {n} seeds; whiskers reach from the lowest to the highest seed."
        ),
    };
    out.push_str("<div class=\"charts\">");
    figure(out, "Dice and IoU", &bar_chart(summary, set), &spread);
    figure(
        out,
        "Every image",
        &dot_chart(summary, set),
        "Each dot is one model's mean over seeds on that image.",
    );
    let band = if seeds > 1 {
        " Lines are means over seeds, bands reach from the lowest to the highest."
    } else {
        ""
    };
    let scale = loss_scale(&summary.models);
    let axis = if scale == Scale::Log { "The axis is logarithmic." } else { "The axis starts at 0." };
    figure(out, "Training loss", &loss_chart(&summary.models, scale, false), &format!("{axis}{band}"));
    if !input.curves.is_empty() {
        let note = "Pixels of all images pooled, first seed; the dot is the chosen threshold. AUC is the mean over images.";
        figure(out, "ROC", &roc_chart(summary, input.curves, false), note);
        let note = "The same pixels; AP is the mean of the images' average precision.";
        figure(out, "Precision and recall", &pr_chart(summary, input.curves, false), note);
    }
    out.push_str("</div></section>\n");
}

/// Opens a section with its heading.
fn section_head(out: &mut String, id: &str, title: &str, subtitle: &str, note: &str) {
    put(out, format_args!("<section id=\"{id}\"><h2>{}", esc(title)));
    if !subtitle.is_empty() {
        put(out, format_args!(" <span class=\"sub\">{}</span>", esc(subtitle)));
    }
    out.push_str("</h2>");
    if !note.is_empty() {
        put(out, format_args!("<p class=\"note\">{}</p>", esc(note)));
    }
}

/// A chart under its title; `svg` is markup, the rest text.
fn figure(out: &mut String, title: &str, svg: &str, caption: &str) {
    put(
        out,
        format_args!(
            "<figure class=\"card\"><h3>{}</h3>{svg}<figcaption>{}</figcaption></figure>\n",
            esc(title),
            esc(caption)
        ),
    );
}
