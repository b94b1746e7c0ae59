//! What is timed: a network, its input, and the standard works that records are made of.

use clap::{Args, ValueEnum};

/// The network and its input.
#[derive(Args, Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    /// Which network
    pub model: Model,
    /// Images per step
    pub batch: usize,
    /// Rows, pixels
    pub height: usize,
    /// Columns, pixels
    pub width: usize,
    /// Steps to time after one that is not
    #[arg(default_value_t = 2)]
    pub steps: usize,
}

/// Networks of the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Model {
    /// 64-128-256-512, no normalisation
    Seed,
    /// 16-32-64-128 with BatchNorm
    Small,
    /// The default profile's network
    Default,
}

impl Model {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Model::Seed => "seed",
            Model::Small => "small",
            Model::Default => "default",
        }
    }
}

/// What one step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// Forward, Dice loss, backward, Adam
    Train,
    /// Forward
    Infer,
}

impl Mode {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Train => "train",
            Mode::Infer => "infer",
        }
    }
}

/// A work with a name, the same in every record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standard {
    /// Name in tables and records.
    pub name: &'static str,
    /// Kind of step.
    pub mode: Mode,
    /// Network and input.
    pub work: Work,
}

impl Standard {
    /// The arguments that make this program, or a peer's, run it.
    pub fn arguments(&self) -> Vec<String> {
        let w = &self.work;
        let numbers = [w.batch, w.height, w.width, w.steps].map(|n| n.to_string());
        [self.mode.name().to_owned(), w.model.name().to_owned()].into_iter().chain(numbers).collect()
    }
}

/// The works of `cpu` and `peers`.
pub const STANDARD: [Standard; 5] = [
    standard("seed-train", Mode::Train, Model::Seed, [4, 224, 224], 3),
    standard("small-train", Mode::Train, Model::Small, [2, 512, 512], 3),
    standard("default-train", Mode::Train, Model::Default, [4, 96, 96], 20),
    standard("seed-infer", Mode::Infer, Model::Seed, [1, 592, 576], 3),
    standard("small-infer", Mode::Infer, Model::Small, [1, 592, 576], 5),
];

const fn standard(
    name: &'static str,
    mode: Mode,
    model: Model,
    [batch, height, width]: [usize; 3],
    steps: usize,
) -> Standard {
    Standard { name, mode, work: Work { model, batch, height, width, steps } }
}

/// Which standard works to run, on how many threads.
#[derive(Args, Debug, Clone)]
pub struct Selection {
    /// Run this standard work alone (may be repeated) [default: all]
    #[arg(long, value_name = "WORK", value_parser = clap::builder::PossibleValuesParser::new(STANDARD.map(|s| s.name)))]
    only: Vec<String>,
    /// Threads of every program [default: all cores]
    #[arg(long)]
    threads: Option<usize>,
}

impl Selection {
    /// The chosen works in their standard order.
    pub fn works(&self) -> Vec<Standard> {
        let chosen = |s: &Standard| self.only.is_empty() || self.only.iter().any(|n| n == s.name);
        STANDARD.into_iter().filter(chosen).collect()
    }

    /// The number of threads.
    pub fn threads(&self) -> usize {
        let all = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        self.threads.unwrap_or_else(all).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_command_line() {
        for model in Model::value_variants() {
            assert_eq!(Model::from_str(model.name(), false), Ok(*model));
        }
        for mode in Mode::value_variants() {
            assert_eq!(Mode::from_str(mode.name(), false), Ok(*mode));
        }
    }

    #[test]
    fn arguments_are_those_of_the_peers() {
        assert_eq!(STANDARD[0].arguments(), ["train", "seed", "4", "224", "224", "3"]);
    }

    #[test]
    fn selection_keeps_the_standard_order() {
        let pick =
            |only: &[&str]| Selection { only: only.iter().map(|&s| s.to_owned()).collect(), threads: None };
        let names = |s: Selection| s.works().iter().map(|s| s.name).collect::<Vec<_>>();
        assert_eq!(names(pick(&["seed-infer", "small-train"])), ["small-train", "seed-infer"]);
        assert_eq!(pick(&[]).works(), STANDARD);
    }
}
