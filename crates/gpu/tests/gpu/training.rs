//! Whole training steps: every value against the CPU executor, and trainings that follow the CPU's.

use crate::Test;
use fovea_cpu::CpuExecutor;
use fovea_data::{Augmentation, Sample, SyntheticCamera, synthetic_sample};
use fovea_gpu::{Device, GpuExecutor, STEPS_IN_FLIGHT, Tuning};
use fovea_graph::{ExecuteError, Executor, Graph, NodeId, Step, Storage, ValueId};
use fovea_tensor::Stream;
use fovea_train::{
    InputMode, LossConfig, Optimiser, PreparedSample, Schedule, StepProgram, TrainConfig, TrainError,
    Trainer, prepare,
};
use fovea_unet::{Norm, Preprocessing, Scale, UNet, UNetConfig, Upsampling};
use std::sync::Arc;

pub const TESTS: &[Test] = &[
    ("every_value_of_a_step_equals_the_cpus", every_value),
    ("training_follows_the_cpu_and_repeats_to_the_bit", training),
    ("a_step_that_is_not_finite_changes_nothing", not_finite),
    ("the_first_value_that_is_not_finite_is_found", first_not_finite),
    ("a_lost_device_is_an_error", lost),
];

fn config() -> TrainConfig {
    TrainConfig {
        seed: 3,
        batch: 2,
        steps: 20,
        steps_per_epoch: 5,
        average_decay: Some(0.9),
        proximal_mu: 0.1,
        input: InputMode::Crops { size: 16 },
        loss: LossConfig { pooled: false, ..TrainConfig::default_profile().loss },
        schedule: Schedule::CosineWarmup { peak: 1e-2, warmup_steps: 2, final_rate: 1e-4 },
        preprocessing: Preprocessing { scale: Scale::FieldDiameter { pixels: 32 }, standardise: true },
        augmentation: Augmentation { flip: true, rotation_deg: 20.0, ..Augmentation::none() },
        model: UNetConfig { widths: vec![4, 8], norm: Norm::Group { groups: 2 }, ..UNetConfig::small() },
        ..TrainConfig::default_profile()
    }
}

/// Networks that between them use every op of training.
fn networks() -> Vec<TrainConfig> {
    let batch = Norm::Batch { momentum: 0.1 };
    let sgd = Optimiser::Sgd { momentum: 0.9, weight_decay: 1e-4 };
    let transposed = UNetConfig { upsampling: Upsampling::Transpose, dropout: 0.2, ..config().model };
    let plain = UNetConfig { widths: vec![3, 5, 9], norm: Norm::None, ..UNetConfig::seed() };
    vec![
        config(),
        TrainConfig { model: UNetConfig { norm: batch, ..config().model }, optimiser: sgd, ..config() },
        TrainConfig { model: transposed, proximal_mu: 0.0, ..config() },
        TrainConfig { model: plain, ..config() },
    ]
}

fn samples() -> Arc<Vec<PreparedSample>> {
    let camera = SyntheticCamera::alice().scaled(0.08);
    let all: Vec<Sample> = (0..3).map(|index| synthetic_sample(&camera, 9, index)).collect();
    Arc::new(prepare(&all, &config().preprocessing).unwrap())
}

fn on_cpu(graph: Graph) -> Result<Box<dyn Executor>, ExecuteError> {
    Ok(Box::new(CpuExecutor::new(graph)))
}

fn trainer(device: &Arc<Device>, config: &TrainConfig) -> Trainer {
    let device = Arc::clone(device);
    let make = move |graph: Graph| -> Result<Box<dyn Executor>, ExecuteError> {
        Ok(Box::new(GpuExecutor::new_blocking(Arc::clone(&device), graph, &Tuning::default())?))
    };
    Trainer::new(config.clone(), samples(), &make).unwrap()
}

/// Random inputs and parameters for every value that is written from outside; variances and moments are positive.
fn fill(executors: &mut [&mut dyn Executor], graph: &Graph) {
    for id in graph.value_ids().filter(|&id| graph.value(id).storage != Storage::Temporary) {
        let value = graph.value(id);
        let mut random = Stream::new(4, &value.name, [0, 0]);
        let number = |_| match value.name.as_str() {
            "target" | "field" => f32::from(random.chance(0.5)),
            "image" => random.normal(),
            name if name.starts_with("moment") || name.contains("running") => 0.1 + random.uniform(),
            _ => 0.3 * random.normal(),
        };
        let mut data: Vec<f32> = (0..value.shape.count()).map(number).collect();
        if value.name == "hyper" {
            data = vec![1e-3, 0.1, 0.01, 0.9];
        }
        for executor in executors.iter_mut() {
            executor.write(id, &data).unwrap();
        }
    }
}

/// Every value, temporaries included, after one step.
fn every_value(device: &Arc<Device>) {
    for config in networks() {
        let unet = UNet::new(config.model.clone()).unwrap();
        let mut graph = StepProgram::new(&config, &unet, (16, 20)).unwrap().graph;
        let outputs: Vec<ValueId> = graph.nodes().iter().filter_map(|node| node.output).collect();
        for &value in &outputs {
            graph.mark_output(value);
        }
        let nodes = graph.nodes().len();
        let mut cpu = CpuExecutor::new(graph.clone());
        let mut gpu =
            GpuExecutor::new_blocking(Arc::clone(device), graph.clone(), &Tuning::default()).unwrap();
        fill(&mut [&mut cpu, &mut gpu], &graph);
        let step = Step { seed: 1, index: 2 };
        cpu.run(step, 0..nodes).unwrap();
        gpu.run(step, 0..nodes).unwrap();
        let kept = graph.value_ids().filter(|&id| graph.value(id).storage == Storage::Persistent);
        for id in outputs.into_iter().chain(kept) {
            let count = graph.shape(id).count();
            let (mut a, mut b) = (vec![0.0f32; count], vec![0.0f32; count]);
            cpu.read(id, &mut a).unwrap();
            gpu.read(id, &mut b).unwrap();
            let largest = a.iter().fold(1e-4f32, |m, v| m.max(v.abs()));
            let off = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0f32, f32::max);
            // Errors grow along the network; a wrong kernel is off by far more.
            assert!(off <= 2e-4 * largest, "{}: off by {off} of {largest}", graph.value(id).name);
        }
    }
}

fn training(device: &Arc<Device>) {
    for config in networks() {
        let mut cpu = Trainer::new(config.clone(), samples(), &on_cpu).unwrap();
        cpu.run_steps(20, &mut ()).unwrap();
        let mut gpu = trainer(device, &config);
        let mut reported = Vec::new();
        let mut observer = |report: &fovea_train::StepReport| reported.push((report.done, report.loss));
        gpu.run_steps(20, &mut observer).unwrap();
        assert_eq!(gpu.losses().len(), 20);
        for (step, (a, b)) in cpu.losses().iter().zip(gpu.losses()).enumerate() {
            assert!((a - b).abs() < 2e-2 * a.abs(), "step {step}: {a} on the CPU, {b} on the GPU");
        }
        let expected: Vec<(u32, f32)> = (1..=20).zip(gpu.losses().iter().copied()).collect();
        assert_eq!(reported, expected, "one report per step, in order");
        // Stopping in between, at a step that does not end a group of steps in flight, changes no bit.
        let mut again = trainer(device, &config);
        again.run_steps(7, &mut ()).unwrap();
        let saved = again.state().unwrap();
        let mut other = trainer(device, &config);
        other.restore(&saved).unwrap();
        other.run_steps(13, &mut ()).unwrap();
        assert_eq!(other.losses(), gpu.losses());
        assert_eq!(other.model().unwrap(), gpu.model().unwrap());
    }
}

fn not_finite(device: &Arc<Device>) {
    let config = TrainConfig { steps: 40, ..config() };
    let mut trainer = trainer(device, &config);
    trainer.run_steps(STEPS_IN_FLIGHT as u32 + 2, &mut ()).unwrap();
    let table = trainer.unet().parameters().clone();
    let mut broken = trainer.model().unwrap();
    let at = table.entries().iter().find(|e| e.name == "encoder.1.conv2.weight").unwrap().range();
    let good = broken[at.start];
    broken[at.start] = f32::INFINITY;
    trainer.set_model(&broken).unwrap();
    let before = trainer.state().unwrap();
    // Several steps are issued before the first one's loss is known.
    let error = trainer.run_steps(5, &mut ()).unwrap_err();
    let named = matches!(&error, TrainError::NonFinite { step: 18, layer, .. } if layer == "encoder.1.conv2");
    assert!(named, "{error}");
    assert_eq!(trainer.state().unwrap(), before);
    broken[at.start] = good;
    trainer.set_model(&broken).unwrap();
    assert_eq!(trainer.run_steps(3, &mut ()).unwrap().steps, 3, "a mended model trains on");
}

fn first_not_finite(device: &Arc<Device>) {
    use fovea_graph::Op;
    let mut graph = Graph::new();
    let x = graph.input("x", &[1, 2, 5, 7]).unwrap();
    let kept = graph.persistent("kept", &[70]).unwrap();
    let hyper = graph.input("hyper", &[4]).unwrap();
    let flat = graph.input("flat", &[70]).unwrap();
    let twice = graph.push(Op::Scale { factor: 2.0 }, &[x]).unwrap();
    graph.update(Op::AverageUpdate, &[kept, flat, hyper]).unwrap();
    let huge = graph.push(Op::Scale { factor: 1e38 }, &[twice]).unwrap();
    graph.push(Op::Add, &[huge, twice]).unwrap();
    let tail = graph.push(Op::Scale { factor: 3.0 }, &[huge]).unwrap();
    graph.mark_output(tail);
    let mut executor = GpuExecutor::new_blocking(Arc::clone(device), graph, &Tuning::default()).unwrap();
    executor.write(flat, &[1.0; 70]).unwrap();
    executor.write(hyper, &[0.0; 4]).unwrap();
    let mut data = vec![1.0; 70];
    let step = Step::default();
    executor.write(x, &data).unwrap();
    assert_eq!(executor.run_until_non_finite(step, 0..3).unwrap(), None);
    data[69] = 2.0;
    executor.write(x, &data).unwrap();
    assert_eq!(executor.run_until_non_finite(step, 0..5).unwrap(), Some(NodeId(2)));
    data[3] = f32::NAN;
    executor.write(x, &data).unwrap();
    executor.write(kept, &[0.0; 70]).unwrap();
    assert_eq!(executor.run_until_non_finite(step, 0..5).unwrap(), Some(NodeId(0)));
    let mut found = [1.0; 70];
    executor.read(kept, &mut found).unwrap();
    assert_eq!(found, [0.0; 70], "no update runs behind a value that is not finite");
    executor.run(step, 1..2).unwrap();
    executor.read(kept, &mut found).unwrap();
    assert_eq!(found, [1.0; 70], "afterwards updates run again");
}

/// A device of its own is lost in the middle of a training.
fn lost(_: &Arc<Device>) {
    let device = Arc::new(Device::open_blocking(None, fovea_gpu::Checks::Trusted).unwrap());
    let mut trainer = trainer(&device, &config());
    trainer.run_steps(4, &mut ()).unwrap();
    device.give_up();
    let error = trainer.run_steps(4, &mut ()).unwrap_err();
    assert!(matches!(error, TrainError::Execute(ExecuteError::Device { .. })), "{error}");
    assert!(error.to_string().contains(&device.description().name), "{error}");
}
