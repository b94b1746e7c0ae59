//! The same bits: after any interruption, and on any number of threads.

use crate::toy;
use fovea_train::{Selection, TrainConfig, TrainError, TrainState, Trainer};

fn thorough() -> TrainConfig {
    let mut config =
        TrainConfig { proximal_mu: 0.01, selection: Selection::BestTrainingLoss, ..toy::config() };
    config.model.dropout = 0.2;
    config
}

#[test]
fn a_run_continued_from_any_step_ends_in_the_same_bits() {
    let config = thorough();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.safetensors");
    let mut whole = toy::trainer(&config);
    whole.run_steps(config.steps, &mut ()).unwrap();
    for k in 0..config.steps {
        let mut first = toy::trainer(&config);
        first.run_steps(k, &mut ()).unwrap();
        first.state().unwrap().save(&path).unwrap();
        drop(first);
        let mut second = toy::trainer(&config);
        second.restore(&TrainState::load(&path).unwrap()).unwrap();
        assert_eq!(second.step(), k);
        second.run_steps(config.steps, &mut ()).unwrap();
        let (mut a, mut b) = (whole.state().unwrap(), second.state().unwrap());
        (a.seconds, b.seconds) = (0.0, 0.0);
        assert_eq!(a, b, "interrupted after {k} steps");
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut trainer = toy::trainer(&thorough());
            trainer.run_steps(12, &mut ()).unwrap();
            (toy::final_hashes(&trainer), trainer.losses().to_vec())
        })
    };
    let one = run(1);
    assert_eq!(run(2), one);
    assert_eq!(run(7), one);
}

#[test]
fn the_state_of_another_run_is_refused() {
    let state = toy::trainer(&toy::config()).state().unwrap();
    let refusal = |trainer: &mut Trainer, state: &TrainState| match trainer.restore(state) {
        Err(TrainError::OtherRun { what }) => what,
        other => panic!("{other:?}"),
    };
    let mut other_seed = toy::trainer(&TrainConfig { seed: 4, ..toy::config() });
    assert_eq!(refusal(&mut other_seed, &state), "configuration");
    let mut wider = toy::config();
    wider.model.widths = vec![8, 8];
    assert_eq!(refusal(&mut toy::trainer(&wider), &state), "network");
    let config = toy::config();
    let mut other_images = Trainer::new(config.clone(), toy::prepared(&config, 4), &toy::cpu).unwrap();
    assert_eq!(refusal(&mut other_images, &state), "set of training images");
    let mut trainer = toy::trainer(&config);
    let short = TrainState { parameters: state.parameters[1..].to_vec(), ..state.clone() };
    assert!(matches!(trainer.restore(&short), Err(TrainError::Length { .. })));
}

#[test]
fn damaged_state_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.safetensors");
    toy::trainer(&toy::config()).state().unwrap().save(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    for cut in [0, 7, bytes.len() / 2, bytes.len() - 1] {
        std::fs::write(&path, &bytes[..cut]).unwrap();
        assert!(matches!(TrainState::load(&path), Err(TrainError::File(_))), "{cut}");
    }
    let mut flipped = bytes.clone();
    let last = flipped.len() - 2;
    flipped[last] ^= 1;
    std::fs::write(&path, flipped).unwrap();
    assert!(TrainState::load(&path).unwrap_err().to_string().contains("SHA-256"));
}
