//! Which images train and which are held back.

use anyhow::{Result, bail, ensure};
use fovea_data::{Dataset, Entry, Split, entries};

/// How to split; without an option the last fifth by name is held back.
#[derive(clap::Args)]
#[group(multiple = false)]
pub struct Parts {
    /// Hold back the last K images by name [default: a fifth of them].
    #[arg(long, value_name = "K")]
    test_last: Option<usize>,
    /// Hold back fold I of K by name, I from 1.
    #[arg(long, value_name = "I/K", value_parser = parse_fold)]
    fold: Option<Fold>,
    /// Hold nothing back.
    #[arg(long)]
    all: bool,
}

/// Fold `index` (from 0) of `of`.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Fold {
    index: usize,
    of: usize,
}

impl Parts {
    /// The split asked for.
    pub fn draw(&self, dataset: &Dataset) -> Result<Split> {
        let all = entries(dataset)?;
        if self.all {
            let split = Split { train: all, test: Vec::new() };
            split.check_disjoint()?;
            return Ok(split);
        }
        if let Some(Fold { index, of }) = self.fold {
            return Ok(Split::fold(&all, of, index)?);
        }
        let test = self.test_last.unwrap_or((all.len() / 5).max(1));
        ensure!(
            test > 0 && test < all.len(),
            "{} has {} images, {test} of them cannot be held back: \
             lower --test-last, or train on --all of them",
            dataset.name(),
            all.len()
        );
        Ok(Split::first_and_last(&all, all.len() - test, test)?)
    }

    /// The saved split, where nothing else was asked for. Whether the images are still the same is for
    /// [`Split::indices`] to say.
    pub fn continued(&self, saved: &Split, dataset: &Dataset) -> Result<Split> {
        let asked = self.test_last.is_some() || self.fold.is_some() || self.all;
        if asked {
            let drawn = self.draw(dataset)?;
            if let Some(entry) = first_difference(&drawn.test, &saved.test) {
                bail!(
                    "cannot resume: the images held back differ from the saved run's at `{}`; \
                     leave --test-last, --fold and --all out",
                    entry.name
                );
            }
        }
        Ok(saved.clone())
    }
}

fn first_difference<'a>(a: &'a [Entry], b: &'a [Entry]) -> Option<&'a Entry> {
    let only = |x: &'a [Entry], y: &[Entry]| x.iter().find(|e| !y.contains(e));
    only(a, b).or_else(|| only(b, a))
}

fn parse_fold(text: &str) -> Result<Fold, String> {
    let parts = text.split_once('/').and_then(|(i, k)| Some((i.parse().ok()?, k.parse().ok()?)));
    match parts {
        Some((index, of)) if (1..=of).contains(&index) && of >= 2 => Ok(Fold { index: index - 1, of }),
        _ => Err("a fold is I/K with I from 1 to K, such as 3/5".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_are_parsed_from_one() {
        assert_eq!(parse_fold("3/5"), Ok(Fold { index: 2, of: 5 }));
        for bad in ["0/5", "6/5", "1/1", "3", "a/b", "-1/5", ""] {
            assert!(parse_fold(bad).is_err(), "{bad}");
        }
    }
}
