//! A job on one page, for the person who decides about it.

use crate::learning::Recipe;
use anyhow::Result;
use fovea_fed::clip::ClipRule;
use fovea_net::document::Offered;
use fovea_secagg::hash::Hash;
use fovea_secagg::sets::{Profile, SiteId};

/// Digits of a digest that people type.
pub const SHORT: usize = 12;

/// The first digits of a digest.
pub fn short(digest: &Hash) -> String {
    digest.to_string()[..SHORT].to_owned()
}

/// The page. `me` is the site that reads it, if it is one.
pub fn page(offered: &Offered, recipe: &Recipe, me: Option<SiteId>) -> Result<String> {
    let (document, job) = (&offered.document, &offered.document.job);
    let train = &recipe.train;
    let parameters = offered.plan.coordinates();
    let row = |name: &str, text: String| format!("{name:<14}{text}");
    let more = |text: String| row("", text);
    let mut lines = vec![
        row("job", format!("{}   {}", short(&offered.digest), job.name)),
        row(
            "federation",
            format!("{}, coordinator's key {}", document.federation, fingerprint(&document.coordinator)),
        ),
    ];
    for (place, seat) in document.sites.iter().enumerate() {
        let this = if me == Some(SiteId(place as u16)) { "   (this site)" } else { "" };
        let name = if place == 0 { "sites" } else { "" };
        lines.push(row(name, format!("{:<16}key {}{this}", seat.name, fingerprint(&seat.key))));
    }
    lines.push(more("compare these keys with the other hospitals, by telephone for example".to_owned()));
    let network = format!("a UNet of {parameters} parameters, widths {:?}", train.model.widths);
    lines.push(row("trains", format!("{network}, on {}", extent(&train.input))));
    let (steps, batch) = (recipe.local_steps, train.batch);
    lines.push(row(
        "rounds",
        format!("{} of {steps} steps with {batch} images each, at every site", job.rounds),
    ));
    lines.push(row(
        "combined by",
        format!("{:?}; every site computes the next model by itself", job.strategy),
    ));
    let bytes = 4.0 * parameters as f64 / 1e6;
    lines.push(row(
        "leaves here",
        format!("per round one masked vector, {bytes:.2} MB: the change of the model,"),
    ));
    lines.push(more("clipped and rounded; and masked numbers: how many images, the mean loss".to_owned()));
    lines.push(row(
        "never leaves",
        "images, labels, names of files or patients, this site's own model".to_owned(),
    ));
    lines.extend(
        protection(offered)
            .into_iter()
            .enumerate()
            .map(|(i, text)| row(if i == 0 { "protection" } else { "" }, text)),
    );
    Ok(lines.join("\n"))
}

fn protection(offered: &Offered) -> Vec<String> {
    let job = &offered.document.job;
    let sites = offered.document.sites.len();
    let mut lines = Vec::new();
    if sites == 2 {
        lines.push("the coordinator sees sums only. WITH TWO SITES EACH CAN COMPUTE THE OTHER'S".to_owned());
        lines.push("CHANGE as sum minus own: to approve is to accept that".to_owned());
    } else {
        let against = match job.profile {
            Profile::Malicious => "a coordinator that cheats",
            Profile::SemiHonest => "a coordinator that looks at everything and follows the protocol",
        };
        lines.push(format!("sums over at least {} sites, against {against}", job.sites_min.max(3)));
    }
    let clip = match job.clip_rule {
        ClipRule::Fixed => "fixed",
        ClipRule::FollowUpdate => "following the updates",
    };
    lines.push(format!("clips {clip}; sums over nearly the same sites: {:?}", job.multi_round_policy));
    lines.push("differential privacy: none. The sum and the model may reveal something".to_owned());
    if offered.document.rounding_seed.is_some() {
        lines.push("a rehearsal: rounding repeats to the bit; masks are secret all the same".to_owned());
    }
    lines
}

fn extent(input: &fovea_train::InputMode) -> String {
    match input {
        fovea_train::InputMode::Crops { size } => format!("crops of {size}x{size} pixels"),
        fovea_train::InputMode::Whole => "whole images".to_owned(),
    }
}

/// A public key in groups that can be read out.
pub fn fingerprint(key: &fovea_secagg::identity::PublicKey) -> String {
    let digits = Hash(key.to_bytes()).to_string();
    let groups: Vec<&str> = (0..4).map(|i| &digits[4 * i..4 * i + 4]).collect();
    groups.join(" ")
}
