//! The test images: photograph, label, and each model's hits and misses.

use super::{PageInput, TestPicture, section_head};
use crate::palette::slots;
use crate::picture::{FALSE_NEGATIVE, FALSE_POSITIVE, TRUE_POSITIVE, overlay};
use crate::schema::{Model, SetScores};
use crate::text::{base64, esc, put, three};
use crate::{ReportError, Rgb};
use fovea_metrics::ImageScores;

/// Encoded bytes of all pictures together; base64 makes them a third larger, which keeps the page under 6 MB.
const PICTURE_BYTES_MAX: usize = 4_200_000;
/// Longest sides tried, in pixels, until the pictures fit.
const SIDES: [usize; 6] = [560, 480, 400, 320, 240, 160];
const JPEG_QUALITY: u8 = 84;

pub fn section(out: &mut String, input: &PageInput) -> Result<(), ReportError> {
    if input.pictures.is_empty() {
        return Ok(());
    }
    let files = fit(&input.pictures.iter().map(panels).collect::<Result<Vec<_>, _>>()?)?;
    section_head(
        out,
        "images",
        "The test images",
        &format!("seed {}", input.pictures_seed),
        "Tap a picture to enlarge it.",
    );
    out.push_str("<p class=\"key\">");
    for (colour, name) in [
        (TRUE_POSITIVE, "vessel, found"),
        (FALSE_POSITIVE, "false alarm"),
        (FALSE_NEGATIVE, "vessel, missed"),
    ] {
        let [r, g, b] = colour;
        put(out, format_args!("<span><i style=\"background:rgb({r},{g},{b})\"></i>{name}</span>"));
    }
    out.push_str("<span><i class=\"dim\"></i>dimmed photograph: background, rightly left alone</span></p>\n");
    let slots = slots(&input.summary.models);
    for (row, (picture, files)) in input.pictures.iter().zip(&files).enumerate() {
        put(
            out,
            format_args!(
                "<article id=\"image-{row}\"><h3>{}</h3><div class=\"panels\">",
                esc(&picture.image)
            ),
        );
        let [photo, label, overlays @ ..] = files.as_slice() else { continue };
        panel(out, row, 0, photo, &format!("Photograph {}", picture.image), "Photograph");
        panel(out, row, 1, label, &format!("Label of {}", picture.image), "Label, first observer");
        for (k, (prediction, file)) in picture.predictions.iter().zip(overlays).enumerate() {
            let position = input.summary.models.iter().position(|m| m.key == prediction.model);
            let position = position
                .ok_or_else(|| ReportError::Unknown { what: "model", name: prediction.model.clone() })?;
            let model = &input.summary.models[position];
            let scores = scores(input, model, &picture.image);
            let caption = format!(
                "<b class=\"s{}\"><i class=\"swatch\"></i>{}</b><span>Dice {} · IoU {}</span>",
                slots[position],
                esc(&model.title),
                three(scores.and_then(|s| s.dice)),
                three(scores.and_then(|s| s.iou))
            );
            panel(out, row, k + 2, file, &format!("{} on {}", model.title, picture.image), &caption);
        }
        out.push_str("</div></article>\n");
    }
    out.push_str("</section>\n");
    Ok(())
}

/// Photograph, label, then one overlay per prediction.
fn panels(picture: &TestPicture) -> Result<Vec<Rgb>, ReportError> {
    let (width, height) = (picture.photo.width(), picture.photo.height());
    let white: Vec<u8> = picture.label.iter().flat_map(|&l| [if l != 0 { 235 } else { 16 }; 3]).collect();
    let mut all = vec![picture.photo.clone()];
    for prediction in &picture.predictions {
        all.push(overlay(&picture.photo, &picture.label, &prediction.mask, &picture.field)?);
    }
    all.insert(1, Rgb::new(width, height, white)?);
    // The largest size shown; further reductions start from here.
    Ok(all.iter().map(|p| p.reduced(SIDES[0])).collect())
}

/// JPEG files of all pictures at the largest size at which they stay within the budget.
fn fit(pictures: &[Vec<Rgb>]) -> Result<Vec<Vec<Vec<u8>>>, ReportError> {
    let encode = |side: usize| -> Result<Vec<Vec<Vec<u8>>>, ReportError> {
        pictures.iter().map(|row| row.iter().map(|p| p.reduced(side).jpeg(JPEG_QUALITY)).collect()).collect()
    };
    let mut files = encode(SIDES[0])?;
    for side in &SIDES[1..] {
        if files.iter().flatten().map(Vec::len).sum::<usize>() <= PICTURE_BYTES_MAX {
            break;
        }
        files = encode(*side)?;
    }
    Ok(files)
}

/// A figure that fills the screen when it is the target of the page's address; `caption` is markup.
fn panel(out: &mut String, row: usize, column: usize, file: &[u8], alt: &str, caption: &str) {
    put(
        out,
        format_args!(
            "<figure class=\"panel\" id=\"picture-{row}-{column}\"><a class=\"open\" href=\"#picture-{row}-{column}\">\
         <img alt=\"{}\" src=\"data:image/jpeg;base64,{}\"/></a><figcaption>{caption}</figcaption>\
         <a class=\"close\" href=\"#image-{row}\" aria-label=\"Close\">×</a></figure>",
            esc(alt),
            base64(file)
        ),
    );
}

fn scores<'a>(input: &'a PageInput, model: &'a Model, image: &str) -> Option<&'a ImageScores> {
    let set = &input.summary.sets.first()?.key;
    let run = model.runs.iter().find(|r| r.seed == input.pictures_seed)?;
    let scores: &SetScores = run.sets.iter().find(|s| &s.set == set)?;
    scores.images.iter().find(|i| i.image == image).map(|i| &i.scores)
}
