//! Inference in overlapping tiles, for images whose whole forward pass would take too much memory.
//!
//! Each tile sees enough of its neighbours that its own part comes out as in the whole image
//! ([`fovea_graph::reach`]). GroupNorm's statistics span the whole image: they are gathered norm after norm, each in a
//! pass of all tiles through the network up to it, with the statistics of the norms before it known.

mod grid;
mod moments;

use crate::program::Bank;
use crate::{MIB, MakeExecutor, TrainError};
use fovea_graph::{Activation, Executor, Graph, GraphError, Plan, Statistics, Step, ValueId};
use fovea_graph::{reach, up_to, without_statistics};
use fovea_unet::{Inference, UNet};
use grid::{Span, spans};
use moments::Moments;
use std::ops::Range;

/// A network over tiles of one size.
pub(crate) struct Tiles {
    program: Program,
    /// Along each axis of the image.
    spans: [Vec<Span>; 2],
    size: (usize, usize),
    tile: (usize, usize),
}

/// What runs on one tile.
struct Program {
    graph: Graph,
    image: ValueId,
    probabilities: ValueId,
    statistics: Vec<Statistics>,
    parameters: Bank,
}

/// How models get onto devices.
pub(crate) struct Device<'a> {
    pub(crate) unet: &'a UNet,
    /// As [`UNet::folded`] gives it.
    pub(crate) model: &'a [f32],
    pub(crate) make_executor: &'a MakeExecutor,
}

impl Tiles {
    /// The cheapest tiles of an image of `size`, multiples of the network's, that take at most `limit_mib` MiB.
    pub(crate) fn new(unet: &UNet, size: (usize, usize), limit_mib: usize) -> Result<Self, TrainError> {
        let multiple = unet.config().multiple();
        let small = Program::new(unet, (multiple, multiple))?;
        let halo = match reach(&small.graph, small.image) {
            Ok(reach) => reach.next_multiple_of(multiple),
            Err(GraphError::NotLocal { op, rule }) => {
                let least_mib = Program::whole(unet, size)?.div_ceil(MIB);
                return Err(TrainError::NotTileable { limit_mib, least_mib, op, rule });
            }
            Err(error) => return Err(error.into()),
        };
        let mut too_large = usize::MAX;
        let mut least = usize::MAX;
        for tile in grid::by_work(size, halo, multiple) {
            // A tile as large as one that does not fit would not fit either.
            if tile.0 * tile.1 >= too_large {
                continue;
            }
            let program = Program::new(unet, tile)?;
            let bytes = program.bytes();
            if bytes <= limit_mib.saturating_mul(MIB) {
                let spans = [spans(size.0, tile.0, halo), spans(size.1, tile.1, halo)];
                return Ok(Tiles { program, spans, size, tile });
            }
            (too_large, least) = (tile.0 * tile.1, least.min(bytes));
        }
        let least_mib = least.div_ceil(MIB);
        Err(TrainError::MemoryLimit { what: "the smallest tile of the image", limit_mib, least_mib })
    }

    /// Probabilities `(H, W)` of an image `(in_channels, H, W)`.
    pub(crate) fn run(&self, device: &Device, image: &[f32], out: &mut [f32]) -> Result<(), TrainError> {
        let program = &self.program;
        let mut known: Vec<Vec<f32>> = Vec::new();
        for statistics in &program.statistics {
            let graph = up_to(&program.graph, statistics.of);
            let groups = program.graph.shape(statistics.given).count() / 2;
            let [_, channels, height, width] = program.four(statistics.of);
            let mut gathered = vec![Moments::default(); groups];
            let scale = self.tile.0 / height;
            self.each_tile(device, graph, statistics.of, &known, image, |rows, columns, values| {
                let part = |own: &Range<usize>| own.start / scale..own.end / scale;
                let (rows, columns) = (part(&rows.within()), part(&columns.within()));
                moments::gather(&mut gathered, values, [channels, height, width], rows, columns);
            })?;
            known.push(gathered.iter().flat_map(Moments::mean_and_variance).collect());
        }
        let graph = program.graph.clone();
        self.each_tile(device, graph, program.probabilities, &known, image, |rows, columns, values| {
            let (inside, width) = (columns.within(), self.tile.1);
            for (to, from) in rows.own.clone().zip(rows.within()) {
                let to = &mut out[to * self.size.1..][columns.own.clone()];
                to.copy_from_slice(&values[from * width..][inside.clone()]);
            }
        })
    }

    /// Runs the graph over all tiles and hands out `value` of each.
    fn each_tile(
        &self,
        device: &Device,
        graph: Graph,
        value: ValueId,
        known: &[Vec<f32>],
        image: &[f32],
        mut visit: impl FnMut(&Span, &Span, &[f32]),
    ) -> Result<(), TrainError> {
        let mut values = vec![0.0; graph.shape(value).count()];
        let nodes = graph.nodes().len();
        let mut executor: Box<dyn Executor> = (device.make_executor)(graph)?;
        let table = device.unet.parameters();
        self.program.parameters.write(executor.as_mut(), table, "the model", device.model)?;
        for (statistics, numbers) in self.program.statistics.iter().zip(known) {
            executor.write(statistics.given, numbers)?;
        }
        let (height, width) = self.tile;
        let mut cut = vec![0.0; self.program.graph.shape(self.program.image).count()];
        for rows in &self.spans[0] {
            for columns in &self.spans[1] {
                for (to, from) in
                    cut.chunks_exact_mut(height * width).zip(image.chunks_exact(self.size.0 * self.size.1))
                {
                    for (row, to) in to.chunks_exact_mut(width).enumerate() {
                        let start = (rows.start + row) * self.size.1 + columns.start;
                        to.copy_from_slice(&from[start..start + width]);
                    }
                }
                executor.write(self.program.image, &cut)?;
                executor.run(Step::default(), 0..nodes)?;
                executor.read(value, &mut values)?;
                visit(rows, columns, &values);
            }
        }
        Ok(())
    }
}

impl Program {
    fn new(unet: &UNet, tile: (usize, usize)) -> Result<Self, TrainError> {
        let channels = unet.config().in_channels;
        let Inference { graph, image, result, parameters } =
            unet.inference([1, channels, tile.0, tile.1], Activation::Sigmoid)?;
        let (graph, statistics) = without_statistics(&graph);
        Ok(Program { graph, image, probabilities: result, statistics, parameters: Bank::of(parameters) })
    }

    /// Bytes of the arena that the whole image would take.
    fn whole(unet: &UNet, size: (usize, usize)) -> Result<usize, TrainError> {
        let images = [1, unet.config().in_channels, size.0, size.1];
        Ok(arena_bytes(&unet.inference(images, Activation::Sigmoid)?.graph))
    }

    /// The most that a pass takes: its arena, the tile on its way in and the value on its way out.
    fn bytes(&self) -> usize {
        let count = |graph: &Graph, id| size_of::<f32>() * graph.shape(id).count();
        let pass = |graph: &Graph, value| arena_bytes(graph) + count(graph, value) + count(graph, self.image);
        let gathering = self.statistics.iter().map(|s| pass(&up_to(&self.graph, s.of), s.of));
        gathering.fold(pass(&self.graph, self.probabilities), usize::max)
    }

    fn four(&self, value: ValueId) -> [usize; 4] {
        self.graph.shape(value).nchw().expect("statistics are of images")
    }
}

/// Bytes of a graph's arena.
pub(crate) fn arena_bytes(graph: &Graph) -> usize {
    size_of::<f32>() * Plan::new(graph).floats()
}
