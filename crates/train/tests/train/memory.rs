//! Training under a memory limit: the same bits in less memory.

use crate::toy;
use fovea_graph::Plan;
use fovea_train::{StepProgram, TrainConfig, TrainError, Trainer};
use fovea_unet::{Norm, UNet, UNetConfig, Upsampling};

fn mib(program: &StepProgram) -> f64 {
    4.0 * Plan::new(&program.graph).floats() as f64 / f64::from(1 << 20)
}

fn program(config: &TrainConfig, side: usize) -> StepProgram {
    StepProgram::new(config, &UNet::new(config.model.clone()).unwrap(), (side, side)).unwrap()
}

fn least_mib(program: &StepProgram) -> usize {
    match program.clone().within(0) {
        Err(TrainError::MemoryLimit { limit_mib: 0, least_mib, .. }) => least_mib,
        other => panic!("{other:?}"),
    }
}

/// What a step leaves behind: the loss of each step, parameters, moments, average.
fn end(config: &TrainConfig, limit_mib: Option<usize>) -> (Vec<u32>, fovea_train::TrainState) {
    let samples = toy::prepared(config, 3);
    let mut trainer = Trainer::within(config.clone(), samples, &toy::cpu, limit_mib).unwrap();
    trainer.run_steps(3, &mut ()).unwrap();
    let mut state = trainer.state().unwrap();
    state.seconds = 0.0;
    (trainer.losses().iter().map(|l| l.to_bits()).collect(), state)
}

#[test]
fn training_within_a_limit_gives_the_same_bits() {
    let norms = [Norm::None, Norm::Batch { momentum: 0.1 }, Norm::Group { groups: 2 }];
    let raised = [Upsampling::Nearest, Upsampling::Transpose, Upsampling::Bilinear { align_corners: true }];
    for (norm, upsampling) in norms.into_iter().zip(raised) {
        let model =
            UNetConfig { widths: vec![8, 16, 32], norm, upsampling, dropout: 0.2, ..toy::config().model };
        let mut config = TrainConfig { model, proximal_mu: 0.1, ..toy::config() };
        config.input = fovea_train::InputMode::Crops { size: 64 };
        let step = program(&config, 64);
        let (whole, least) = (mib(&step), least_mib(&step));
        assert!((least as f64) < 0.8 * whole, "{least} of {whole} MiB");
        let plain = end(&config, None);
        for limit in [least, (least + whole as usize).div_ceil(2)] {
            let frugal = step.clone().within(limit).unwrap();
            assert!(mib(&frugal) <= limit as f64 && frugal.graph.nodes().len() > step.graph.nodes().len());
            let updates = |p: &StepProgram| p.graph.nodes().len() - p.graph.first_update();
            assert_eq!(updates(&frugal), updates(&step));
            assert!(end(&config, Some(limit)) == plain, "{norm:?} within {limit} MiB of {whole}");
        }
    }
}

#[test]
fn a_limit_out_of_reach_names_the_least() {
    let config = TrainConfig { model: UNetConfig::small(), ..toy::config() };
    let step = program(&config, 128);
    let least = least_mib(&step);
    step.clone().within(least).unwrap();
    let error = step.within(least - 1).unwrap_err().to_string();
    assert!(error.contains(&format!("{least} MiB")), "{error}");
}

/// The published settings: what limits can be met (planned, not run).
#[test]
fn the_published_step_can_be_held_to_seven_tenths() {
    let config = TrainConfig { batch: 4, ..TrainConfig::seed_profile() };
    let step = program(&config, 224);
    let (whole, least) = (mib(&step), least_mib(&step));
    println!("{whole:.0} MiB as it is, at least {least} MiB");
    for percent in [90, 80, 70, 60, 50] {
        let limit = (whole * f64::from(percent) / 100.0) as usize;
        if let Ok(frugal) = step.clone().within(limit) {
            let count =
                |p: &StepProgram, name: &str| p.graph.nodes().iter().filter(|n| n.op.name() == name).count();
            let more = |name: &str| count(&frugal, name) - count(&step, name);
            let all = frugal.graph.nodes().len() - step.graph.nodes().len();
            println!("{limit} MiB: {:.0}, {all} nodes again, {} convolutions", mib(&frugal), more("conv2d"));
        }
    }
    assert!((least as f64) < 0.7 * whole, "{least} of {whole} MiB");
}
