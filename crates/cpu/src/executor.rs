//! Interprets a graph over one planned arena.

use crate::kernels::{
    activate, arena::Arena, bce, channels, conv2d, correlate::Epilogue, dice, dropout, normalise, optimise,
    planes::Planes, pool, transpose, upsample,
};
use fovea_graph::{Channels, ExecuteError, Executor, Graph, NodeId, Op, Plan, Step, ValueId};
use fovea_tensor::Shape;
use std::ops::Range;

/// Runs one graph on the current rayon pool.
pub struct CpuExecutor {
    graph: Graph,
    plan: Plan,
    arena: Arena,
}

impl CpuExecutor {
    /// Plans the graph and allocates its arena; persistent values start at zero.
    #[must_use]
    pub fn new(graph: Graph) -> Self {
        let plan = Plan::new(&graph);
        let arena = Arena::new(plan.floats());
        CpuExecutor { graph, plan, arena }
    }

    /// Size of the arena in bytes.
    #[must_use]
    pub fn arena_bytes(&self) -> usize {
        4 * self.plan.floats()
    }

    fn place(&self, value: ValueId) -> Range<usize> {
        let start = self.plan.offset(value);
        start..start + self.graph.shape(value).count()
    }

    fn run_node(&mut self, step: Step, index: usize) {
        let node = &self.graph.nodes()[index];
        let places: Vec<Range<usize>> = node.inputs.iter().map(|&v| self.place(v)).collect();
        let shapes: Vec<Shape> = node.inputs.iter().map(|&v| self.graph.shape(v)).collect();
        if let Some(output) = node.output {
            let place = self.place(output);
            let (inputs, mut writes) = self.arena.lend(&places, &[place]);
            compute(&node.op, step, &inputs, &shapes, writes.remove(0), self.graph.shape(output));
            return;
        }
        let updated = node.op.updates();
        let reads: Vec<_> =
            (0..places.len()).filter(|i| !updated.contains(i)).map(|i| places[i].clone()).collect();
        let writes: Vec<_> = updated.iter().map(|&i| places[i].clone()).collect();
        let (reads, mut writes) = self.arena.lend(&reads, &writes);
        update(&node.op, &reads, &mut writes);
    }
}

impl Executor for CpuExecutor {
    fn graph(&self) -> &Graph {
        &self.graph
    }

    fn write(&mut self, value: ValueId, data: &[f32]) -> Result<(), ExecuteError> {
        self.graph.check_write(value, data.len())?;
        let place = self.place(value);
        self.arena.floats_mut()[place].copy_from_slice(data);
        Ok(())
    }

    fn read(&self, value: ValueId, data: &mut [f32]) -> Result<(), ExecuteError> {
        self.graph.check_read(value, data.len())?;
        data.copy_from_slice(&self.arena.floats()[self.place(value)]);
        Ok(())
    }

    fn run(&mut self, step: Step, nodes: Range<usize>) -> Result<(), ExecuteError> {
        on_the_pool(|| nodes.for_each(|index| self.run_node(step, index)));
        Ok(())
    }

    fn run_until_non_finite(
        &mut self,
        step: Step,
        nodes: Range<usize>,
    ) -> Result<Option<NodeId>, ExecuteError> {
        Ok(on_the_pool(|| {
            nodes.into_iter().map(NodeId).find(|node| {
                self.run_node(step, node.0);
                let output = self.graph.nodes()[node.0].output;
                output.is_some_and(|o| self.arena.floats()[self.place(o)].iter().any(|v| !v.is_finite()))
            })
        }))
    }
}

/// Runs `f` on a thread of the current pool: from outside, every kernel would be handed over and waited for by itself.
fn on_the_pool<R: Send>(f: impl FnOnce() -> R + Send) -> R {
    rayon::scope(|_| f())
}

/// One pure op: operands in the order of the op's docs.
fn compute(op: &Op, step: Step, inputs: &[&[f32]], shapes: &[Shape], out: &mut [f32], shape: Shape) {
    match *op {
        Op::Fill { value } => out.fill(value),
        Op::Conv2d { .. } | Op::Conv2dPair { .. } | Op::Conv2dGradInput { .. } => {
            compute_conv(op, inputs, shapes, out, shape);
        }
        Op::Conv2dGradWeight { .. } | Op::Conv2dPairGradWeight { .. } => {
            compute_conv(op, inputs, shapes, out, shape);
        }
        Op::SumChannels => channels::sum_channels(inputs[0], pixels(shapes[0]), out),
        Op::ConvTranspose2x2 => {
            transpose::forward(
                &enlarging(shapes[0], shape),
                inputs[0],
                inputs[1],
                inputs.get(2).copied(),
                out,
            );
        }
        Op::ConvTranspose2x2GradInput => {
            transpose::grad_input(&enlarging(shape, shapes[1]), inputs[0], inputs[1], out);
        }
        Op::ConvTranspose2x2GradWeight => {
            transpose::grad_weight(&enlarging(shapes[0], shapes[1]), inputs[0], inputs[1], out);
        }
        Op::MaxPool2d { window } => pool::forward(window, plane(shapes[0]), plane(shape), inputs[0], out),
        Op::MaxPool2dGrad { window } => {
            pool::grad(window, plane(shapes[0]), plane(shapes[1]), inputs[0], inputs[1], out);
        }
        Op::Upsample { mode, factor } => upsample::forward(mode, factor, plane(shapes[0]), inputs[0], out),
        Op::UpsampleGrad { mode, factor } => upsample::grad(mode, factor, plane(shape), inputs[0], out),
        Op::Concat => {
            channels::concat(inputs[0], inputs[1], [per_image(shapes[0]), per_image(shapes[1])], out);
        }
        Op::SliceChannels(Channels { start, count }) => {
            let area = pixels(shapes[0]);
            channels::slice(inputs[0], per_image(shapes[0]), start * area, count * area, out);
        }
        Op::Add => activate::add(inputs[0], inputs[1], out),
        Op::Scale { factor } => activate::scale(factor, inputs[0], out),
        Op::AddProximal { factor } => activate::add_proximal(factor, inputs[0], inputs[1], inputs[2], out),
        Op::Activate { function } => activate::activate(function, inputs[0], out),
        Op::ActivateGrad { function } => activate::activate_grad(function, inputs[0], inputs[1], out),
        Op::NormStats { .. } | Op::Normalise { .. } | Op::NormaliseGradSums { .. } => {
            compute_norm(op, inputs, shapes, out);
        }
        Op::NormaliseGradAffine { .. } | Op::NormaliseGradInput { .. } => {
            compute_norm(op, inputs, shapes, out);
        }
        Op::Dropout { p, stream } => dropout::dropout(p, stream, step, inputs[0], out),
        Op::DiceSums => dice::sums(inputs[0], inputs[1], inputs[2], out),
        Op::DiceSumsGrad => dice::sums_grad(inputs[0], inputs[1], inputs[2], inputs[3], out),
        Op::DiceLoss { smooth, pooled } => out[0] = dice::loss(smooth, pooled, inputs[0]),
        Op::DiceLossGrad { smooth, pooled } => dice::loss_grad(smooth, pooled, inputs[0], inputs[1][0], out),
        Op::BceLoss => out[0] = bce::loss(inputs[0], inputs[1], inputs[2]),
        Op::BceLossGrad => bce::grad(inputs[0], inputs[1], inputs[2], inputs[3][0], out),
        Op::UpdateRunning { .. } | Op::SgdUpdate { .. } | Op::AdamUpdate(_) | Op::AverageUpdate => {
            unreachable!("the graph's builder gives updates no output")
        }
    }
}

/// Convolutions and their gradients, but for transposed ones.
fn compute_conv(op: &Op, inputs: &[&[f32]], shapes: &[Shape], out: &mut [f32], shape: Shape) {
    let one = || Planes::new(inputs[0], four(shapes[0])[1], plane(shapes[0]));
    let two = || {
        let counts = [four(shapes[0])[1], four(shapes[1])[1]];
        Planes::pair([inputs[0], inputs[1]], counts, plane(shapes[0]))
    };
    let bias = |i: usize| inputs.get(i).copied();
    match *op {
        Op::Conv2d { window, activation } => {
            let epilogue = Epilogue { bias: bias(2), activation };
            conv2d::forward(window, one(), inputs[1], epilogue, four(shape), out);
        }
        Op::Conv2dPair { window, activation } => {
            let epilogue = Epilogue { bias: bias(3), activation };
            conv2d::forward(window, two(), inputs[2], epilogue, four(shape), out);
        }
        Op::Conv2dGradInput { window, input, channels } => {
            let [w, dy] = [0, 1].map(|i| (four(shapes[i]), inputs[i]));
            conv2d::grad_input(window, input, channels, w, dy, out);
        }
        Op::Conv2dGradWeight { window } => {
            conv2d::grad_weight(window, one(), four(shapes[1]), inputs[1], out);
        }
        Op::Conv2dPairGradWeight { window } => {
            conv2d::grad_weight(window, two(), four(shapes[2]), inputs[2], out);
        }
        _ => unreachable!("called for convolutions alone"),
    }
}

/// The ops of the normalisation family.
fn compute_norm(op: &Op, inputs: &[&[f32]], shapes: &[Shape], out: &mut [f32]) {
    let norm = |epsilon, activation| {
        let [images, channels, h, w] = four(shapes[0]);
        let stats = shapes[1].dims();
        normalise::Norm {
            images,
            channels,
            pixels: h * w,
            rows: stats[0],
            groups: stats[1],
            epsilon,
            activation,
        }
    };
    match *op {
        Op::NormStats { over, .. } => {
            let [images, channels, h, w] = four(shapes[0]);
            normalise::stats([images, channels, h * w], over, inputs[0], out);
        }
        Op::Normalise { epsilon, activation } => {
            normalise::forward(&norm(epsilon, activation), inputs[0], inputs[1], inputs[2], inputs[3], out);
        }
        Op::NormaliseGradSums { epsilon, activation } => {
            normalise::grad_sums(&norm(epsilon, activation), inputs, out);
        }
        Op::NormaliseGradAffine { which } => normalise::grad_affine(which, inputs[0], out),
        Op::NormaliseGradInput { epsilon, activation } => {
            normalise::grad_input(&norm(epsilon, activation), inputs, out);
        }
        _ => unreachable!("called for the normalisation family alone"),
    }
}

/// One update in place: `reads` and `writes` in the order of the op's docs.
fn update(op: &Op, reads: &[&[f32]], writes: &mut [&mut [f32]]) {
    match (op, writes) {
        (Op::UpdateRunning { momentum, count }, [running]) => {
            optimise::running(*momentum, *count, reads[0], running);
        }
        (Op::SgdUpdate { momentum, weight_decay }, [w, v]) => {
            optimise::sgd(*momentum, *weight_decay, reads[0], reads[1], w, v);
        }
        (Op::AdamUpdate(rule), [w, m, v]) => optimise::adam(*rule, reads[0], reads[1], w, m, v),
        (Op::AverageUpdate, [average]) => optimise::average(reads[0], reads[1], average),
        _ => unreachable!("the graph's builder checked number and kind of the updated inputs"),
    }
}

fn four(shape: Shape) -> [usize; 4] {
    shape.nchw().expect("shape inference demands rank 4 here")
}

fn plane(shape: Shape) -> [usize; 2] {
    let [_, _, h, w] = four(shape);
    [h, w]
}

fn pixels(shape: Shape) -> usize {
    plane(shape).iter().product()
}

fn per_image(shape: Shape) -> usize {
    four(shape)[1] * pixels(shape)
}

fn enlarging(small: Shape, large: Shape) -> transpose::Transpose {
    transpose::Transpose { inputs: four(small)[1], outputs: four(large)[1], input: plane(small) }
}
