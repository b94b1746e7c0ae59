//! What was protected and what was not; how to repeat the run.

use super::{PageInput, section_head};
use crate::schema::Federation;
use crate::text::{esc, put};

pub fn section(out: &mut String, input: &PageInput) {
    section_head(out, "protection", "What was protected, and what was not", "", "");
    out.push_str("<div class=\"prose\">");
    let fixed = input.summary.federation.as_ref().map(fixed_paragraphs).unwrap_or_default();
    for paragraph in input.protection.iter().map(String::as_str).chain(fixed.iter().map(String::as_str)) {
        put(out, format_args!("<p>{}</p>", esc(paragraph)));
    }
    out.push_str("</div></section>\n");
    section_head(out, "made", "How it was made", "", "");
    if !input.commands.is_empty() {
        put(out, format_args!("<pre>{}</pre>", esc(&input.commands.join("\n"))));
    }
    if !input.config.is_empty() {
        put(
            out,
            format_args!(
                "<details><summary>Configuration</summary><pre>{}</pre></details>",
                esc(input.config)
            ),
        );
    }
    out.push_str("<p class=\"note\">Every metric counts only pixels inside the field of view. Thresholds were chosen on the images named above, never on test images. Calibration error: 15 equal bins of predicted probability against the observed share of vessel. clDice: skeletons by Zhang-Suen thinning.</p></section>\n");
}

/// What follows from the kind of aggregation alone.
fn fixed_paragraphs(federation: &Federation) -> Vec<String> {
    let who = match (federation.secure, federation.pair_mode) {
        (false, _) => "Updates were summed in the clear: the coordinator saw each hospital's update.",
        (true, true) => {
            "Two hospitals, pair mode: the coordinator sees only uniformly random words. That is protection against the \
             coordinator alone. Each hospital receives the common result and can subtract its own update from it, which \
             leaves exactly the other hospital's update; no cryptography can prevent that with two."
        }
        (true, false) => {
            "Updates were masked: the coordinator learns their sum and no single update, as long as fewer hospitals than \
             the threshold work with it. Everyone who receives the result learns the sum."
        }
    };
    let noise = match &federation.differential_privacy {
        Some(guarantee) => format!("Differential privacy was on: {guarantee}"),
        None => "Differential privacy was off: the trained model may reveal something about single training images.".to_owned(),
    };
    vec![
        "Images and labels stayed at their hospital; only model updates left it.".to_owned(),
        who.to_owned(),
        noise,
    ]
}
