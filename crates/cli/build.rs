//! Records the source revision, so that a binary can say what it was built from.

use std::process::Command;

fn main() {
    let revision = Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output();
    let revision =
        revision.ok().filter(|o| o.status.success()).and_then(|o| String::from_utf8(o.stdout).ok());
    println!("cargo:rustc-env=FOVEA_COMMIT={}", revision.as_deref().map_or("unknown", str::trim));
    println!("cargo:rerun-if-changed=../../.git/logs/HEAD");
}
