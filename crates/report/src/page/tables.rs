//! The tables: metrics per set, images, comparisons, models, federation.

use super::section_head;
use crate::palette::slots;
use crate::schema::{Federation, Model, ModelRun, RunSummary, SetScores, TestSet};
use crate::text::{bytes, duration, esc, p_value, points, put, thousands, three};
use fovea_metrics::{METRICS, Metric, Summary, summarise};

pub fn section(out: &mut String, summary: &RunSummary) {
    let note = "Means over images and seeds inside the field of view; ± is the standard deviation over images. The best model of a row is bold.";
    section_head(out, "tables", "All figures", "", note);
    for set in &summary.sets {
        metrics(out, summary, set);
    }
    comparisons(out, summary);
    models(out, summary);
    if let Some(federation) = &summary.federation {
        federated(out, federation);
    }
    for set in &summary.sets {
        images(out, summary, set);
    }
    out.push_str("</section>\n");
}

fn metrics(out: &mut String, summary: &RunSummary, set: &TestSet) {
    let columns: Vec<(&Model, usize)> = summary
        .models
        .iter()
        .zip(slots(&summary.models))
        .filter(|(m, _)| m.on(&set.key).next().is_some())
        .collect();
    put(out, format_args!("<h3>{}</h3>", esc(&set.title)));
    if !set.note.is_empty() {
        put(out, format_args!("<p class=\"note\">{}</p>", esc(&set.note)));
    }
    let mut head: Vec<String> = columns.iter().map(|(m, slot)| model_name(m, *slot)).collect();
    if set.observer.is_some() {
        head.push("Second observer".into());
    }
    open_table(out, "Metric", &head);
    for metric in &METRICS {
        let cells: Vec<Summary> = columns.iter().map(|(m, _)| over_images(m, set, metric)).collect();
        let best = best(&cells, metric);
        put(out, format_args!("<tr><th scope=\"row\">{}</th>", metric.title));
        for (k, cell) in cells.iter().enumerate() {
            score_cell(out, cell, Some(k) == best);
        }
        if let Some(observer) = &set.observer {
            score_cell(out, &observer.over_images.get(metric.key).copied().unwrap_or_default(), false);
        }
        out.push_str("</tr>");
    }
    published_formula(out, &columns, set);
    out.push_str("</tbody></table></div>\n");
}

/// The row of the formula behind the first publication's figures.
fn published_formula(out: &mut String, columns: &[(&Model, usize)], set: &TestSet) {
    let of = |s: &SetScores| s.batch_iou_divided_by_images;
    let images = columns.first().and_then(|(m, _)| m.on(&set.key).next()).map_or(0, |s| s.images.len());
    let most =
        if images > 0 { format!("at most {}", three(Some(1.0 / images as f64))) } else { String::new() };
    put(
        out,
        format_args!(
            "<tr class=\"quiet\"><th scope=\"row\">Batch IoU ÷ images<small>not an IoU; {most}</small></th>"
        ),
    );
    for (model, _) in columns {
        put(out, format_args!("<td>{}</td>", three(summarise(model.on(&set.key).map(of)).mean)));
    }
    if let Some(observer) = &set.observer {
        put(out, format_args!("<td>{}</td>", three(of(observer))));
    }
    out.push_str("</tr>");
}

fn over_images(model: &Model, set: &TestSet, metric: &Metric) -> Summary {
    summarise(model.image_means(&set.key, metric.of).into_iter().map(|r| r.1))
}

/// Position of the best defined mean, when there are at least two.
fn best(cells: &[Summary], metric: &Metric) -> Option<usize> {
    let sign = if metric.higher_is_better { 1.0 } else { -1.0 };
    let defined: Vec<(usize, f64)> =
        cells.iter().enumerate().filter_map(|(k, s)| Some((k, sign * s.mean?))).collect();
    let top = defined.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1))?;
    (defined.len() > 1).then_some(top.0)
}

fn score_cell(out: &mut String, cell: &Summary, best: bool) {
    let class = if best { " class=\"best\"" } else { "" };
    let sd = cell.sd.map_or_else(String::new, |sd| format!("<small>± {sd:.3}</small>"));
    let gaps = if cell.undefined > 0 && cell.n > 0 {
        format!("<small>{} undefined</small>", cell.undefined)
    } else {
        String::new()
    };
    put(out, format_args!("<td{class}>{}{sd}{gaps}</td>", three(cell.mean)));
}

fn comparisons(out: &mut String, summary: &RunSummary) {
    if summary.comparisons.is_empty() {
        return;
    }
    out.push_str("<h3>Federated against the others</h3><p class=\"note\">Paired by image after averaging the seeds; two-sided tests. Points are hundredths of Dice.</p>");
    open_table(out, "Against", &["Set", "Points", "Better on", "Sign-flip", "Wilcoxon"].map(String::from));
    for c in &summary.comparisons {
        let title =
            |key: &str| summary.models.iter().find(|m| m.key == key).map_or(key, |m| &m.title).to_owned();
        let against =
            if c.against == "locals" { "mean of the local models".to_owned() } else { title(&c.against) };
        let set = summary.sets.iter().find(|s| s.key == c.set).map_or(c.set.as_str(), |s| &s.title);
        put(
            out,
            format_args!(
                "<tr><th scope=\"row\">{}</th><td class=\"text\">{}</td><td>{}</td><td>{} of {}</td><td>{}</td><td>{}</td></tr>",
                esc(&against),
                esc(set),
                points(c.sign_flip.mean_difference),
                c.better,
                c.images,
                esc(&p_value(c.sign_flip.p_value)),
                c.wilcoxon.map_or_else(|| "–".to_owned(), |w| esc(&p_value(w.p_value)))
            ),
        );
    }
    out.push_str("</tbody></table></div>\n");
}

fn models(out: &mut String, summary: &RunSummary) {
    out.push_str("<h3>Models</h3>");
    open_table(
        out,
        "Model",
        &["Seed", "Dice", "Threshold", "Chosen on", "Training", "Last loss", "Hash"].map(String::from),
    );
    for (model, slot) in summary.models.iter().zip(slots(&summary.models)) {
        for run in &model.runs {
            put(
                out,
                format_args!(
                    "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{:.3}</td><td class=\"text\">{}</td><td>{}</td><td>{}</td><td><code>{}</code></td></tr>",
                    model_name(model, slot),
                    run.seed,
                    three(main_dice(summary, run)),
                    run.threshold,
                    esc(&model.threshold_chosen_on),
                    duration(run.seconds),
                    last_loss(run),
                    esc(&run.model_hash)
                ),
            );
        }
    }
    out.push_str("</tbody></table></div>\n");
}

/// Mean Dice on the first set.
fn main_dice(summary: &RunSummary, run: &ModelRun) -> Option<f64> {
    let set = &summary.sets.first()?.key;
    run.sets.iter().find(|s| &s.set == set)?.over_images.get("dice")?.mean
}

fn last_loss(run: &ModelRun) -> String {
    match run.losses.last() {
        Some(loss) if loss.is_finite() => format!("{loss:.4}"),
        Some(_) => "diverged".to_owned(),
        None => "–".to_owned(),
    }
}

fn federated(out: &mut String, federation: &Federation) {
    let equal = match federation.equals_clear {
        Some(true) => "Ends in the same parameters, bit for bit, as summing in the clear.",
        Some(false) => "Does NOT end in the same parameters as summing in the clear.",
        None => "Not compared with summing in the clear.",
    };
    put(
        out,
        format_args!(
            "<h3>Federation</h3><p class=\"note\">{} rounds, {}. {equal}</p>",
            thousands(federation.rounds),
            esc(&federation.aggregation)
        ),
    );
    open_table(
        out,
        "Site",
        &["Images", "Sent", "Received", "Sent per round", "Rounds missed"].map(String::from),
    );
    for site in &federation.sites {
        put(
            out,
            format_args!(
                "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
                esc(&site.name),
                thousands(site.images),
                bytes(site.bytes_sent),
                bytes(site.bytes_received),
                bytes(site.bytes_sent / federation.rounds.max(1)),
                site.dropped_rounds
            ),
        );
    }
    out.push_str("</tbody></table></div>\n");
}

/// Dice and IoU of every image, folded away.
fn images(out: &mut String, summary: &RunSummary, set: &TestSet) {
    let columns: Vec<_> = summary
        .models
        .iter()
        .zip(slots(&summary.models))
        .map(|(m, slot)| (m, slot, m.image_means(&set.key, |s| s.dice), m.image_means(&set.key, |s| s.iou)))
        .filter(|c| !c.2.is_empty())
        .collect();
    let Some(names) = columns.first().map(|c| c.2.iter().map(|r| r.0).collect::<Vec<_>>()) else { return };
    put(
        out,
        format_args!(
            "<details><summary>Image by image, {}: Dice, and IoU below it</summary>",
            esc(&set.title)
        ),
    );
    let mut head: Vec<String> = columns.iter().map(|c| model_name(c.0, c.1)).collect();
    if set.observer.is_some() {
        head.push("Second observer".into());
    }
    open_table(out, "Image", &head);
    for name in names {
        put(out, format_args!("<tr><th scope=\"row\">{}</th>", esc(name)));
        for (_, _, dice, iou) in &columns {
            let find = |rows: &[(&str, Option<f64>)]| rows.iter().find(|r| r.0 == name).and_then(|r| r.1);
            put(out, format_args!("<td>{}<small>{}</small></td>", three(find(dice)), three(find(iou))));
        }
        if let Some(observer) = &set.observer {
            let row = observer.images.iter().find(|i| i.image == name).map(|i| &i.scores);
            put(
                out,
                format_args!(
                    "<td>{}<small>{}</small></td>",
                    three(row.and_then(|s| s.dice)),
                    three(row.and_then(|s| s.iou))
                ),
            );
        }
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table></div></details>\n");
}

/// A model's name with its colour; markup.
fn model_name(model: &Model, slot: usize) -> String {
    format!("<span class=\"s{slot}\"><i class=\"swatch\"></i>{}</span>", esc(&model.title))
}

/// Heads of columns that hold words, which start at the left.
const WORDS: [&str; 2] = ["Set", "Chosen on"];

/// Opens a scrolling box, a table and its body; the heads are markup.
fn open_table(out: &mut String, corner: &str, heads: &[String]) {
    put(
        out,
        format_args!(
            "<div class=\"scroll\" tabindex=\"0\"><table><thead><tr><th scope=\"col\">{corner}</th>"
        ),
    );
    for head in heads {
        let class = if WORDS.contains(&head.as_str()) { " class=\"text\"" } else { "" };
        put(out, format_args!("<th scope=\"col\"{class}>{head}</th>"));
    }
    out.push_str("</tr></thead><tbody>");
}
