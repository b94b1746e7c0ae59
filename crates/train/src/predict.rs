//! Probabilities for whole photographs of any size.

use crate::tiles::{Device, Tiles, arena_bytes};
use crate::{MIB, MakeExecutor, TrainError, frame, prepare::standardise, program::Bank};
use fovea_data::{CHANNELS, Image, Mask, Plane, field_of_view};
use fovea_graph::{Activation, Executor, Step, ValueId};
use fovea_unet::{Inference, Preprocessing, UNet};
use std::sync::Arc;

/// Executors kept for sizes seen last: a data set has one size or few.
const EXECUTORS_MAX: usize = 4;

/// Runs one model over photographs.
pub struct Predictor {
    unet: UNet,
    /// As [`UNet::folded`] gives it.
    model: Vec<f32>,
    preprocessing: Preprocessing,
    flips: bool,
    make_executor: Arc<MakeExecutor>,
    limit_mib: Option<usize>,
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

/// What predicts images of one size.
struct Engine {
    size: (usize, usize),
    way: Way,
}

/// How the network sees an image.
enum Way {
    /// As a whole.
    Whole { executor: Box<dyn Executor>, image: ValueId, probabilities: ValueId, nodes: usize },
    /// In tiles, because of the memory limit.
    Tiles(Tiles),
}

impl Predictor {
    /// A predictor for a model vector; `flips` averages over the four mirror images, at four times the cost.
    ///
    /// # Errors
    /// When the vector is not as long as the network's table.
    pub fn new(
        unet: UNet,
        model: &[f32],
        preprocessing: Preprocessing,
        flips: bool,
        make_executor: Arc<MakeExecutor>,
    ) -> Result<Self, TrainError> {
        let model = unet.folded(model)?;
        let (limit_mib, cache) = (None, Vec::new());
        Ok(Predictor { unet, model, preprocessing, flips, make_executor, limit_mib, cache })
    }

    /// Lets the network's values take at most `limit_mib` MiB at a time: images that need more are predicted in overlapping
    /// tiles, which takes longer and gives the same probabilities but for rounding. Images themselves come on top.
    #[must_use]
    pub fn within(self, limit_mib: Option<usize>) -> Self {
        Predictor { limit_mib, cache: Vec::new(), ..self }
    }

    /// Predicts a photograph with values in `[0, 1]`. Without a field of view one is looked for.
    ///
    /// # Errors
    /// [`TrainError::NoField`] where none is found; [`TrainError::MemoryLimit`] or [`TrainError::NotTileable`] where the memory
    /// limit cannot be met; when field and image differ in size; when the device fails.
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
        self.bring(padded)?;
        let device =
            Device { unet: &self.unet, model: &self.model, make_executor: self.make_executor.as_ref() };
        let way = &mut self.cache[0].way;
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
            way.run(&device, &wide, &mut out)?;
            for at in 0..size.0 * size.1 {
                let (row, column) = (at / size.1, at % size.1);
                sum[flipped(row, column)] += out[row * padded.1 + column];
            }
        }
        let share = 1.0 / mirrors.len() as f32;
        sum.iter_mut().for_each(|v| *v *= share);
        Ok(sum)
    }

    /// Moves the engine of a size to the front of the cache. Under a memory limit it is the only one.
    fn bring(&mut self, size: (usize, usize)) -> Result<(), TrainError> {
        let most = if self.limit_mib.is_some() { 1 } else { EXECUTORS_MAX };
        let engine = match self.cache.iter().position(|e| e.size == size) {
            Some(at) => self.cache.remove(at),
            None => {
                self.cache.truncate(most - 1);
                self.build(size)?
            }
        };
        self.cache.insert(0, engine);
        Ok(())
    }

    fn build(&self, size: (usize, usize)) -> Result<Engine, TrainError> {
        let images = [1, self.unet.config().in_channels, size.0, size.1];
        let Inference { graph, image, result, parameters } =
            self.unet.inference(images, Activation::Sigmoid)?;
        if let Some(limit) = self.limit_mib
            && arena_bytes(&graph) > limit.saturating_mul(MIB)
        {
            return Ok(Engine { size, way: Way::Tiles(Tiles::new(&self.unet, size, limit)?) });
        }
        let nodes = graph.nodes().len();
        let mut executor = (self.make_executor)(graph)?;
        Bank::of(parameters).write(executor.as_mut(), self.unet.parameters(), "the model", &self.model)?;
        Ok(Engine { size, way: Way::Whole { executor, image, probabilities: result, nodes } })
    }
}

impl Way {
    /// Probabilities `(H, W)` of `(in_channels, H, W)`.
    fn run(&mut self, device: &Device, input: &[f32], out: &mut [f32]) -> Result<(), TrainError> {
        match self {
            Way::Whole { executor, image, probabilities, nodes } => {
                executor.write(*image, input)?;
                executor.run(Step::default(), 0..*nodes)?;
                Ok(executor.read(*probabilities, out)?)
            }
            Way::Tiles(tiles) => tiles.run(device, input, out),
        }
    }
}
