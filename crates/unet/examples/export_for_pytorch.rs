//! Writes model files with an input and the logits they should give, for `load_with_pytorch.py` to check:
//! `cargo run -p fovea-unet --example export_for_pytorch -- FOLDER`.

use fovea_graph::reference::ReferenceExecutor;
use fovea_graph::{Executor, Graph, Step};
use fovea_tensor::Stream;
use fovea_unet::{
    ActivationKind, Checkpoint, Mode, ModelCard, NamedTensor, Norm, Preprocessing, Scale, TensorFile, UNet,
    UNetConfig, Upsampling,
};
use std::error::Error;
use std::path::Path;

const DIMS: [usize; 4] = [2, 3, 24, 32];

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("name the folder to write to")?;
    std::fs::create_dir_all(&folder)?;
    let seed_like = UNetConfig { widths: vec![4, 8, 16, 8], ..UNetConfig::seed() };
    let batch = UNetConfig {
        norm: Norm::Batch { momentum: 0.1 },
        activation: ActivationKind::LeakyRelu { slope: 0.1 },
        upsampling: Upsampling::Transpose,
        ..UNetConfig::small()
    };
    let nearest = UNetConfig { upsampling: Upsampling::Nearest, kernel: 5, ..UNetConfig::small() };
    let configs =
        [("small", UNetConfig::small()), ("seed", seed_like), ("batch", batch), ("nearest", nearest)];
    for (name, config) in configs {
        export(Path::new(&folder), name, config)?;
    }
    Ok(())
}

fn export(folder: &Path, name: &str, config: UNetConfig) -> Result<(), Box<dyn Error>> {
    let unet = UNet::new(config)?;
    // Noise on biases, scales, shifts and statistics, which all start equal; variances stay positive.
    let mut noise = Stream::new(1, "export noise", [0, 0]);
    let mut model = unet.parameters().initialise(1);
    for entry in unet.parameters().entries().iter().filter(|e| !e.decay) {
        model[entry.range()].iter_mut().for_each(|v| *v += noise.uniform());
    }
    let image: Vec<f32> = (0..DIMS.iter().product()).map(|_| noise.normal()).collect();
    let card = ModelCard {
        model: unet.config().clone(),
        preprocessing: Preprocessing { scale: Scale::Native, standardise: false },
        threshold: None,
        seed: 1,
        training: serde_json::Value::Null,
    };
    let logits = logits(&unet, &model, &image)?;
    Checkpoint { card, model }.save(&folder.join(format!("{name}.safetensors")))?;
    let tensor = |name: &str, channels: usize, data| NamedTensor {
        name: name.to_owned(),
        dims: vec![DIMS[0], channels, DIMS[2], DIMS[3]],
        data,
    };
    let tensors = vec![tensor("image", 3, image), tensor("logits", 1, logits)];
    let expected = TensorFile { description: "{}".to_owned(), tensors };
    Ok(expected.save(&folder.join(format!("{name}.expected.safetensors")))?)
}

fn logits(unet: &UNet, model: &[f32], image: &[f32]) -> Result<Vec<f32>, Box<dyn Error>> {
    let mut graph = Graph::new();
    let x = graph.input("image", &DIMS)?;
    let forward = unet.forward(&mut graph, x, Mode::Inference)?;
    graph.mark_output(forward.logits);
    let nodes = 0..graph.nodes().len();
    let mut executor = ReferenceExecutor::new(graph);
    executor.write(x, image)?;
    for (entry, &id) in unet.parameters().entries().iter().zip(&forward.parameters) {
        executor.write(id, &model[entry.range()])?;
    }
    executor.run(Step::default(), nodes)?;
    let mut logits = vec![0.0; DIMS[0] * DIMS[2] * DIMS[3]];
    executor.read(forward.logits, &mut logits)?;
    Ok(logits)
}
