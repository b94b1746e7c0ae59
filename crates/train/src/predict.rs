//! Probabilities for whole photographs of any size.

use crate::{MakeExecutor, TrainError, frame, prepare::standardise, program::Bank};
use fovea_data::{CHANNELS, Image, Mask, Plane, field_of_view};
use fovea_graph::{Activation, Executor, Graph, Op, Step, ValueId, fuse};
use fovea_unet::{Mode, Preprocessing, UNet, UNetError};
use std::sync::Arc;

/// Executors kept for sizes seen last: a data set has one size or few.
const EXECUTORS_MAX: usize = 4;

/// Runs one model over photographs.
pub struct Predictor {
    unet: UNet,
    model: Vec<f32>,
    preprocessing: Preprocessing,
    flips: bool,
    make_executor: Arc<MakeExecutor>,
    /// Most recent first.
    cache: Vec<Engine>,
}

/// What a photograph's pixels are.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// Probability of vessel at the photograph's own pixels, 0 outside the field of view.
    pub probabilities: Plane,
    /// The field of view that was given or found.
    pub field: Mask,
}

/// An inference graph of one size.
struct Engine {
    size: (usize, usize),
    executor: Box<dyn Executor>,
    image: ValueId,
    probabilities: ValueId,
    nodes: usize,
}

impl Predictor {
    /// A predictor for a model vector; `flips` averages over the four mirror images, at four times the cost.
    ///
    /// # Errors
    /// When the vector is not as long as the network's table.
    pub fn new(
        unet: UNet,
        model: Vec<f32>,
        preprocessing: Preprocessing,
        flips: bool,
        make_executor: Arc<MakeExecutor>,
    ) -> Result<Self, TrainError> {
        let expected = unet.parameters().count();
        if model.len() != expected {
            return Err(UNetError::Length { expected, found: model.len() }.into());
        }
        Ok(Predictor { unet, model, preprocessing, flips, make_executor, cache: Vec::new() })
    }

    /// Predicts a photograph with values in `[0, 1]`. Without a field of view one is looked for.
    ///
    /// # Errors
    /// [`TrainError::NoField`] where none is found; when field and image differ in size; when the device fails.
    pub fn predict(&mut self, image: &Image, field: Option<&Mask>) -> Result<Prediction, TrainError> {
        let field = match field {
            Some(field) => field.clone(),
            None => field_of_view(image).ok_or(TrainError::NoField)?,
        };
        let frame = frame(&field, self.preprocessing.scale)?;
        let (small, inside) = (frame.image(image)?, frame.mask(&field)?);
        let mut input = small.data.clone();
        let weights: Vec<f32> = inside.data.iter().map(|&v| f32::from(v)).collect();
        standardise(&small, &inside, &self.preprocessing).apply(&mut input, &weights);
        let data = self.probabilities(&input, (small.height, small.width))?;
        let mut probabilities = frame.restore(&Plane { height: small.height, width: small.width, data })?;
        for (value, on) in probabilities.data.iter_mut().zip(&field.data) {
            *value = if *on == 1 { *value } else { 0.0 };
        }
        Ok(Prediction { probabilities, field })
    }

    /// Probabilities `(H, W)` of an input `(3, H, W)` at working scale.
    fn probabilities(&mut self, input: &[f32], size: (usize, usize)) -> Result<Vec<f32>, TrainError> {
        let mirrors: &[(bool, bool)] = if self.flips {
            &[(false, false), (false, true), (true, false), (true, true)]
        } else {
            &[(false, false)]
        };
        let multiple = self.unet.config().multiple();
        let padded = (size.0.next_multiple_of(multiple), size.1.next_multiple_of(multiple));
        let engine = self.engine(padded)?;
        let mut sum = vec![0.0; size.0 * size.1];
        for &(rows, columns) in mirrors {
            let flipped = |row: usize, column: usize| {
                let row = if rows { size.0 - 1 - row } else { row };
                row * size.1 + if columns { size.1 - 1 - column } else { column }
            };
            let mut wide = vec![0.0; CHANNELS * padded.0 * padded.1];
            for (to, from) in
                wide.chunks_exact_mut(padded.0 * padded.1).zip(input.chunks_exact(size.0 * size.1))
            {
                for at in 0..size.0 * size.1 {
                    let (row, column) = (at / size.1, at % size.1);
                    to[row * padded.1 + column] = from[flipped(row, column)];
                }
            }
            let mut out = vec![0.0; padded.0 * padded.1];
            engine.executor.write(engine.image, &wide)?;
            engine.executor.run(Step::default(), 0..engine.nodes)?;
            engine.executor.read(engine.probabilities, &mut out)?;
            for at in 0..size.0 * size.1 {
                let (row, column) = (at / size.1, at % size.1);
                sum[flipped(row, column)] += out[row * padded.1 + column];
            }
        }
        let share = 1.0 / mirrors.len() as f32;
        sum.iter_mut().for_each(|v| *v *= share);
        Ok(sum)
    }

    /// The engine of a size, moved to the front of the cache.
    fn engine(&mut self, size: (usize, usize)) -> Result<&mut Engine, TrainError> {
        let engine = match self.cache.iter().position(|e| e.size == size) {
            Some(at) => self.cache.remove(at),
            None => self.build(size)?,
        };
        self.cache.insert(0, engine);
        self.cache.truncate(EXECUTORS_MAX);
        Ok(&mut self.cache[0])
    }

    fn build(&self, size: (usize, usize)) -> Result<Engine, TrainError> {
        let mut graph = Graph::new();
        let image = graph.input("image", &[1, self.unet.config().in_channels, size.0, size.1])?;
        let forward = self.unet.forward(&mut graph, image, Mode::Inference)?;
        let function = Activation::Sigmoid;
        let probabilities = graph.push(Op::Activate { function }, &[forward.logits])?;
        graph.mark_output(probabilities);
        let fused = fuse(&graph);
        let moved = |id| fused.value(id).expect("only pre-activations and concatenations are merged away");
        let parameters: Vec<ValueId> = forward.parameters.iter().map(|&id| moved(id)).collect();
        let (image, probabilities) = (moved(image), moved(probabilities));
        let nodes = fused.graph.nodes().len();
        let mut executor = (self.make_executor)(fused.graph);
        Bank::of(&parameters).write(executor.as_mut(), self.unet.parameters(), "the model", &self.model)?;
        Ok(Engine { size, executor, image, probabilities, nodes })
    }
}
