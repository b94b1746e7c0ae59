//! Measures which tile serves each product of a graph best on this device.

use crate::executor::lowered;
use crate::layout::Layout;
use crate::{Device, GpuError, GpuExecutor, Product, Tile, Tuning};
use fovea_graph::{Executor, Graph, Node, Step, ValueId};
use std::sync::Arc;
use std::time::Instant;

/// Runs of each candidate; the fastest counts.
const RUNS: usize = 3;

/// Measures every product of a graph that the choices do not know, and adds what was fastest. `progress` hears of each product before
/// it is measured: how many are done, of how many. A tile changes no result, only its time.
///
/// # Errors
/// [`GpuError`] where the device fails.
pub fn autotune(
    device: &Arc<Device>,
    graph: &Graph,
    tuning: &mut Tuning,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<(), GpuError> {
    let (launches, _) = lowered(graph, &Layout::new(graph), tuning);
    let mut unknown: Vec<(usize, Product)> = Vec::new();
    for (index, launch) in launches.iter().enumerate().flat_map(|(i, list)| list.iter().map(move |l| (i, l)))
    {
        if let Some(product) = &launch.product
            && !tuning.knows(product)
            && !unknown.iter().any(|(_, known)| known == product)
        {
            unknown.push((index, product.clone()));
        }
    }
    let count = unknown.len();
    for (done, (index, product)) in unknown.into_iter().enumerate() {
        progress(done, count);
        let tile = fastest(device, graph, &graph.nodes()[index], &product)?;
        tuning.choose(product, tile);
    }
    Ok(())
}

fn fastest(device: &Arc<Device>, graph: &Graph, node: &Node, product: &Product) -> Result<Tile, GpuError> {
    let mut best = (f64::INFINITY, Tile::guess(product));
    for tile in candidates(product) {
        let mut choice = Tuning::default();
        choice.choose(product.clone(), tile);
        let seconds = seconds(device, alone(graph, node), &choice)?;
        if seconds < best.0 {
            best = (seconds, tile);
        }
    }
    Ok(best.1)
}

/// All tiles but those that would compute far more than is needed.
fn candidates(product: &Product) -> impl Iterator<Item = Tile> {
    let work = |tile: Tile| product.tiles(tile) * tile.extents().iter().product::<usize>();
    let least = Tile::ALL.into_iter().map(work).min().unwrap_or(0);
    Tile::ALL.into_iter().filter(move |&tile| work(tile) <= 4 * least)
}

/// A graph of one node, over inputs of the same shapes.
fn alone(graph: &Graph, node: &Node) -> Graph {
    let mut single = Graph::new();
    let inputs: Vec<ValueId> = node
        .inputs
        .iter()
        .enumerate()
        .map(|(i, &value)| single.input(&format!("input{i}"), graph.shape(value).dims()))
        .collect::<Result<_, _>>()
        .expect("shapes of a graph are shapes");
    single.push(node.op, &inputs).expect("the node was checked when it was added to its graph");
    single
}

fn seconds(device: &Arc<Device>, graph: Graph, tuning: &Tuning) -> Result<f64, GpuError> {
    let mut executor = GpuExecutor::new_blocking(Arc::clone(device), graph, tuning)?;
    let mut run = || -> Result<f64, GpuError> {
        let begin = Instant::now();
        let ran = executor.run(Step::default(), 0..1);
        ran.map_err(GpuError::of)?;
        device.wait()?;
        Ok(begin.elapsed().as_secs_f64())
    };
    // The first run also pays for what the driver puts off.
    run()?;
    let mut best = f64::INFINITY;
    for _ in 0..RUNS {
        best = best.min(run()?);
    }
    Ok(best)
}
