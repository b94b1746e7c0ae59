//! Tests that need a GPU, a software one will do. Without any they show as ignored; with `FOVEA_REQUIRE_GPU=1` that is a failure. Each
//! kernel runs twice: as shipped, and with wgpu's checks of bounds and loops.
#![allow(clippy::unwrap_used, reason = "the helpers of these tests are not test functions")]

mod convolutions;
mod losses;
mod normalisation;
mod planes;
mod pointwise;
mod random;
mod support;
mod training;
mod updates;

use fovea_gpu::{Checks, Device};
use libtest_mimic::{Arguments, Failed, Trial};
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

/// A test over one device.
pub type Test = (&'static str, fn(&Arc<Device>));

/// All tests.
fn tests() -> Vec<Test> {
    let modules = [
        convolutions::TESTS,
        pointwise::TESTS,
        planes::TESTS,
        normalisation::TESTS,
        losses::TESTS,
        updates::TESTS,
        training::TESTS,
        random::TESTS,
    ];
    modules.concat()
}

static DEVICES: [OnceLock<Arc<Device>>; 2] = [OnceLock::new(), OnceLock::new()];

fn device(checks: Checks) -> Arc<Device> {
    let open = || Arc::new(Device::open_blocking(None, checks).expect("the GPU opens"));
    Arc::clone(DEVICES[usize::from(checks == Checks::Checked)].get_or_init(open))
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let missing = match Device::open_blocking(None, Checks::Trusted) {
        Ok(_) => None,
        Err(error) => Some(error.to_string()),
    };
    let required = std::env::var_os("FOVEA_REQUIRE_GPU").is_some_and(|value| value == "1");
    if let (Some(error), true) = (&missing, required) {
        libtest_mimic::run(&arguments, vec![failing(error.clone())]).exit();
    }
    let trial = |((name, test), checks): (Test, Checks)| {
        let name = format!("{name}::{}", if checks == Checks::Checked { "checked" } else { "trusted" });
        let run = move || {
            test(&device(checks));
            Ok::<(), Failed>(())
        };
        Trial::test(name, run).with_ignored_flag(missing.is_some())
    };
    let each = tests().into_iter().flat_map(|t| [(t, Checks::Trusted), (t, Checks::Checked)]);
    libtest_mimic::run(&arguments, each.map(trial).collect()).exit_code()
}

fn failing(error: String) -> Trial {
    Trial::test("a_gpu_is_there", move || Err(Failed::from(error)))
}
