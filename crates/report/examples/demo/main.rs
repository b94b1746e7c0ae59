//! Writes a report of a made-up experiment: `cargo run -p fovea-report --example demo -- OUT_DIR`.

mod sample;

use fovea_report::{PageInput, Scale, images_csv, loss_svg, page, pr_svg, prediction_overlay, roc_svg};
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let out = PathBuf::from(std::env::args().nth(1).ok_or("usage: demo OUT_DIR")?);
    std::fs::create_dir_all(&out)?;
    let sample = sample::sample(420, 8, &[1, 2, 3]);
    let input = PageInput {
        summary: &sample.summary,
        curves: &sample.curves,
        pictures: &sample.pictures,
        pictures_seed: 1,
        protection: &["The two hospitals of this example do not exist.".to_owned()],
        commands: &["fovea run --profile demo --seeds 1,2,3".to_owned()],
        config: "[train]\nsteps = 2000\nlearning_rate = 0.003\n",
    };
    std::fs::write(out.join("report.html"), page(&input)?)?;
    std::fs::write(out.join("summary.json"), sample.summary.to_json()?)?;
    std::fs::write(out.join("images.csv"), images_csv(&sample.summary)?)?;
    std::fs::write(out.join("loss.svg"), loss_svg(&sample.summary.models, Scale::Linear))?;
    std::fs::write(out.join("roc.svg"), roc_svg(&sample.summary, &sample.curves))?;
    std::fs::write(out.join("pr.svg"), pr_svg(&sample.summary, &sample.curves))?;
    let first = &sample.pictures[0];
    std::fs::write(
        out.join("prediction.png"),
        prediction_overlay(&first.photo, &first.predictions[2].mask)?.png()?,
    )?;
    Ok(())
}
