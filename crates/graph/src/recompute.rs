//! Trades time for memory: values that wait long for their next reader are given up and made again just before it.
//!
//! The backward pass reads what the forward pass wrote, so that at the turning point nearly every activation is alive.
//! Making some of them again (Chen et al., "Training deep nets with sublinear memory cost", 2016) needs no new op: the
//! nodes that are repeated are the same ops on the same inputs, so that every result stays the same to the bit.
//!
//! The search is greedy. A *cut* gives a value up after one of its uses and makes it again for the next one. Each step adds
//! the cut that takes most away from the memory above a level near the peak, per work that it adds; concatenations,
//! activations and the like go long before a convolution. The order of the cuts does not depend on the limit: a smaller
//! limit only goes further along it, and the least that can be reached is the least seen on the way.

use crate::schedule::{Cuts, Problem, Schedule};
use crate::{Graph, GraphError, Plan};

/// Levels that the search looks above, as shares of the present peak: the next is tried where the one before finds nothing.
const LEVELS: [f64; 4] = [0.95, 0.8, 0.6, 0.4];
/// Bytes of a float.
const FLOAT: usize = size_of::<f32>();

/// The graph with values made again such that its [`Plan`] takes at most `limit` bytes; the graph as it is where it fits.
///
/// All values keep their ids; copies come after them. What is repeated is pure and stands before the first update, so
/// that [`Graph::first_update`] still parts what computes from what changes state.
///
/// # Errors
/// [`GraphError::MemoryLimit`], with the least limit that can be met.
pub fn recompute(graph: &Graph, limit: usize) -> Result<Graph, GraphError> {
    let problem = Problem::new(graph);
    let mut cuts = Cuts::new();
    let mut schedule = problem.schedule(&cuts);
    let mut least = usize::MAX;
    loop {
        let bytes = planned(&problem, &schedule);
        least = least.min(bytes);
        if bytes <= limit {
            prune(&problem, &mut cuts, limit);
            return Ok(problem.graph(&problem.schedule(&cuts)));
        }
        let Some(better) = LEVELS.iter().find_map(|share| best_cut(&problem, &mut cuts, &schedule, *share))
        else {
            return Err(GraphError::MemoryLimit { limit, least });
        };
        schedule = better;
    }
}

fn planned(problem: &Problem, schedule: &Schedule) -> usize {
    FLOAT * Plan::new(&problem.graph(schedule)).floats()
}

/// Adds the cut that removes most of the memory above the level per added work; `None` where no cut removes any.
fn best_cut(problem: &Problem, cuts: &mut Cuts, now: &Schedule, share: f64) -> Option<Schedule> {
    let level = share * now.live.iter().fold(0.0, |a, b| b.max(a));
    let above = |s: &Schedule| s.live.iter().map(|live| (live - level).max(0.0)).sum::<f64>();
    let present = above(now);
    let mut best: Option<(f64, (usize, usize), bool, Schedule)> = None;
    for (key, kept) in problem.candidates(cuts, now, level) {
        cuts.insert(key, kept);
        let then = problem.schedule(cuts);
        cuts.remove(&key);
        let gain = present - above(&then);
        let rate = gain / (then.work - now.work).max(1.0);
        if gain > 0.0 && best.as_ref().is_none_or(|(most, ..)| rate > *most) {
            best = Some((rate, key, kept, then));
        }
    }
    let (_, key, kept, schedule) = best?;
    cuts.insert(key, kept);
    Some(schedule)
}

/// Takes back the cuts that turned out not to be needed, the most costly first.
fn prune(problem: &Problem, cuts: &mut Cuts, limit: usize) {
    let work = problem.schedule(cuts).work;
    let mut keys: Vec<_> = cuts
        .iter()
        .map(|(&key, &kept)| {
            let mut without = cuts.clone();
            without.remove(&key);
            (work - problem.schedule(&without).work, key, kept)
        })
        .collect();
    keys.sort_by(|a, b| b.0.total_cmp(&a.0));
    for (_, key, kept) in keys {
        cuts.remove(&key);
        if planned(problem, &problem.schedule(cuts)) > limit {
            cuts.insert(key, kept);
        }
    }
}
