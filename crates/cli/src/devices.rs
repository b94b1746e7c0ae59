//! `fovea devices`.

use crate::common;
use anyhow::Result;
use fovea_gpu::{Description, Device};
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  fovea devices
  fovea devices --json
  fovea train --data DRIVE/training --out run --device gpu:1

The first column is what --device takes. A value of a network (one layer's activations for one batch) must fit `value`, all values
together `values`.";

/// Options of `fovea devices`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// One JSON array.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<ExitCode> {
    let found = Device::list_blocking();
    if args.json {
        common::print(&serde_json::to_string_pretty(&found)?);
        return Ok(ExitCode::SUCCESS);
    }
    common::print(&format!(
        "cpu    {} threads, {:?} kernels",
        rayon::current_num_threads(),
        fovea_cpu::isa()
    ));
    for adapter in &found {
        common::print(&line(adapter));
    }
    if found.is_empty() {
        common::say(
            "no GPU was found: its Vulkan driver may be missing (Metal on macOS, DirectX 12 on Windows)",
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn line(adapter: &Description) -> String {
    let gib = |bytes: u64| bytes as f64 / f64::from(1u32 << 30);
    format!(
        "gpu:{}  {}, {}, {} ({}): values up to {:.1} GiB, one value up to {:.1} GiB{}",
        adapter.index,
        adapter.name,
        adapter.kind,
        adapter.backend,
        adapter.driver,
        gib(adapter.buffer_bytes_max),
        gib(adapter.binding_bytes_max),
        if adapter.half_precision { ", half precision" } else { "" },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_number_name_and_limits() {
        let adapter = Description {
            index: 1,
            name: "Card".to_owned(),
            backend: "Vulkan".to_owned(),
            kind: "discrete",
            driver: "d 1".to_owned(),
            buffer_bytes_max: 8 << 30,
            binding_bytes_max: 2 << 30,
            half_precision: true,
        };
        let expected = "gpu:1  Card, discrete, Vulkan (d 1): values up to 8.0 GiB, one value up to 2.0 GiB, half precision";
        assert_eq!(line(&adapter), expected);
    }
}
