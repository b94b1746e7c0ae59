//! One colour and one dash pattern per model, the same in every chart.

use crate::schema::{Model, Role};

/// Number of styles in `chart.css`.
const SLOTS: usize = 8;

/// For each model the number of its style: 2 for federated and 3 for pooled models, the rest for local ones in order.
pub fn slots(models: &[Model]) -> Vec<usize> {
    let mut locals = [0, 1, 4, 5, 6, 7].into_iter().cycle();
    let slot = |model: &Model| match model.role {
        Role::Federated => 2,
        Role::Pooled => 3,
        Role::Local => locals.next().unwrap_or(0),
    };
    models.iter().map(slot).map(|s| s % SLOTS).collect()
}
