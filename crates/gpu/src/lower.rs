//! From a node to its launches: which shaders run, over which places, with which numbers. Pure functions, so that dispatches and
//! bytes can be counted with no GPU.

mod conv;
mod elementwise;
mod loss;
mod norm;
mod spatial;
mod update;

pub use update::check_finite;

use crate::Tuning;
use crate::launch::{Launch, Place};
use crate::layout::{Layout, Scratch};
use fovea_graph::{Activation, Graph, Op};
use fovea_tensor::Shape;

/// A value that a launch reads or writes.
#[derive(Debug, Clone, Copy)]
pub struct Operand {
    /// Where it lies.
    pub place: Place,
    /// Its extents.
    pub shape: Shape,
}

impl Operand {
    /// `[N, C, H, W]`.
    pub fn nchw(&self) -> [usize; 4] {
        self.shape.nchw().expect("shape inference demands rank 4 here")
    }

    /// Number of elements.
    pub fn count(&self) -> usize {
        self.shape.count()
    }
}

/// A node about to be lowered.
pub struct Site<'a> {
    /// In the order of the op's docs.
    pub inputs: Vec<Operand>,
    /// `None` for updates in place.
    pub output: Option<Operand>,
    /// Workspace for this node.
    pub scratch: Scratch,
    /// Places that belong to no value.
    pub layout: &'a Layout,
    /// Tile shapes of products.
    pub tuning: &'a Tuning,
}

impl Site<'_> {
    /// The output of a pure op.
    pub fn out(&self) -> Operand {
        self.output.expect("the graph's builder gives every pure op an output")
    }

    /// Where inputs lie, in order.
    pub fn places(&self) -> Vec<Place> {
        self.inputs.iter().map(|input| input.place).collect()
    }
}

/// The launches of node `index`, and the end of the workspace that they need.
pub fn lower(graph: &Graph, index: usize, layout: &Layout, tuning: &Tuning) -> (Vec<Launch>, usize) {
    let node = &graph.nodes()[index];
    let operand = |&v| Operand { place: layout.place(graph, v), shape: graph.shape(v) };
    let mut site = Site {
        inputs: node.inputs.iter().map(operand).collect(),
        output: node.output.as_ref().map(operand),
        scratch: layout.scratch(),
        layout,
        tuning,
    };
    let launches = launch(&node.op, &mut site);
    (launches, site.scratch.end())
}

fn launch(op: &Op, site: &mut Site<'_>) -> Vec<Launch> {
    match *op {
        Op::Conv2d { window, activation } => conv::forward(site, window, activation, 1),
        Op::Conv2dPair { window, activation } => conv::forward(site, window, activation, 2),
        Op::Conv2dGradInput { window, channels, .. } => conv::grad_input(site, window, channels),
        Op::Conv2dGradWeight { window } => conv::grad_weight(site, window, 1),
        Op::Conv2dPairGradWeight { window } => conv::grad_weight(site, window, 2),
        Op::ConvTranspose2x2 => conv::transpose(site),
        Op::ConvTranspose2x2GradInput => conv::transpose_grad_input(site),
        Op::ConvTranspose2x2GradWeight => conv::transpose_grad_weight(site),
        Op::SumChannels => spatial::sum_channels(site),
        Op::MaxPool2d { window } => spatial::max_pool(site, window),
        Op::MaxPool2dGrad { window } => spatial::max_pool_grad(site, window),
        Op::Upsample { mode, factor } => spatial::upsample(site, mode, factor),
        Op::UpsampleGrad { mode, factor } => spatial::upsample_grad(site, mode, factor),
        Op::Concat => spatial::concat(site),
        Op::SliceChannels(channels) => spatial::slice_channels(site, channels),
        Op::Fill { value } => elementwise::fill(site, value),
        Op::Add => elementwise::add(site),
        Op::Scale { factor } => elementwise::scale(site, factor),
        Op::AddProximal { factor } => elementwise::add_proximal(site, factor),
        Op::Activate { function } => elementwise::activate(site, function),
        Op::ActivateGrad { function } => elementwise::activate_grad(site, function),
        Op::Dropout { p, stream } => elementwise::dropout(site, p, stream),
        Op::NormStats { over, .. } => norm::stats(site, over),
        Op::Normalise { epsilon, activation } => norm::normalise(site, epsilon, activation),
        Op::NormaliseGradSums { epsilon, activation } => norm::grad_sums(site, epsilon, activation),
        Op::NormaliseGradAffine { which } => norm::grad_affine(site, which),
        Op::NormaliseGradInput { epsilon, activation } => norm::grad_input(site, epsilon, activation),
        Op::DiceSums => loss::dice_sums(site),
        Op::DiceSumsGrad => loss::dice_sums_grad(site),
        Op::DiceLoss { smooth, pooled } => loss::dice_loss(site, smooth, pooled),
        Op::DiceLossGrad { smooth, pooled } => loss::dice_loss_grad(site, smooth, pooled),
        Op::BceLoss => loss::bce_loss(site),
        Op::BceLossGrad => loss::bce_loss_grad(site),
        Op::UpdateRunning { momentum, count } => update::running(site, momentum, count),
        Op::SgdUpdate { momentum, weight_decay } => update::sgd(site, momentum, weight_decay),
        Op::AdamUpdate(rule) => update::adam(site, rule),
        Op::AverageUpdate => update::average(site),
    }
}

/// What a range of nodes costs in dispatches and in bytes of operands, each counted once per dispatch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counted {
    /// Dispatches.
    pub dispatches: u64,
    /// Bytes bound.
    pub bytes: u64,
    /// Multiplications and additions of matrix products.
    pub flops: u64,
}

impl Counted {
    /// What launches cost together.
    pub fn of<'a>(launches: impl IntoIterator<Item = &'a Launch>) -> Self {
        launches.into_iter().fold(Counted::default(), |sum, launch| Counted {
            dispatches: sum.dispatches + 1,
            bytes: sum.bytes + launch.bytes(),
            flops: sum.flops + launch.flops(),
        })
    }
}

/// What all nodes of a graph cost on any device, with guessed tiles.
#[must_use]
pub fn counted(graph: &Graph) -> Counted {
    Counted::of(launches(graph).iter().flatten())
}

/// What each node of a graph launches on any device, with guessed tiles.
#[must_use]
pub fn launches(graph: &Graph) -> Vec<Vec<Launch>> {
    let (layout, tuning) = (Layout::new(graph), Tuning::default());
    (0..graph.nodes().len()).map(|index| lower(graph, index, &layout, &tuning).0).collect()
}

/// The `override` constants of `parts/activation.wgsl`.
fn activation_constants(function: Activation) -> [(&'static str, f64); 2] {
    let (number, slope) = match function {
        Activation::Identity => (0, 0.0),
        Activation::Relu => (1, 0.0),
        Activation::LeakyRelu { slope } => (2, slope),
        Activation::Silu => (3, 0.0),
        Activation::Sigmoid => (4, 0.0),
    };
    [("ACTIVATION", f64::from(number)), ("SLOPE", f64::from(slope))]
}
