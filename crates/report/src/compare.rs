//! Whether federation paid: paired differences per image, averaged over seeds.

use crate::schema::{Model, Role};
use fovea_metrics::{ImageScores, SignFlip, Wilcoxon, sign_flip_test, wilcoxon_signed_rank};
use serde::{Deserialize, Serialize};

/// Significance level of [`Comparison::verdict`].
const ALPHA: f64 = 0.05;

/// The federated model against others, by Dice per image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Test set.
    pub set: String,
    /// What stands on the other side: `locals` (their mean) or a model's key.
    pub against: String,
    /// Images with a Dice on both sides.
    pub images: usize,
    /// On how many of them federated is better.
    pub better: usize,
    /// Mean Dice of the federated model over these images.
    pub federated: f64,
    /// Mean Dice of the other side.
    pub other: f64,
    /// Sign-flip permutation test of the differences.
    pub sign_flip: SignFlip,
    /// Wilcoxon signed-rank test; `None` when all differences are zero.
    pub wilcoxon: Option<Wilcoxon>,
}

/// What a comparison allows one to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Better, p < 0.05.
    Better,
    /// Worse, p < 0.05.
    Worse,
    /// Neither.
    Undecided,
}

impl Comparison {
    /// By the sign-flip test at the 5 % level.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self.sign_flip {
            SignFlip { p_value, mean_difference, .. } if p_value < ALPHA && mean_difference > 0.0 => {
                Verdict::Better
            }
            SignFlip { p_value, mean_difference, .. } if p_value < ALPHA && mean_difference < 0.0 => {
                Verdict::Worse
            }
            _ => Verdict::Undecided,
        }
    }
}

/// The first federated model against the mean of the local ones, then against each local and pooled model, on one set.
/// Empty without a federated model.
#[must_use]
pub fn compare(set: &str, models: &[Model]) -> Vec<Comparison> {
    let Some(federated) = models.iter().find(|m| m.role == Role::Federated) else { return Vec::new() };
    let locals: Vec<&Model> = models.iter().filter(|m| m.role == Role::Local).collect();
    let mut sides = vec![("locals", locals.clone())];
    sides.extend(models.iter().filter(|m| m.role != Role::Federated).map(|m| (m.key.as_str(), vec![m])));
    sides.into_iter().filter_map(|(name, side)| against(set, federated, name, &side)).collect()
}

fn against(set: &str, federated: &Model, name: &str, side: &[&Model]) -> Option<Comparison> {
    let dice: fn(&ImageScores) -> Option<f64> = |s| s.dice;
    let others: Vec<_> = side.iter().map(|m| m.image_means(set, dice)).collect();
    let pairs: Vec<(f64, f64)> = federated
        .image_means(set, dice)
        .into_iter()
        .filter_map(|(image, ours)| {
            let theirs: Option<Vec<f64>> =
                others.iter().map(|rows| rows.iter().find(|r| r.0 == image).and_then(|r| r.1)).collect();
            let theirs = theirs.filter(|t| !t.is_empty())?;
            Some((ours?, theirs.iter().sum::<f64>() / theirs.len() as f64))
        })
        .collect();
    let differences: Vec<f64> = pairs.iter().map(|(a, b)| a - b).collect();
    let n = pairs.len() as f64;
    Some(Comparison {
        set: set.to_owned(),
        against: name.to_owned(),
        images: pairs.len(),
        better: differences.iter().filter(|d| **d > 0.0).count(),
        sign_flip: sign_flip_test(&differences, 0)?,
        federated: pairs.iter().map(|p| p.0).sum::<f64>() / n,
        other: pairs.iter().map(|p| p.1).sum::<f64>() / n,
        wilcoxon: wilcoxon_signed_rank(&differences),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{ImageRow, ModelRun, SetScores};

    fn model(key: &str, role: Role, runs: &[&[Option<f64>]]) -> Model {
        let run = |dices: &&[Option<f64>]| {
            let row = |(i, &dice): (usize, &Option<f64>)| ImageRow {
                image: format!("{i}"),
                scores: ImageScores { dice, ..ImageScores::default() },
            };
            let images = dices.iter().enumerate().map(row).collect();
            ModelRun {
                seed: 0,
                threshold: 0.5,
                losses: vec![],
                seconds: 0.0,
                model_hash: String::new(),
                sets: vec![SetScores::new("s", images)],
            }
        };
        Model {
            key: key.into(),
            title: key.into(),
            role,
            threshold_chosen_on: String::new(),
            runs: runs.iter().map(run).collect(),
        }
    }

    #[test]
    fn seeds_are_averaged_before_testing_and_gaps_left_out() {
        let fed =
            model("f", Role::Federated, &[&[Some(0.8), Some(0.6), None], &[Some(0.6), Some(0.8), Some(0.9)]]);
        let a = model("a", Role::Local, &[&[Some(0.5), Some(0.6), Some(0.1)]]);
        let b = model("b", Role::Local, &[&[Some(0.7), Some(0.8), None]]);
        let found = compare("s", &[fed, a, b]);
        assert_eq!(found.iter().map(|c| c.against.as_str()).collect::<Vec<_>>(), ["locals", "a", "b"]);
        assert_eq!((found[0].images, found[0].better), (2, 1));
        assert!((found[0].sign_flip.mean_difference - 0.05).abs() < 1e-12);
        assert_eq!((found[1].images, found[2].images), (3, 2));
        assert_eq!(found[0].verdict(), Verdict::Undecided);
    }

    #[test]
    fn verdicts() {
        let up: Vec<Option<f64>> = (0..8).map(|i| Some(0.8 + f64::from(i) / 100.0)).collect();
        let flat = [Some(0.7); 8];
        let (hi, lo) = (model("f", Role::Federated, &[&up]), model("l", Role::Local, &[&flat]));
        assert_eq!(compare("s", &[hi.clone(), lo.clone()])[0].verdict(), Verdict::Better);
        let (hi, lo) = (Model { role: Role::Local, ..hi }, Model { role: Role::Federated, ..lo });
        assert_eq!(compare("s", &[hi, lo.clone()])[0].verdict(), Verdict::Worse);
        assert!(compare("s", std::slice::from_ref(&lo)).is_empty());
        assert!(compare("other", &[lo]).is_empty());
    }
}
