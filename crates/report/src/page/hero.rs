//! The head of the page: name, verdict, key figures, what was run.

use crate::compare::{Comparison, Verdict};
use crate::schema::{Model, Role, RunSummary};
use crate::text::{bytes, duration, esc, p_value, points, put, thousands, three};
use fovea_metrics::summarise;

pub fn header(out: &mut String, summary: &RunSummary) {
    let about = &summary.about;
    put(
        out,
        format_args!(
            "<header><p class=\"kicker\">Federated segmentation report</p><h1>{}</h1>",
            esc(&about.experiment)
        ),
    );
    let (chip, class, sentence) = headline(summary);
    put(
        out,
        format_args!("<p class=\"chip {class}\">{}</p><p class=\"lead\">{}</p>", esc(&chip), esc(&sentence)),
    );
    tiles(out, summary);
    let seeds: Vec<String> = about.seeds.iter().map(u64::to_string).collect();
    let mut facts = vec![
        ("Profile", about.profile.clone()),
        ("Seeds", seeds.join(", ")),
        ("Steps per model", thousands(about.steps)),
        ("Date", about.date.clone()),
        ("Commit", about.commit.clone()),
        (
            "Machine",
            format!(
                "{}, {} thread{}",
                about.machine,
                about.threads,
                if about.threads == 1 { "" } else { "s" }
            ),
        ),
    ];
    if let Some(peak) = about.peak_memory_bytes {
        facts.push(("Peak memory", bytes(peak)));
    }
    out.push_str("<dl class=\"facts\">");
    for (term, text) in facts {
        put(out, format_args!("<div><dt>{term}</dt><dd>{}</dd></div>", esc(&text)));
    }
    out.push_str("</dl></header>\n");
}

/// The verdict in three words, its CSS class, and the sentence with the numbers behind it.
pub fn headline(summary: &RunSummary) -> (String, &'static str, String) {
    let Some(set) = summary.sets.first() else { return missing("No test set was scored.") };
    let found = summary.comparisons.iter().find(|c| c.set == set.key && c.against == "locals");
    let Some(c) = found else {
        return missing("There is no federated model with local models to compare it with.");
    };
    let (chip, class) = match c.verdict() {
        Verdict::Better => ("Federation helped", "good"),
        Verdict::Worse => ("Federation did worse", "bad"),
        Verdict::Undecided => ("No clear difference", "open"),
    };
    (chip.to_owned(), class, sentence(summary, c))
}

fn sentence(summary: &RunSummary, c: &Comparison) -> String {
    let set = &c.set;
    let locals: Vec<String> = summary
        .models
        .iter()
        .filter(|m| m.role == Role::Local)
        .map(|m| format!("{} reaches {}", m.title, three(mean_dice(m, set))))
        .collect();
    let mut text = format!(
        "On {} test image{}, the federated model reaches a mean Dice of {:.3}; of the local models, {}. That is {} points against \
         their mean, and better on {} of {} images (sign-flip test, {}).",
        c.images,
        if c.images == 1 { "" } else { "s" },
        c.federated,
        locals.join(" and "),
        points(c.sign_flip.mean_difference),
        c.better,
        c.images,
        p_value(c.sign_flip.p_value)
    );
    text.push_str(match c.verdict() {
        Verdict::Better => "",
        Verdict::Worse => " Federating did not pay here.",
        Verdict::Undecided => " These images do not show that federating paid.",
    });
    if summary.about.seeds.len() < 3 {
        text.push_str(" Fewer than three seeds were run, so another seed may say otherwise.");
    }
    text
}

fn tiles(out: &mut String, summary: &RunSummary) {
    let Some(set) = summary.sets.first() else { return };
    let mut tiles: Vec<(String, String, String)> = Vec::new();
    if let Some(model) = summary.models.iter().find(|m| m.role == Role::Federated) {
        let iou = summarise(model.run_means(&set.key, |s| s.iou).into_iter().map(Some)).mean;
        tiles.push((
            "Federated Dice".into(),
            three(mean_dice(model, &set.key)),
            format!("IoU {}", three(iou)),
        ));
    }
    let against = |role: Role| summary.models.iter().find(|m| m.role == role).map(|m| m.key.as_str());
    let pooled = against(Role::Pooled);
    if let Some(c) =
        summary.comparisons.iter().find(|c| c.set == set.key && Some(c.against.as_str()) == pooled)
    {
        let text = format!("points of Dice, {}", p_value(c.sign_flip.p_value));
        tiles.push(("Against pooled data".into(), points(c.sign_flip.mean_difference), text));
    }
    if let Some(mean) = set.observer.as_ref().and_then(|o| o.over_images.get("dice")).and_then(|s| s.mean) {
        tiles.push((
            "Second observer".into(),
            format!("{mean:.3}"),
            "Dice of a human against the label".into(),
        ));
    }
    if let Some(equal) = summary.federation.as_ref().and_then(|f| f.equals_clear) {
        let (word, text) = if equal {
            ("identical", "to summing in the clear, bit for bit")
        } else {
            ("differs", "from summing in the clear")
        };
        tiles.push(("Secure aggregation".into(), word.into(), text.into()));
    }
    tiles.push(("Parameters".into(), thousands(summary.about.parameters), "in one model".into()));
    tiles.push(("Wall time".into(), duration(summary.about.seconds), "training and evaluation".into()));
    out.push_str("<div class=\"tiles\">");
    for (name, value, text) in tiles {
        put(
            out,
            format_args!(
                "<div class=\"tile\"><span>{name}</span><b>{}</b><small>{}</small></div>",
                esc(&value),
                esc(&text)
            ),
        );
    }
    out.push_str("</div>");
}

fn mean_dice(model: &Model, set: &str) -> Option<f64> {
    summarise(model.run_means(set, |s| s.dice).into_iter().map(Some)).mean
}

fn missing(why: &str) -> (String, &'static str, String) {
    ("Nothing to compare".to_owned(), "open", why.to_owned())
}
