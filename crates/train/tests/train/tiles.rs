//! Predictions in tiles are those of the whole image.

use crate::toy;
use fovea_data::{Image, Mask};
use fovea_graph::{Activation, ExecuteError, Executor, Graph, Plan, Step};
use fovea_train::{Predictor, TrainError};
use fovea_unet::{ActivationKind, Norm, Preprocessing, Scale, UNet, UNetConfig, Upsampling};
use std::sync::{Arc, Mutex};

fn config(norm: Norm, upsampling: Upsampling) -> UNetConfig {
    // Wide enough that an image of a few hundred pixels takes several MiB.
    UNetConfig { widths: vec![16, 32], norm, upsampling, head_bias: 0.0, ..UNetConfig::small() }
}

/// A model with running statistics that are not those of the start.
fn model(unet: &UNet) -> Vec<f32> {
    let mut model = unet.parameters().initialise(5);
    for entry in unet.parameters().entries() {
        for (i, v) in model[entry.range()].iter_mut().enumerate() {
            let wave = (i as f32 * 0.7).sin();
            if entry.statistic {
                *v = if i % 2 == 0 { 0.3 * wave } else { 1.0 + 0.5 * wave };
            } else if entry.dims.len() == 1 {
                *v += 0.3 * wave;
            }
        }
    }
    model
}

fn image(height: usize, width: usize) -> (Image, Mask) {
    let data = (0..3 * height * width).map(|i| (i * 7919 % 1013) as f32 / 1013.0).collect();
    (Image::new(height, width, data).unwrap(), Mask::filled(height, width, true).unwrap())
}

fn predictor(config: &UNetConfig, limit: Option<usize>) -> Predictor {
    let unet = UNet::new(config.clone()).unwrap();
    let model = model(&unet);
    let preprocessing = Preprocessing { scale: Scale::Native, standardise: true };
    Predictor::new(unet, &model, preprocessing, false, Arc::new(toy::cpu)).unwrap().within(limit)
}

fn predicted(config: &UNetConfig, limit: Option<usize>, size: (usize, usize)) -> Vec<f32> {
    let (image, field) = image(size.0, size.1);
    predictor(config, limit).predict(&image, Some(&field)).unwrap().probabilities.data
}

#[test]
fn tiles_give_the_probabilities_of_the_whole_image() {
    let norms = [Norm::None, Norm::Batch { momentum: 0.1 }, Norm::Group { groups: 4 }];
    let raised = [Upsampling::Nearest, Upsampling::Transpose, Upsampling::Bilinear { align_corners: false }];
    for norm in norms {
        for upsampling in raised {
            let config = config(norm, upsampling);
            for size in [(131, 97), (61, 151)] {
                let whole = predicted(&config, None, size);
                let spread = whole.iter().fold([1f32, 0.0], |[a, b], &p| [a.min(p), b.max(p)]);
                assert!(spread[1] - spread[0] > 0.02, "{spread:?}");
                let tiles = predicted(&config, Some(1), size);
                let worst = whole.iter().zip(&tiles).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(worst < 1e-5, "{norm:?} {upsampling:?} {size:?}: {worst}");
            }
        }
    }
}

#[test]
fn no_executor_is_larger_than_the_limit() {
    for norm in [Norm::None, Norm::Group { groups: 4 }] {
        let config = config(norm, Upsampling::Nearest);
        let unet = UNet::new(config).unwrap();
        let model = model(&unet);
        let made: Arc<Mutex<Vec<usize>>> = Arc::default();
        let seen = Arc::clone(&made);
        let make = move |graph: Graph| -> Result<Box<dyn Executor>, ExecuteError> {
            seen.lock().unwrap().push(4 * Plan::new(&graph).floats());
            toy::cpu(graph)
        };
        let preprocessing = Preprocessing { scale: Scale::Native, standardise: false };
        let mut predictor =
            Predictor::new(unet, &model, preprocessing, true, Arc::new(make)).unwrap().within(Some(2));
        for (height, width) in [(150, 130), (40, 40)] {
            let (image, field) = image(height, width);
            predictor.predict(&image, Some(&field)).unwrap();
        }
        let made = made.lock().unwrap();
        assert!(made.len() > 4 && made.iter().all(|&bytes| bytes <= 2 << 20), "{made:?}");
    }
}

#[test]
fn limits_that_cannot_be_met_are_refused_with_the_least() {
    let wide = UNetConfig { widths: vec![32, 64], ..config(Norm::None, Upsampling::Nearest) };
    let (image, field) = image(200, 200);
    let refused = predictor(&wide, Some(0)).predict(&image, Some(&field));
    let Err(TrainError::MemoryLimit { limit_mib: 0, least_mib, .. }) = refused else { panic!("{refused:?}") };
    predictor(&wide, Some(least_mib)).predict(&image, Some(&field)).unwrap();
    let aligned = config(Norm::None, Upsampling::Bilinear { align_corners: true });
    let refused = predictor(&aligned, Some(1)).predict(&image, Some(&field)).unwrap_err();
    assert!(refused.to_string().contains("align_corners = true"), "{refused}");
    let TrainError::NotTileable { least_mib, .. } = refused else { panic!("{refused:?}") };
    predictor(&aligned, Some(least_mib)).predict(&image, Some(&field)).unwrap();
}

#[test]
fn folded_batch_norm_gives_the_probabilities_of_the_plain_graph() {
    let relu = UNetConfig {
        activation: ActivationKind::Relu,
        ..config(Norm::Batch { momentum: 0.1 }, Upsampling::Bilinear { align_corners: true })
    };
    let silu = UNetConfig { activation: ActivationKind::Silu, ..relu.clone() };
    for (config, kept) in [(relu, 0), (silu, 6)] {
        let unet = UNet::new(config).unwrap();
        let model = model(&unet);
        let mut plain = Graph::new();
        let x = plain.input("image", &[1, 3, 24, 16]).unwrap();
        let forward = unet.forward(&mut plain, x, fovea_unet::Mode::Inference).unwrap();
        let y = plain
            .push(fovea_graph::Op::Activate { function: Activation::Sigmoid }, &[forward.logits])
            .unwrap();
        plain.mark_output(y);
        let named = |graph: &Graph, name: &str| graph.find(name);
        let folded = unet.inference([1, 3, 24, 16], Activation::Sigmoid).unwrap();
        let count = |name: &str| folded.graph.nodes().iter().filter(|n| n.op.name() == name).count();
        assert_eq!((count("normalise"), count("activate")), (0, kept));
        let saved = fovea_graph::fuse(&plain).graph.nodes().len() - folded.graph.nodes().len();
        // A SiLU that was merged into the normalisation becomes a node of its own again.
        assert_eq!(saved, 6 - kept);
        let run = |graph: Graph, model: &[f32]| {
            let mut executor = toy::cpu(graph.clone()).unwrap();
            for entry in unet.parameters().entries() {
                if let Some(id) = named(&graph, &entry.name) {
                    executor.write(id, &model[entry.range()]).unwrap();
                }
            }
            let pixels: Vec<f32> = (0..3 * 24 * 16).map(|i| (i * 7919 % 101) as f32 / 101.0).collect();
            executor.write(named(&graph, "image").unwrap(), &pixels).unwrap();
            executor.run(Step::default(), 0..graph.nodes().len()).unwrap();
            let mut out = vec![0.0; 24 * 16];
            executor.read(graph.outputs()[0], &mut out).unwrap();
            out
        };
        let (a, b) = (run(plain, &model), run(folded.graph, &unet.folded(&model).unwrap()));
        let worst = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-5, "{worst}");
    }
}

#[test]
fn group_norm_is_not_folded() {
    let unet = UNet::new(config(Norm::Group { groups: 4 }, Upsampling::Nearest)).unwrap();
    let model = model(&unet);
    assert_eq!(unet.folded(&model).unwrap(), model);
}
